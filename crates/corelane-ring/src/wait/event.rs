//! An event count: what one side of a ring waits for, messages or room, by threads and futures.
//!
//! It carries nothing. A sleeper announces itself, looks once more, then sleeps until the epoch
//! changes. A waker publishes, then looks whether anybody is announced; if so it claims as many of
//! them as it wakes, changes the epoch and calls the strategy.
//!
//! # Why no wake-up is lost (RB-7)
//!
//! Of the fences E1 (waker) and E2 (sleeper) one comes first. If E1 does, the sleeper's last look
//! finds what was published; if E2 does, the waker finds the announcement.
//!
//! One word counts three things: threads that are announced and that nobody was sent for, *claims*
//! (wake-ups that are under way), and registered futures. A sleeper that comes back, for whatever
//! reason, takes a claim off if there is one, else its own announcement. Which thread takes which
//! claim does not matter: there are never more claims than wake-ups under way and sleepers that
//! will come back by themselves, because each claim is followed by a change of the epoch and one
//! wake-up. So a sleeper that nobody was sent for is always counted, and while all who sleep were
//! sent for, a waker need not call the operating system again: one call per sleep.
//!
//! A wake-up is not used up by one who cannot use it: who slept and found something hands on to
//! one more, and so does a future that was woken and then dropped. A sleeper whose time is up
//! looks once more.

use core::task::{Context, Poll};
use core::time::Duration;

use super::tasks::{Tasks, Ticket};
use super::{Clock, SleepWord, Wait};
use crate::line::OwnLine;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Bits of one of the three counts.
const COUNT_BITS: u32 = 21;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
/// One announced thread.
const THREAD: u64 = 1;
/// One claim.
const CLAIM: u64 = 1 << COUNT_BITS;
/// One registered future.
const TASK: u64 = 1 << (2 * COUNT_BITS);
/// Threads and futures that nobody was sent for.
const UNCLAIMED: u64 = COUNT_MAX + COUNT_MAX * TASK;
// Each count has bits of its own.
const _: () = assert!(CLAIM == 0x0020_0000);
const _: () = assert!(TASK == 0x0000_0400_0000_0000);
const _: () = assert!(UNCLAIMED == 0x7fff_fc00_001f_ffff);
/// Looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 8;

/// What one side of a ring waits for.
#[derive(Debug)]
pub(crate) struct Event<W> {
    wait: W,
    waiting: OwnLine<Waiting>,
}

/// Who waits; on a line of its own, which nobody writes as long as nobody sleeps.
#[derive(Debug, Default)]
struct Waiting {
    counts: AtomicU64,
    epoch: SleepWord,
    tasks: Mutex<Tasks>,
}

impl<W: Wait> Event<W> {
    pub(crate) fn new(wait: W) -> Self {
        Self { wait, waiting: OwnLine::default() }
    }

    /// The strategy.
    pub(crate) fn wait(&self) -> &W {
        &self.wait
    }

    /// Call after publishing: wakes up to `count` of those that sleep. Free when `W` never sleeps,
    /// else one light fence and one load as long as nobody sleeps.
    #[inline(always)]
    pub(crate) fn notify(&self, count: u32) {
        if W::SLEEPS {
            self.wait.fence_waker();
            if self.waiting.counts.load(Ordering::Relaxed) & UNCLAIMED != 0 {
                self.wake(count);
            }
        }
    }

    /// Wakes everybody, for the end of the other side.
    pub(crate) fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    /// Looks with `ready` until it answers, waiting in between as the strategy says.
    pub(crate) fn wait_until<R>(&self, mut ready: impl FnMut() -> Option<R>) -> R {
        loop {
            // Without a time limit there is always an answer.
            if let Some(answer) = self.wait_with(&mut ready, || None) {
                return answer;
            }
        }
    }

    /// As [`wait_until`](Self::wait_until), but gives up once `timeout` has passed and a last look
    /// has found nothing.
    pub(crate) fn wait_until_timeout<R>(
        &self,
        ready: impl FnMut() -> Option<R>,
        timeout: Duration,
    ) -> Option<R>
    where
        W: Clock,
    {
        // A time beyond the clock's range never comes.
        let end = self.wait.now().checked_add(timeout);
        self.wait_with(ready, || end.map(|end| end.saturating_sub(self.wait.now())))
    }

    /// Looks with `ready`; when it has no answer, the task is woken once it may have one.
    ///
    /// Give the ticket back with [`forget`](Self::forget) when the future is dropped.
    pub(crate) fn poll_until<R>(
        &self,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        let mut answer = ready();
        if answer.is_none() && W::SLEEPS {
            self.register(ticket, cx);
            self.wait.fence_sleeper();
            answer = ready();
        }
        match answer {
            Some(answer) => {
                self.settle(ticket);
                Poll::Ready(answer)
            }
            None => {
                if !W::SLEEPS {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// Takes back the ticket of a future that found something.
    pub(crate) fn settle(&self, ticket: &mut Ticket) {
        if let Some(id) = ticket.give_back() {
            self.withdraw(id);
            self.notify(1);
        }
    }

    /// Takes back the ticket of a future that is dropped. If it was woken and found nothing yet,
    /// somebody else is woken in its place.
    pub(crate) fn forget(&self, ticket: &mut Ticket) {
        if let Some(id) = ticket.give_back()
            && !self.withdraw(id)
        {
            self.notify(1);
        }
    }

    /// `None` only when `left` says that no time is left.
    fn wait_with<R>(
        &self,
        mut ready: impl FnMut() -> Option<R>,
        mut left: impl FnMut() -> Option<Duration>,
    ) -> Option<R> {
        let (mut looks, mut turns) = (0_u32, 0_u32);
        loop {
            if let Some(answer) = ready() {
                return Some(answer);
            }
            if turns.is_multiple_of(LOOKS_PER_CLOCK) && left() == Some(Duration::ZERO) {
                return None;
            }
            (looks, turns) = (looks.saturating_add(1), turns.wrapping_add(1));
            if self.wait.idle(looks - 1) && W::SLEEPS {
                if let Some(answer) = self.sleep_once(&mut ready, &mut left) {
                    self.notify(1);
                    return Some(answer);
                }
                (looks, turns) = (0, 0);
            }
        }
    }

    fn sleep_once<R>(
        &self,
        ready: &mut impl FnMut() -> Option<R>,
        left: &mut impl FnMut() -> Option<Duration>,
    ) -> Option<R> {
        let epoch = &self.waiting.epoch;
        // Before the announcement, which E4 keeps behind it: a claim of this sleep changes the
        // epoch after this.
        let seen = epoch.load();
        // No order is needed: the fence is the order.
        self.waiting.counts.fetch_add(THREAD, Ordering::Relaxed);
        let announced = Announced(&self.waiting);
        self.wait.fence_sleeper();
        let answer = ready();
        if answer.is_none() {
            self.wait.sleep(epoch, seen, left());
        }
        drop(announced);
        answer.or_else(ready)
    }

    #[cold]
    #[inline(never)]
    fn wake(&self, count: u32) {
        let woken = self.wake_tasks(count);
        self.wake_threads(count - woken);
    }

    /// Wakes up to `count` threads.
    fn wake_threads(&self, count: u32) {
        let take = |counts: u64| (counts & COUNT_MAX).min(count.into());
        let claim = |counts: u64| {
            (take(counts) > 0).then(|| counts - take(counts) * THREAD + take(counts) * CLAIM)
        };
        let counts = &self.waiting.counts;
        // E5: pairs with E6. With a full fence in front it would release anyhow; a strategy's own
        // may be lighter.
        if let Ok(before) = counts.fetch_update(Ordering::Release, Ordering::Relaxed, claim) {
            self.waiting.epoch.change();
            self.wait.wake(&self.waiting.epoch, take(before) as u32);
        }
    }

    /// Wakes up to `count` futures, of those that are registered now; returns how many.
    fn wake_tasks(&self, count: u32) -> u32 {
        let registered = self.waiting.counts.load(Ordering::Relaxed) / TASK;
        let limit = registered.min(count.into()) as u32;
        for woken in 0..limit {
            let Some(task) = self.with_tasks(|tasks, counts| {
                tasks.pop().inspect(|_| _ = counts.fetch_sub(TASK, Ordering::Relaxed))
            }) else {
                return woken;
            };
            task.wake();
        }
        limit
    }

    fn register(&self, ticket: &mut Ticket, cx: &Context<'_>) {
        // Wakers are cloned and dropped outside of the lock: they are somebody else's code.
        let waker = cx.waker().clone();
        let replaced = self.with_tasks(|tasks, counts| {
            let (replaced, is_longer) = tasks.put(ticket, waker);
            if is_longer {
                counts.fetch_add(TASK, Ordering::Relaxed);
            }
            replaced
        });
        drop(replaced);
    }

    /// False when the future was woken already.
    fn withdraw(&self, id: u64) -> bool {
        let waker = self.with_tasks(|tasks, counts| {
            tasks.remove(id).inspect(|_| _ = counts.fetch_sub(TASK, Ordering::Relaxed))
        });
        waker.is_some()
    }

    /// Futures are counted within the lock, which is their order; for those that look without it,
    /// the fences are.
    fn with_tasks<R>(&self, change: impl FnOnce(&mut Tasks, &AtomicU64) -> R) -> R {
        change(&mut self.waiting.tasks.lock(), &self.waiting.counts)
    }
}

/// An announcement, taken back however the look or the sleep ends.
struct Announced<'a>(&'a Waiting);

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        let retract = |counts: u64| {
            let is_claimed = (counts / CLAIM) & COUNT_MAX > 0;
            Some(counts - if is_claimed { CLAIM } else { THREAD })
        };
        // E6: pairs with E5; who takes a claim off sees what it was made for, or nobody might see
        // it: the one whose time is up does not look again. It never fails.
        let _ = self.0.counts.fetch_update(Ordering::Acquire, Ordering::Relaxed, retract);
    }
}
