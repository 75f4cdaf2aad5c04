//! One operation of a ring, many times and in one thread, for counting its instructions.
//!
//! `cargo xtask instructions` runs it under valgrind. Without arguments it names the operations.
//! It measures no time: a single thread shows what a message costs in work, not what two cores
//! do to each other.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::ExitCode;

use corelane_ring::{
    HeapWords, Shape, Spin, broadcast, fan_in, latency, mpmc, mpsc, sharing, spsc, throughput,
};

/// Messages sent before they are received. A receiver whose looks find fewer steps back, and
/// the pauses would hide the work.
const BURST: usize = 64;
const SLOTS: usize = 256;

/// Bursts of messages of so many words, each message with a call of its own at both ends.
macro_rules! singles {
    ($ring:ident, $words:literal) => {
        |bursts| {
            let made = $ring::channel::<[u64; $words], _>(SLOTS, Spin);
            let (mut producer, mut consumer) = made.expect("because the capacity is valid");
            for _ in 0..bursts {
                for value in 0..BURST as u64 {
                    let sent = producer.try_send(black_box([value; $words]));
                    sent.expect("because a burst fits");
                }
                for _ in 0..BURST {
                    black_box(consumer.try_recv().expect("because a burst was sent"));
                }
            }
        }
    };
}

/// Bursts of messages of so many words, sent by one call and received by one call.
macro_rules! batches {
    ($ring:ident, $words:literal) => {
        |bursts| {
            let made = $ring::channel::<[u64; $words], _>(SLOTS, Spin);
            let (mut producer, mut consumer) = made.expect("because the capacity is valid");
            let messages = [[7; $words]; BURST];
            let mut received = Vec::with_capacity(BURST);
            for _ in 0..bursts {
                assert_eq!(producer.send_many(black_box(messages)), BURST);
                assert_eq!(consumer.recv_many(&mut received, BURST), BURST);
                black_box(&mut received).clear();
            }
        }
    };
}

/// Runs so many bursts.
type Operation = fn(u64);

/// What is counted; a new row is recorded with `cargo xtask instructions --write`.
const OPERATIONS: &[(&str, Operation)] = &[
    ("latency, 48 B", |bursts| latency_records(bursts, false)),
    ("latency, 48 B, with an intent", |bursts| latency_records(bursts, true)),
    ("spsc, 8 B", singles!(spsc, 1)),
    ("spsc, 64 B", singles!(spsc, 8)),
    ("spsc, 8 B, in turns", spsc_turns),
    ("spsc, 8 B, batch of 64", batches!(spsc, 1)),
    ("mpsc, 8 B", singles!(mpsc, 1)),
    ("mpsc, 8 B, batch of 64", batches!(mpsc, 1)),
    ("mpmc, 8 B", singles!(mpmc, 1)),
    ("mpmc, 8 B, batch of 64", batches!(mpmc, 1)),
    ("fan_in, 8 B", singles!(fan_in, 1)),
    ("sharing, 8 B", singles!(sharing, 1)),
    ("sharing, 8 B, batch of 64", batches!(sharing, 1)),
    ("broadcast, 64 B", broadcast_to_one),
    ("broadcast, 64 B, batch of 64", broadcast_batches_to_one),
    ("throughput, 64 B", |bursts| throughput_records(bursts, false)),
    ("throughput, 64 B, with an intent", |bursts| throughput_records(bursts, true)),
];

fn broadcast_to_one(bursts: u64) {
    let made = broadcast::channel::<[u64; 8], _>(SLOTS, 1, Spin);
    let (mut publisher, subscribers) = made.expect("because the capacity is valid");
    let subscriber = subscribers.reliable(broadcast::Start::Tail);
    let mut subscriber = subscriber.expect("because there is a seat");
    for _ in 0..bursts {
        for value in 0..BURST as u64 {
            publisher.try_send(black_box([value; 8])).expect("because a burst fits");
        }
        for _ in 0..BURST {
            black_box(subscriber.try_recv().expect("because a burst was sent"));
        }
    }
}

fn broadcast_batches_to_one(bursts: u64) {
    let made = broadcast::channel::<[u64; 8], _>(SLOTS, 1, Spin);
    let (mut publisher, subscribers) = made.expect("because the capacity is valid");
    let subscriber = subscribers.reliable(broadcast::Start::Tail);
    let mut subscriber = subscriber.expect("because there is a seat");
    let messages = [[7; 8]; BURST];
    let mut received = Vec::with_capacity(BURST);
    for _ in 0..bursts {
        assert_eq!(publisher.send_many(black_box(messages)), BURST);
        assert_eq!(subscriber.recv_many(&mut received, BURST), Ok(BURST));
        black_box(&mut received).clear();
    }
}

fn throughput_records(bursts: u64, has_intent: bool) {
    let sides = throughput::heap(64 << 10).expect("because the capacity is valid");
    let mut side = sides.0;
    if has_intent {
        side = side.with_intent(HeapWords::new(8)).expect("because there are enough words");
    }
    let mut producer = throughput::Producer::new(side);
    let mut consumer = throughput::Consumer::new(sides.1);
    for _ in 0..bursts {
        for value in 0..BURST as u8 {
            producer.try_send(black_box(&[value; 64])).expect("because a burst fits");
        }
        for _ in 0..BURST {
            let record = consumer.try_recv().expect("because the producer is honest");
            let record = record.expect("because a burst was sent");
            black_box(record.bytes());
            record.consume();
        }
    }
}

fn latency_records(bursts: u64, has_intent: bool) {
    let shape = Shape::new(SLOTS, 7).expect("because the shape is valid");
    let data = HeapWords::new(shape.data_words());
    let cursor = HeapWords::new(latency::CURSOR_WORDS);
    let producer = latency::Producer::new(shape, data.clone(), cursor.clone());
    let mut producer = producer.expect("because the words have the shape");
    if has_intent {
        producer = producer.with_intent(HeapWords::new(8)).expect("because there is a word");
    }
    let consumer = latency::Consumer::new(shape, data, cursor);
    let mut consumer = consumer.expect("because the words have the shape");
    for _ in 0..bursts {
        for value in 0..BURST as u64 {
            let mut claim = producer.claim().expect("because a burst fits");
            claim.write(0, &black_box([value; 6]));
            claim.commit(48);
        }
        for _ in 0..BURST {
            let record = consumer.peek().expect("because the producer is honest");
            let record = record.expect("because a burst was sent");
            let mut words = [0; 6];
            record.read(0, &mut words);
            black_box(words);
            record.consume();
        }
        consumer.release();
    }
}

/// One message at a time, and a look in vain before the next, as in question and answer.
fn spsc_turns(bursts: u64) {
    let made = spsc::channel::<u64, _>(SLOTS, Spin);
    let (mut producer, mut consumer) = made.expect("because the capacity is valid");
    for _ in 0..bursts {
        for value in 0..BURST as u64 {
            producer.try_send(black_box(value)).expect("because there is room");
            black_box(consumer.try_recv().expect("because one was sent"));
            assert!(black_box(consumer.try_recv()).is_err());
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(count)) = (arguments.next(), arguments.next()) else {
        OPERATIONS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let operation = OPERATIONS.iter().find(|(known, _)| *known == name);
    match (operation, count.parse::<u64>()) {
        (Some((_, run)), Ok(messages)) if messages.is_multiple_of(BURST as u64) => {
            run(messages / BURST as u64);
            ExitCode::SUCCESS
        }
        (Some(_), _) => {
            eprintln!("count={count} is not a multiple of {BURST}");
            ExitCode::FAILURE
        }
        (None, _) => {
            eprintln!("operation={name} is not known: call without arguments for the names");
            ExitCode::FAILURE
        }
    }
}
