//! Models of the broadcast that loom runs through every interleaving. Run with `ci/loom`.

use loom::thread;

use super::*;
use crate::{HeapWords, ReadWords, WriteWords};

type WordPublisher = super::WordPublisher<HeapWords, HeapWords>;
type WordSubscriber = super::WordSubscriber<HeapWords, HeapWords>;

/// Most times that a model takes the processor away from a thread that could go on. What is found
/// with more is rare, and every model in full would take hours; LOOM_MAX_PREEMPTIONS goes deeper.
const PREEMPTIONS_MAX: usize = 2;
/// A join that is counted before its cursor can be seen shows with three.
const PREEMPTIONS_MAX_JOIN: usize = 3;

fn model(run: impl Fn() + Sync + Send + 'static) {
    model_to(PREEMPTIONS_MAX, run);
}

fn model_to(preemptions_max: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions_max));
    builder.check(run);
}

/// Where a model's subscribers find their words.
#[derive(Clone)]
struct Log {
    shape: LogShape,
    data: HeapWords,
    group: HeapWords,
}

impl Log {
    fn new(slots: usize, policy: LagPolicy) -> (WordPublisher, Self) {
        let shape = LogShape::new(slots, 2, 1).expect("because the shape is valid");
        let data = HeapWords::new(shape.data_words());
        let group = HeapWords::new(LogShape::group_words(1));
        let mut publisher =
            WordPublisher::new(shape, policy, data.clone()).expect("because it fits");
        publisher.add_group(group.clone()).expect("because it fits");
        (publisher, Self { shape, data, group })
    }

    fn reliable(&self, start: Start) -> WordSubscriber {
        let seat = Seat { group: self.group.clone(), first: 0, seat: 0 };
        WordSubscriber::join_reliable(self.shape, self.data.clone(), seat, start)
            .expect("because the seat is free")
    }

    fn lossy(&self, start: Start) -> WordSubscriber {
        WordSubscriber::join_lossy(self.shape, self.data.clone(), start).expect("because it fits")
    }
}

/// Publishes the sequences from the tail up to `end`, and closes.
fn publish_to(mut publisher: WordPublisher, end: u64) {
    while publisher.published() < end {
        let value = publisher.published();
        match publisher.claim(1) {
            Ok(mut claim) => {
                claim.put(&[value, !value]);
                claim.commit();
            }
            Err(_) => thread::yield_now(),
        }
    }
    publisher.close();
}

/// Reads until the log is closed; every record must be the one of its position, and what was
/// received and missed must add up to everything from the start to `end`. How often it was told
/// that it was demoted.
fn read_to(subscriber: &mut WordSubscriber, end: u64) -> u64 {
    let (first, mut received, mut demoted) = (subscriber.position(), 0, 0);
    loop {
        let position = subscriber.position();
        let mut record = [0; 2];
        match subscriber.try_recv(&mut record) {
            Ok(()) => {
                assert_eq!(record, [position, !position]);
                received += 1;
            }
            Err(TryRecvError::Empty) => thread::yield_now(),
            Err(TryRecvError::Closed) => break,
            Err(TryRecvError::Lagged { missed }) => {
                assert!(!subscriber.is_reliable());
                assert_eq!(subscriber.position(), position + missed);
            }
            Err(TryRecvError::Demoted) => demoted += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(first + received + subscriber.missed(), end);
    demoted
}

/// A reliable subscriber gets every record though every slot is written more than once.
#[test]
fn reliable_wraps_at_capacity_two() {
    model(|| {
        let (publisher, log) = Log::new(2, LagPolicy::Wait);
        let mut subscriber = log.reliable(Start::Tail);
        let sender = thread::spawn(move || publish_to(publisher, 4));
        read_to(&mut subscriber, 4);
        assert_eq!(subscriber.missed(), 0);
        sender.join().expect("because the sender does not panic");
    });
}

/// Four slots, five records.
#[test]
fn reliable_wraps_at_capacity_four() {
    model(|| {
        let (publisher, log) = Log::new(4, LagPolicy::Wait);
        let mut subscriber = log.reliable(Start::Tail);
        let sender = thread::spawn(move || publish_to(publisher, 5));
        read_to(&mut subscriber, 5);
        assert_eq!(subscriber.missed(), 0);
        sender.join().expect("because the sender does not panic");
    });
}

/// A lossy subscriber is overrun and never takes a torn record or one of another lap (RB-21).
#[test]
fn lossy_is_never_torn() {
    model(|| {
        let (publisher, log) = Log::new(2, LagPolicy::Wait);
        let mut subscriber = log.lossy(Start::Tail);
        let sender = thread::spawn(move || publish_to(publisher, 4));
        read_to(&mut subscriber, 4);
        sender.join().expect("because the sender does not panic");
    });
}

/// Who joins in the midst is never overrun, wherever it begins (RB-22).
fn join_late(start: Start) {
    model_to(PREEMPTIONS_MAX_JOIN, move || {
        let (publisher, log) = Log::new(2, LagPolicy::Wait);
        let sender = thread::spawn(move || publish_to(publisher, 4));
        let mut subscriber = log.reliable(start);
        read_to(&mut subscriber, 4);
        assert_eq!(subscriber.missed(), 0);
        sender.join().expect("because the sender does not panic");
    });
}

#[test]
fn late_join_at_the_tail_is_never_overrun() {
    join_late(Start::Tail);
}

#[test]
fn late_join_at_the_oldest_is_never_overrun() {
    join_late(Start::Oldest);
}

/// Who is demoted in the midst of reading takes no record that was overwritten meanwhile (RB-23).
#[test]
fn demotion_is_noticed_before_damage() {
    model(|| {
        let (publisher, log) = Log::new(2, LagPolicy::Demote { lag_max: 2 });
        let mut subscriber = log.reliable(Start::Tail);
        let sender = thread::spawn(move || publish_to(publisher, 4));
        assert!(read_to(&mut subscriber, 4) <= 1, "told at most once");
        sender.join().expect("because the sender does not panic");
    });
}

/// A claim that is dropped leaves nothing behind that anybody would take for a record (RB-3).
#[test]
fn abort_publishes_nothing() {
    model(|| {
        let (mut publisher, log) = Log::new(2, LagPolicy::Wait);
        let mut subscriber = log.lossy(Start::Tail);
        let sender = thread::spawn(move || {
            for value in 0..2 {
                let mut claim = publisher.claim(1).expect("because nobody is reliable");
                claim.put(&[value, !value]);
                claim.commit();
            }
            let mut claim = publisher.claim(1).expect("because nobody is reliable");
            claim.put(&[99, 99]);
            drop(claim);
            publish_to(publisher, 3);
        });
        read_to(&mut subscriber, 3);
        sender.join().expect("because the sender does not panic");
    });
}

/// What a subscriber did before it released, or left, is done when its slot is written again: C20
/// and P25. As in the model of the `latency` ring, it leaves a receipt that must be found.
#[test]
fn reuse_comes_after_the_release() {
    model(|| {
        let (mut publisher, log) = Log::new(2, LagPolicy::Wait);
        let mut subscriber = log.reliable(Start::Tail);
        let receipts = HeapWords::new(2);
        let found = receipts.clone();
        let sender = thread::spawn(move || {
            for value in 0..4 {
                loop {
                    let Ok(claim) = publisher.claim(1) else {
                        thread::yield_now();
                        continue;
                    };
                    let receipt = found.load_relaxed(value as usize % 2);
                    assert_eq!(receipt, if value < 2 { 0 } else { value - 1 });
                    let mut claim = claim;
                    claim.put(&[value, !value]);
                    claim.commit();
                    break;
                }
            }
        });
        for value in 0..2 {
            // The receipt stands for reading: it is written before the record is released.
            while subscriber.refresh() == 0 {
                thread::yield_now();
            }
            receipts.store_relaxed(value as usize % 2, value + 1);
            if value == 1 {
                break;
            }
            subscriber.try_recv(&mut [0; 2]).expect("because a record is there");
        }
        drop(subscriber);
        sender.join().expect("because the sender does not panic");
    });
}
