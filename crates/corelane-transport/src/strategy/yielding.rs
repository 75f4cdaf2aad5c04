//! Waiting without sleeping: spin, then offer the core to others.

use std::time::Duration;

use corelane_ring::{Clock, SleepWord, Wait};

/// Spins for a while, then offers its core between looks. It never sleeps, so sending stays free
/// of any trace of waking, and an idle end keeps its core busy when nobody else wants it.
#[derive(Debug, Clone, Copy)]
pub struct Yield {
    spins: u32,
}

impl Yield {
    /// For `threads` busy threads on the cores that this process may use.
    pub fn new(threads: usize) -> Self {
        Self { spins: super::spins_for(threads) }
    }
}

impl Wait for Yield {
    const SLEEPS: bool = false;

    #[inline]
    fn idle(&self, looks: u32) -> bool {
        if looks < self.spins {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
        false
    }

    fn sleep(&self, _word: &SleepWord, _seen: u32, _timeout: Option<Duration>) {}

    fn wake(&self, _word: &SleepWord, _count: u32) {}
}

impl Clock for Yield {
    fn now(&self) -> Duration {
        super::now()
    }
}
