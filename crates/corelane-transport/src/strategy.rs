//! Ways to wait at the rings of `corelane-ring` that need an operating system.
//!
//! | strategy | waits by | right when |
//! |---|---|---|
//! | [`corelane_ring::Spin`] | spinning | every end has a core of its own |
//! | [`Yield`] | spinning, then offering the core | ends share cores and are seldom idle |
//! | [`Futex`] | spinning, then sleeping on a private futex | any end may be idle for long |
//! | [`EventFd`] | spinning, then sleeping on a descriptor | a foreign event loop waits too |
//!
//! None of them works across processes: a futex here is private, and [`Barrier::Asymmetric`]
//! reaches the threads of one process.

mod barrier;
mod event_fd;
mod futex;
mod shared;
mod yielding;

pub use barrier::Barrier;
pub use event_fd::EventFd;
pub use futex::Futex;
pub use yielding::Yield;

pub(crate) use shared::SharedBarrier;

use std::time::Duration;

use crate::wait::monotonic_ns;

/// Looks with a pause in between before a thread with a core of its own goes to sleep: about as
/// long as it takes to fall asleep and to be woken, so that waiting costs at most twice the best.
pub const SPINS_OWN_CORE: u32 = 400;

/// How often to look before sleeping, when `threads` threads are busy on the cores that this
/// process may use: not at all when they have to share them.
pub fn spins_for(threads: usize) -> u32 {
    // What cannot be read counts as one core, on which spinning only keeps others from working.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 && threads <= cores { SPINS_OWN_CORE } else { 0 }
}

fn now() -> Duration {
    Duration::from_nanos(monotonic_ns())
}

#[cfg(test)]
mod tests;
