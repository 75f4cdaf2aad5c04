//! The fences of sleeps between processes: one side is seldom there, and pays for both.

use std::sync::atomic::{Ordering, compiler_fence, fence};

use rustix::thread::{MembarrierCommand, membarrier};

/// What a process that is seldom the one to sleep asks of those that are: a barrier that reaches
/// it, so that its own way needs no fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SharedBarrier {
    is_reached: bool,
}

impl SharedBarrier {
    /// Asks the kernel to let the barriers of other processes reach this one.
    pub(crate) fn register() -> Self {
        Self { is_reached: membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok() }
    }

    /// A side that pays for itself.
    pub(crate) const FENCED: Self = Self { is_reached: false };

    /// Whether barriers of other processes reach this one.
    pub(crate) fn is_reached(self) -> bool {
        self.is_reached
    }

    /// Between what is announced and the look for somebody who sleeps.
    #[inline(always)]
    pub(crate) fn of_waker(self) {
        if self.is_reached { compiler_fence(Ordering::SeqCst) } else { fence(Ordering::SeqCst) }
    }

    /// Between the announcement of a sleep and the last look; it reaches every process that asked.
    pub(crate) fn of_sleeper() {
        fence(Ordering::SeqCst);
        // Where the kernel has no such barrier nobody was told that it reaches them, and each waker
        // pays for itself.
        let _ = membarrier(MembarrierCommand::GlobalExpedited);
    }
}
