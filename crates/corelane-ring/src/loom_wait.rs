//! Models of the event: no wake-up is lost (RB-7), by threads, time limits and futures.
//!
//! The strategy sleeps on loom's condition variable, which wakes no more than it is asked to, so
//! a lost wake-up is a deadlock, which loom reports.

use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::task::Wake;

use loom::thread;

use crate::sync::{Arc, AtomicU32, Condvar, Mutex, Ordering};
use crate::wait::{Clock, Event, SleepWord, Ticket, Wait};

/// Sleeps at the first look that finds nothing.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    gate: Mutex<u64>,
    changed: Condvar,
}

impl Wait for Parked {
    const SLEEPS: bool = true;

    fn idle(&self, _looks: u32) -> bool {
        true
    }

    fn sleep(&self, word: &SleepWord, seen: u32, timeout: Option<Duration>) {
        let mut gate = self.gate.lock();
        // A time limit passes at once: loom has no clock, and a sleep may end without a reason.
        if timeout.is_none() && word.load() == seen {
            *gate += 1;
            drop(self.changed.wait(gate).expect("because nobody panics"));
        }
    }

    fn wake(&self, _word: &SleepWord, count: u32) {
        let _gate = self.gate.lock();
        for _ in 0..count.min(4) {
            self.changed.notify_one();
        }
    }
}

/// A time limit that allows one sleep and one look after it, by a clock that nobody else reads.
pub(crate) const TIME: Duration = Duration::from_secs(3);

/// Each look at the clock is a step: see [`TIME`].
impl Clock for Parked {
    fn now(&self) -> Duration {
        let mut gate = self.gate.lock();
        *gate += 1;
        Duration::from_secs(*gate)
    }
}

/// Messages without content: how many there are.
#[derive(Debug)]
struct Pile {
    count: AtomicU32,
    event: Event<Parked>,
}

impl Pile {
    fn new() -> Arc<Self> {
        Arc::new(Self { count: AtomicU32::new(0), event: Event::new(Parked::default()) })
    }

    fn put(&self, count: u32) {
        self.count.fetch_add(count, Ordering::Release);
        self.event.notify(count);
    }

    fn take(&self) -> Option<()> {
        let less = |count: u32| count.checked_sub(1);
        self.count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less).ok().map(drop)
    }
}

fn taker(pile: &Arc<Pile>) -> thread::JoinHandle<()> {
    let pile = pile.clone();
    thread::spawn(move || pile.event.wait_until(|| pile.take()))
}

/// Runs a model with at most that many preemptions, which finds nearly all that more would find.
pub(crate) fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn one_sleeper_is_woken() {
    loom::model(|| {
        let pile = Pile::new();
        let sleeper = taker(&pile);
        pile.put(1);
        sleeper.join().expect("because it does not panic");
    });
}

/// The second message comes while the first wake-up is under way, in all possible ways.
#[test]
fn one_sleeper_takes_two_messages_in_turn() {
    bounded(3, || {
        let pile = Pile::new();
        let sleeper = {
            let pile = pile.clone();
            thread::spawn(move || (0..2).for_each(|_| pile.event.wait_until(|| pile.take())))
        };
        pile.put(1);
        pile.put(1);
        sleeper.join().expect("because it does not panic");
    });
}

/// Two wake-ups of one each reach two sleepers, whoever comes back first.
#[test]
fn two_sleepers_are_woken_one_by_one() {
    bounded(3, || {
        let pile = Pile::new();
        let sleepers = [taker(&pile), taker(&pile)];
        pile.put(1);
        pile.put(1);
        sleepers.into_iter().for_each(|one| one.join().expect("because it does not panic"));
    });
}

#[test]
fn two_sleepers_are_woken_by_one_batch() {
    bounded(3, || {
        let pile = Pile::new();
        let sleepers = [taker(&pile), taker(&pile)];
        pile.put(2);
        sleepers.into_iter().for_each(|one| one.join().expect("because it does not panic"));
    });
}

/// A wake-up for one among two sleepers, where only one look of the two may find it: the message
/// that becomes takeable later is handed on. This is the gap of a ring whose first slot is
/// published after its second.
#[test]
fn a_wake_up_that_came_too_early_is_handed_on() {
    bounded(2, || {
        let pile = Pile::new();
        let sleepers = [taker(&pile), taker(&pile)];
        pile.event.notify(1);
        pile.count.fetch_add(2, Ordering::Release);
        pile.event.notify(1);
        sleepers.into_iter().for_each(|one| one.join().expect("because it does not panic"));
    });
}

/// One of two sleepers gives up: what was sent for it reaches the other.
#[test]
fn a_sleeper_whose_time_is_up_loses_no_wake_up() {
    bounded(3, || {
        let pile = Pile::new();
        let hasty = {
            let pile = pile.clone();
            thread::spawn(move || pile.event.wait_until_timeout(|| pile.take(), TIME).is_some())
        };
        let sleeper = taker(&pile);
        pile.put(1);
        if hasty.join().expect("because it does not panic") {
            pile.put(1);
        }
        sleeper.join().expect("because it does not panic");
    });
}

/// Who sees the word changed sees what was done before the change: E3 and E4.
#[test]
fn a_changed_sleep_word_shows_what_was_published() {
    loom::model(|| {
        let shared = Arc::new((AtomicU32::new(0), SleepWord::default()));
        let waker = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.0.store(1, Ordering::Relaxed);
                shared.1.change();
            })
        };
        if shared.1.load() == 1 {
            assert_eq!(shared.0.load(Ordering::Relaxed), 1);
        }
        waker.join().expect("because it does not panic");
    });
}

/// As [`Parked`], but a sleep with a time limit takes a wake-up and learns nothing by it: neither
/// the clock nor the sleep brings any order along.
#[derive(Debug, Default)]
struct Unordered {
    parked: Parked,
    steps: AtomicU32,
    hasty_sleepers: AtomicU32,
}

impl Wait for Unordered {
    const SLEEPS: bool = true;

    fn idle(&self, _looks: u32) -> bool {
        true
    }

    fn sleep(&self, word: &SleepWord, seen: u32, timeout: Option<Duration>) {
        if timeout.is_none() {
            return self.parked.sleep(word, seen, timeout);
        }
        self.hasty_sleepers.store(1, Ordering::Relaxed);
        self.hasty_sleepers.swap(0, Ordering::Relaxed);
    }

    fn wake(&self, word: &SleepWord, count: u32) {
        let taken = self.hasty_sleepers.swap(0, Ordering::Relaxed);
        self.parked.wake(word, count - taken.min(count));
    }
}

impl Clock for Unordered {
    fn now(&self) -> Duration {
        Duration::from_secs(self.steps.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// A sleeper whose time is up may take the wake-up that was sent for another one. It sees what the
/// claim was made for, E5 and E6, so that it hands on, or leaves the claim to who comes back.
#[test]
fn who_takes_a_claim_off_sees_what_it_was_made_for() {
    bounded(3, || {
        let shared = Arc::new((AtomicU32::new(0), Event::new(Unordered::default())));
        let hasty = {
            let shared = shared.clone();
            thread::spawn(move || {
                let look = || (shared.0.load(Ordering::Relaxed) > 0).then_some(());
                shared.1.wait_until_timeout(look, TIME);
            })
        };
        let sleeper = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.1.wait_until(|| (shared.0.load(Ordering::Relaxed) > 0).then_some(()));
            })
        };
        shared.0.store(1, Ordering::Relaxed);
        shared.1.notify(1);
        hasty.join().expect("because it does not panic");
        sleeper.join().expect("because it does not panic");
    });
}

fn poll_take(pile: &Pile, ticket: &mut Ticket, cx: &mut Context<'_>) -> Poll<()> {
    pile.event.poll_until(ticket, cx, || pile.take())
}

fn block_on_take(pile: &Pile) {
    let mut ticket = Ticket::default();
    block_on(|cx| poll_take(pile, &mut ticket, cx));
}

/// Wakes the thread that runs a future.
#[derive(Debug, Default)]
struct Alarm {
    is_due: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Alarm {
    fn wake(self: std::sync::Arc<Self>) {
        *self.is_due.lock() = true;
        self.changed.notify_one();
    }
}

/// Runs a future on this thread, polling it when it was woken and not before.
pub(crate) fn block_on<R>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>) -> R {
    let alarm = std::sync::Arc::new(Alarm::default());
    let waker = Waker::from(alarm.clone());
    loop {
        if let Poll::Ready(answer) = poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        let mut is_due = alarm.is_due.lock();
        while !core::mem::take(&mut *is_due) {
            is_due = alarm.changed.wait(is_due).expect("because nobody panics");
        }
    }
}

#[test]
fn a_future_is_woken() {
    loom::model(|| {
        let pile = Pile::new();
        let sleeper = {
            let pile = pile.clone();
            thread::spawn(move || block_on_take(&pile))
        };
        pile.put(1);
        sleeper.join().expect("because it does not panic");
    });
}

#[test]
fn a_future_and_a_thread_are_woken_one_by_one() {
    bounded(3, || {
        let pile = Pile::new();
        let future = {
            let pile = pile.clone();
            thread::spawn(move || block_on_take(&pile))
        };
        let sleeper = taker(&pile);
        pile.put(1);
        pile.put(1);
        future.join().expect("because it does not panic");
        sleeper.join().expect("because it does not panic");
    });
}

/// A future that was registered and is dropped, woken or not, keeps no wake-up to itself.
#[test]
fn a_dropped_future_hands_its_wake_up_on() {
    bounded(3, || {
        let pile = Pile::new();
        let mut ticket = Ticket::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(poll_take(&pile, &mut ticket, &mut cx).is_pending());
        let sleeper = taker(&pile);
        let sender = {
            let pile = pile.clone();
            thread::spawn(move || pile.put(1))
        };
        pile.event.forget(&mut ticket);
        sender.join().expect("because it does not panic");
        sleeper.join().expect("because it does not panic");
    });
}
