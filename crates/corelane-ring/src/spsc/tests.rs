//! Unit, property and stress tests of the SPSC ring in real time; the models are in `loom_spsc`.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::{Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::error::{RecvError, SendError};
use crate::tests_waiting::{Kept, Meanwhile};
use crate::wait::{Clock, SleepWord, Spin};

/// Sleeps on a condition variable after two looks.
#[derive(Debug, Clone)]
struct Parked(Arc<(Mutex<()>, Condvar)>, Instant);

impl Parked {
    fn new() -> Self {
        Self(Arc::default(), Instant::now())
    }
}

impl Wait for Parked {
    const SLEEPS: bool = true;

    fn idle(&self, looks: u32) -> bool {
        looks >= 2
    }

    fn sleep(&self, word: &SleepWord, seen: u32, timeout: Option<Duration>) {
        let (gate, changed) = &*self.0;
        let guard = gate.lock().unwrap();
        if word.load() == seen {
            let timeout = timeout.unwrap_or(Duration::from_secs(3600));
            drop(changed.wait_timeout(guard, timeout).unwrap());
        }
    }

    fn wake(&self, _word: &SleepWord, _count: u32) {
        // The clones share the variable, so all that sleep on it are woken.
        let _guard = self.0.0.lock().unwrap();
        self.0.1.notify_all();
    }
}

impl Clock for Parked {
    fn now(&self) -> Duration {
        self.1.elapsed()
    }
}

/// A message that counts its drops by value.
#[derive(Debug)]
struct Counted {
    value: usize,
    drops: Arc<Vec<AtomicU64>>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops[self.value].fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone)]
enum Step {
    TrySend,
    SendMany(usize),
    Commit { claimed: usize, put: usize },
    Abort { claimed: usize, put: usize },
    TryRecv,
    RecvMany(usize),
    Drain { count: usize, taken: usize },
    LeakDrain { count: usize, taken: usize },
    Consume(usize),
    Release,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let two = || (0_usize..9, 0_usize..9);
    let step = prop_oneof![
        4 => Just(Step::TrySend),
        2 => (0_usize..12).prop_map(Step::SendMany),
        2 => two().prop_map(|(claimed, put)| Step::Commit { claimed, put: put.min(claimed) }),
        1 => two().prop_map(|(claimed, put)| Step::Abort { claimed, put: put.min(claimed) }),
        4 => Just(Step::TryRecv),
        1 => (0_usize..12).prop_map(Step::RecvMany),
        2 => two().prop_map(|(count, taken)| Step::Drain { count, taken }),
        1 => two().prop_map(|(count, taken)| Step::LeakDrain { count, taken }),
        1 => (0_usize..9).prop_map(Step::Consume),
        1 => Just(Step::Release),
    ];
    proptest::collection::vec(step, 0..120)
}

/// Most messages that a run of the steps makes.
const MADE_MAX: usize = 120 * 12;

/// A ring beside the queue that it must agree with.
struct Pair {
    producer: Producer<Counted, Spin>,
    consumer: Consumer<Counted, Spin>,
    model: VecDeque<usize>,
    drops: Arc<Vec<AtomicU64>>,
    made: usize,
    /// Messages that are gone: received, aborted or refused.
    gone: usize,
    /// The last batch that took something was leaked: its room goes back with the next one.
    is_leaked: bool,
    /// What was received last was a batch.
    is_batch_last: bool,
}

impl Pair {
    fn new(capacity: usize) -> Self {
        let (producer, consumer) = channel(capacity, Spin).unwrap();
        let drops = (0..MADE_MAX).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        let drops = Arc::new(drops);
        let model = VecDeque::new();
        Self {
            producer,
            consumer,
            model,
            drops,
            made: 0,
            gone: 0,
            is_leaked: false,
            is_batch_last: false,
        }
    }

    fn make(&mut self) -> Counted {
        self.made += 1;
        Counted { value: self.made - 1, drops: self.drops.clone() }
    }

    /// What was taken is the model's front.
    fn taken(&mut self, message: Counted) {
        assert_eq!(Some(message.value), self.model.pop_front());
        self.gone += 1;
    }

    /// The ring refuses only when it is full, up to the room that a batch holds back.
    fn refused(&self, asked: usize) {
        let slots = self.producer.capacity();
        let held_back = if self.is_batch_last { (slots / 4).max(1) - 1 } else { 0 };
        let is_short = self.model.len() + asked > slots - held_back;
        assert!(is_short || self.is_leaked, "refused with room left");
    }

    fn send(&mut self, step: &Step) {
        match *step {
            Step::TrySend => {
                let message = self.make();
                let value = message.value;
                match self.producer.try_send(message) {
                    Ok(()) => self.model.push_back(value),
                    Err(TrySendError::Full(back)) => {
                        assert_eq!(back.value, value);
                        self.gone += 1;
                        self.refused(1);
                    }
                    Err(TrySendError::Closed(_)) => panic!("the consumer is there"),
                }
            }
            Step::SendMany(count) => {
                let messages = (0..count).map(|_| self.make()).collect::<Vec<_>>();
                let first = self.made - count;
                let mut messages = messages.into_iter();
                let sent = self.producer.send_many(&mut messages);
                assert_eq!(messages.len(), count - sent, "no more is taken than is sent");
                self.gone += messages.len();
                self.model.extend(first..first + sent);
                if sent < count {
                    self.refused(1);
                }
            }
            Step::Commit { claimed, put } | Step::Abort { claimed, put } => {
                let first = self.made;
                let messages = (0..put).map(|_| self.make()).collect::<Vec<_>>();
                let Ok(mut claim) = self.producer.claim(claimed) else {
                    self.gone += put;
                    return self.refused(claimed);
                };
                messages.into_iter().for_each(|message| claim.put(message));
                assert_eq!(claim.remaining(), claimed - put);
                if matches!(step, Step::Commit { .. }) {
                    assert_eq!(claim.commit(), put);
                    self.model.extend(first..first + put);
                } else {
                    drop(claim);
                    self.gone += put;
                }
            }
            _ => self.receive(step),
        }
    }

    fn receive(&mut self, step: &Step) {
        let before = self.model.len();
        match *step {
            Step::RecvMany(count) => {
                let mut messages = Vec::new();
                let expected = count.min(self.model.len());
                assert_eq!(self.consumer.recv_many(&mut messages, count), expected);
                messages.into_iter().for_each(|message| self.taken(message));
            }
            Step::Drain { count, taken } | Step::LeakDrain { count, taken } => {
                let mut batch = self.consumer.drain(count);
                assert_eq!(batch.len(), count.min(self.model.len()));
                let messages = batch.by_ref().take(taken).collect::<Vec<_>>();
                let (front, back) = batch.as_slices();
                let rest = front.iter().chain(back).map(|message| message.value);
                assert!(rest.eq(self.model.iter().copied().take(count).skip(messages.len())));
                if matches!(step, Step::LeakDrain { .. }) {
                    core::mem::forget(batch);
                } else {
                    drop(batch);
                }
                messages.into_iter().for_each(|message| self.taken(message));
            }
            Step::Consume(count) => {
                self.consumer.drain(count).consume();
                let count = count.min(self.model.len());
                self.model.drain(..count);
                self.gone += count;
            }
            Step::Release => {
                self.consumer.release();
                (self.is_leaked, self.is_batch_last) = (false, false);
            }
            _ => match self.consumer.try_recv() {
                Ok(message) => self.taken(message),
                Err(error) => {
                    assert_eq!(error, TryRecvError::Empty);
                    assert!(self.model.is_empty());
                }
            },
        }
        if self.model.len() < before {
            self.is_batch_last = !matches!(step, Step::TryRecv);
            self.is_leaked = matches!(step, Step::LeakDrain { .. });
        }
    }
}

/// What was handed out is gone, what was not is still there, whoever panics in between.
#[test]
fn a_batch_whose_taker_panics_keeps_the_rest() {
    let (mut producer, mut consumer) = channel(4, Spin).unwrap();
    let message = Arc::new(());
    assert_eq!(producer.send_many((0..4).map(|value| (value, message.clone()))), 4);
    let taking = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        consumer.drain(4).for_each(|(value, _)| assert_ne!(value, 1, "planted"));
    }));
    assert!(taking.is_err());
    assert_eq!(Arc::strong_count(&message), 3);
    assert_eq!(consumer.drain(4).map(|(value, _)| value).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(Arc::strong_count(&message), 1);
}

proptest! {
    /// Any sequence of operations behaves like a bounded FIFO queue (RB-1, RB-3), and every
    /// message is dropped exactly once (RB-8).
    #[test]
    fn behaves_like_a_queue(capacity in 1_usize..20, steps in steps()) {
        let mut pair = Pair::new(capacity);
        for step in steps {
            pair.send(&step);
            let dropped = pair.drops.iter().map(|drops| drops.load(Ordering::Relaxed)).sum::<u64>();
            prop_assert_eq!(pair.gone as u64, dropped);
            prop_assert!(pair.model.len() <= pair.producer.capacity());
        }
        let Pair { producer, consumer, drops, made, .. } = pair;
        match capacity % 2 {
            0 => drop((producer, consumer)),
            _ => drop((consumer, producer)),
        }
        prop_assert!(drops[..made].iter().all(|drops| drops.load(Ordering::Relaxed) == 1));
    }
}

/// Words that depend on their number and on a seed, so that a torn or a repeated one shows.
fn seal(value: u64, random: u64) -> [u64; 4] {
    [value, random, value.rotate_left(21) ^ random, !value]
}

/// Seeded stress over two threads; every word of every message is checked at the reader.
fn stress<W: Wait>(seed: u64, for_messages: W, for_room: W) {
    const COUNT: u64 = 60_000;
    let (mut producer, mut consumer) = channel_with(16, for_messages, for_room).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut pace = fastrand::Rng::with_seed(seed + 1);
            let mut messages = (0..COUNT).map(|value| seal(value, random.u64(..)));
            while let Some(message) = messages.next() {
                producer.send(message).unwrap();
                if pace.u8(..8) == 0 {
                    producer.send_many(messages.by_ref().take(pace.usize(..20)));
                }
            }
        });
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pace = fastrand::Rng::with_seed(seed + 2);
        let mut received = 0;
        let mut check = |message: [u64; 4]| {
            assert_eq!(message, seal(received, random.u64(..)), "seed {seed}");
            received += 1;
        };
        while let Ok(message) = consumer.recv() {
            check(message);
            let count = pace.usize(..20);
            consumer.drain(count).take(pace.usize(..20)).for_each(&mut check);
        }
        assert_eq!(received, COUNT, "seed {seed}");
    });
}

#[test]
fn stress_with_checksums_spinning() {
    (0..2).for_each(|seed| stress(seed, Spin, Spin));
}

#[test]
fn stress_with_checksums_sleeping() {
    (0..4).for_each(|seed| stress(seed, Parked::new(), Parked::new()));
}

#[test]
fn a_capacity_that_no_ring_can_have_is_refused() {
    for asked in [0, CAPACITY_MAX + 1] {
        let refused = channel::<u8, _>(asked, Spin).map(drop);
        assert_eq!(refused, Err(CapacityError { asked, max: CAPACITY_MAX }));
    }
    let (producer, _consumer) = channel::<u8, _>(3, Spin).unwrap();
    assert_eq!(producer.capacity(), 4);
}

#[test]
fn messages_without_a_size_pass() {
    let (mut producer, mut consumer) = channel(2, Spin).unwrap();
    assert_eq!(producer.send_many([(); 5]), 2);
    assert_eq!(consumer.drain(5).count(), 2);
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn what_was_sent_before_the_end_is_received_after_it() {
    let (mut producer, mut consumer) = channel(4, Parked::new()).unwrap();
    producer.send(1).unwrap();
    producer.send(2).unwrap();
    drop(producer);
    assert!(consumer.is_closed());
    assert_eq!((consumer.recv(), consumer.recv_timeout(Duration::ZERO)), (Ok(1), Ok(2)));
    assert_eq!(consumer.recv(), Err(RecvError));
}

/// Counts how often a future was woken.
#[derive(Debug, Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counting_waker() -> (Arc<Woken>, Waker) {
    let woken = Arc::<Woken>::default();
    (woken.clone(), Waker::from(woken))
}

/// Once per wait, and never after the future was dropped.
#[test]
fn a_future_is_woken_once_and_not_after_its_end() {
    let (mut producer, mut consumer) = channel(4, Parked::new()).unwrap();
    let (woken, waker) = counting_waker();
    let mut cx = Context::from_waker(&waker);
    {
        let mut next = pin!(consumer.recv_async());
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Pending);
        producer.send(1).unwrap();
        producer.send(2).unwrap();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Ready(Ok(1)));
    }
    assert_eq!(consumer.recv(), Ok(2));
    assert!(pin!(consumer.recv_async()).poll(&mut cx).is_pending());
    assert_eq!(Arc::strong_count(&woken), 2, "the dropped future left its waker");
    producer.send(3).unwrap();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
}

/// The waker of the last poll counts, as futures may move between tasks.
#[test]
fn the_last_waker_is_the_one_that_is_woken() {
    let (mut producer, mut consumer) = channel(4, Parked::new()).unwrap();
    let ((first, first_waker), (last, last_waker)) = (counting_waker(), counting_waker());
    let mut next = pin!(consumer.recv_async());
    assert!(next.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    assert!(next.as_mut().poll(&mut Context::from_waker(&last_waker)).is_pending());
    producer.send(1).unwrap();
    assert_eq!((first.0.load(Ordering::SeqCst), last.0.load(Ordering::SeqCst)), (0, 1));
}

#[test]
fn a_send_future_waits_for_room_and_for_the_end() {
    let (mut producer, mut consumer) = channel(1, Parked::new()).unwrap();
    let (woken, waker) = counting_waker();
    let mut cx = Context::from_waker(&waker);
    producer.send(1).unwrap();
    {
        let mut sent = pin!(producer.send_async(2));
        assert!(sent.as_mut().poll(&mut cx).is_pending());
        assert_eq!(consumer.try_recv(), Ok(1));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(sent.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
    }
    let mut sent = pin!(producer.send_async(3));
    assert!(sent.as_mut().poll(&mut cx).is_pending());
    drop(consumer);
    assert_eq!(woken.0.load(Ordering::SeqCst), 2);
}

/// A leaked future must not be woken in place of the call that follows it.
#[test]
fn a_leaked_future_takes_no_wake_up() {
    let (mut producer, mut consumer) = channel(1, Parked::new()).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut next = consumer.recv_async();
    assert!(pin!(&mut next).poll(&mut cx).is_pending());
    core::mem::forget(next);
    let sleeper = thread::spawn(move || consumer.recv());
    producer.send(1).unwrap();
    assert_eq!(sleeper.join().unwrap(), Ok(1));
}

/// A ring of which one thread plays both ends.
fn meanwhile(capacity: usize) -> (Producer<u64, Meanwhile>, Consumer<u64, Meanwhile>, Meanwhile) {
    let wait = Meanwhile::default();
    let (producer, consumer) = channel(capacity, wait.clone()).unwrap();
    (producer, consumer, wait)
}

#[test]
fn a_full_ring_sends_once_there_is_room() {
    let (mut producer, consumer, wait) = meanwhile(1);
    let consumer = Kept::new(consumer);
    for value in 0..5 {
        producer.send(value).unwrap();
        let taker = consumer.clone();
        wait.then(move || assert_eq!(taker.with(Consumer::try_recv), Ok(value)));
        assert_eq!(producer.send(100 + value), Ok(()));
        assert!(wait.is_done(), "it slept");
        assert_eq!(consumer.with(Consumer::recv), Ok(100 + value));
    }
}

#[test]
fn an_end_that_goes_wakes_the_other_one() {
    let (mut producer, consumer, wait) = meanwhile(1);
    producer.send(1).unwrap();
    wait.then(move || drop(consumer));
    assert_eq!(producer.send(2), Err(SendError(2)));
    assert!(wait.is_done());
    let (producer, mut consumer, wait) = meanwhile(1);
    wait.then(move || drop(producer));
    assert_eq!(consumer.recv(), Err(RecvError));
    assert!(wait.is_done());
}

#[test]
fn an_empty_ring_receives_once_there_is_a_message() {
    let (producer, mut consumer, wait) = meanwhile(2);
    let producer = Kept::new(producer);
    for value in 0..6 {
        let sender = producer.clone();
        wait.then(move || {
            sender.with(|producer| match value % 3 {
                0 => assert_eq!(producer.try_send(value), Ok(())),
                1 => assert_eq!(producer.send_many([value]), 1),
                _ => {
                    let mut claim = producer.claim(1).unwrap();
                    claim.put(value);
                    assert_eq!(claim.commit(), 1);
                }
            });
        });
        assert_eq!(consumer.recv(), Ok(value));
        assert!(wait.is_done(), "it slept");
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_timed_send_ends_with_room_with_time_or_with_the_consumer() {
    let (mut producer, consumer, wait) = meanwhile(1);
    assert_eq!(producer.send_timeout(1, SECOND), Ok(()));
    assert_eq!(producer.send_timeout(2, SECOND), Err(TrySendError::Full(2)));
    assert_eq!(wait.now(), SECOND);
    let consumer = Kept::new(Some(consumer));
    let taker = consumer.clone();
    wait.then(move || assert_eq!(taker.with(|end| end.as_mut().unwrap().try_recv()), Ok(1)));
    assert_eq!(producer.send_timeout(3, SECOND), Ok(()));
    wait.then(move || drop(consumer.with(Option::take)));
    assert_eq!(producer.send_timeout(4, SECOND), Err(TrySendError::Closed(4)));
    assert_eq!((wait.now(), wait.is_done()), (SECOND, true));
}

#[test]
fn a_timed_receive_ends_with_a_message_with_time_or_with_the_producer() {
    let (mut producer, mut consumer, wait) = meanwhile(1);
    producer.send(1).unwrap();
    assert_eq!(consumer.recv_timeout(SECOND), Ok(1));
    assert_eq!(consumer.recv_timeout(SECOND), Err(TryRecvError::Empty));
    assert_eq!(wait.now(), SECOND);
    let producer = Kept::new(Some(producer));
    let sender = producer.clone();
    wait.then(move || sender.with(|end| end.as_mut().unwrap().send(2).unwrap()));
    assert_eq!(consumer.recv_timeout(SECOND), Ok(2));
    wait.then(move || drop(producer.with(Option::take)));
    assert_eq!(consumer.recv_timeout(SECOND), Err(TryRecvError::Closed));
    assert_eq!((wait.now(), wait.is_done()), (SECOND, true));
}

/// The end of a wait that was given up leaves nobody behind who could be woken.
#[test]
fn a_dropped_send_future_leaves_no_waker() {
    let (mut producer, mut consumer) = channel(1, Parked::new()).unwrap();
    let (woken, waker) = counting_waker();
    producer.send(1).unwrap();
    assert!(pin!(producer.send_async(2)).poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(Arc::strong_count(&woken), 2, "the waker here, and the count");
    assert_eq!(consumer.try_recv(), Ok(1));
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
}

#[test]
fn a_commit_of_nothing_wakes_nobody() {
    let (mut producer, mut consumer) = channel::<u8, _>(1, Parked::new()).unwrap();
    let (woken, waker) = counting_waker();
    let mut next = pin!(consumer.recv_async());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(producer.claim(1).unwrap().commit(), 0);
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
}

/// Room of batches goes back every quarter of a lap, and when the ring is found empty.
#[test]
fn the_room_of_batches_goes_back_in_strides() {
    let (mut producer, mut consumer) = channel(16, Spin).unwrap();
    let room = |producer: &mut Producer<u64, Spin>| producer.claim(99).unwrap_err().free;
    assert_eq!(producer.send_many(0..16), 16);
    for expected in [0, 4, 4, 8] {
        consumer.drain(2).consume();
        assert_eq!(room(&mut producer), expected);
    }
    consumer.drain(7).consume();
    assert_eq!(room(&mut producer), 15);
    assert_eq!(consumer.drain(9).collect::<Vec<_>>(), [15]);
    assert_eq!(room(&mut producer), 15, "one message is no quarter");
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(room(&mut producer), 16);
}

#[test]
fn a_message_that_panics_when_it_is_dropped_takes_no_other_along() {
    #[derive(Debug)]
    struct Planted {
        panics: bool,
        _count: Arc<()>,
    }
    impl Drop for Planted {
        fn drop(&mut self) {
            assert!(!self.panics, "as planned");
        }
    }
    let count = Arc::new(());
    let four = || [0, 1, 2, 3].map(|value| Planted { panics: value == 1, _count: count.clone() });
    let (mut producer, consumer) = channel(4, Spin).unwrap();
    let mut claim = producer.claim(4).unwrap();
    four().into_iter().for_each(|message| claim.put(message));
    let given_up = std::panic::AssertUnwindSafe(|| drop(claim));
    assert!(std::panic::catch_unwind(given_up).is_err());
    assert_eq!(Arc::strong_count(&count), 1);
    assert_eq!(producer.send_many(four()), 4);
    let ended = std::panic::AssertUnwindSafe(|| drop((producer, consumer)));
    assert!(std::panic::catch_unwind(ended).is_err());
    assert_eq!(Arc::strong_count(&count), 1);
}

/// With a strategy that never sleeps nobody wakes: the future asks to be polled again.
#[test]
fn without_sleep_a_future_asks_to_be_polled_again() {
    let (mut producer, mut consumer) = channel(1, Spin).unwrap();
    let (woken, waker) = counting_waker();
    let mut cx = Context::from_waker(&waker);
    let mut next = pin!(consumer.recv_async());
    assert!(next.as_mut().poll(&mut cx).is_pending());
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    producer.try_send(4).unwrap();
    assert_eq!(next.as_mut().poll(&mut cx), Poll::Ready(Ok(4)));
}

#[test]
fn ends_and_futures_can_move_to_other_threads() {
    fn is_send<T: Send>(_: &T) {}
    let (mut producer, mut consumer) = channel::<u8, _>(1, Spin).unwrap();
    is_send(&producer.send_async(1));
    is_send(&consumer.recv_async());
    is_send(&producer);
    is_send(&consumer);
}
