//! Taps in one thread: where they begin, what they are told when they were overrun, and lies. The
//! interleavings are in `loom_models.rs`; taps over mapped bytes in `corelane-shm`.

use proptest::prelude::*;

use super::*;
use crate::throughput::{self, CAPACITY_BYTES_MIN, CURSOR_WORDS, SetupError};
use crate::{ClaimError, HeapWords, ReadWords, Shape, ShapeError, WriteWords, latency};

type Producer = latency::Producer<HeapWords, HeapWords>;
type Consumer = latency::Consumer<HeapWords, HeapWords>;

/// A ring with its words, so that a test can lie.
struct Ring {
    shape: Shape,
    data: HeapWords,
    intent: HeapWords,
    producer: Producer,
    consumer: Consumer,
}

fn ring(slots: usize) -> Ring {
    let shape = Shape::new(slots, 3).unwrap();
    let (data, intent) = (HeapWords::new(shape.data_words()), HeapWords::new(1));
    let cursor = HeapWords::new(latency::CURSOR_WORDS);
    let producer = latency::Producer::new(shape, data.clone(), cursor.clone()).unwrap();
    let producer = producer.with_intent(intent.clone()).unwrap();
    let consumer = latency::Consumer::new(shape, data.clone(), cursor).unwrap();
    Ring { shape, data, intent, producer, consumer }
}

impl Ring {
    fn tap(&self, start: Start) -> LatencyTap<HeapWords> {
        LatencyTap::new(self.shape, self.data.clone(), self.intent.clone(), start).unwrap()
    }

    fn send(&mut self, value: u64) -> Result<(), ClaimError> {
        let mut claim = self.producer.claim()?;
        claim.write(0, &[value, !value]);
        claim.commit(16);
        Ok(())
    }

    /// Sends a record and receives it.
    fn pass(&mut self, value: u64) {
        self.send(value).unwrap();
        let record = self.consumer.peek().unwrap().expect("because it was sent");
        assert_eq!([record.word(0), record.word(1)], [value, !value]);
        record.consume();
        self.consumer.release();
    }
}

fn bytes(value: u64) -> Vec<u8> {
    [value.to_le_bytes(), (!value).to_le_bytes()].concat()
}

#[test]
fn a_tap_sees_every_record_without_being_seen() {
    let mut ring = ring(8);
    let (mut tap, mut record) = (ring.tap(Start::First), Vec::new());
    for value in 0..100 {
        ring.pass(value);
        assert_eq!(tap.try_read(&mut record), Ok(true));
        assert_eq!(record, bytes(value));
        assert_eq!(tap.try_read(&mut record), Ok(false));
    }
}

#[test]
fn a_tap_that_comes_late_begins_with_the_next_record() {
    for passed in 0..40 {
        let mut ring = ring(16);
        (0..passed).for_each(|value| ring.pass(value));
        let (mut tap, mut record) = (ring.tap(Start::Tail), Vec::new());
        assert_eq!((tap.position(), tap.try_read(&mut record)), (passed, Ok(false)));
        ring.pass(passed);
        assert_eq!((tap.try_read(&mut record), &record), (Ok(true), &bytes(passed)));
    }
}

#[test]
fn a_full_ring_overruns_no_tap() {
    let mut ring = ring(8);
    let (mut tap, mut record) = (ring.tap(Start::First), Vec::new());
    (0..8).for_each(|value| ring.send(value).unwrap());
    assert_eq!(ring.send(8), Err(ClaimError::Full { slots: 8 }));
    for value in 0..8 {
        assert_eq!((tap.try_read(&mut record), &record), (Ok(true), &bytes(value)));
    }
}

#[test]
fn what_cannot_be_ends_reading_along() {
    let corrupt = |ring: &Ring, start| {
        let mut tap = ring.tap(start);
        let error = tap.try_read(&mut Vec::new()).unwrap_err();
        assert_eq!(error.code(), "CL-0245", "{error}");
        error
    };
    let mut lying = ring(8);
    lying.pass(1);
    // A length beyond the slot.
    lying.data.store_release(0, 17 << 32 | 1);
    let told = corrupt(&lying, Start::First);
    assert_eq!(told, TapError::Corrupt { what: "length", found: 17, position: 0 });
    // It is not followed either: no more room is taken than a record of the lane needs.
    lying.data.store_release(0, 1_000_000 << 32 | 1);
    let mut record = Vec::new();
    lying.tap(Start::First).try_read(&mut record).unwrap_err();
    assert!(record.capacity() < 1_000, "{} bytes were taken", record.capacity());
    for intent in [u64::MAX, 1 << 63] {
        lying.intent.store_relaxed(0, intent);
        for start in [Start::First, Start::Tail] {
            let told = corrupt(&lying, start);
            assert_eq!(told, TapError::Corrupt { what: "intent", found: intent, position: 0 });
        }
        assert!(lying.tap(Start::First).skip().is_err());
    }
}

#[test]
fn an_intent_that_runs_backwards_moves_no_tap_back() {
    let mut ring = ring(8);
    let (mut tap, mut record) = (ring.tap(Start::First), Vec::new());
    for value in 0..20 {
        ring.pass(value);
        assert_eq!(tap.try_read(&mut record), Ok(true));
    }
    ring.intent.store_relaxed(0, 0);
    assert_eq!((tap.try_read(&mut record), tap.skip(), tap.position()), (Ok(false), Ok(0), 20));
}

#[test]
fn storages_that_do_not_fit_are_refused() {
    let shape = Shape::new(8, 3).unwrap();
    let words = HeapWords::new;
    for (data, intent) in [(23, 1), (24, 0)] {
        let refused = LatencyTap::new(shape, words(data), words(intent), Start::First);
        assert!(matches!(refused, Err(ShapeError::StorageTooSmall { .. })), "{refused:?}");
    }
    let producer = latency::Producer::new(shape, words(24), words(8)).unwrap();
    assert!(producer.with_intent(words(0)).is_err());
    let tap = |bytes, tail, intent| {
        ThroughputTap::new(words(bytes), words(tail), words(intent), Start::First).map(|_| ())
    };
    assert_eq!(tap(9, 8, 8), Err(SetupError::Capacity { asked: 72 }));
    assert_eq!(tap(4, 8, 8), Err(SetupError::Capacity { asked: 32 }));
    assert_eq!(tap(8, 7, 8), Err(SetupError::TooFewWords { what: "tail", found: 7 }));
    assert_eq!(tap(8, 8, 7), Err(SetupError::TooFewWords { what: "intent", found: 7 }));
    let (side, _) = throughput::heap(CAPACITY_BYTES_MIN).unwrap();
    assert!(side.with_intent(words(CURSOR_WORDS - 1)).is_err());
}

#[test]
fn lies_about_bytes_are_told() {
    let words = HeapWords::new;
    let (bytes, tail, intent) = (words(8), words(8), words(8));
    let tap = || ThroughputTap::new(bytes.clone(), tail.clone(), intent.clone(), Start::First);
    let told = |what| {
        let error = tap().unwrap().try_read(&mut Vec::new()).unwrap_err();
        assert!(matches!(error, TapError::Corrupt { what: told, .. } if told == what), "{error}");
    };
    // Within a word, and beyond what a ring can live to see.
    for lie in [4, !7] {
        tail.store_relaxed(0, lie);
        told("tail");
        let late = ThroughputTap::new(bytes.clone(), tail.clone(), intent.clone(), Start::Tail);
        assert_eq!(late.unwrap().position(), 0);
    }
    tail.store_relaxed(0, 64);
    intent.store_relaxed(0, 64);
    // No kind; a record beyond the ring; one beyond half of it; padding that ends elsewhere.
    for header in [0, 1 << 32 | 60, 1 << 32 | 40, 3 << 32 | 48] {
        bytes.store_relaxed(0, header);
        told("header");
    }
    intent.store_relaxed(0, u64::MAX);
    told("intent");
    // An intent or a tail a lap on: whatever was there is gone.
    bytes.store_relaxed(0, 1 << 32 | 8);
    for (told_tail, told_intent) in [(16, 72), (72, 72)] {
        tail.store_relaxed(0, told_tail);
        intent.store_relaxed(0, told_intent);
        let mut tap = tap().unwrap();
        let overrun = Err(TapError::Overrun { missed: told_tail });
        assert_eq!(tap.try_read(&mut Vec::new()), overrun);
        assert_eq!(tap.position(), told_tail);
    }
}

#[test]
fn a_record_of_many_pieces_is_copied_whole() {
    for words in [1, PIECE_WORDS - 1, PIECE_WORDS, PIECE_WORDS + 1, 3 * PIECE_WORDS] {
        let shape = Shape::new(4, 1 + words).unwrap();
        let (data, intent) = (HeapWords::new(shape.data_words()), HeapWords::new(1));
        let producer = latency::Producer::new(shape, data.clone(), HeapWords::new(8)).unwrap();
        let mut producer = producer.with_intent(intent.clone()).unwrap();
        for length in [words * 8, words * 8 - 1, words * 8 - 7] {
            let bytes: Vec<u8> = (0..length).map(|byte| (byte * 7 % 251) as u8).collect();
            let mut tap =
                LatencyTap::new(shape, data.clone(), intent.clone(), Start::Tail).unwrap();
            let mut claim = producer.claim().unwrap();
            claim.write_bytes(0, &bytes);
            claim.commit(length as u32);
            let mut record = vec![9; 5_000];
            assert_eq!(tap.try_read(&mut record), Ok(true));
            assert_eq!(record, bytes);
        }
    }
}

#[test]
fn an_untold_intent_is_never_stored() {
    let shape = Shape::new(2, 3).unwrap();
    let (data, cursor) = (HeapWords::new(6), HeapWords::new(8));
    let mut producer = latency::Producer::new(shape, data.clone(), cursor.clone()).unwrap();
    for value in 0..10 {
        producer.claim().unwrap().commit(0);
        cursor.store_release(0, value + 1);
    }
    assert_eq!(data.load_relaxed(3), 10, "and the producer writes on");
}

proptest! {
    /// Whatever the steps of sender, receiver and tap: a record that the tap reads is the one of
    /// its position, and what it read and missed is all there was (RB-40). It is not overrun while
    /// fewer records than three quarters of a lap were sent since its last look.
    #[test]
    fn a_tap_reads_whole_records_and_counts_the_others(
        slots in prop::sample::select(vec![2_usize, 4, 8, 32]),
        sends in prop::collection::vec(0_u64..40, 1..60),
    ) {
        let mut ring = ring(slots);
        let (mut tap, mut record, mut next) = (ring.tap(Start::First), Vec::new(), 0);
        let (mut read, mut missed) = (0, 0);
        for count in sends {
            (0..count).for_each(|offset| ring.pass(next + offset));
            next += count;
            let behind = next - tap.position();
            let position = tap.position();
            match tap.try_read(&mut record) {
                Ok(true) => {
                    prop_assert_eq!(&record, &bytes(position));
                    read += 1;
                }
                Ok(false) => prop_assert_eq!(behind, 0),
                Err(TapError::Overrun { missed: records }) => {
                    prop_assert!(behind > (slots - slots.div_ceil(4)) as u64);
                    prop_assert_eq!(records, behind);
                    missed += records;
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
        prop_assert_eq!(read + missed + tap.skip().unwrap(), next);
    }
}
