//! Unit, property and stress tests of the `throughput` ring; the models are in `loom_models`.

use std::{collections::VecDeque, thread};

use proptest::prelude::*;

use super::frame::{Frame, Place, padding, parse};
use super::*;
use crate::raw_bytes::heap_sides_and_words;
use crate::tests_waiting::{Kept, Meanwhile};
use crate::wait::{SleepWord, Wait};
use crate::{HeapWords, WriteWords};

type HeapProducer = Producer<HeapWords, HeapWords>;
type HeapConsumer = Consumer<HeapWords, HeapWords>;

/// Waits by giving the core away, so that tests end on any number of cores.
#[derive(Clone, Copy)]
struct Yield;

impl Wait for Yield {
    const SLEEPS: bool = false;

    fn idle(&self, _looks: u32) -> bool {
        thread::yield_now();
        false
    }

    fn sleep(&self, _word: &SleepWord, _seen: u32, _timeout: Option<core::time::Duration>) {}

    fn wake(&self, _word: &SleepWord, _count: u32) {}
}

fn ring(capacity_bytes: usize) -> (HeapProducer, HeapConsumer) {
    let (write, read) = heap(capacity_bytes).expect("because the capacity is valid");
    (Producer::new(write), Consumer::new(read))
}

fn pop(consumer: &mut HeapConsumer) -> Option<Vec<u8>> {
    let record = consumer.try_recv().expect("because no peer lies")?;
    let bytes = record.bytes().to_vec();
    record.consume();
    Some(bytes)
}

fn full(capacity_bytes: usize) -> Result<(), ClaimError> {
    Err(ClaimError::Full { capacity_bytes })
}

#[test]
fn a_full_ring_says_so() {
    let (mut producer, _consumer) = ring(64);
    while producer.claim(8).map(|claim| claim.commit(8)).is_ok() {}
    let refused = producer.claim(8).map(drop).unwrap_err();
    assert_eq!((&refused, refused.code()), (&ClaimError::Full { capacity_bytes: 64 }, "CL-0224"));
}

#[test]
fn capacities_are_checked() {
    for asked in [0, 32, 65, 96, CAPACITY_BYTES_MAX * 2] {
        assert_eq!(heap(asked).map(|_| ()), Err(SetupError::Capacity { asked }));
    }
    for asked in [0, CAPACITY_BYTES_MAX + 1] {
        let refused = channel(asked, Yield).map(|_| ());
        assert_eq!(refused, Err(SetupError::Capacity { asked }));
    }
    for (asked, made) in [(1, 64), (64, 64), (65, 128), (4000, 4096)] {
        let (producer, consumer) = channel(asked, Yield).expect("because it is valid");
        assert_eq!((producer.capacity_bytes(), consumer.capacity_bytes()), (made, made));
    }
}

#[test]
fn a_longest_record_takes_at_most_half_wherever_it_begins() {
    for capacity in (6..=20).map(|log2| 1_usize << log2) {
        let max = payload_bytes_max(capacity);
        for start in (0..256).step_by(8) {
            assert!(Place::new(start, max).bytes() as usize <= capacity / 2, "{capacity} {start}");
        }
        let longer = (0..64).step_by(8).map(|start| Place::new(start, max + 1).bytes()).max();
        assert!(longer > Some(capacity as u64 / 2) || max + 1 == ALIGNED_BYTES_MIN);
    }
}

#[test]
fn frames_say_what_was_framed() {
    for (start, length, payload, end) in
        [(0, 0, 8, 8), (8, 1, 16, 24), (16, 63, 24, 88), (0, 64, 64, 128), (56, 65, 64, 136)]
    {
        let place = Place::new(start, length);
        assert_eq!((place.payload, place.end()), (payload, end));
        let (bytes, header) = (place.bytes(), place.header());
        assert_eq!(parse(start, header, bytes, bytes), Some(Frame::Record(place)));
        assert_eq!(parse(start, header, bytes - 8, bytes), None, "not published that far");
        assert_eq!(parse(start, header, bytes, bytes - 8), None, "the memory ends before");
    }
    assert_eq!(Place::new(8, 10).header(), 1 << 32 | 10);
    assert_eq!(Place::new(8, 64).header(), 2 << 32 | 64);
    assert_eq!(padding(24), 3 << 32 | 16);
    assert_eq!(parse(0, padding(24), 32, 24), Some(Frame::Padding));
    assert_eq!(parse(0, padding(24), 32, 32), None, "padding leads to the end of the memory");
    assert_eq!(parse(0, padding(24), 16, 24), None);
    assert_eq!(parse(0, 0, 64, 64), None, "zeroed memory is no record");
    assert_eq!(parse(0, 4 << 32, 64, 64), None, "no kind");
    assert_eq!(parse(0, u64::MAX, u64::MAX, u64::MAX), None);
}

#[test]
fn exact_fit_fills_the_ring_without_padding() {
    let (mut producer, mut consumer) = ring(64);
    for byte in 0..4 {
        producer.try_send(&[byte; 8]).expect("because there is room");
    }
    assert_eq!(producer.committed_bytes(), 64);
    assert_eq!(producer.try_send(&[]), full(64));
    assert_eq!(pop(&mut consumer), Some(vec![0; 8]));
    producer.try_send(&[4; 8]).expect("because a quarter of the ring is released at once");
    assert_eq!(producer.try_send(&[]), full(64));
    for byte in 1..5 {
        assert_eq!(pop(&mut consumer), Some(vec![byte; 8]));
    }
    assert_eq!(pop(&mut consumer), None);
    assert_eq!(consumer.consumed_bytes(), 80);
}

/// Every place in which a record can meet the end, also with a header's room left and no more.
#[test]
fn padding_fills_what_is_left_at_the_very_end() {
    for before in 0..=24_usize {
        let (mut producer, mut consumer) = ring(64);
        for length in [24, before] {
            producer.try_send(&vec![1; length]).expect("because there is room");
            assert_eq!(pop(&mut consumer), Some(vec![1; length]));
            assert_eq!(pop(&mut consumer), None, "which gives all room back");
        }
        let tail = producer.committed_bytes();
        producer.try_send(&[7; 24]).expect("because a longest record always fits");
        let start = if 64 - tail < 32 { 64 } else { tail };
        assert_eq!(producer.committed_bytes(), start + 32, "behind {before} bytes");
        assert_eq!(pop(&mut consumer), Some(vec![7; 24]));
        assert_eq!(consumer.consumed_bytes(), start + 32);
    }
}

#[test]
fn a_longer_record_is_refused_and_a_longest_one_goes_through_at_once() {
    for capacity in [64, 128, 256, 4096, 1 << 16] {
        let (mut producer, mut consumer) = ring(capacity);
        let max = producer.payload_bytes_max();
        let refused = producer.try_send(&vec![0; max + 1]);
        assert_eq!(refused, Err(ClaimError::TooLong { length: max + 1, max }));
        for lap in 0..9_u8 {
            producer.try_send(&[lap]).expect("because there is room");
            producer.try_send(&vec![lap; max]).unwrap_or_else(|error| panic!("{error} {lap}"));
            assert_eq!(pop(&mut consumer), Some(vec![lap]));
            assert_eq!(pop(&mut consumer), Some(vec![lap; max]));
            assert_eq!(pop(&mut consumer), None);
        }
    }
}

#[test]
fn long_payloads_begin_on_a_cache_line_also_when_committed_short() {
    let (mut producer, mut consumer) = ring(4096);
    for (claimed, committed) in [(64, 64), (65, 65), (1000, 3), (64, 0), (300, 300)] {
        producer.try_send(&[0; 3]).expect("because there is room");
        let mut claim = producer.claim(claimed).expect("because there is room");
        assert_eq!(claim.bytes_mut().as_ptr().addr() % ALIGNMENT, 0);
        claim.bytes_mut().fill(claimed as u8);
        claim.commit(committed);
        pop(&mut consumer).expect("because it was sent");
        let record = consumer.try_recv().expect("because no peer lies").expect("because sent");
        assert_eq!(record.bytes(), vec![claimed as u8; committed]);
        assert_eq!(record.bytes().as_ptr().addr() % ALIGNMENT, 0);
        record.consume();
    }
}

#[test]
fn a_claim_that_is_dropped_publishes_nothing() {
    let (mut producer, mut consumer) = ring(64);
    for lap in 0..20 {
        let mut claim = producer.claim(17).expect("because there is room");
        claim.write(0, &[99; 17]);
        drop(claim);
        assert_eq!(pop(&mut consumer), None);
        producer.try_send(&[lap; 9]).expect("because there is room");
        assert_eq!(pop(&mut consumer), Some(vec![lap; 9]));
    }
}

#[test]
fn a_batch_is_visible_as_a_whole_or_not_at_all() {
    let (mut producer, mut consumer) = ring(1024);
    let mut batch = producer.batch();
    batch.push(b"never").expect("because there is room");
    batch.push(b"seen").expect("because there is room");
    assert_eq!(batch.staged_bytes(), 32);
    drop(batch);
    assert_eq!(pop(&mut consumer), None);

    producer.try_send(b"zero").expect("because there is room");
    assert_eq!(pop(&mut consumer), Some(b"zero".to_vec()));
    let mut batch = producer.batch();
    assert_eq!(batch.staged_bytes(), 0);
    batch.push(b"one").expect("because there is room");
    assert_eq!(batch.staged_bytes(), 16);
    drop(batch.claim(100).expect("because there is room"));
    let mut claim = batch.claim(100).expect("because there is room");
    claim.write(1, b"wo");
    claim.write(0, b"t");
    claim.commit(3);
    batch.commit();
    producer.batch().commit();
    assert_eq!(pop(&mut consumer), Some(b"one".to_vec()));
    assert_eq!(pop(&mut consumer), Some(b"two".to_vec()));
    assert_eq!(pop(&mut consumer), None);
}

#[test]
fn a_batch_that_meets_the_end_of_the_room_can_still_be_committed() {
    let (mut producer, mut consumer) = ring(64);
    let mut batch = producer.batch();
    let mut sent = 0;
    while batch.push(&[sent; 8]).is_ok() {
        sent += 1;
    }
    batch.commit();
    assert_eq!(sent, 4);
    let mut drain = consumer.drain(usize::MAX);
    for byte in 0..sent {
        let view = drain.take().expect("because no peer lies").expect("because it was sent");
        assert_eq!(view.bytes(), [byte; 8]);
    }
    assert!(drain.take().expect("because no peer lies").is_none());
    drop(drain);
    producer.try_send(&[4; 24]).expect("because the batch was released");
}

#[test]
fn what_a_drain_did_not_take_stays() {
    let (mut producer, mut consumer) = ring(256);
    for byte in 0..5 {
        producer.try_send(&[byte]).expect("because there is room");
    }
    let mut drain = consumer.drain(2);
    let mut first = [0];
    drain.take().expect("because no peer lies").expect("because sent").read(0, &mut first);
    assert_eq!(first, [0]);
    assert!(drain.take().expect("because no peer lies").is_some());
    assert!(drain.take().expect("because no peer lies").is_none(), "the batch is complete");
    drop(drain);
    drop(consumer.drain(3));
    core::mem::forget({
        let mut drain = consumer.drain(3);
        assert!(drain.take().expect("because no peer lies").is_some());
        drain
    });
    assert_eq!(pop(&mut consumer), Some(vec![2]), "a leaked drain consumes nothing");
}

#[test]
fn a_record_stays_until_it_is_consumed() {
    let (mut producer, mut consumer) = ring(64);
    producer.try_send(b"abc").expect("because there is room");
    for _ in 0..3 {
        let record = consumer.try_recv().expect("because no peer lies").expect("because sent");
        let mut last = [0; 2];
        record.read(1, &mut last);
        assert_eq!((record.length(), &last), (3, b"bc"));
    }
    assert_eq!(pop(&mut consumer), Some(b"abc".to_vec()));
}

#[test]
#[should_panic(expected = "payload exceeds the claim")]
fn writing_beyond_the_claim_panics() {
    let (mut producer, _consumer) = ring(64);
    producer.claim(8).expect("because there is room").write(7, &[1, 2]);
}

#[test]
#[should_panic(expected = "length exceeds the claim")]
fn committing_more_than_was_claimed_panics() {
    let (mut producer, _consumer) = ring(64);
    producer.claim(8).expect("because there is room").commit(9);
}

#[test]
#[should_panic(expected = "range beyond the payload")]
fn reading_beyond_the_payload_panics() {
    let (mut producer, mut consumer) = ring(64);
    producer.try_send(&[1]).expect("because there is room");
    let record = consumer.try_recv().expect("because no peer lies").expect("because sent");
    record.read(1, &mut [0]);
}

/// The kernel under the framing refuses what is not its own, whatever the framing asks (RB-10).
#[test]
fn windows_beyond_the_own_bytes_are_refused() {
    let refused = |attempt: fn()| {
        let panic = std::panic::catch_unwind(attempt).expect_err("because it is not its own");
        let text = *panic.downcast_ref::<&str>().expect("because the message is fixed");
        assert!(text.ends_with("beyond the own bytes"), "{text}");
    };
    let sides = || heap(64).expect("because the capacity is valid");
    refused(|| drop(heap(64).map(|(mut write, _)| write.window(8, 64).len())));
    refused(|| drop(heap(64).map(|(_, read)| read.window(0, 1).len())));
    refused(|| drop(heap(64).map(|(mut write, _)| write.publish(72))));
    refused(|| drop(heap(64).map(|(_, mut read)| read.advance(8))));
    refused(|| {
        let (mut write, _read) = heap(64).expect("because the capacity is valid");
        write.publish(8);
        write.put_word(0, 1);
    });
    refused(|| {
        let (mut write, mut read) = heap(64).expect("because the capacity is valid");
        write.publish(16);
        read.refresh().expect("because the tail is true");
        read.advance(8);
        read.word(0);
    });
    refused(|| {
        let (mut write, mut read) = heap(64).expect("because the capacity is valid");
        write.publish(64);
        read.refresh().expect("because the tail is true");
        read.advance(32);
        write.refresh().expect("because the head is true");
        // The room is there, but not in one piece.
        write.publish(88);
        write.window(88, 56);
    });
    let (mut write, mut read) = sides();
    write.window(0, 64).fill(5);
    write.publish(64);
    read.refresh().expect("because the tail is true");
    assert_eq!(read.window(0, 64), [5; 64]);
}

#[test]
fn a_lying_head_is_refused() {
    let (write, read, _, head) = heap_sides_and_words(64).expect("because it is valid");
    let (mut producer, mut consumer) = (Producer::new(write), Consumer::new(read));
    for _ in 0..4 {
        producer.try_send(&[0; 8]).expect("because there is room");
    }
    head.store_release(0, 72);
    let refused = Err(ClaimError::CorruptHead { head: 72, low: 0, high: 64 });
    assert_eq!(producer.try_send(&[]), refused);
    head.store_release(0, 0);
    assert_eq!(pop(&mut consumer), Some(vec![0; 8]));
    producer.try_send(&[0; 8]).expect("because the head is true again");
    head.store_release(0, 8);
    let refused = Err(ClaimError::CorruptHead { head: 8, low: 16, high: 80 });
    assert_eq!(producer.try_send(&[]), refused);
}

#[test]
fn a_lying_tail_is_refused() {
    for lie in [4, 72, u64::MAX] {
        let (_write, read, tail, _) = heap_sides_and_words(64).expect("because it is valid");
        let mut consumer = Consumer::new(read);
        tail.store_release(0, lie);
        let refused = consumer.try_recv().map(|_| ());
        assert_eq!(refused, Err(ReadError::CorruptTail { tail: lie, low: 0, high: 64 }));
    }
    let (write, read, tail, _) = heap_sides_and_words(64).expect("because it is valid");
    let (mut producer, mut consumer) = (Producer::new(write), Consumer::new(read));
    producer.try_send(&[0; 8]).expect("because there is room");
    pop(&mut consumer).expect("because it was sent");
    tail.store_release(0, 8);
    let refused = consumer.try_recv().map(|_| ());
    assert_eq!(refused, Err(ReadError::CorruptTail { tail: 8, low: 16, high: 80 }));
}

/// Behind other records too, a record that was not published as a whole is none.
#[test]
fn a_header_that_leads_beyond_the_tail_is_refused_anywhere() {
    let (mut write, read) = heap(1024).expect("because the capacity is valid");
    let mut consumer = Consumer::new(read);
    for position in (0..160).step_by(16) {
        write.put_word(position, Place::new(position, 8).header());
        write.publish(position + 16);
        assert_eq!(pop(&mut consumer).map(|bytes| bytes.len()), Some(8));
    }
    let header = Place::new(160, 16).header();
    write.put_word(160, header);
    write.publish(160 + 16);
    let refused = consumer.try_recv().map(|_| ());
    assert_eq!(refused, Err(ReadError::CorruptHeader { position: 160, header }));
}

/// Any header at all ends in a record within what was published, or in an error.
#[test]
fn a_lying_header_is_refused() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut refused = 0;
    for round in 0..20_000 {
        let (mut write, read) = heap(256).expect("because the capacity is valid");
        let published = 8 * random.u64(1..=32);
        let header = match round % 3 {
            0 => random.u64(..),
            1 => random.u64(0..5) << 32 | random.u64(0..40),
            _ => random.u64(1..4) << 32 | random.u64(0..1 << 32),
        };
        write.put_word(0, header);
        write.publish(published);
        let mut consumer = Consumer::new(read);
        match consumer.try_recv() {
            Ok(Some(record)) => {
                assert_eq!(record.length() as u64, header & 0xffff_ffff);
                assert!(record.bytes().len() as u64 + 8 <= published);
            }
            Ok(None) => assert_eq!((header, published), (padding(256), 256)),
            Err(error) => {
                assert_eq!(error, ReadError::CorruptHeader { position: 0, header });
                refused += 1;
            }
        }
    }
    assert!(refused > 10_000, "only {refused} headers were refused");
}

#[test]
fn ends_notice_that_the_other_is_gone() {
    let (mut producer, mut consumer) = channel(64, Yield).expect("because it is valid");
    assert!(!producer.is_closed() && !consumer.is_closed());
    producer.send(b"last").expect("because the consumer is there");
    assert!(matches!(consumer.try_recv(), Ok(Some(_))));
    drop(producer);
    assert!(consumer.is_closed());
    let record = consumer.recv().expect("because records are left");
    assert_eq!(record.bytes(), b"last");
    record.consume();
    assert!(matches!(consumer.try_recv(), Err(ReadError::Closed)));
    assert!(matches!(consumer.recv(), Err(ReadError::Closed)));

    let (mut producer, consumer) = channel(64, Yield).expect("because it is valid");
    drop(consumer);
    assert!(producer.is_closed());
    while producer.send(&[1; 8]).is_ok() {}
    assert_eq!(producer.try_send(&[1; 8]), Err(ClaimError::Closed));
    assert_eq!(producer.send(&[1; 8]), Err(ClaimError::Closed));
    let max = producer.payload_bytes_max();
    let refused = producer.send(&vec![0; max + 1]);
    assert_eq!(refused, Err(ClaimError::TooLong { length: max + 1, max }));
}

#[test]
fn a_sleeping_consumer_is_woken_by_records_and_by_the_end() {
    let wait = Meanwhile::default();
    let (producer, mut consumer) = channel(64, wait.clone()).expect("because it is valid");
    let producer = Kept::new(Some(producer));
    for value in 0..4_u8 {
        let sender = producer.clone();
        wait.then(move || {
            sender.with(|producer| {
                let producer = producer.as_mut().expect("because it is there");
                match value % 2 {
                    0 => producer.send(&[value]).expect("because there is room"),
                    _ => {
                        let mut batch = producer.batch();
                        batch.push(&[value]).expect("because there is room");
                        batch.commit();
                    }
                }
            });
        });
        let record = consumer.recv().expect("because the producer is there");
        assert_eq!(record.bytes(), [value]);
        record.consume();
        assert!(wait.is_done(), "it slept");
    }
    wait.then(move || drop(producer.with(Option::take)));
    assert!(matches!(consumer.recv(), Err(ReadError::Closed)));
    assert!(wait.is_done());
}

#[test]
fn a_sleeping_producer_is_woken_by_room_and_by_the_end() {
    let wait = Meanwhile::default();
    let (mut producer, consumer) = channel(64, wait.clone()).expect("because it is valid");
    let consumer = Kept::new(Some(consumer));
    for take in 0..3 {
        while producer.try_send(&[0; 8]).is_ok() {}
        let taker = consumer.clone();
        wait.then(move || {
            taker.with(|consumer| {
                let consumer = consumer.as_mut().expect("because it is there");
                if take == 0 {
                    let mut batch = consumer.drain(9);
                    while let Ok(Some(_)) = batch.take() {}
                } else {
                    while let Ok(Some(record)) = consumer.try_recv() {
                        record.consume();
                    }
                }
            });
        });
        assert_eq!(producer.send(&[1; 8]), Ok(()));
        assert!(wait.is_done(), "it slept");
    }
    while producer.try_send(&[0; 8]).is_ok() {}
    wait.then(move || drop(consumer.with(Option::take)));
    assert_eq!(producer.send(&[1; 8]), Err(ClaimError::Closed));
    assert!(wait.is_done());
}

/// Less than a quarter of a lap goes back when it is asked for, and wakes the producer.
/// Sends records of eight bytes, 16 with the header, until the ring is full; how many.
fn fill(producer: &mut HeapProducer) -> usize {
    core::iter::repeat_with(|| producer.try_send(&[7; 8])).take_while(Result::is_ok).count()
}

#[test]
fn room_is_given_back_a_quarter_at_a_time_in_every_lap() {
    let (mut producer, mut consumer) = ring(1024);
    assert_eq!(fill(&mut producer), 64);
    for quarter in 0..12 {
        for _ in 0..15 {
            assert!(pop(&mut consumer).is_some());
            assert_eq!(fill(&mut producer), 0, "quarter={quarter}");
        }
        assert!(pop(&mut consumer).is_some());
        assert_eq!(fill(&mut producer), 16, "quarter={quarter}");
    }
}

#[test]
fn room_is_given_back_when_nothing_is_left() {
    let (mut producer, mut consumer) = ring(1024);
    for _ in 0..3 {
        producer.try_send(&[7; 8]).expect("because there is room");
        assert!(pop(&mut consumer).is_some());
    }
    assert_eq!(pop(&mut consumer), None);
    assert_eq!(fill(&mut producer), 64);
}

/// What a ring touched goes back with it: no more stays than a few of the many rings.
#[test]
fn memory_goes_with_the_last_end() {
    const RING_BYTES: usize = 16 << 20;
    let resident_bytes = || {
        let pages = std::fs::read_to_string("/proc/self/statm").expect("because this is Linux");
        let pages = pages.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
        pages.expect("because it lists numbers") * 4096
    };
    let before = resident_bytes();
    for _ in 0..24 {
        drop(ring(RING_BYTES));
    }
    let more = resident_bytes().saturating_sub(before);
    assert!(more < 12 * RING_BYTES, "{more} bytes stayed");
}

#[test]
fn room_is_given_back_on_demand() {
    let wait = Meanwhile::default();
    let (mut producer, mut consumer) = channel(256, wait.clone()).expect("because it is valid");
    while producer.try_send(&[0; 8]).is_ok() {}
    let record = consumer.try_recv().expect("because no peer lies");
    record.expect("because the ring is full").consume();
    assert_eq!(producer.try_send(&[1; 8]), full(256));
    wait.then(move || {
        consumer.release();
        core::mem::forget(consumer);
    });
    assert_eq!(producer.send(&[1; 8]), Ok(()));
    assert!(wait.is_done(), "it slept");
}

/// An end may move to another thread; the compiler checks it.
#[test]
fn ends_are_send() {
    fn is_send<T: Send>() {}
    is_send::<HeapProducer>();
    is_send::<HeapConsumer>();
    is_send::<ChannelProducer<Yield>>();
    is_send::<ChannelConsumer<Yield>>();
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    SendShort(usize, usize),
    Abort(usize),
    Batch(Vec<usize>, bool),
    Pop,
    Peek,
    Drain(usize),
    Release,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = || prop_oneof![0..20_usize, 0..200_usize, 0..2000_usize];
    let step = prop_oneof![
        6 => length().prop_map(Step::Send),
        2 => (length(), length()).prop_map(|(a, b)| Step::SendShort(a.max(b), a.min(b))),
        1 => length().prop_map(Step::Abort),
        2 => (proptest::collection::vec(length(), 0..6), any::<bool>())
            .prop_map(|(lengths, is_committed)| Step::Batch(lengths, is_committed)),
        6 => Just(Step::Pop),
        1 => Just(Step::Peek),
        2 => (0..6_usize).prop_map(Step::Drain),
        1 => Just(Step::Release),
    ];
    proptest::collection::vec(step, 0..300)
}

/// A payload that is like no other one.
fn payload(number: &mut u64, length: usize) -> Vec<u8> {
    *number += 1;
    let mut random = fastrand::Rng::with_seed(*number);
    (0..length).map(|_| random.u8(..)).collect()
}

proptest! {
    /// Any sequence of operations behaves like a bounded FIFO queue (RB-1, RB-3, RB-13).
    #[test]
    fn behaves_like_a_queue(capacity_log2 in 6_u32..13, steps in steps()) {
        let capacity = 1_usize << capacity_log2;
        let (mut producer, mut consumer) = ring(capacity);
        let max = producer.payload_bytes_max();
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let mut number = 0;
        // Refused only when it does not fit: padding and record, each at most this long, behind
        // what is not consumed and less than a quarter that is not released.
        let check = |error: ClaimError, length: usize, used: u64| match error {
            ClaimError::TooLong { .. } => assert!(length > max),
            ClaimError::Full { .. } => {
                assert!(length <= max);
                let record = length as u64 + 64 + 8;
                assert!(used + capacity as u64 / 4 + 2 * record > capacity as u64);
            }
            other => panic!("{other}"),
        };
        for step in steps {
            let used = producer.committed_bytes() - consumer.consumed_bytes();
            match step {
                Step::Send(length) => {
                    let bytes = payload(&mut number, length);
                    match producer.try_send(&bytes) {
                        Ok(()) => model.push_back(bytes),
                        Err(error) => check(error, length, used),
                    }
                }
                Step::SendShort(claimed, committed) => {
                    let bytes = payload(&mut number, claimed);
                    match producer.claim(claimed) {
                        Ok(mut claim) => {
                            claim.bytes_mut().copy_from_slice(&bytes);
                            claim.commit(committed);
                            model.push_back(bytes[..committed].to_vec());
                        }
                        Err(error) => check(error, claimed, used),
                    }
                }
                Step::Abort(length) => {
                    let _ = producer.claim(length).map(|mut claim| claim.bytes_mut().fill(0xaa));
                }
                Step::Batch(lengths, is_committed) => {
                    let mut batch = producer.batch();
                    let mut staged = Vec::new();
                    for length in lengths {
                        let bytes = payload(&mut number, length);
                        match batch.push(&bytes) {
                            Ok(()) => staged.push(bytes),
                            Err(error) => check(error, length, used + batch.staged_bytes()),
                        }
                    }
                    if is_committed {
                        batch.commit();
                        model.extend(staged);
                    }
                }
                Step::Pop => prop_assert_eq!(pop(&mut consumer), model.pop_front()),
                Step::Peek => {
                    let seen = consumer.try_recv().expect("because no peer lies");
                    let seen = seen.as_ref().map(|record| record.bytes());
                    prop_assert_eq!(seen, model.front().map(Vec::as_slice));
                }
                Step::Drain(count) => {
                    let mut drain = consumer.drain(count);
                    for _ in 0..count {
                        let seen = drain.take().expect("because no peer lies");
                        let expected = model.pop_front();
                        prop_assert_eq!(seen.map(|view| view.bytes()), expected.as_deref());
                    }
                }
                Step::Release => consumer.release(),
            }
        }
        while let Some(bytes) = pop(&mut consumer) {
            prop_assert_eq!(Some(bytes), model.pop_front());
        }
        prop_assert!(model.is_empty());
    }
}

/// Two threads, every byte of every record checked at the reader, for a seed and a capacity.
fn stress(seed: u64, capacity: usize, records: u64) {
    let (mut producer, mut consumer) = channel(capacity, Yield).expect("because it is valid");
    let longest = producer.payload_bytes_max().min(3000);
    let length = move |random: &mut fastrand::Rng| match random.u8(0..4) {
        0 => random.usize(0..=longest),
        _ => random.usize(0..=longest.min(40)),
    };
    let sender = thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut left = records;
        while left > 0 {
            if random.u8(0..8) == 0 {
                drop(producer.claim(longest));
            }
            let length = length(&mut random);
            let fill = random.u8(..);
            let bytes: Vec<u8> = (0..length).map(|at| fill.wrapping_add(at as u8)).collect();
            match left % 3 {
                0 => producer.send(&bytes).expect("because the consumer is there"),
                1 => {
                    let claim = producer.claim_when_free(length);
                    let mut claim = claim.expect("because the consumer is there");
                    claim.bytes_mut().copy_from_slice(&bytes);
                    claim.commit(length);
                }
                _ => loop {
                    let mut batch = producer.batch();
                    match batch.push(&bytes) {
                        Ok(()) => break batch.commit(),
                        Err(ClaimError::Full { .. }) => thread::yield_now(),
                        Err(other) => panic!("{other}"),
                    }
                },
            }
            left -= 1;
        }
    });
    let mut random = fastrand::Rng::with_seed(seed);
    let mut expect = |bytes: &[u8]| {
        random.u8(0..8);
        assert_eq!(bytes.len(), length(&mut random), "seed={seed} capacity={capacity}");
        let fill = random.u8(..);
        let is_right = bytes.iter().enumerate().all(|(at, &b)| b == fill.wrapping_add(at as u8));
        assert!(is_right, "seed={seed} capacity={capacity}");
    };
    let mut received = 0;
    loop {
        match consumer.recv() {
            Ok(record) => expect(record.bytes()),
            Err(error) => break assert_eq!(error, ReadError::Closed),
        }
        // The first of the batch is the record that was looked at.
        let mut drain = consumer.drain(1 + received as usize % 5);
        let mut is_first = true;
        while let Some(view) = drain.take().expect("because no peer lies") {
            if !is_first {
                expect(view.bytes());
            }
            is_first = false;
            received += 1;
        }
    }
    assert_eq!(received, records, "seed={seed} capacity={capacity}");
    sender.join().expect("because the sender does not panic");
}

#[test]
fn stress_with_checksums() {
    for (seed, capacity) in [(1, 64), (2, 128), (3, 1 << 10), (4, 1 << 14), (5, 1 << 20)] {
        stress(seed, capacity, 20_000);
    }
}
