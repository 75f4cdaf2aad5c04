//! How the ends of a typed ring wait for each other: a strategy, and the event they wait on.
//!
//! The ring knows no operating system: a strategy that sleeps implements [`Wait`] elsewhere. What
//! is here is the protocol that loses no wake-up (RB-7).

use core::time::Duration;

use crate::sync::{AtomicU32, Ordering, fence, spin_loop};

/// A way to wait.
///
/// The ring calls [`idle`](Self::idle) between looks that find nothing; once it answers that it
/// is time to sleep, the ring announces the sleep, looks once more, and calls
/// [`sleep`](Self::sleep).
pub trait Wait: Send + Sync + 'static {
    /// Whether an end may ever sleep. False takes every trace of waking out of the send path.
    const SLEEPS: bool;

    /// Waits a moment after `looks` looks in a row that found nothing; true when it is time to
    /// sleep instead.
    fn idle(&self, looks: u32) -> bool;

    /// Sleeps until woken, or until `word` differs from `seen`, or `timeout` passes. May return
    /// without a reason.
    fn sleep(&self, word: &SleepWord, seen: u32, timeout: Option<Duration>);

    /// Wakes up to `count` sleepers of `word`.
    fn wake(&self, word: &SleepWord, count: u32);

    /// The fence of the side that wakes, between what it published and its look for sleepers.
    ///
    /// Together with [`fence_sleeper`](Self::fence_sleeper) it must order a store before a later
    /// load on both sides. An implementation that has an asymmetric barrier makes this one light.
    #[inline(always)]
    fn fence_waker(&self) {
        fence(Ordering::SeqCst);
    }

    /// The fence of the side that sleeps, between the announcement and its last look.
    #[inline(always)]
    fn fence_sleeper(&self) {
        fence(Ordering::SeqCst);
    }
}

/// The word that sleepers wait on.
#[derive(Debug, Default)]
pub struct SleepWord(AtomicU32);

/// Spins for ever; right when every end has a core of its own.
#[derive(Debug, Default, Clone, Copy)]
pub struct Spin;

impl Wait for Spin {
    const SLEEPS: bool = false;

    #[inline(always)]
    fn idle(&self, _looks: u32) -> bool {
        spin_loop();
        false
    }

    fn sleep(&self, _word: &SleepWord, _seen: u32, _timeout: Option<Duration>) {}

    fn wake(&self, _word: &SleepWord, _count: u32) {}
}

/// What one side of a ring waits for: messages, or room.
#[derive(Debug)]
pub(crate) struct Event<W> {
    wait: W,
}

impl<W: Wait> Event<W> {
    pub(crate) fn new(wait: W) -> Self {
        Self { wait }
    }

    /// Call after publishing: wakes up to `count` of those that sleep. Free when `W` never sleeps.
    #[inline(always)]
    pub(crate) fn notify(&self, _count: u32) {}

    /// Wakes everybody, for the end of the other side.
    pub(crate) fn notify_all(&self) {}

    /// Looks with `ready` until it answers, waiting in between as the strategy says.
    pub(crate) fn wait_until<R>(&self, mut ready: impl FnMut() -> Option<R>) -> R {
        let mut looks = 0;
        loop {
            if let Some(answer) = ready() {
                return answer;
            }
            self.wait.idle(looks);
            looks = looks.saturating_add(1);
        }
    }
}
