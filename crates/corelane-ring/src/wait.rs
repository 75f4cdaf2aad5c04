//! How the ends of a typed ring wait for each other: the strategies, and the event they wait on.
//!
//! The ring knows no operating system: a strategy that sleeps implements [`Wait`] elsewhere, and
//! one that tells the time implements [`Clock`] too. What is here is the protocol that loses no
//! wake-up (RB-7).
//!
//! # Orders
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | E1 | `Wait::fence_waker` | fence between publishing and the look for who is announced | E2 |
//! | E2 | `Wait::fence_sleeper` | fence between the announcement and the last look | E1 |
//! | E3 | `SleepWord::change` | Release change of the epoch, after publishing | E4 |
//! | E4 | `SleepWord::load` | Acquire load of the epoch, before a look | E3 |
//! | E5 | `Event::wake_threads` | Release claim, after publishing | E6 |
//! | E6 | the end of an announcement | Acquire of the claim that it takes off, before a last look | E5 |

use core::time::Duration;

use crate::sync::{AtomicU32, Ordering, fence, spin_loop};

mod event;
mod tasks;

pub(crate) use event::Event;
pub(crate) use tasks::Ticket;

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
    ///
    /// Whether `word` still is `seen` must be checked in one step with going to sleep, as seen
    /// from [`wake`](Self::wake): a futex does so in the kernel, a condition variable under its
    /// lock.
    fn sleep(&self, word: &SleepWord, seen: u32, timeout: Option<Duration>);

    /// Wakes at least `count` of those that sleep on `word`, or all if they are fewer. The word
    /// was changed before. Waking more than `count` costs time and breaks nothing.
    fn wake(&self, word: &SleepWord, count: u32);

    /// The fence of the side that wakes, between what it published and its look for sleepers.
    ///
    /// Together with [`fence_sleeper`](Self::fence_sleeper) it must order a store before a later
    /// load on both sides. An implementation that has an asymmetric barrier makes this one light.
    #[inline(always)]
    fn fence_waker(&self) {
        // E1: pairs with E2.
        fence(Ordering::SeqCst);
    }

    /// The fence of the side that sleeps, between the announcement and its last look.
    #[inline(always)]
    fn fence_sleeper(&self) {
        // E2: pairs with E1.
        fence(Ordering::SeqCst);
    }
}

/// A clock that a timed wait reads. Only strategies that have one can wait with a timeout.
pub trait Clock {
    /// The time since some fixed moment; it never goes back.
    fn now(&self) -> Duration;
}

/// The word that sleepers wait on: it changes with every wake-up.
///
/// A strategy reads it, and gives its address to the operating system; the ring alone writes it.
#[derive(Debug, Default)]
pub struct SleepWord(AtomicU32);

impl SleepWord {
    /// The word now; what happened before its last change is visible afterwards.
    #[inline]
    pub fn load(&self) -> u32 {
        // E4: pairs with E3.
        self.0.load(Ordering::Acquire)
    }

    /// The word as the operating system's sleep and wake calls take it, for example a futex.
    #[cfg(not(loom))]
    #[inline]
    pub fn as_futex(&self) -> &AtomicU32 {
        &self.0
    }

    pub(crate) fn change(&self) {
        // E3: pairs with E4; whoever sees the change sees what was published before it.
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Spins for ever; right when every end has a core of its own.
///
/// It has no clock, so there are no timed waits with it. A future that waits with it asks to be
/// polled again at once.
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
