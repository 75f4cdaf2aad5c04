//! Models of the SPSC ring through every interleaving, at capacity 2 and 4. Run with `ci/loom`.
//!
//! Messages are boxes of loom's own cells where it matters that each is dropped once.

use core::future::Future;
use core::pin::pin;

use loom::thread;

use crate::loom_wait::{Parked, TIME, block_on, bounded};
use crate::spsc::{self, Consumer, Producer};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::{HeapWords, ReadWords, Spin, TryRecvError, TrySendError, Wait, WriteWords};

fn spinning<T: Send>(capacity: usize) -> (Producer<T, Spin>, Consumer<T, Spin>) {
    spsc::channel(capacity, Spin).expect("because the capacity is valid")
}

fn parking<T: Send>(capacity: usize) -> (Producer<T, Parked>, Consumer<T, Parked>) {
    spsc::channel_with(capacity, Parked::default(), Parked::default())
        .expect("because the capacity is valid")
}

/// Counts how often it was dropped.
#[derive(Debug)]
struct Counted(u64, Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

fn send_all<W: Wait>(producer: &mut Producer<u64, W>, values: core::ops::Range<u64>) {
    for value in values {
        let mut message = value;
        while let Err(error) = producer.try_send(message) {
            assert!(matches!(error, TrySendError::Full(_)), "the receiver is there");
            message = error.into_inner();
            thread::yield_now();
        }
    }
}

fn receive_all<W: Wait>(consumer: &mut Consumer<u64, W>, values: core::ops::Range<u64>) {
    for value in values {
        loop {
            match consumer.try_recv() {
                // RB-1, RB-8: in order, and the slot's write is seen (loom checks the cell).
                Ok(message) => break assert_eq!(message, value),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Closed) => panic!("the sender went before its last message"),
            }
        }
    }
}

fn wraps(capacity: usize, count: u64) {
    let (mut producer, mut consumer) = spinning(capacity);
    let sender = thread::spawn(move || send_all(&mut producer, 0..count));
    receive_all(&mut consumer, 0..count);
    sender.join().expect("because the sender does not panic");
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
}

/// Two slots, five messages: every slot is written again, so P4 and C4 are exercised.
#[test]
fn wraps_at_capacity_two() {
    bounded(3, || wraps(2, 5));
}

/// Four slots, five messages.
#[test]
fn wraps_at_capacity_four() {
    bounded(2, || wraps(4, 5));
}

/// An aborted claim publishes nothing and drops what was put (RB-3); the next one takes its place.
#[test]
fn an_aborted_claim_publishes_nothing() {
    bounded(3, || {
        let (mut producer, mut consumer) = spinning(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = dropped.clone();
        let sender = thread::spawn(move || {
            let mut claim = producer.claim(2).expect("because the ring is empty");
            claim.put(Counted(98, count.clone()));
            claim.put(Counted(99, count.clone()));
            drop(claim);
            assert_eq!(count.load(Ordering::Relaxed), 2);
            let mut claim = producer.claim(2).expect("because nothing was published");
            claim.put(Counted(0, count.clone()));
            assert_eq!(claim.commit(), 1);
        });
        loop {
            match consumer.try_recv() {
                Ok(message) => break assert_eq!(message.0, 0),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Closed) => panic!("the sender went before its last message"),
            }
        }
        sender.join().expect("because the sender does not panic");
        assert_eq!(consumer.try_recv().map(|message| message.0), Err(TryRecvError::Closed));
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
    });
}

/// A batch that is drained in part keeps the rest, over the end of the memory.
#[test]
fn a_drain_taken_in_part_keeps_the_rest() {
    bounded(3, || {
        let (mut producer, mut consumer) = spinning(2);
        let sender = thread::spawn(move || {
            let mut values = 0..4;
            while !values.is_empty() {
                producer.send_many(&mut values);
                thread::yield_now();
            }
        });
        let mut expected = 0;
        while expected < 4 {
            match consumer.drain(2).next() {
                Some(value) => {
                    assert_eq!(value, expected);
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        sender.join().expect("because the sender does not panic");
    });
}

/// Whichever end goes first, each message is dropped exactly once (RB-8).
#[test]
fn messages_are_dropped_once_whoever_goes_first() {
    bounded(3, || {
        let (mut producer, mut consumer) = spinning(4);
        let dropped = Arc::new(AtomicU64::new(0));
        let count = dropped.clone();
        let sender = thread::spawn(move || {
            (0..3).map(|value| producer.try_send(Counted(value, count.clone())).is_ok()).count()
                as u64
        });
        let received = (0..2).filter_map(|_| consumer.try_recv().ok()).count();
        drop(consumer);
        assert!(received <= 2);
        let sent = sender.join().expect("because the sender does not panic");
        assert_eq!(dropped.load(Ordering::Relaxed), sent);
    });
}

/// Both ends sleep: one for messages, the other for room that is given back lazily (RB-7).
#[test]
fn sleeping_ends_wake_each_other() {
    bounded(2, || {
        let (mut producer, mut consumer) = parking(2);
        let sender = thread::spawn(move || {
            (0..4).for_each(|value| producer.send(value).expect("because it is received"));
        });
        for value in 0..4 {
            assert_eq!(consumer.recv(), Ok(value));
        }
        assert!(consumer.recv().is_err());
        sender.join().expect("because the sender does not panic");
    });
}

/// One of four slots is given back while the producer sleeps on a full ring.
#[test]
fn a_full_ring_wakes_its_producer_at_capacity_four() {
    bounded(2, || {
        let (mut producer, mut consumer) = parking(4);
        assert_eq!(producer.send_many(0..4), 4);
        let sender = thread::spawn(move || producer.send(4).expect("because it is received"));
        assert_eq!(consumer.recv(), Ok(0));
        sender.join().expect("because the sender does not panic");
        assert_eq!(consumer.drain(9).collect::<Vec<_>>(), [1, 2, 3, 4]);
    });
}

#[test]
fn a_sleeping_consumer_learns_that_the_producer_is_gone() {
    loom::model(|| {
        let (producer, mut consumer) = parking::<u64>(2);
        let sleeper = thread::spawn(move || assert!(consumer.recv().is_err()));
        drop(producer);
        sleeper.join().expect("because it does not panic");
    });
}

#[test]
fn a_sleeping_producer_learns_that_the_consumer_is_gone() {
    bounded(3, || {
        let (mut producer, consumer) = parking(2);
        assert_eq!(producer.send_many([0, 1]), 2);
        let sleeper = thread::spawn(move || {
            // The consumer took nothing: either it is known to be gone, or it is learned.
            assert_eq!(producer.send(2).map_err(|error| error.0), Err(2));
        });
        drop(consumer);
        sleeper.join().expect("because it does not panic");
    });
}

/// A time limit that passes loses no message: it is there for the next call.
#[test]
fn a_time_limit_loses_no_message() {
    bounded(3, || {
        let (mut producer, mut consumer) = parking(2);
        let sender = thread::spawn(move || {
            let sent = producer.send_timeout(5, TIME);
            sent.expect("because the ring is empty");
        });
        let received = match consumer.recv_timeout(TIME) {
            Err(TryRecvError::Empty) => consumer.recv().ok(),
            received => received.ok(),
        };
        assert_eq!(received, Some(5));
        sender.join().expect("because the sender does not panic");
    });
}

/// Both ends are futures, woken through their wakers alone.
#[test]
fn futures_wake_each_other() {
    bounded(2, || {
        let (mut producer, mut consumer) = parking(2);
        let sender = thread::spawn(move || {
            for value in 0..3 {
                let mut sent = producer.send_async(value);
                block_on(|cx| pin!(&mut sent).poll(cx)).expect("because it is received");
            }
        });
        for value in 0..3 {
            let mut next = consumer.recv_async();
            assert_eq!(block_on(|cx| pin!(&mut next).poll(cx)), Ok(value));
        }
        let mut next = consumer.recv_async();
        assert!(block_on(|cx| pin!(&mut next).poll(cx)).is_err());
        drop(next);
        sender.join().expect("because the sender does not panic");
    });
}

/// A receive future that is dropped half way takes neither the message nor its wake-up along.
#[test]
fn a_dropped_receive_future_loses_nothing() {
    bounded(3, || {
        let (mut producer, mut consumer) = parking(2);
        let mut cx = core::task::Context::from_waker(core::task::Waker::noop());
        let is_pending = pin!(consumer.recv_async()).poll(&mut cx).is_pending();
        assert!(is_pending, "nothing was sent yet");
        let sender = thread::spawn(move || producer.send(3).expect("because it is received"));
        let early = pin!(consumer.recv_async()).poll(&mut cx);
        match early {
            core::task::Poll::Ready(received) => assert_eq!(received, Ok(3)),
            core::task::Poll::Pending => assert_eq!(consumer.recv(), Ok(3)),
        }
        sender.join().expect("because the sender does not panic");
    });
}

/// What an end did before it went is done for the end that sees it gone: C5 and P5, P6 and C6.
#[test]
fn spsc_closing_orders() {
    loom::model(|| {
        let (mut producer, consumer) = spinning(1);
        let receipt = HeapWords::new(1);
        let left = receipt.clone();
        let receiver = thread::spawn(move || {
            left.store_relaxed(0, 1);
            drop(consumer);
        });
        if producer.is_closed() {
            assert_eq!(receipt.load_relaxed(0), 1);
        }
        producer.try_send(1).expect("because there is room");
        match producer.try_send(2) {
            Err(TrySendError::Closed(2)) => assert_eq!(receipt.load_relaxed(0), 1),
            other => assert_eq!(other, Err(TrySendError::Full(2))),
        }
        receiver.join().expect("because the receiver does not panic");
    });
    loom::model(|| {
        let (producer, mut consumer) = spinning::<u64>(1);
        let receipt = HeapWords::new(1);
        let left = receipt.clone();
        let sender = thread::spawn(move || {
            left.store_relaxed(0, 1);
            drop(producer);
        });
        if consumer.try_recv() == Err(TryRecvError::Closed) {
            assert_eq!(receipt.load_relaxed(0), 1);
        }
        sender.join().expect("because the sender does not panic");
    });
}
