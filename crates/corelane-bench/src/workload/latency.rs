//! There and back over two queues of a peer, one message at a time.
//!
//! The first half is timed in runs, without a clock between round trips, to be held against the
//! bare ping-pong; in the second half every round trip goes into a histogram, up to the slowest.

use std::time::Instant;

use crate::{
    harness::{Job, Part, PassError, PassResult, Stage, Team},
    patience::Patience,
    peer::{Message, Peer},
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
    let half = (count / 2).next_multiple_of(RUN);
    let total = WARM + 2 * half;
    let ping: Job<'_> = Box::new(move |line, patience| {
        let mut number = 0;
        let mut checksum = 0u64;
        let mut round_trip = |patience: &mut Patience| {
            number += 1;
            send_one(&mut there, Message::<WORDS>::new(number), patience)?;
            let reply = receive_one(&mut back, patience)?;
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
    });
    let echo: Job<'_> = Box::new(move |line, patience| {
        line.meet(patience)?;
        for _ in 0..total {
            let message = receive_one(&mut echo_in, patience)?;
            send_one(&mut echo_out, message, patience)?;
        }
        Ok(Part::default())
    });
    let mut team = Team::run(stage, vec![ping, echo])?;
    team.check(checksum_up_to(total, WORDS))?;
    let wall = team.wall();
    let ping = team.parts.swap_remove(0);
    let histogram = ping.histogram.expect("because the first thread made one");
    let values = [ping.value].into_iter().chain(percentiles(&histogram)).collect();
    Ok(PassResult { values, wall, uses: team.uses, histogram: Some(histogram) })
}
