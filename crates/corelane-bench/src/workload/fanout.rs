//! One publisher, one or very many live cursors: what another subscriber costs the publisher.
//!
//! One thread drains all cursors in strides, or one thread in each of several processes. The
//! publisher publishes in bursts, as soon as the slowest cursor has room for one; its CPU time is
//! taken around the bursts, so that waiting does not count and looking after the cursors does.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{
    counters::thread_time,
    fanout_peer::{FanoutMessage, FanoutPeer},
    harness::{Job, Line, Part, PassError, PassResult, Stage, Team},
    patience::Patience,
    peer::{Receiver, Sender},
    workload::{checksum_up_to, throughput::send_one},
};

/// Messages that a cursor may lag behind.
const CAPACITY: u64 = 1024;
/// Messages between two looks at the publisher's clock.
const BURST: u64 = CAPACITY / 2;
/// Messages that are drained from a cursor before the next one's turn.
const STRIDE: usize = 64;
/// A single cursor gets so many times the messages, to take a comparable time.
pub(crate) const SINGLE_FACTOR: u64 = 64;

/// One pass: `count` messages to all cursors, and more to a single one.
pub(crate) fn pass<P: FanoutPeer>(stage: &Stage, count: u64) -> Result<PassResult, PassError> {
    let single = half::<P>(stage, 1, count.saturating_mul(SINGLE_FACTOR))?;
    Ok(ratio(single, half::<P>(stage, stage.cursors, count)?))
}

/// One cursor beside very many.
pub(crate) fn ratio(single: PassResult, many: PassResult) -> PassResult {
    let (one_ns, many_ns) = (single.values[0], many.values[0]);
    let values = vec![one_ns, many_ns, many_ns / one_ns.max(f64::MIN_POSITIVE)];
    let mut uses = single.uses;
    uses.extend(many.uses);
    PassResult { values, wall: single.wall + many.wall, uses, histogram: None }
}

/// Messages of a pass in which about `count` are timed: those, and those before them as well.
pub(crate) fn counts(count: u64) -> (u64, u64) {
    let count = count.next_multiple_of(BURST);
    (count, count + CAPACITY)
}

fn half<P: FanoutPeer>(stage: &Stage, cursors: usize, count: u64) -> Result<PassResult, PassError> {
    let (mut publisher, mut cursor_list) = P::open(cursors, CAPACITY as usize);
    let total = counts(count).1;
    let drained = &AtomicU64::new(0);
    let publish: Job<'_> = Box::new(move |line, patience| {
        publish(&mut publisher, count, &|| drained.load(Ordering::Acquire), line, patience)
    });
    let drain: Job<'_> = Box::new(move |line, patience| {
        let say = |slowest| drained.store(slowest, Ordering::Release);
        drain(&mut cursor_list, count, &say, line, patience)
    });
    let team = Team::run(stage, vec![publish, drain])?;
    team.check(checksum_up_to(total, 8).wrapping_mul(cursors as u64))?;
    let (values, wall) = (vec![team.parts[0].value], team.wall());
    Ok(PassResult { values, wall, uses: team.uses, histogram: None })
}

/// Publishes; `drained` says what the slowest cursor has.
pub(crate) fn publish(
    publisher: &mut impl Sender<FanoutMessage>,
    count: u64,
    drained: &impl Fn() -> u64,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    let (count, total) = counts(count);
    line.meet(patience)?;
    let mut number = 0;
    // The first lap touches the memory and does not count.
    while number < CAPACITY {
        burst(publisher, &mut number, drained, patience)?;
    }
    let start = Instant::now();
    let mut time = Duration::ZERO;
    while number < total {
        time += burst(publisher, &mut number, drained, patience)?;
    }
    let value = time.as_nanos() as f64 / count as f64;
    line.meet(patience)?;
    Ok(Part { span: Some((start, Instant::now())), value, ..Part::default() })
}

/// Drains some of the cursors; `say` is told what the slowest of them has.
pub(crate) fn drain(
    cursors: &mut [impl Receiver<FanoutMessage>],
    count: u64,
    say: &impl Fn(u64),
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    line.meet(patience)?;
    let checksum = drain_all(cursors, counts(count).1, say, patience)?;
    line.meet(patience)?;
    Ok(Part { checksum, ..Part::default() })
}

/// Waits for room, publishes a burst, and gives the CPU time that it took.
fn burst(
    publisher: &mut impl Sender<FanoutMessage>,
    number: &mut u64,
    drained: &impl Fn() -> u64,
    patience: &mut Patience,
) -> Result<Duration, PassError> {
    while *number + BURST > drained() + CAPACITY {
        patience.wait()?;
    }
    patience.reset();
    let start = thread_time();
    for _ in 0..BURST {
        *number += 1;
        send_one(publisher, FanoutMessage::new(*number), patience)?;
    }
    Ok(thread_time() - start)
}

/// Drains every cursor up to `total` messages, and says after each turn how far the slowest is.
fn drain_all(
    cursors: &mut [impl Receiver<FanoutMessage>],
    total: u64,
    say: &impl Fn(u64),
    patience: &mut Patience,
) -> Result<u64, PassError> {
    let mut positions = vec![0; cursors.len()];
    let mut checksum = 0u64;
    loop {
        let mut has_moved = false;
        for (cursor, position) in cursors.iter_mut().zip(&mut positions) {
            let count = cursor.try_recv_many(STRIDE, &mut |message: &FanoutMessage| {
                checksum = checksum.wrapping_add(message.checksum());
            });
            *position += count as u64;
            has_moved |= count > 0;
        }
        let slowest = positions.iter().copied().min().unwrap_or(total);
        say(slowest);
        if slowest >= total {
            return Ok(checksum);
        }
        match has_moved {
            true => patience.reset(),
            false => patience.wait()?,
        }
    }
}
