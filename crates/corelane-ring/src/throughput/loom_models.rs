//! Models of the `throughput` ring that loom runs through every interleaving. The bytes are cells,
//! so that loom also reports any access that the indices do not order. Run with `ci/loom`.

use loom::thread;

use super::*;
use crate::{HeapWords, ReadWords, Spin, WriteWords};

type HeapProducer = Producer<HeapWords, HeapWords>;
type HeapConsumer = Consumer<HeapWords, HeapWords>;

/// Four words of records at a time, at most.
const CAPACITY: usize = CAPACITY_BYTES_MIN;

fn ring() -> (HeapProducer, HeapConsumer) {
    let (write, read) = heap(CAPACITY).expect("because the capacity is valid");
    (Producer::new(write), Consumer::new(read))
}

fn send(producer: &mut HeapProducer, payload: &[u8]) {
    while let Err(error) = producer.try_send(payload) {
        assert_eq!(error, ClaimError::Full { capacity_bytes: CAPACITY });
        thread::yield_now();
    }
}

fn receive<const LENGTH: usize>(consumer: &mut HeapConsumer) -> [u8; LENGTH] {
    loop {
        if let Some(record) = consumer.try_recv().expect("because no peer lies") {
            let mut payload = [0; LENGTH];
            assert_eq!(record.length(), LENGTH);
            record.read(0, &mut payload);
            record.consume();
            return payload;
        }
        thread::yield_now();
    }
}

/// Records of 24 bytes: the third one is behind padding and waits for the first (RB-10, RB-11).
#[test]
fn throughput_wraps_with_padding() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring();
        let sender = thread::spawn(move || {
            for value in 1..=3 {
                send(&mut producer, &[value; 16]);
            }
        });
        for value in 1..=3 {
            assert_eq!(receive(&mut consumer), [value; 16]);
        }
        sender.join().expect("because the sender does not panic");
    });
}

/// A batch fills the ring exactly; the fifth record is written over the first, which was read
/// before (RB-10).
#[test]
fn throughput_wraps_with_an_exact_fit() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring();
        let sender = thread::spawn(move || {
            let mut batch = producer.batch();
            for value in 1..=4 {
                batch.push(&[value]).expect("because the ring is empty");
            }
            batch.commit();
            send(&mut producer, &[5]);
        });
        for value in 1..=5 {
            assert_eq!(receive(&mut consumer), [value]);
        }
        sender.join().expect("because the sender does not panic");
    });
}

/// A claim and a batch that are dropped leave nothing behind (RB-3, RB-13).
#[test]
fn throughput_abort_publishes_nothing() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring();
        let sender = thread::spawn(move || {
            let mut claim = producer.claim(24).expect("because the ring is empty");
            claim.write(0, &[99; 24]);
            drop(claim);
            send(&mut producer, &[1; 24]);
            let mut batch = producer.batch();
            let _ = batch.push(&[99]).and_then(|()| batch.push(&[99]));
            drop(batch);
            send(&mut producer, &[2; 24]);
        });
        for value in 1..=2 {
            assert_eq!(receive(&mut consumer), [value; 24]);
        }
        assert!(consumer.try_recv().expect("because no peer lies").is_none());
        sender.join().expect("because the sender does not panic");
    });
}

/// A batch becomes visible as a whole (RB-13), and a drain gives it back as a whole.
#[test]
fn throughput_batch_is_visible_as_a_whole() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring();
        let sender = thread::spawn(move || {
            for value in 0..2 {
                loop {
                    let mut batch = producer.batch();
                    if batch.push(&[value]).and_then(|()| batch.push(&[value; 9])).is_ok() {
                        break batch.commit();
                    }
                    drop(batch);
                    thread::yield_now();
                }
            }
        });
        let mut value = 0;
        while value < 2 {
            let mut drain = consumer.drain(2);
            if let Some(first) = drain.take().expect("because no peer lies") {
                let mut payload = [9];
                first.read(0, &mut payload);
                assert_eq!(payload, [value]);
                let second = drain.take().expect("because no peer lies");
                let mut payload = [9; 9];
                second.expect("because the batch is visible").read(0, &mut payload);
                assert_eq!(payload, [value; 9]);
                value += 1;
            } else {
                drop(drain);
                thread::yield_now();
            }
        }
        sender.join().expect("because the sender does not panic");
    });
}

/// What was sent before the producer went arrives before the end does (RB-14).
#[test]
fn throughput_closes_after_the_last_record() {
    loom::model(|| {
        let (mut producer, mut consumer) =
            channel(CAPACITY, Spin).expect("because the capacity is valid");
        let sender = thread::spawn(move || {
            for value in 0..2 {
                producer.send(&[value; 24]).expect("because the consumer is there");
            }
        });
        for value in 0..2 {
            let record = consumer.recv().expect("because it was sent before the end");
            let mut payload = [9; 24];
            record.read(0, &mut payload);
            assert_eq!(payload, [value; 24]);
            record.consume();
        }
        assert_eq!(consumer.recv().map(|_| ()), Err(ReadError::Closed));
        sender.join().expect("because the sender does not panic");
    });
}

/// A producer that waits for room is told that there will be none.
#[test]
fn throughput_producer_notices_that_the_consumer_went() {
    loom::model(|| {
        let (mut producer, consumer) =
            channel(CAPACITY, Spin).expect("because the capacity is valid");
        let receiver = thread::spawn(move || drop(consumer));
        for _ in 0..2 {
            producer.send(&[0; 24]).expect("because there is room");
        }
        assert_eq!(producer.send(&[0; 24]), Err(ClaimError::Closed));
        receiver.join().expect("because the receiver does not panic");
    });
}

/// What an end did before it went is done for the end that sees it gone: C13 and P13, P12 and C12.
#[test]
fn throughput_closing_orders() {
    loom::model(|| {
        let (mut producer, consumer) =
            channel(CAPACITY, Spin).expect("because the capacity is valid");
        let receipt = HeapWords::new(1);
        let left = receipt.clone();
        let receiver = thread::spawn(move || {
            left.store_relaxed(0, 1);
            drop(consumer);
        });
        for _ in 0..2 {
            producer.try_send(&[0; 24]).expect("because there is room");
        }
        match producer.try_send(&[0; 24]) {
            Err(ClaimError::Closed) => assert_eq!(receipt.load_relaxed(0), 1),
            other => assert_eq!(other, Err(ClaimError::Full { capacity_bytes: CAPACITY })),
        }
        receiver.join().expect("because the receiver does not panic");
    });
    loom::model(|| {
        let (producer, mut consumer) =
            channel(CAPACITY, Spin).expect("because the capacity is valid");
        let receipt = HeapWords::new(1);
        let left = receipt.clone();
        let sender = thread::spawn(move || {
            left.store_relaxed(0, 1);
            drop(producer);
        });
        match consumer.try_recv().map(|record| record.is_some()) {
            Err(ReadError::Closed) => assert_eq!(receipt.load_relaxed(0), 1),
            other => assert_eq!(other, Ok(false)),
        }
        sender.join().expect("because the sender does not panic");
    });
}
