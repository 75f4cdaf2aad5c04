//! Waiting by sleeping on a futex of this process, after a short spin.

use std::time::Duration;

use corelane_ring::{Clock, SleepWord, Wait};
use rustix::thread::futex::{self, Flags, Timespec};

use super::Barrier;

/// Spins for a while, then sleeps until it is woken. Right for any number of sleepers.
#[derive(Debug, Clone, Copy)]
pub struct Futex {
    spins: u32,
    barrier: Barrier,
}

impl Futex {
    /// For `threads` busy threads on the cores that this process may use.
    pub fn new(threads: usize) -> Self {
        let spins = super::spins_for(threads);
        Self { spins, barrier: Barrier::for_spins(spins) }
    }

    /// As given; [`Barrier::choose`] must have granted an asymmetric barrier.
    pub const fn with(spins: u32, barrier: Barrier) -> Self {
        Self { spins, barrier }
    }

    /// Looks before it sleeps.
    pub const fn spins(&self) -> u32 {
        self.spins
    }

    /// The fences it uses.
    pub const fn barrier(&self) -> Barrier {
        self.barrier
    }
}

impl Wait for Futex {
    const SLEEPS: bool = true;

    #[inline]
    fn idle(&self, looks: u32) -> bool {
        if looks < self.spins {
            std::hint::spin_loop();
        }
        looks >= self.spins
    }

    fn sleep(&self, word: &SleepWord, seen: u32, timeout: Option<Duration>) {
        // A time beyond the kernel's range is none.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        // Woken, changed, timed out or interrupted: the event looks again in any case.
        let _ = futex::wait(word.as_futex(), Flags::PRIVATE, seen, timeout.as_ref());
    }

    fn wake(&self, word: &SleepWord, count: u32) {
        // The word is mapped and aligned: waking it cannot fail.
        let _ = futex::wake(word.as_futex(), Flags::PRIVATE, count);
    }

    #[inline(always)]
    fn fence_waker(&self) {
        self.barrier.of_waker();
    }

    #[inline]
    fn fence_sleeper(&self) {
        self.barrier.of_sleeper();
    }
}

impl Clock for Futex {
    fn now(&self) -> Duration {
        super::now()
    }
}
