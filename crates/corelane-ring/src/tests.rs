//! Unit, property and stress tests of the rings in real time; the models are in `loom_models`.

use std::{collections::VecDeque, thread};

use proptest::prelude::*;

use crate::{
    Bell, ClaimError, HeapWords, PeekError, ReadWords, Shape, ShapeError, Sleeper, WriteWords,
    latency,
};

type Producer = latency::Producer<HeapWords, HeapWords>;
type Consumer = latency::Consumer<HeapWords, HeapWords>;

fn ring(slots: usize, slot_words: usize) -> (Producer, Consumer, HeapWords, HeapWords) {
    let shape = Shape::new(slots, slot_words).expect("because the shape is valid");
    let data = HeapWords::new(shape.data_words());
    let cursor = HeapWords::new(latency::CURSOR_WORDS);
    let producer = Producer::new(shape, data.clone(), cursor.clone()).expect("because it fits");
    let consumer = Consumer::new(shape, data.clone(), cursor.clone()).expect("because it fits");
    (producer, consumer, data, cursor)
}

fn push(producer: &mut Producer, value: u64) -> Result<(), ClaimError> {
    let mut claim = producer.claim()?;
    claim.write(0, &[value]);
    claim.commit(8);
    Ok(())
}

fn pop(consumer: &mut Consumer) -> Option<u64> {
    let record = consumer.peek().expect("because no peer lies")?;
    let value = record.word(0);
    record.consume();
    Some(value)
}

#[test]
fn shapes_are_checked() {
    assert_eq!(Shape::new(3, 8), Err(ShapeError::Slots(3)));
    assert_eq!(Shape::new(1, 8), Err(ShapeError::Slots(1)));
    assert_eq!(Shape::new(4, 1), Err(ShapeError::SlotWords(1)));
    let shape = Shape::new(4, 8).expect("because the shape is valid");
    let small = Producer::new(shape, HeapWords::new(31), HeapWords::new(8));
    assert!(matches!(small, Err(ShapeError::StorageTooSmall { what: "data", found: 31, .. })));
    let small = Consumer::new(shape, HeapWords::new(32), HeapWords::new(7));
    assert!(matches!(small, Err(ShapeError::StorageTooSmall { what: "cursor", .. })));
}

#[test]
fn full_ring_refuses_and_goes_on_after_release() {
    let (mut producer, mut consumer, ..) = ring(4, 2);
    for value in 0..4 {
        push(&mut producer, value).expect("because there is room");
    }
    assert_eq!(push(&mut producer, 4), Err(ClaimError::Full { slots: 4 }));
    assert_eq!(pop(&mut consumer), Some(0));
    push(&mut producer, 4).expect("because a quarter of a lap is released at once");
    for value in 1..5 {
        assert_eq!(pop(&mut consumer), Some(value));
    }
    assert_eq!(pop(&mut consumer), None);
    assert_eq!((producer.committed(), consumer.consumed()), (5, 5));
}

/// Room goes back a quarter of a lap at a time, in every lap.
#[test]
fn a_quarter_of_a_lap_is_released_at_once() {
    let (mut producer, mut consumer, ..) = ring(8, 2);
    for value in 0..8 {
        push(&mut producer, value).expect("because there is room");
    }
    for value in (0..40).step_by(2) {
        assert_eq!(pop(&mut consumer), Some(value));
        assert_eq!(push(&mut producer, 0), Err(ClaimError::Full { slots: 8 }));
        assert_eq!(pop(&mut consumer), Some(value + 1));
        push(&mut producer, value + 8).expect("because two were released");
        push(&mut producer, value + 9).expect("because two were released");
    }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let (mut producer, mut consumer, ..) = ring(4, 5);
    let mut claim = producer.claim().expect("because there is room");
    claim.write(0, &[1, 2, 3, 4]);
    claim.write(2, &[30]);
    claim.write_bytes(1, &[9; 19]);
    claim.commit(29);
    let record = consumer.peek().expect("because no peer lies").expect("it was committed");
    let nine = u64::from_le_bytes([9; 8]);
    assert_eq!(record.length_bytes(), 29);
    let expected = [1, nine, nine, 0x0009_0909];
    assert_eq!([0, 1, 2, 3].map(|word| record.word(word)), expected);
    let mut words = [0; 4];
    record.read(0, &mut words);
    assert_eq!(words, expected);
    record.read(2, &mut words[..2]);
    assert_eq!(words, [nine, 0x0009_0909, nine, 0x0009_0909]);
}

#[test]
fn peek_without_consume_keeps_the_record() {
    let (mut producer, mut consumer, ..) = ring(2, 2);
    push(&mut producer, 7).expect("because there is room");
    assert_eq!(producer.pending(), Ok(1));
    for _ in 0..3 {
        let record = consumer.peek().expect("because no peer lies");
        assert_eq!(record.expect("because it was committed").word(0), 7);
    }
    assert_eq!(pop(&mut consumer), Some(7));
    consumer.release();
    assert_eq!(producer.pending(), Ok(0));
}

#[test]
fn a_lying_head_is_refused() {
    let (mut producer, mut consumer, _, cursor) = ring(2, 2);
    push(&mut producer, 1).expect("because there is room");
    push(&mut producer, 2).expect("because there is room");
    cursor.store_release(0, 9);
    let refused = ClaimError::CorruptHead { head: 9, low: 0, high: 2 };
    assert_eq!(push(&mut producer, 3), Err(refused));
    cursor.store_release(0, 0);
    assert_eq!(pop(&mut consumer), Some(1));
    push(&mut producer, 3).expect("because the head is true again");
    cursor.store_release(0, 0);
    assert!(matches!(push(&mut producer, 4), Err(ClaimError::CorruptHead { head: 0, low: 1, .. })));
}

#[test]
fn a_lying_length_is_refused() {
    let (mut producer, mut consumer, data, _) = ring(2, 2);
    push(&mut producer, 1).expect("because there is room");
    data.store_release(0, 9 << 32 | 1);
    let refused = consumer.peek().map(|_| ());
    assert_eq!(refused, Err(PeekError::CorruptLength { position: 0, length: 9, max: 8 }));
}

#[test]
fn a_commit_word_of_the_last_lap_is_not_taken_for_a_record() {
    let (mut producer, mut consumer, ..) = ring(2, 2);
    for value in 0..10 {
        assert_eq!(pop(&mut consumer), None);
        push(&mut producer, value).expect("because there is room");
        assert_eq!(pop(&mut consumer), Some(value));
    }
}

#[test]
fn bytes_are_packed_little_endian_and_padded() {
    let (mut producer, mut consumer, ..) = ring(2, 4);
    let mut claim = producer.claim().expect("because there is room");
    claim.write(0, &[u64::MAX, u64::MAX, u64::MAX]);
    claim.write_bytes(1, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    claim.commit(24);
    let record = consumer.peek().expect("because no peer lies").expect("because it was sent");
    assert_eq!([record.word(0), record.word(1)], [u64::MAX, 0x0807_0605_0403_0201]);
    assert_eq!(record.word(2), 9);
}

/// Once per sleep, never while the receiver is awake: each ring costs a system call (RB-7).
#[test]
fn a_bell_rings_once_per_sleep() {
    let (sleep, bells) = (HeapWords::new(8), HeapWords::new(8));
    let mut sleeper = Sleeper::new(sleep.clone(), 3);
    let mut bell = Bell::new(bells.clone(), 5, sleep, 3);
    for sleeps in 1..4 {
        assert!(!bell.ring(), "nobody sleeps yet");
        sleeper.prepare();
        assert!(bell.ring());
        assert!(!bell.ring(), "this sleep was rung for");
        assert_eq!(bells.load_acquire(5), sleeps);
        sleeper.finish();
        assert!(!bell.ring(), "it is awake again");
        sleeper.prepare();
        sleeper.finish();
        sleeper.finish();
        assert!(!bell.ring(), "it slept and nobody rang");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    Abort,
    Pop,
    Peek,
    Release,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Push),
        1 => Just(Step::Abort),
        4 => Just(Step::Pop),
        1 => Just(Step::Peek),
        1 => Just(Step::Release),
    ];
    proptest::collection::vec(step, 0..400)
}

proptest! {
    /// Any sequence of operations behaves like a bounded FIFO queue (RB-1, RB-3).
    #[test]
    fn behaves_like_a_queue(slots_log2 in 1u32..5, steps in steps()) {
        let slots = 1usize << slots_log2;
        let (mut producer, mut consumer, ..) = ring(slots, 2);
        let mut model = VecDeque::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Push => match push(&mut producer, next) {
                    Ok(()) => { model.push_back(next); next += 1; }
                    Err(ClaimError::Full { .. }) => {
                        prop_assert!(model.len() > slots - slots / 4 - 1);
                    }
                    Err(other) => prop_assert!(false, "{other}"),
                },
                Step::Abort => {
                    let _ = producer.claim().map(|mut claim| claim.write(0, &[u64::MAX]));
                }
                Step::Pop => prop_assert_eq!(pop(&mut consumer), model.pop_front()),
                Step::Peek => {
                    let seen = consumer.peek().expect("because no peer lies").map(|r| r.word(0));
                    prop_assert_eq!(seen, model.front().copied());
                }
                Step::Release => consumer.release(),
            }
            prop_assert!(model.len() <= slots);
        }
    }
}

/// Seeded stress: every word of every record is checked at the reader.
#[test]
fn stress_with_checksums() {
    const COUNT: u64 = 200_000;
    let (mut producer, mut consumer, ..) = ring(64, 8);
    let sender = thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(7);
        for value in 0..COUNT {
            let words = [value, random.u64(..), 0, 0, 0, 0, value.rotate_left(17)];
            loop {
                match producer.claim() {
                    Ok(mut claim) => {
                        claim.write(0, &words);
                        claim.commit((value % 57) as u32);
                        break;
                    }
                    Err(ClaimError::Full { .. }) => thread::yield_now(),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    });
    let mut random = fastrand::Rng::with_seed(7);
    let mut value = 0;
    while value < COUNT {
        let Some(record) = consumer.peek().expect("because no peer lies") else {
            consumer.release();
            thread::yield_now();
            continue;
        };
        let mut words = [0; 7];
        record.read(0, &mut words);
        assert_eq!(words, [value, random.u64(..), 0, 0, 0, 0, value.rotate_left(17)]);
        assert_eq!(u64::from(record.length_bytes()), value % 57);
        record.consume();
        value += 1;
    }
    sender.join().expect("because the sender does not panic");
}
