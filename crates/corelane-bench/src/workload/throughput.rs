//! As many messages as pass: one or many senders, one or many receivers, single or in batches.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use crate::{
    harness::{Job, Line, Part, PassError, PassResult, Stage, Team},
    patience::Patience,
    peer::{Delivery, Message, Peer, Receiver, Sender},
    row::Mode,
    workload::{capacity, checksum_up_to},
};

/// Messages of a batch.
pub const BATCH: usize = 64;

/// One pass: `count` messages, shared by the senders.
pub(crate) fn pass<P: Peer, const WORDS: usize>(
    stage: &Stage,
    count: u64,
) -> Result<PassResult, PassError> {
    let (senders, receivers) = (stage.key.senders, stage.key.receivers);
    let capacity = capacity(Message::<WORDS>::BYTES);
    let (sending, receiving) = P::open::<Message<WORDS>>(capacity, senders, receivers);
    let warm = 2 * capacity as u64;
    let each = count.div_ceil(senders as u64);
    let is_batch = stage.key.mode == Mode::Batch;
    let send = |mut sender: P::Sender<Message<WORDS>>| -> Job<'_> {
        Box::new(move |line, patience| {
            send_timed(&mut sender, [warm, each], is_batch, line, patience)
        })
    };
    let taken = &AtomicU64::new(0);
    let is_shared = receivers > 1 && P::DELIVERY == Delivery::One;
    let receive = |mut receiver: P::Receiver<Message<WORDS>>| -> Job<'_> {
        Box::new(move |line, patience| {
            let counts = [warm, each].map(|count| count * senders as u64);
            let taken = is_shared.then_some(taken);
            receive_timed(&mut receiver, counts, is_batch, taken, line, patience)
        })
    };
    let jobs = sending.into_iter().map(send).chain(receiving.into_iter().map(receive)).collect();
    let team = Team::run(stage, jobs)?;
    let copies = if P::DELIVERY == Delivery::Each { receivers } else { 1 };
    let sent = checksum_up_to(warm + each, WORDS).wrapping_mul((senders * copies) as u64);
    team.check(sent)?;
    Ok(rated(team, each * senders as u64))
}

/// The rate of so many messages.
pub(crate) fn rated(team: Team, count: u64) -> PassResult {
    let wall = team.wall();
    let rate = count as f64 / wall.as_secs_f64() / 1e6;
    PassResult { values: vec![rate], wall, uses: team.uses, histogram: None }
}

/// Sends the warm-up and then the timed messages.
pub(crate) fn send_timed<const WORDS: usize, S: Sender<Message<WORDS>>>(
    sender: &mut S,
    [warm, timed]: [u64; 2],
    is_batch: bool,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    send_all(sender, 1..warm + 1, is_batch, patience)?;
    line.meet(patience)?;
    let start = Instant::now();
    send_all(sender, warm + 1..warm + timed + 1, is_batch, patience)?;
    // The receivers say when the last message arrived; till then this end stays.
    line.meet(patience)?;
    Ok(Part { span: Some((start, start)), ..Part::default() })
}

fn send_all<const WORDS: usize, S: Sender<Message<WORDS>>>(
    sender: &mut S,
    numbers: std::ops::Range<u64>,
    is_batch: bool,
    patience: &mut Patience,
) -> Result<(), PassError> {
    if !is_batch {
        for number in numbers {
            send_one(sender, Message::new(number), patience)?;
        }
        return Ok(());
    }
    let std::ops::Range { start: mut number, end } = numbers;
    while number < end {
        let count = BATCH.min((end - number) as usize);
        let mut make = || {
            let message = Message::new(number);
            number += 1;
            message
        };
        match sender.try_send_many(count, &mut make) {
            0 => patience.wait()?,
            _ => patience.reset(),
        }
    }
    Ok(())
}

/// Sends one message, however long it takes.
#[inline]
pub(crate) fn send_one<M, S: Sender<M>>(
    sender: &mut S,
    message: M,
    patience: &mut Patience,
) -> Result<(), PassError> {
    let Err(mut message) = sender.try_send(message) else { return Ok(()) };
    while let Err(refused) = sender.try_send(message) {
        patience.wait()?;
        message = refused;
    }
    patience.reset();
    Ok(())
}

/// Receives one message, however long it takes.
#[inline]
pub(crate) fn receive_one<M, R: Receiver<M>>(
    receiver: &mut R,
    patience: &mut Patience,
) -> Result<M, PassError> {
    if let Some(message) = receiver.try_recv() {
        return Ok(message);
    }
    loop {
        patience.wait()?;
        if let Some(message) = receiver.try_recv() {
            patience.reset();
            return Ok(message);
        }
    }
}

/// Receives the warm-up and then the timed messages: so many alone, or together with others.
pub(crate) fn receive_timed<const WORDS: usize, R: Receiver<Message<WORDS>>>(
    receiver: &mut R,
    [warm, timed]: [u64; 2],
    is_batch: bool,
    taken: Option<&AtomicU64>,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    let mut receive = |count: u64, total: u64, patience: &mut Patience| match taken {
        Some(taken) => receive_shared(receiver, total, is_batch, taken, patience),
        None => receive_alone(receiver, count, is_batch, patience),
    };
    let mut checksum = receive(warm, warm, patience)?;
    line.meet(patience)?;
    let start = Instant::now();
    checksum = checksum.wrapping_add(receive(timed, warm + timed, patience)?);
    let end = Instant::now();
    line.meet(patience)?;
    Ok(Part { span: Some((start, end)), checksum, ..Part::default() })
}

/// Receives so many messages; gives the sum over them.
fn receive_alone<const WORDS: usize, R: Receiver<Message<WORDS>>>(
    receiver: &mut R,
    count: u64,
    is_batch: bool,
    patience: &mut Patience,
) -> Result<u64, PassError> {
    let mut checksum = 0u64;
    if !is_batch {
        for _ in 0..count {
            let message = receive_one(receiver, patience)?;
            checksum = checksum.wrapping_add(message.checksum());
        }
        return Ok(checksum);
    }
    let mut left = count;
    while left > 0 {
        let most = left.min(BATCH as u64) as usize;
        let mut take = |message: &Message<WORDS>| {
            checksum = checksum.wrapping_add(message.checksum());
        };
        match receiver.try_recv_many(most, &mut take) {
            0 => patience.wait()?,
            received => {
                left -= received as u64;
                patience.reset();
            }
        }
    }
    Ok(checksum)
}

/// Receives until all receivers together have taken `total` messages. What this one took is
/// counted only when it finds nothing, so that the counter does not slow down the queue.
fn receive_shared<const WORDS: usize, R: Receiver<Message<WORDS>>>(
    receiver: &mut R,
    total: u64,
    is_batch: bool,
    taken: &AtomicU64,
    patience: &mut Patience,
) -> Result<u64, PassError> {
    let mut checksum = 0u64;
    let mut uncounted = 0;
    let most = if is_batch { BATCH } else { 1 };
    loop {
        let mut take = |message: &Message<WORDS>| {
            checksum = checksum.wrapping_add(message.checksum());
        };
        let received = match is_batch {
            true => receiver.try_recv_many(most, &mut take),
            false => usize::from(receiver.try_recv().inspect(take).is_some()),
        };
        if received > 0 {
            uncounted += received as u64;
            continue;
        }
        if uncounted > 0 {
            taken.fetch_add(uncounted, Ordering::Relaxed);
            uncounted = 0;
            patience.reset();
        }
        if taken.load(Ordering::Relaxed) >= total {
            return Ok(checksum);
        }
        patience.wait()?;
    }
}
