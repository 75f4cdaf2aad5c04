//! Hammers `spsc`, `mpsc`, `mpmc`, `fan_in` and `sharing` in process for a second each, for
//! ThreadSanitizer. Run with `ci/tsan`.
//!
//! Every message is a list whose sum the receiver checks, so that each one hands memory over. It
//! does not measure. Without ThreadSanitizer it is a plain check of sums.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{mem, process, thread};

use corelane_ring::{Spin, TryRecvError, TrySendError, fan_in, mpmc, mpsc, sharing, spsc};

const SECONDS: u64 = 1;
const CAPACITY: usize = 8;

/// A message: three numbers that belong together, on the heap where the ring allows it.
trait Message: Send + Sized {
    fn new(number: u64) -> Self;
    fn number(&self) -> u64;
}

fn words(number: u64) -> [u64; 3] {
    [number, number.wrapping_mul(0x9E37_79B9_7F4A_7C15), !number]
}

impl Message for Box<[u64; 3]> {
    fn new(number: u64) -> Self {
        Self::new(words(number))
    }
    fn number(&self) -> u64 {
        (**self).number()
    }
}

impl Message for [u64; 3] {
    fn new(number: u64) -> Self {
        words(number)
    }
    fn number(&self) -> u64 {
        if *self != words(self[0]) {
            ended_by("a message that is not whole");
        }
        self[0]
    }
}

type TrySend<T> = Box<dyn FnMut(T) -> Result<(), TrySendError<T>> + Send>;
type TryRecv<T> = Box<dyn FnMut() -> Result<T, TryRecvError> + Send>;

#[derive(Debug, Default)]
struct Totals {
    sent: AtomicU64,
    received: AtomicU64,
    senders_done: AtomicUsize,
    receivers_done: AtomicUsize,
}

/// Runs the ends until the time is over; every number that was sent must have been received.
///
/// `std`'s own code is not instrumented, so what it frees on behalf of two threads looks like a
/// race: the handles of threads, and the memory that the ends share. All of that is leaked.
fn hammer<T: Message + 'static>(kind: &str, senders: Vec<TrySend<T>>, receivers: Vec<TryRecv<T>>) {
    let totals: &'static Totals = Box::leak(Box::default());
    let (sender_count, receiver_count) = (senders.len(), receivers.len());
    for try_send in senders {
        mem::forget(thread::spawn(move || send(try_send, totals)));
    }
    for try_recv in receivers {
        mem::forget(thread::spawn(move || receive(try_recv, totals, sender_count)));
    }
    while totals.receivers_done.load(Ordering::Acquire) < receiver_count {
        thread::yield_now();
    }
    let sent = totals.sent.load(Ordering::Relaxed);
    let received = totals.received.load(Ordering::Relaxed);
    assert!(sent > 0 && sent == received, "{kind}: sent={sent} received={received}");
    println!("{kind:<8} sum={received}");
}

fn send<T: Message>(mut try_send: TrySend<T>, totals: &Totals) {
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let mut number = 1;
    while Instant::now() < until {
        match try_send(T::new(number)) {
            Ok(()) => {
                totals.sent.fetch_add(number, Ordering::Relaxed);
                number += 1;
            }
            Err(TrySendError::Full(_)) => thread::yield_now(),
            Err(error) => ended_by(&error.to_string()),
        }
    }
    mem::forget(try_send);
    totals.senders_done.fetch_add(1, Ordering::AcqRel);
}

fn receive<T: Message>(mut try_recv: TryRecv<T>, totals: &Totals, sender_count: usize) {
    loop {
        // Before the look, so that one that finds nothing is the last.
        let is_over = totals.senders_done.load(Ordering::Acquire) == sender_count;
        match try_recv() {
            Ok(message) => {
                totals.received.fetch_add(message.number(), Ordering::Relaxed);
            }
            Err(TryRecvError::Empty) if is_over => break,
            Err(TryRecvError::Empty) => thread::yield_now(),
            Err(error) => ended_by(&error.to_string()),
        }
    }
    mem::forget(try_recv);
    totals.receivers_done.fetch_add(1, Ordering::AcqRel);
}

/// Nobody joins the threads, so a panic of one would not be seen.
fn ended_by(what: &str) -> ! {
    eprintln!("a ring answered: {what}");
    process::exit(1);
}

fn main() {
    type Boxed = Box<[u64; 3]>;
    let (mut producer, mut consumer) = spsc::channel::<Boxed, _>(CAPACITY, Spin).expect("in range");
    hammer::<Boxed>(
        "spsc",
        vec![Box::new(move |message| producer.try_send(message))],
        vec![Box::new(move || consumer.try_recv())],
    );
    macro_rules! shared {
        ($ring:ident, $message:ty, $more_consumers:expr) => {
            let (producer, consumer) = $ring::channel(CAPACITY, Spin).expect("in range");
            let more = $more_consumers(&consumer);
            let senders = [producer.clone(), producer].into_iter().map(|mut producer| {
                Box::new(move |message| producer.try_send(message)) as TrySend<$message>
            });
            let receivers = core::iter::once(consumer)
                .chain(more)
                .map(|mut consumer| Box::new(move || consumer.try_recv()) as TryRecv<$message>);
            hammer::<$message>(stringify!($ring), senders.collect(), receivers.collect());
        };
    }
    shared!(mpsc, Boxed, |_: &_| None);
    shared!(mpmc, Boxed, |consumer: &mpmc::Consumer<Boxed, Spin>| Some(consumer.clone()));
    shared!(fan_in, Boxed, |_: &_| None);
    shared!(sharing, [u64; 3], |consumer: &sharing::Consumer<[u64; 3], Spin>| {
        Some(consumer.clone())
    });
}
