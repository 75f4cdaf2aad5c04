//! What every typed ring does while one of its ends sleeps: what the other end does then wakes it.
//!
//! One thread plays both ends. What the other end does is done within the sleep, so each order of
//! events is certain, and a wake-up that does not come fails at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use crate::ends::{Channel, Receives, Sends, for_each_ring};
use crate::error::{RecvError, SendError, TryRecvError};
use crate::fan_in;
use crate::sync::{AtomicUsize, Ordering};
use crate::wait::{Clock, Event, SleepWord, Spin, Ticket, Wait};

for_each_ring!([mpsc, mpmc, fan_in, sharing]
    room_wakes_the_one_who_sends,
    a_message_wakes_the_one_who_receives,
    the_last_producer_that_goes_wakes_the_one_who_receives,
    the_last_consumer_that_goes_wakes_the_one_who_sends,
);
for_each_ring!([fan_in, sharing] a_lane_made_late_wakes_the_one_who_receives);
for_each_ring!([mpsc, mpmc]
    a_claim_wakes_the_one_who_receives,
    what_was_given_up_and_passed_over_is_room,
);

/// Something that is done while the end under test sleeps.
type Deed = Box<dyn FnOnce() + Send>;

/// Sleeps by doing what others do meanwhile, one deed per sleep. Without a time limit each of them
/// must wake the sleeper; once there are none left, time passes.
#[derive(Clone, Default)]
pub(crate) struct Meanwhile {
    deeds: Arc<Mutex<VecDeque<Deed>>>,
    time: Arc<Mutex<Duration>>,
    /// The counts of the wake-ups that were asked for.
    woken: Arc<Mutex<Vec<u32>>>,
}

impl Meanwhile {
    /// In the next sleep that has no deed yet, do this.
    pub(crate) fn then(&self, deed: impl FnOnce() + Send + 'static) {
        self.deeds.lock().unwrap().push_back(Box::new(deed));
    }

    /// Whether every deed was done, so that the end did sleep.
    pub(crate) fn is_done(&self) -> bool {
        self.deeds.lock().unwrap().is_empty()
    }
}

impl Wait for Meanwhile {
    const SLEEPS: bool = true;

    fn idle(&self, _looks: u32) -> bool {
        true
    }

    fn sleep(&self, word: &SleepWord, seen: u32, timeout: Option<Duration>) {
        let deed = self.deeds.lock().unwrap().pop_front();
        match (deed, timeout) {
            (Some(deed), _) => {
                deed();
                assert_ne!(word.load(), seen, "nobody woke the sleeper");
            }
            (None, Some(timeout)) => *self.time.lock().unwrap() += timeout,
            (None, None) => panic!("sleeps for ever"),
        }
    }

    fn wake(&self, _word: &SleepWord, count: u32) {
        self.woken.lock().unwrap().push(count);
    }
}

impl Clock for Meanwhile {
    fn now(&self) -> Duration {
        *self.time.lock().unwrap()
    }
}

/// An end that a deed uses and the test keeps.
pub(crate) struct Kept<E>(Arc<Mutex<E>>);

impl<E> Clone for Kept<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> Kept<E> {
    pub(crate) fn new(end: E) -> Self {
        Self(Arc::new(Mutex::new(end)))
    }

    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut E) -> R) -> R {
        act(&mut self.0.lock().unwrap())
    }
}

fn ring<P, C>(channel: Channel<P, C, Meanwhile>, capacity: usize) -> (P, C, Meanwhile) {
    let wait = Meanwhile::default();
    let (producer, consumer) =
        channel(capacity, wait.clone()).expect("because the capacity is in range");
    (producer, consumer, wait)
}

fn room_wakes_the_one_who_sends<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C, Meanwhile>,
) {
    let takes: [fn(&mut C) -> u64; 4] = [
        |consumer| consumer.try_recv().expect("because the ring is full"),
        |consumer| consumer.recv().expect("because the ring is full"),
        |consumer| {
            let mut taken = 0;
            assert_eq!(consumer.recv_with(1, |message| taken = message), 1);
            taken
        },
        |consumer| {
            let mut taken = Vec::new();
            assert_eq!(consumer.recv_many(&mut taken, 1), 1);
            taken[0]
        },
    ];
    for take in takes {
        let (mut producer, consumer, wait) = ring(channel, 1);
        let consumer = Kept::new(consumer);
        for value in 0..5 {
            assert_eq!(producer.try_send(value), Ok(()));
            let taker = consumer.clone();
            wait.then(move || assert_eq!(taker.with(take), value));
            assert_eq!(producer.send(100 + value), Ok(()));
            assert!(wait.is_done());
            assert_eq!(consumer.with(|consumer| consumer.try_recv()), Ok(100 + value));
        }
    }
}

fn a_message_wakes_the_one_who_receives<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C, Meanwhile>,
) {
    let (producer, mut consumer, wait) = ring(channel, 4);
    let producer = Kept::new(producer);
    for value in 0..9 {
        let sender = producer.clone();
        wait.then(move || {
            sender.with(|producer| match value % 3 {
                0 => assert_eq!(producer.try_send(value), Ok(())),
                1 => assert_eq!(producer.send(value), Ok(())),
                _ => assert_eq!(producer.send_many([value]), 1),
            });
        });
        assert_eq!(consumer.recv(), Ok(value));
        assert!(wait.is_done());
    }
}

fn the_last_producer_that_goes_wakes_the_one_who_receives<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C, Meanwhile>,
) {
    let (first, mut consumer, wait) = ring(channel, 2);
    let last = first.clone();
    drop(first);
    wait.then(move || drop(last));
    assert_eq!(consumer.recv(), Err(RecvError));
    assert!(wait.is_done());
}

fn the_last_consumer_that_goes_wakes_the_one_who_sends<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C, Meanwhile>,
) {
    let (mut producer, consumer, wait) = ring(channel, 1);
    assert_eq!(producer.try_send(1), Ok(()));
    wait.then(move || drop(consumer));
    assert_eq!(producer.send(2), Err(SendError(2)));
    assert!(wait.is_done());
}

/// The consumer may have found the list of lanes locked.
fn a_lane_made_late_wakes_the_one_who_receives<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C, Meanwhile>,
) {
    let (first, mut consumer, wait) = ring(channel, 1);
    let late: Kept<Option<P>> = Kept::new(None);
    let maker = late.clone();
    wait.then(move || maker.with(|late| *late = Some(first.clone())));
    let sender = late.clone();
    wait.then(move || {
        let late = sender.with(Option::take);
        assert_eq!(late.expect("because it was made").try_send(7), Ok(()));
    });
    assert_eq!(consumer.recv(), Ok(7));
    assert!(wait.is_done());
}

type Sender = crate::producers::Producer<u64, Meanwhile>;

fn a_claim_wakes_the_one_who_receives<C: Receives<u64>>(channel: Channel<Sender, C, Meanwhile>) {
    let (producer, mut consumer, wait) = ring(channel, 4);
    let producer = Kept::new(producer);
    let sender = producer.clone();
    wait.then(move || {
        sender.with(|producer| {
            let mut claim = producer.claim(2).expect("because there is room");
            claim.put(1);
            claim.put(2);
            assert_eq!(claim.commit(), 2);
        });
    });
    assert_eq!((consumer.recv(), consumer.recv()), (Ok(1), Ok(2)));
    assert!(wait.is_done());
    assert_eq!(wait.woken.lock().unwrap().len(), 1, "a full claim calls once");
}

fn what_was_given_up_and_passed_over_is_room<C: Receives<u64>>(
    channel: Channel<Sender, C, Meanwhile>,
) {
    let (mut producer, consumer, wait) = ring(channel, 1);
    let consumer = Kept::new(consumer);
    drop(producer.claim(1));
    let passer = consumer.clone();
    wait.then(move || {
        assert_eq!(passer.with(|consumer| consumer.try_recv()), Err(TryRecvError::Empty));
    });
    assert_eq!(producer.send(1), Ok(()));
    assert!(wait.is_done());
}

/// Panics as it is dropped.
struct Planted;

impl Drop for Planted {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "as planned");
    }
}

/// The lane of a producer that is gone ends with a panic; another producer that waits is told.
#[test]
fn a_fan_in_that_ends_with_a_panic_wakes_every_producer() {
    let wait = Meanwhile::default();
    let (mut gone, consumer) = fan_in::channel(1, wait.clone()).expect("because it is in range");
    let mut sleeper = gone.clone();
    assert!(gone.try_send(Some(Planted)).is_ok() && sleeper.try_send(None).is_ok());
    drop(gone);
    wait.then(move || assert!(catch_unwind(AssertUnwindSafe(|| drop(consumer))).is_err()));
    assert!(sleeper.send(None).is_err());
    assert!(wait.is_done());
}

#[test]
fn the_operating_system_sees_the_word_that_the_ring_changes() {
    let word = SleepWord::default();
    for value in 1..4 {
        word.change();
        assert_eq!((word.load(), word.as_futex().load(Ordering::Relaxed)), (value, value));
    }
    assert!(core::ptr::eq(word.as_futex(), core::ptr::from_ref(&word).cast()));
}

#[test]
fn who_spins_never_says_that_it_is_time_to_sleep() {
    assert!((0..99).all(|looks| !Spin.idle(looks)));
}

/// Sleeps at the fourth look, and notes how many looks in a row it was told of.
#[derive(Default)]
struct Counting(Mutex<Vec<u32>>);

impl Wait for Counting {
    const SLEEPS: bool = true;

    fn idle(&self, looks: u32) -> bool {
        self.0.lock().unwrap().push(looks);
        looks == 3
    }

    fn sleep(&self, _word: &SleepWord, _seen: u32, _timeout: Option<Duration>) {}

    fn wake(&self, _word: &SleepWord, _count: u32) {}
}

#[test]
fn looks_are_counted_anew_after_each_sleep() {
    let event = Event::new(Counting::default());
    let mut looks = 0;
    event.wait_until(|| {
        looks += 1;
        (looks > 13).then_some(())
    });
    // A sleep has a look before it and one after.
    assert_eq!(*event.wait().0.lock().unwrap(), [0, 1, 2, 3, 0, 1, 2, 3, 0]);
}

/// Says that it is time to sleep, but never sleeps.
struct Restless;

impl Wait for Restless {
    const SLEEPS: bool = false;

    fn idle(&self, _looks: u32) -> bool {
        true
    }

    fn sleep(&self, _word: &SleepWord, _seen: u32, _timeout: Option<Duration>) {
        panic!("it never sleeps");
    }

    fn wake(&self, _word: &SleepWord, _count: u32) {}
}

#[test]
fn a_strategy_that_never_sleeps_is_not_put_to_sleep() {
    let event = Event::new(Restless);
    let mut looks = 0;
    event.wait_until(|| {
        looks += 1;
        (looks > 9).then_some(())
    });
}

/// Whose time is up is not called any more.
#[test]
fn who_gave_up_is_not_announced_any_more() {
    let event = Event::new(Meanwhile::default());
    assert_eq!(event.wait_until_timeout(|| None::<()>, Duration::from_secs(1)), None);
    event.notify_all();
    assert_eq!(*event.wait().woken.lock().unwrap(), [0; 0]);
}

/// A future that waits on an event, and how often it was woken.
#[derive(Default)]
struct Waiter {
    ticket: Ticket,
    woken: Arc<Alarm>,
}

#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Waiter {
    fn is_ready(&mut self, event: &Event<Meanwhile>, answer: Option<()>) -> bool {
        let waker = Waker::from(self.woken.clone());
        event.poll_until(&mut self.ticket, &mut Context::from_waker(&waker), || answer).is_ready()
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::Relaxed)
    }
}

/// Three futures that found nothing.
fn three_futures() -> (Event<Meanwhile>, [Waiter; 3]) {
    let event = Event::new(Meanwhile::default());
    let mut waiters = [(); 3].map(|()| Waiter::default());
    assert!(waiters.iter_mut().all(|waiter| !waiter.is_ready(&event, None)));
    (event, waiters)
}

fn woken(waiters: &[Waiter; 3]) -> [usize; 3] {
    waiters.each_ref().map(Waiter::woken)
}

#[test]
fn as_many_futures_are_woken_as_were_asked_for_each_once() {
    for count in 0..5 {
        let (event, waiters) = three_futures();
        event.notify(count);
        let expected = [0, 1, 2].map(|index| usize::from(index < count));
        assert_eq!(woken(&waiters), expected, "first come, first served");
        event.notify_all();
        assert_eq!(woken(&waiters), [1; 3]);
        event.notify_all();
        assert_eq!(woken(&waiters), [1; 3]);
        assert_eq!(*event.wait().woken.lock().unwrap(), [0; 0], "no thread sleeps");
    }
}

#[test]
fn who_slept_and_found_something_hands_on_to_one_more() {
    let (event, mut waiters) = three_futures();
    assert!(waiters[1].is_ready(&event, Some(())));
    assert_eq!(woken(&waiters), [1, 0, 0]);
    // A thread too.
    let (event, waiters) = three_futures();
    let mut looks = 0;
    event.wait_until(|| {
        looks += 1;
        (looks > 1).then_some(())
    });
    assert_eq!(woken(&waiters), [1, 0, 0]);
    // Who found something at once does not.
    event.wait_until(|| Some(()));
    assert!(Waiter::default().is_ready(&event, Some(())));
    assert_eq!(woken(&waiters), [1, 0, 0]);
}

#[test]
fn a_future_that_is_dropped_hands_on_what_it_was_woken_for() {
    let (event, mut waiters) = three_futures();
    event.forget(&mut waiters[0].ticket);
    assert_eq!(woken(&waiters), [0; 3], "it was not woken");
    event.notify(1);
    assert_eq!(woken(&waiters), [0, 1, 0]);
    event.forget(&mut waiters[1].ticket);
    assert_eq!(woken(&waiters), [0, 1, 1]);
    event.forget(&mut waiters[1].ticket);
    event.forget(&mut waiters[2].ticket);
    event.notify_all();
    assert_eq!(woken(&waiters), [0, 1, 1], "nobody is left");
}

/// Futures first, then threads; a call to the operating system only for those that sleep.
#[test]
fn a_wake_up_counts_futures_and_threads() {
    let wait = Meanwhile::default();
    let event = Arc::new(Event::new(wait.clone()));
    let mut future = Waiter::default();
    assert!(!future.is_ready(&event, None));
    let there = Arc::new(AtomicUsize::new(0));
    let (other, message) = (event.clone(), there.clone());
    wait.then(move || {
        other.notify(0);
        message.store(1, Ordering::Relaxed);
        other.notify(3);
    });
    event.wait_until(|| (there.load(Ordering::Relaxed) > 0).then_some(()));
    assert_eq!(future.woken(), 1);
    assert_eq!(*wait.woken.lock().unwrap(), [1], "one thread sleeps");
}
