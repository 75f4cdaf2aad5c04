//! The rules of supervision: who is restarted, with whom, how often and after what delay.
//!
//! Values and pure functions only; which child is where is known by `step`.

use std::fmt;
use std::ops::Range;

/// Whether a child is restarted, by the reason of its exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// Always restarted.
    Permanent,
    /// Restarted after a failure only.
    Transient,
    /// Never restarted.
    Temporary,
}

impl RestartPolicy {
    /// The first table of the module: does an exit for this reason ask for a restart?
    pub const fn restarts_after(self, reason: ExitReason) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => reason.is_failure(),
            Self::Temporary => false,
        }
    }
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitReason {
    /// Its work was done.
    Normal,
    /// It was told to end, by its supervisor or by another.
    Shutdown,
    /// It gave up or panicked.
    Failed {
        /// Exit status, or what the driver uses in its place.
        code: i32,
    },
    /// It was killed.
    Signal {
        /// Number of the signal.
        signal: i32,
    },
    /// It never came up.
    StartFailed,
}

impl ExitReason {
    /// Is this an end that nobody wanted?
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Normal | Self::Shutdown)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("normal"),
            Self::Shutdown => f.write_str("shutdown"),
            Self::Failed { code } => write!(f, "failed:{code}"),
            Self::Signal { signal } => write!(f, "signal:{signal}"),
            Self::StartFailed => f.write_str("start-failed"),
        }
    }
}

/// Which siblings share the restart of a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// None: children do not depend on each other.
    #[default]
    OneForOne,
    /// All: children depend on each other.
    OneForAll,
    /// The later ones: a child depends on those before it.
    RestForOne,
}

impl Strategy {
    /// The second table of the module: the places of the children that share the restart of the
    /// one at `failed`, out of `count`.
    pub const fn affected(self, failed: usize, count: usize) -> Range<usize> {
        match self {
            Self::OneForOne => failed..failed + 1,
            Self::OneForAll => 0..count,
            Self::RestForOne => failed..count,
        }
    }
}

/// How many restarts a supervisor admits before it escalates.
///
/// A restart is dated by the failure it answers. With delays so long that the window passes
/// between two failures the budget is never spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartBudget {
    /// Restarts allowed within the window; with 0 the first failure escalates.
    pub restarts_max: u32,
    /// Length of the window.
    pub window_ns: u64,
}

impl Default for RestartBudget {
    fn default() -> Self {
        Self { restarts_max: 5, window_ns: 10_000_000_000 }
    }
}

/// How long a restart waits: not at all, then `first_ns`, then twice as long each time.
///
/// Counted per child, and counted anew once a generation was up for a whole budget window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Delay of the second restart.
    pub first_ns: u64,
    /// Longest delay.
    pub cap_ns: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first_ns: 50_000_000, cap_ns: 2_000_000_000 }
    }
}

impl Backoff {
    /// Delay of a restart after `earlier` others of the same child.
    pub fn delay_ns(self, earlier: u32) -> u64 {
        let Some(doublings) = earlier.checked_sub(1) else { return 0 };
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        self.first_ns.saturating_mul(factor).min(self.cap_ns)
    }
}
