//! Whether a pass was disturbed: pure rules over what was counted during it.

use std::{fmt, time::Duration};

/// Share of the machine that others may use.
const OTHERS_SHARE_MAX: f64 = 0.1;
/// Share of the machine that the hypervisor may take.
const STEAL_SHARE_MAX: f64 = 0.03;
/// The kernel counts in steps of 10 ms: fewer steps say nothing.
const COUNTED_MIN: Duration = Duration::from_millis(30);
/// Share of the pass that a thread with a CPU of its own may wait for it.
const WAITED_SHARE_MAX: f64 = 0.03;
/// A thread with a CPU of its own may be interrupted by others so often,
const INVOLUNTARY_MAX: u64 = 4;
/// and once more in so much time.
const INVOLUNTARY_EVERY: Duration = Duration::from_millis(10);
/// The ping-pongs before and after a pass may differ by this factor.
const DRIFT_MAX: f64 = 1.6;

/// What was counted during a pass.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observed {
    /// Length of the pass.
    pub wall: Duration,
    /// CPUs of the machine.
    pub cpus: usize,
    /// CPU time of all processes.
    pub busy: Duration,
    /// CPU time of this process.
    pub own: Duration,
    /// Time that the hypervisor gave to others.
    pub steal: Duration,
    /// Whether every measuring thread has a CPU of its own.
    pub has_own_cpus: bool,
    /// Involuntary context switches of the measuring thread that had most.
    pub involuntary: u64,
    /// Time that the measuring thread that waited longest for a CPU did so.
    pub waited: Duration,
    /// Round trips of the bare ping-pong before and after, nanoseconds.
    pub pingpong_ns: (f64, f64),
}

/// Why a pass does not count.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Disturbance {
    /// Other processes ran: their share of the machine.
    Others(f64),
    /// The hypervisor ran others: their share of the machine.
    Steal(f64),
    /// A measuring thread had to leave its CPU so often.
    Involuntary(u64),
    /// A measuring thread waited so long for its CPU.
    Waited(Duration),
    /// The machine changed: round trips of the bare ping-pong before and after, nanoseconds.
    Drift(f64, f64),
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Others(share) => {
                write!(f, "other processes used {:.0} % of the machine", share * 100.0)
            }
            Self::Steal(share) => {
                write!(f, "the hypervisor took {:.0} % of the machine", share * 100.0)
            }
            Self::Involuntary(count) => {
                write!(f, "a measuring thread had to leave its cpu {count} times")
            }
            Self::Waited(time) => {
                write!(
                    f,
                    "a measuring thread waited {:.1} ms for its cpu",
                    time.as_secs_f64() * 1e3
                )
            }
            Self::Drift(before, after) => {
                write!(f, "the bare ping-pong took {before:.0} ns before and {after:.0} ns after")
            }
        }
    }
}

/// Everything that disturbed a pass.
pub fn disturbances(observed: &Observed) -> Vec<Disturbance> {
    let Observed { wall, cpus, busy, own, steal, has_own_cpus, involuntary, waited, .. } =
        *observed;
    let machine = wall.as_secs_f64() * cpus as f64;
    let share = |time: Duration| time.as_secs_f64() / machine.max(f64::MIN_POSITIVE);
    let is_counted = |time: Duration, share_max| time > COUNTED_MIN && share(time) > share_max;
    let mut found = Vec::new();
    let others = busy.saturating_sub(own);
    if is_counted(others, OTHERS_SHARE_MAX) {
        found.push(Disturbance::Others(share(others)));
    }
    if is_counted(steal, STEAL_SHARE_MAX) {
        found.push(Disturbance::Steal(share(steal)));
    }
    let involuntary_max = INVOLUNTARY_MAX + (wall.as_nanos() / INVOLUNTARY_EVERY.as_nanos()) as u64;
    if has_own_cpus && involuntary > involuntary_max {
        found.push(Disturbance::Involuntary(involuntary));
    }
    if has_own_cpus && waited.as_secs_f64() > wall.as_secs_f64() * WAITED_SHARE_MAX {
        found.push(Disturbance::Waited(waited));
    }
    let (before, after) = observed.pingpong_ns;
    if before.max(after) > DRIFT_MAX * before.min(after) {
        found.push(Disturbance::Drift(before, after));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A pass of 150 ms on two CPUs that nobody disturbed.
    const QUIET: Observed = Observed {
        wall: ms(150),
        cpus: 2,
        busy: ms(310),
        own: ms(300),
        steal: ms(0),
        has_own_cpus: true,
        involuntary: 3,
        waited: Duration::from_micros(80),
        pingpong_ns: (110.0, 120.0),
    };

    #[test]
    fn a_quiet_pass_counts() {
        assert_eq!(disturbances(&QUIET), []);
    }

    #[test]
    fn each_kind_of_noise_is_told_alone() {
        let steal = Observed { steal: ms(40), ..QUIET };
        assert!(matches!(disturbances(&steal)[..], [Disturbance::Steal(share)] if share > 0.13));
        let others = Observed { busy: ms(375), ..QUIET };
        assert_eq!(disturbances(&others), [Disturbance::Others(0.25)]);
        let switched = Observed { involuntary: 20, ..QUIET };
        assert_eq!(disturbances(&switched), [Disturbance::Involuntary(20)]);
        let waited = Observed { waited: ms(5), ..QUIET };
        assert_eq!(disturbances(&waited), [Disturbance::Waited(ms(5))]);
        let drift = Observed { pingpong_ns: (350.0, 115.0), ..QUIET };
        assert_eq!(disturbances(&drift), [Disturbance::Drift(350.0, 115.0)]);
    }

    #[test]
    fn threads_that_share_cpus_switch_as_they_must() {
        let shared = Observed { has_own_cpus: false, involuntary: 9_999, waited: ms(70), ..QUIET };
        assert_eq!(disturbances(&shared), []);
    }

    #[test]
    fn short_passes_are_not_judged_by_coarse_counters() {
        let short = Observed { wall: ms(10), busy: ms(30), own: ms(10), ..QUIET };
        assert_eq!(disturbances(&short), []);
    }
}
