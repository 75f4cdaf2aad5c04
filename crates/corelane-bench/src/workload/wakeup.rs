//! There and back while both ends sleep: what it costs to wake a thread, twice.
//!
//! Before each send an end stays awake for a moment, so that the other one, which may spin before
//! it sleeps, is asleep by then; that time is taken off. That both slept is proven: the kernel
//! counts the times that a thread gave up its CPU.

use std::{
    hint,
    time::{Duration, Instant},
};

use crate::{
    harness::{Job, Line, Part, PassError, PassResult, Stage, Team},
    patience::Patience,
    peer::{SleepingPeer, SleepingReceiver, SleepingSender},
    workload::{checksum_up_to, histogram, percentiles},
};

/// How long an end stays awake before it sends: longer than any queue spins before it sleeps.
const DWELL: Duration = Duration::from_micros(100);
/// Unmeasured round trips at the start.
const WARM: u64 = 16;
/// So many sleeps for each round trip prove that an end slept; a few may be cut short.
const SLEEPS_PER_ROUND_TRIP_MIN: f64 = 0.9;

/// One pass of `count` round trips.
pub(crate) fn pass<P: SleepingPeer>(stage: &Stage, count: u64) -> Result<PassResult, PassError> {
    let (mut there, mut echo_in) = P::open();
    let (mut echo_out, mut back) = P::open();
    let total = total(count);
    let ping: Job<'_> =
        Box::new(move |line, patience| ping(&mut there, &mut back, total, line, patience));
    let echo: Job<'_> =
        Box::new(move |line, patience| echo(&mut echo_in, &mut echo_out, total, line, patience));
    evaluate(Team::run(stage, vec![ping, echo])?, total)
}

/// All round trips of a pass of `count`, with those at the start.
pub(crate) fn total(count: u64) -> u64 {
    WARM + count
}

/// The end that sends first, and measures.
pub(crate) fn ping(
    there: &mut impl SleepingSender,
    back: &mut impl SleepingReceiver,
    total: u64,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    line.meet(patience)?;
    let mut checksum = 0u64;
    let mut histogram = histogram();
    let mut begin = Instant::now();
    for number in 1..=total {
        dwell();
        let start = Instant::now();
        there.send(number);
        checksum = checksum.wrapping_add(back.recv());
        let round_trip = start.elapsed().saturating_sub(DWELL);
        match number > WARM {
            true => histogram.saturating_record(round_trip.as_nanos() as u64),
            false => begin = Instant::now(),
        }
    }
    let span = Some((begin, Instant::now()));
    Ok(Part { span, checksum, histogram: Some(histogram), value: 0.0 })
}

/// The end that sends everything back.
pub(crate) fn echo(
    echo_in: &mut impl SleepingReceiver,
    echo_out: &mut impl SleepingSender,
    total: u64,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    line.meet(patience)?;
    for _ in 0..total {
        let number = echo_in.recv();
        dwell();
        echo_out.send(number);
    }
    Ok(Part::default())
}

/// What the first of both ends measured, once it is sure that both slept.
pub(crate) fn evaluate(mut team: Team, total: u64) -> Result<PassResult, PassError> {
    team.check(checksum_up_to(total, 1))?;
    let sleeps = team.uses.iter().map(|used| used.voluntary).min().unwrap_or(0);
    check_sleeps(sleeps, total)?;
    let wall = team.wall();
    let histogram = team.parts.swap_remove(0).histogram;
    let values = histogram.iter().flat_map(percentiles).collect();
    Ok(PassResult { values, wall, uses: team.uses, histogram })
}

/// Stays awake until the other end sleeps for sure.
fn dwell() {
    let start = Instant::now();
    while start.elapsed() < DWELL {
        hint::spin_loop();
    }
}

/// Refuses a pass in which the end that slept less did not sleep at nearly every round trip.
fn check_sleeps(sleeps: u64, round_trips: u64) -> Result<(), PassError> {
    let per_round_trip = sleeps as f64 / round_trips as f64;
    match per_round_trip >= SLEEPS_PER_ROUND_TRIP_MIN {
        true => Ok(()),
        false => Err(PassError::Awake { per_round_trip }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_that_spins_is_refused() {
        assert!(check_sleeps(95, 100).is_ok());
        let refused = check_sleeps(50, 100);
        assert!(matches!(refused, Err(PassError::Awake { per_round_trip: 0.5 })), "{refused:?}");
    }
}
