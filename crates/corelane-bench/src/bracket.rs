//! The bare ping-pong around a pass: what two CPUs take to hand over one line, and two.
//!
//! It runs on the kind of memory that queues use (the heap), between the CPUs of the first two
//! measuring threads, and waits as they do. Each direction has lines of its own, as messages have.
//! Two lines are what a 64-byte payload with a flag needs.

use std::{
    array, hint,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{
    harness::{Job, Line, Part, PassError, Stage, Team},
    patience::Patience,
    row::RowKey,
};

/// Round trips between two looks at the clock: one at first, since each may take a time slice on a
/// busy machine, and twice as many after every run, up to these.
const RUN_MAX: u32 = 128;
const STOP: u64 = u64::MAX;

/// Round trips in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bracket {
    /// Over one cache line each way.
    pub(crate) one_line_ns: f64,
    /// Over two adjacent cache lines each way: 64 bytes of payload and a flag.
    pub(crate) two_lines_ns: f64,
}

/// A flag in the first word, payload behind it, on two lines that are fetched together.
#[repr(align(128))]
struct Lines([AtomicU64; 16]);

impl Lines {
    fn new() -> Box<Self> {
        Box::new(Self(array::from_fn(|_| AtomicU64::new(0))))
    }

    /// Hands over `WORDS` payload words.
    fn send<const WORDS: usize>(&self, turn: u64) {
        for word in &self.0[1..=WORDS] {
            word.store(turn, Ordering::Relaxed);
        }
        // Pairs with the Acquire in `receive`: the payload comes with the flag.
        self.0[0].store(turn, Ordering::Release);
    }

    /// Waits for a turn other than `seen`, and reads its payload.
    fn receive<const WORDS: usize>(
        &self,
        seen: u64,
        patience: &mut Patience,
    ) -> Result<u64, PassError> {
        loop {
            // Pairs with the Release in `send`.
            let turn = self.0[0].load(Ordering::Acquire);
            if turn != seen {
                patience.reset();
                for word in &self.0[1..=WORDS] {
                    hint::black_box(word.load(Ordering::Relaxed));
                }
                return Ok(turn);
            }
            patience.wait()?;
        }
    }
}

impl Bracket {
    /// Measures both, each for about `time`.
    pub(crate) fn measure(stage: &Stage, time: Duration) -> Result<Self, PassError> {
        Ok(Self {
            one_line_ns: round_trip_ns::<0>(stage, time)?,
            two_lines_ns: round_trip_ns::<8>(stage, time)?,
        })
    }
}

fn round_trip_ns<const WORDS: usize>(stage: &Stage, time: Duration) -> Result<f64, PassError> {
    // The first two threads of the row, with the CPUs that they have.
    let key = RowKey { senders: 1, receivers: 1, processes: 0, ..stage.key.clone() };
    let pair = Stage { key, across: None, ..stage.clone() };
    let (there, back) = (Lines::new(), Lines::new());
    let (there, back) = (&*there, &*back);
    let ping: Job<'_> = Box::new(move |line, patience| {
        line.meet(patience)?;
        let value = lead::<WORDS>(there, back, time, patience)?;
        there.send::<0>(STOP);
        Ok(Part { value, ..Part::default() })
    });
    let pong: Job<'_> = Box::new(move |line, patience| {
        line.meet(patience)?;
        let mut turn = there.receive::<WORDS>(0, patience)?;
        while turn != STOP {
            back.send::<WORDS>(turn);
            turn = there.receive::<WORDS>(turn, patience)?;
        }
        Ok(Part::default())
    });
    Ok(Team::run(&pair, vec![ping, pong])?.parts[0].value)
}

/// The median of short runs of round trips.
fn lead<const WORDS: usize>(
    there: &Lines,
    back: &Lines,
    time: Duration,
    patience: &mut Patience,
) -> Result<f64, PassError> {
    let deadline = Instant::now() + time;
    let mut turn = 0;
    let mut run = 1;
    let mut runs_ns = Vec::new();
    loop {
        let start = Instant::now();
        for _ in 0..run {
            there.send::<WORDS>(turn + 1);
            turn = back.receive::<WORDS>(turn, patience)?;
        }
        let end = Instant::now();
        runs_ns.push((end - start).as_nanos() as f64 / f64::from(run));
        if end >= deadline {
            runs_ns.sort_by(f64::total_cmp);
            return Ok(runs_ns[runs_ns.len() / 2]);
        }
        run = RUN_MAX.min(2 * run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::stage;

    #[test]
    fn both_ping_pongs_give_a_time() {
        let bracket = Bracket::measure(&stage(3, 1), Duration::from_micros(200)).unwrap();
        assert!(bracket.one_line_ns > 0.0 && bracket.two_lines_ns > 0.0, "{bracket:?}");
    }

    #[test]
    fn one_cpu_is_enough_by_yielding() {
        let mut stage = stage(1, 1);
        stage.cpus.truncate(1);
        let bracket = Bracket::measure(&stage, Duration::from_micros(200)).unwrap();
        assert!(bracket.one_line_ns > 0.0, "{bracket:?}");
    }
}
