//! The two fences of the sleeper protocol: both full, or a light and a heavy one.

use std::sync::atomic::{Ordering, compiler_fence, fence};

use rustix::thread::{MembarrierCommand, membarrier};

/// How a store is ordered before a later load on the side that wakes and the side that sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// The waker's fence costs nothing; the sleeper makes all running threads of the process pass
    /// a barrier, by the system call `membarrier`.
    Asymmetric,
    /// Both sides execute a full fence.
    Full,
}

impl Barrier {
    /// The asymmetric barrier if the kernel grants it to this process, else full fences.
    pub fn choose() -> Self {
        match membarrier(MembarrierCommand::RegisterPrivateExpedited) {
            Ok(()) => Self::Asymmetric,
            Err(_) => Self::Full,
        }
    }

    /// What pays for an end that looks `spins` times before it sleeps.
    ///
    /// Full fences for one that sleeps at once: the asymmetric barrier interrupts the other cores
    /// at every sleep, which took 10 of the 14 microseconds of a sleeping hand-over where it was
    /// measured. For one that spins first sleeps are rare, and the waker's fence, about 20
    /// nanoseconds with every message, is what counts.
    pub fn for_spins(spins: u32) -> Self {
        if spins == 0 { Self::Full } else { Self::choose() }
    }

    /// Between publishing and the look for sleepers.
    #[inline(always)]
    pub fn of_waker(self) {
        match self {
            Self::Asymmetric => compiler_fence(Ordering::SeqCst),
            Self::Full => fence(Ordering::SeqCst),
        }
    }

    /// Between the announcement and the last look.
    ///
    /// # Panics
    /// When the kernel refuses the barrier that it granted before, because a filter of system
    /// calls was set in between: wakers rely on it, so nobody could be woken safely any more.
    #[inline]
    pub fn of_sleeper(self) {
        match self {
            Self::Asymmetric => membarrier(MembarrierCommand::PrivateExpedited)
                .expect("membarrier works because the kernel granted it when it was chosen"),
            Self::Full => fence(Ordering::SeqCst),
        }
    }
}
