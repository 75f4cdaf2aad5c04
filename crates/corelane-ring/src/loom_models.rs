//! Models that loom runs through every interleaving. Run with `ci/loom`.

use loom::thread;

use crate::{Bell, HeapWords, ReadWords, Shape, Sleeper, WriteWords, latency};

fn ring(
    slots: usize,
) -> (latency::Producer<HeapWords, HeapWords>, latency::Consumer<HeapWords, HeapWords>) {
    let shape = Shape::new(slots, 3).expect("because the shape is valid");
    let data = HeapWords::new(shape.data_words());
    let cursor = HeapWords::new(latency::CURSOR_WORDS);
    let producer = latency::Producer::new(shape, data.clone(), cursor.clone());
    let consumer = latency::Consumer::new(shape, data, cursor);
    (producer.expect("because it fits"), consumer.expect("because it fits"))
}

fn send_all(producer: &mut latency::Producer<HeapWords, HeapWords>, count: u64) {
    for value in 1..=count {
        loop {
            match producer.claim() {
                Ok(mut claim) => {
                    claim.write(0, &[value, !value]);
                    claim.commit(16);
                    break;
                }
                Err(latency::ClaimError::Full { .. }) => thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        }
    }
}

fn receive_all(consumer: &mut latency::Consumer<HeapWords, HeapWords>, count: u64) {
    let mut expected = 1;
    while expected <= count {
        match consumer.peek().expect("because no peer lies") {
            Some(record) => {
                // RB-4: a visible commit word implies the whole payload of this very lap.
                let mut words = [0; 2];
                record.read(0, &mut words);
                assert_eq!(words, [expected, !expected]);
                record.consume();
                expected += 1;
            }
            None => {
                consumer.release();
                thread::yield_now();
            }
        }
    }
}

/// Two slots, four records: every slot is written twice, so P2 and C2 are exercised.
#[test]
fn latency_wraps_at_capacity_two() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let sender = thread::spawn(move || send_all(&mut producer, 4));
        receive_all(&mut consumer, 4);
        sender.join().expect("because the sender does not panic");
    });
}

/// Four slots, five records.
#[test]
fn latency_wraps_at_capacity_four() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(4);
        let sender = thread::spawn(move || send_all(&mut producer, 5));
        receive_all(&mut consumer, 5);
        sender.join().expect("because the sender does not panic");
    });
}

/// What the consumer did before it released a slot is done when the producer claims it again: C2
/// and P2 put reading a record before writing over it (RB-4).
///
/// loom never lets a load see a store that comes after it, so no payload can tell that the order
/// is missing; the consumer leaves a receipt that the producer must find.
#[test]
fn latency_reuse_comes_after_the_release() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let receipts = HeapWords::new(2);
        let found = receipts.clone();
        let sender = thread::spawn(move || {
            for value in 1..=4 {
                loop {
                    match producer.claim() {
                        Ok(claim) => {
                            let receipt = found.load_relaxed(value as usize % 2);
                            assert_eq!(receipt, if value > 2 { value - 2 } else { 0 });
                            claim.commit(16);
                            break;
                        }
                        Err(latency::ClaimError::Full { .. }) => thread::yield_now(),
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        });
        for value in 1..=4 {
            loop {
                if let Some(record) = consumer.peek().expect("because no peer lies") {
                    receipts.store_relaxed(value as usize % 2, value);
                    record.consume();
                    break;
                }
                thread::yield_now();
            }
        }
        sender.join().expect("because the sender does not panic");
    });
}

/// A claim that is dropped leaves nothing behind, also when its slot was half written (RB-3).
#[test]
fn latency_abort_publishes_nothing() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let sender = thread::spawn(move || {
            let mut claim = producer.claim().expect("because the ring is empty");
            claim.write(0, &[99, 99]);
            drop(claim);
            send_all(&mut producer, 3);
        });
        receive_all(&mut consumer, 3);
        assert!(consumer.peek().expect("because no peer lies").is_none());
        sender.join().expect("because the sender does not panic");
    });
}

/// The receiver sleeps until its bell changes; a lost wake-up would make this model spin for ever,
/// which loom reports (RB-7).
#[test]
fn bell_never_loses_a_wake_up() {
    loom::model(|| {
        let (mut producer, mut consumer) = ring(2);
        let sleep = HeapWords::new(8);
        let bells = HeapWords::new(8);
        let mut sleeper = Sleeper::new(sleep.clone(), 0);
        let mut bell = Bell::new(bells.clone(), 0, sleep, 0);
        let sender = thread::spawn(move || {
            for _ in 0..2 {
                send_all(&mut producer, 1);
                bell.ring();
            }
        });
        for _ in 0..2 {
            let seen = bells.load_acquire(0);
            sleeper.prepare();
            let is_empty = consumer.peek().expect("because no peer lies").is_none();
            if is_empty {
                while bells.load_acquire(0) == seen {
                    thread::yield_now();
                }
            }
            sleeper.finish();
            receive_all(&mut consumer, 1);
        }
        sender.join().expect("because the sender does not panic");
    });
}

/// Who wakes because its bell changed finds what was committed before: B1 and S2.
#[test]
fn bell_wakes_with_what_was_committed() {
    loom::model(|| {
        let (payload, sleep, bells) = (HeapWords::new(1), HeapWords::new(8), HeapWords::new(8));
        let mut sleeper = Sleeper::new(sleep.clone(), 0);
        let mut bell = Bell::new(bells.clone(), 0, sleep, 0);
        let committed = payload.clone();
        let sender = thread::spawn(move || {
            committed.store_relaxed(0, 1);
            bell.ring();
        });
        let seen = bells.load_acquire(0);
        sleeper.prepare();
        if payload.load_relaxed(0) == 0 {
            while bells.load_acquire(0) == seen {
                thread::yield_now();
            }
            assert_eq!(payload.load_relaxed(0), 1);
        }
        sleeper.finish();
        sender.join().expect("because the sender does not panic");
    });
}
