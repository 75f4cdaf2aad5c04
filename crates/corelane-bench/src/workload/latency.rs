//! There and back over two queues of a peer, one message at a time.
//!
//! The first half is timed in runs, without a clock between round trips, to be held against the
//! bare ping-pong; in the second half every round trip goes into a histogram, up to the slowest.

use std::time::Instant;

use crate::{
    harness::{Job, Line, Part, PassError, PassResult, Stage, Team},
    patience::Patience,
    peer::{Message, Peer, Receiver, Sender},
    stats,
    workload::{
        capacity, checksum_up_to, histogram, percentiles,
        throughput::{receive_one, send_one},
    },
};

/// Round trips of a run.
const RUN: u64 = 64;
/// Unmeasured round trips at the start.
const WARM: u64 = 2 * RUN;

/// One pass of about `count` round trips.
pub(crate) fn pass<P: Peer, const WORDS: usize>(
    stage: &Stage,
    count: u64,
) -> Result<PassResult, PassError> {
    let open = || {
        let (senders, receivers) = P::open::<Message<WORDS>>(capacity(WORDS * 8), 1, 1);
        senders.into_iter().next().zip(receivers.into_iter().next())
    };
    let pair = || open().expect("because one of each end was asked for");
    let (mut there, mut echo_in) = pair();
    let (mut echo_out, mut back) = pair();
    let (half, total) = counts(count);
    let ping: Job<'_> =
        Box::new(move |line, patience| ping(&mut there, &mut back, half, line, patience));
    let echo: Job<'_> =
        Box::new(move |line, patience| echo(&mut echo_in, &mut echo_out, total, line, patience));
    let team = Team::run(stage, vec![ping, echo])?;
    evaluate(team, total, WORDS)
}

/// Round trips of each half of a pass of about `count`, and of all of it.
pub(crate) fn counts(count: u64) -> (u64, u64) {
    let half = (count / 2).next_multiple_of(RUN);
    (half, WARM + 2 * half)
}

/// The end that sends first, and measures.
pub(crate) fn ping<const WORDS: usize>(
    there: &mut impl Sender<Message<WORDS>>,
    back: &mut impl Receiver<Message<WORDS>>,
    half: u64,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    let mut number = 0;
    let mut checksum = 0u64;
    let mut round_trip = |patience: &mut Patience| {
        number += 1;
        send_one(there, Message::<WORDS>::new(number), patience)?;
        let reply = receive_one(back, patience)?;
        checksum = checksum.wrapping_add(reply.checksum());
        Ok::<(), PassError>(())
    };
    line.meet(patience)?;
    for _ in 0..WARM {
        round_trip(patience)?;
    }
    let start = Instant::now();
    let mut runs_ns = Vec::with_capacity((half / RUN) as usize);
    for _ in 0..half / RUN {
        let start = Instant::now();
        for _ in 0..RUN {
            round_trip(patience)?;
        }
        runs_ns.push(start.elapsed().as_nanos() as f64 / RUN as f64);
    }
    let mut histogram = histogram();
    for _ in 0..half {
        let start = Instant::now();
        round_trip(patience)?;
        histogram.saturating_record(start.elapsed().as_nanos() as u64);
    }
    let span = Some((start, Instant::now()));
    let value = stats::summarise(&runs_ns).map_or(0.0, |summary| summary.median);
    Ok(Part { span, checksum, histogram: Some(histogram), value })
}

/// The end that sends everything back.
pub(crate) fn echo<const WORDS: usize>(
    echo_in: &mut impl Receiver<Message<WORDS>>,
    echo_out: &mut impl Sender<Message<WORDS>>,
    total: u64,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    line.meet(patience)?;
    for _ in 0..total {
        let message = receive_one(echo_in, patience)?;
        send_one(echo_out, message, patience)?;
    }
    Ok(Part::default())
}

/// What the first of both ends measured.
pub(crate) fn evaluate(mut team: Team, total: u64, words: usize) -> Result<PassResult, PassError> {
    team.check(checksum_up_to(total, words))?;
    let wall = team.wall();
    let ping = team.parts.swap_remove(0);
    let histogram = ping.histogram.expect("because the first end made one");
    let values = [ping.value].into_iter().chain(percentiles(&histogram)).collect();
    Ok(PassResult { values, wall, uses: team.uses, histogram: Some(histogram) })
}
