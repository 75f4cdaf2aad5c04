//! The bare ping-pong: one cache line that two threads hand to each other.
//!
//! The floor under every message of this machine. Two short threads are started for it; the
//! caller's affinity is not touched. Progress: both sides spin, then yield, so that it also ends
//! (slowly, and says so in `yields`) when both threads share one CPU or are preempted.

use crate::{MeasureError, PinError, pin_current_thread};
use crossbeam_utils::CachePadded;
use std::hint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a side looks at the line before it yields; far more than any transfer takes.
const SPINS_BEFORE_YIELD: u32 = 256;
/// Round trips between two looks at the clock.
const ROUND_TRIPS_PER_CLOCK: u64 = 64;
/// Values of the line that are no turn.
const NOT_READY: u64 = 0;
const READY: u64 = 2;
const STOP: u64 = u64::MAX;

/// How long to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingPongOptions {
    /// Short passes; the result is their median.
    pub passes: usize,
    /// Round trips of one pass.
    pub round_trips_per_pass: u64,
    /// A pass is cut short, and no further pass begins, after this time.
    pub time_max: Duration,
}

impl Default for PingPongOptions {
    /// About 5 ms between two cores of one package.
    fn default() -> Self {
        Self { passes: 11, round_trips_per_pass: 2_000, time_max: Duration::from_millis(100) }
    }
}

/// The time a cache line takes from one thread to another.
///
/// # Units
/// Nanoseconds for one way, which is half of a round trip.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PingPong {
    /// Median of the passes.
    pub one_way_ns: f64,
    /// The fastest pass.
    pub one_way_ns_min: f64,
    /// Distance between the quartiles of the passes.
    pub one_way_ns_spread: f64,
    /// Passes that were run.
    pub passes: usize,
    /// How often a side gave up spinning; above zero the two were preempted or shared a CPU.
    pub yields: u64,
}

impl PingPong {
    /// Median of the passes, there and back.
    #[must_use]
    pub fn round_trip_ns(&self) -> f64 {
        2.0 * self.one_way_ns
    }

    /// The summary of one-way times, one per pass; zeros without any.
    pub(crate) fn from_passes(mut one_way_ns: Vec<f64>, yields: u64) -> Self {
        one_way_ns.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            let last = one_way_ns.len().saturating_sub(1);
            one_way_ns.get((last * quarter + 2) / 4).copied().unwrap_or(0.0)
        };
        Self {
            one_way_ns: at(2),
            one_way_ns_min: at(0),
            one_way_ns_spread: at(3) - at(1),
            passes: one_way_ns.len(),
            yields,
        }
    }
}

/// Measures between two CPUs; the same one twice measures two threads that share it.
///
/// # Errors
/// - [`MeasureError::Pin`] when a CPU cannot be had.
/// - [`MeasureError::Thread`] when no thread can be started.
pub fn measure_pingpong(
    cpu_a: usize,
    cpu_b: usize,
    options: &PingPongOptions,
) -> Result<PingPong, MeasureError> {
    measure(Some(cpu_a), Some(cpu_b), options)
}

/// Measures between two threads that the kernel places as it likes.
///
/// # Errors
/// [`MeasureError::Thread`] when no thread can be started.
pub fn measure_pingpong_floating(options: &PingPongOptions) -> Result<PingPong, MeasureError> {
    measure(None, None, options)
}

fn measure(
    cpu_a: Option<usize>,
    cpu_b: Option<usize>,
    options: &PingPongOptions,
) -> Result<PingPong, MeasureError> {
    let line = CachePadded::new(AtomicU64::new(NOT_READY));
    let line: &AtomicU64 = &line;
    let pin = |cpu: Option<usize>| cpu.map_or(Ok(()), pin_current_thread);
    thread::scope(|scope| {
        let start = |name: &str| thread::Builder::new().name(format!("pingpong-{name}"));
        let echo = start("b").spawn_scoped(scope, move || {
            let pinned = pin(cpu_b);
            // The ping side waits for one of the two, so it is told even when the pin failed.
            line.store(if pinned.is_ok() { READY } else { STOP }, Ordering::Release);
            pinned.map(|()| return_all(line))
        });
        let echo = echo.map_err(MeasureError::Thread)?;
        let ping = start("a").spawn_scoped(scope, move || {
            let pinned = pin(cpu_a);
            let mut yields = 0;
            let mut passes = Vec::new();
            if wait_while(line, NOT_READY, &mut 0) == READY {
                if pinned.is_ok() {
                    passes = run_passes(line, options, &mut yields);
                }
                line.store(STOP, Ordering::Release);
            }
            pinned.map(|()| (passes, yields))
        });
        let ping = ping.map_err(|error| {
            wait_while(line, NOT_READY, &mut 0);
            line.store(STOP, Ordering::Release);
            MeasureError::Thread(error)
        })?;
        let (passes, yields_a) = joined(ping)?;
        let yields_b = joined(echo)?;
        Ok(PingPong::from_passes(passes, yields_a + yields_b))
    })
}

fn joined<T>(handle: thread::ScopedJoinHandle<'_, Result<T, PinError>>) -> Result<T, MeasureError> {
    let outcome = handle.join().expect("the thread ends because none of its calls panics");
    Ok(outcome?)
}

/// Returns every turn until it is stopped, and says how often it yielded.
fn return_all(line: &AtomicU64) -> u64 {
    let mut yields = 0;
    // Until the first turn the other thread is being started, which is no preemption.
    let mut turn = wait_while(line, READY, &mut 0);
    while turn != STOP {
        // Pairs with the Acquire of the other side in `wait_while`.
        line.store(turn + 1, Ordering::Release);
        turn = wait_while(line, turn + 1, &mut yields);
    }
    yields
}

/// The one-way time of each pass; the first, unmeasured one warms up.
fn run_passes(line: &AtomicU64, options: &PingPongOptions, yields: &mut u64) -> Vec<f64> {
    let deadline = Instant::now() + options.time_max;
    let mut turn = READY;
    let mut one_way_ns = Vec::with_capacity(options.passes);
    for pass in 0..=options.passes {
        let start = Instant::now();
        let mut round_trips = 0;
        while round_trips < options.round_trips_per_pass.max(1) {
            // From READY on, even values are ours to raise, odd ones are the echo's.
            line.store(turn + 1, Ordering::Release);
            let yields_before = *yields;
            turn = wait_while(line, turn + 1, yields);
            round_trips += 1;
            let is_slow = *yields != yields_before || round_trips % ROUND_TRIPS_PER_CLOCK == 0;
            if is_slow && Instant::now() >= deadline {
                break;
            }
        }
        let is_late = Instant::now() >= deadline;
        // A machine too slow for a warm-up still gets a figure.
        if pass > 0 || is_late {
            one_way_ns.push(start.elapsed().as_nanos() as f64 / (2 * round_trips) as f64);
        }
        if is_late {
            break;
        }
    }
    one_way_ns
}

/// The first value other than `seen`.
fn wait_while(line: &AtomicU64, seen: u64, yields: &mut u64) -> u64 {
    loop {
        for _ in 0..SPINS_BEFORE_YIELD {
            // Pairs with every Release store to the line.
            let value = line.load(Ordering::Acquire);
            if value != seen {
                return value;
            }
            hint::spin_loop();
        }
        *yields += 1;
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowed_cpus;

    const SHORT: PingPongOptions = PingPongOptions {
        passes: 3,
        round_trips_per_pass: 100,
        time_max: Duration::from_millis(20),
    };

    #[test]
    fn summary_of_passes() {
        let summary = PingPong::from_passes(vec![40.0, 10.0, 50.0, 20.0, 30.0], 7);
        assert_eq!((summary.one_way_ns, summary.one_way_ns_min), (30.0, 10.0));
        assert_eq!((summary.one_way_ns_spread, summary.round_trip_ns()), (20.0, 60.0));
        assert_eq!((summary.passes, summary.yields), (5, 7));
        assert_eq!(PingPong::from_passes(vec![], 0).one_way_ns, 0.0);
        assert_eq!(PingPong::from_passes(vec![5.0], 0).one_way_ns_spread, 0.0);
    }

    #[test]
    fn one_cpu_for_both_ends_by_yielding() {
        let cpu = allowed_cpus().unwrap().first().unwrap();
        let measured = measure_pingpong(cpu, cpu, &SHORT).unwrap();
        assert!(measured.one_way_ns > 0.0 && measured.passes >= 1, "{measured:?}");
        assert!(measured.yields > 0, "two threads on one cpu must yield: {measured:?}");
    }

    #[test]
    fn two_cpus_and_floating_threads() {
        let cpus = allowed_cpus().unwrap();
        let (first, last) = (cpus.first().unwrap(), cpus.last().unwrap());
        let pinned = measure_pingpong(first, last, &SHORT).unwrap();
        assert!(pinned.one_way_ns >= pinned.one_way_ns_min && pinned.one_way_ns_min > 0.0);
        assert!(measure_pingpong_floating(&SHORT).unwrap().one_way_ns > 0.0);
        assert_eq!(allowed_cpus().unwrap(), cpus, "the caller's affinity stays");
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error_on_either_side() {
        let cpu = allowed_cpus().unwrap().first().unwrap();
        for (a, b) in [(cpu, 1_023), (1_023, cpu), (1_023, 1_023), (cpu, 70_000)] {
            let refused = measure_pingpong(a, b, &SHORT);
            assert!(matches!(refused, Err(MeasureError::Pin(_))), "{a} {b} {refused:?}");
        }
    }

    #[test]
    fn no_time_still_gives_a_figure() {
        let cpus = allowed_cpus().unwrap();
        let none = PingPongOptions { time_max: Duration::ZERO, ..SHORT };
        let measured = measure_pingpong(cpus.first().unwrap(), cpus.last().unwrap(), &none);
        assert_eq!(measured.unwrap().passes, 1);
    }
}
