//! Models of the taps that loom runs through every interleaving of at most so many preemptions. Run
//! with `ci/loom`.

use loom::thread;

use super::*;
use crate::raw_bytes::heap_sides_with_tap;
use crate::throughput::{CAPACITY_BYTES_MIN, Consumer, Producer};
use crate::{HeapWords, Shape, latency};

/// Most times that a model takes the processor away from a thread that could go on.
const PREEMPTIONS_MAX: usize = 3;

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS_MAX));
    builder.check(run);
}

/// A tap that reads along while slots are written again takes no record that is torn or of another
/// lap; what it read and missed adds up (RB-40). One thread is both ends: a tap knows of neither.
fn latency_is_never_torn(slots: usize, count: u64, start: Start) {
    model(move || {
        let shape = Shape::new(slots, 3).expect("because the shape is valid");
        let data = HeapWords::new(shape.data_words());
        let (cursor, intent) = (HeapWords::new(latency::CURSOR_WORDS), HeapWords::new(1));
        let producer = latency::Producer::new(shape, data.clone(), cursor.clone());
        let producer = producer.and_then(|producer| producer.with_intent(intent.clone()));
        let mut producer = producer.expect("because it fits");
        let consumer = latency::Consumer::new(shape, data.clone(), cursor);
        let mut consumer = consumer.expect("because it fits");
        let sender = thread::spawn(move || {
            for value in 0..count {
                let mut claim = producer.claim().expect("because the one before was taken");
                claim.write(0, &[value, !value]);
                claim.commit(16);
                let record = consumer.peek().expect("because no peer lies");
                record.expect("because it was committed").consume();
                consumer.release();
            }
        });
        let mut tap = LatencyTap::new(shape, data, intent, start).expect("because it fits");
        let (first, mut read, mut missed) = (tap.position(), 0, 0);
        let mut record = Vec::new();
        for _ in 0..2 {
            let position = tap.position();
            match tap.try_read(&mut record) {
                Ok(true) => {
                    let expected = [position.to_le_bytes(), (!position).to_le_bytes()].concat();
                    assert_eq!(record, expected);
                    read += 1;
                }
                Ok(false) => {}
                Err(TapError::Overrun { missed: records }) => missed += records,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(first + read + missed, tap.position());
        sender.join().expect("because the sender does not panic");
        missed += tap.skip().expect("because no peer lies");
        assert_eq!(first + read + missed, count);
    });
}

#[test]
fn latency_tap_is_never_torn_at_capacity_two() {
    latency_is_never_torn(2, 3, Start::First);
}

#[test]
fn latency_tap_is_never_torn_at_capacity_four() {
    latency_is_never_torn(4, 5, Start::First);
}

#[test]
fn latency_tap_that_comes_late_begins_at_a_record() {
    latency_is_never_torn(2, 3, Start::Tail);
}

/// The same over bytes, with records of one word and of two, and padding at the end of the memory.
#[test]
fn throughput_tap_is_never_torn() {
    model(|| {
        let sides = heap_sides_with_tap(CAPACITY_BYTES_MIN).expect("because the capacity is valid");
        let (write, read, mut tap) = sides;
        let (mut producer, mut consumer) = (Producer::new(write), Consumer::new(read));
        let payload = |value: u8| vec![value; 8 * (1 + usize::from(value) % 2)];
        let sender = thread::spawn(move || {
            for value in 1..=5 {
                producer.try_send(&payload(value)).expect("because the one before was taken");
                let record = consumer.try_recv().expect("because no peer lies");
                record.expect("because it was sent").consume();
                consumer.release();
            }
            producer.committed_bytes()
        });
        let mut record = Vec::new();
        for _ in 0..2 {
            match tap.try_read(&mut record) {
                Ok(true) => assert_eq!(record, payload(record[0])),
                Ok(false) => {}
                Err(TapError::Overrun { missed }) => assert!(missed > 0),
                Err(other) => panic!("{other}"),
            }
        }
        let committed = sender.join().expect("because the sender does not panic");
        let position = tap.position();
        assert_eq!(position + tap.skip().expect("because no peer lies"), committed);
    });
}
