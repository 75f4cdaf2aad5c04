//! How a thread waits when there is nothing to do: spin, then yield, then sleep.
//!
//! It decides only what comes next; the thread itself looks for work between the steps.

use std::time::Duration;

/// Nanoseconds of the machine's monotonic clock; the same in every process.
#[inline]
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Longest sleep of an end of a topic or lane, so that even a bug elsewhere is noticed. Not in the
/// tests beside the code: there a wake-up that is lost (RB-7) is a test that fails.
pub(crate) const SLEEP_MAX: Duration =
    if cfg!(test) { Duration::from_secs(3600) } else { Duration::from_millis(50) };

/// How often to look again before the next, cheaper way to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitPolicy {
    /// Looks in a row with a pause instruction between them.
    pub spins: u32,
    /// Looks in a row with the core offered to others between them.
    pub yields: u32,
    /// Busy turns in a row after which the core is offered to others; 0 for never.
    pub busy_turns: u32,
    /// Longest sleep, so that even a bug elsewhere is noticed.
    pub sleep_max: Duration,
}

impl WaitPolicy {
    /// For a thread that has its core for itself: it spins for some hundred microseconds.
    pub const EXCLUSIVE: Self =
        Self { spins: 20_000, yields: 16, busy_turns: 0, sleep_max: Duration::from_millis(50) };
    /// For a thread that shares its core: spinning would only keep the others from working, and
    /// so would working on until the kernel takes the core away.
    pub const SHARED: Self =
        Self { spins: 1, yields: 64, busy_turns: 16, sleep_max: Duration::from_millis(50) };

    /// The policy for a thread by whether its core is its own.
    pub const fn for_core(is_exclusive: bool) -> Self {
        if is_exclusive { Self::EXCLUSIVE } else { Self::SHARED }
    }
}

/// Where a thread stands between two turns of its loop.
#[derive(Debug)]
pub struct Idle {
    policy: WaitPolicy,
    looks: u32,
    busy_turns: u32,
}

impl Idle {
    /// Starts awake.
    pub const fn new(policy: WaitPolicy) -> Self {
        Self { policy, looks: 0, busy_turns: 0 }
    }

    /// There was work in this turn: the next idle one begins with spinning again. Where the core
    /// is shared, it is offered to the others once in a while.
    #[inline]
    pub fn worked(&mut self) {
        self.looks = 0;
        self.busy_turns += 1;
        if self.busy_turns == self.policy.busy_turns {
            self.busy_turns = 0;
            std::thread::yield_now();
        }
    }

    /// There was none: spins or yields once, or returns how long to sleep at most.
    #[inline]
    pub fn step(&mut self) -> Option<Duration> {
        let WaitPolicy { spins, yields, sleep_max, .. } = self.policy;
        self.busy_turns = 0;
        if self.looks < spins {
            std::hint::spin_loop();
        } else if self.looks < spins + yields {
            std::thread::yield_now();
        } else {
            return Some(sleep_max);
        }
        self.looks += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_in_order_and_begins_again_after_work() {
        let policy = WaitPolicy { spins: 3, yields: 2, ..WaitPolicy::EXCLUSIVE };
        let mut idle = Idle::new(policy);
        for _ in 0..2 {
            assert!((0..5).all(|_| idle.step().is_none()));
            assert_eq!(idle.step(), Some(policy.sleep_max));
            assert_eq!(idle.step(), Some(policy.sleep_max));
            idle.worked();
        }
    }

    #[test]
    fn the_clock_goes_forward() {
        let before = monotonic_ns();
        assert!(monotonic_ns() >= before);
    }
}
