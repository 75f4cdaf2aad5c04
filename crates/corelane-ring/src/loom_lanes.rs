//! Models of fan-in and sharing, which loom runs through every interleaving up to a number of
//! preemptions. Run with `ci/loom`.
//!
//! Sharing copies words that may be written meanwhile. loom shows every copy that the orders allow
//! but one kind: it never lets a load see a store that comes after it. For that the consumer leaves
//! a receipt before it takes a message, which the producer must find when it writes the slot again.

use loom::thread;

use crate::ends::{Channel, Receives, Sends, bounded, join, receive, receive_rest};
use crate::error::TryRecvError;
use crate::{HeapWords, ReadWords, Spin, WriteWords, fan_in, sharing};

/// A message whose second word tells whether both are of the same message.
fn message(value: u64) -> [u64; 2] {
    [value, !value]
}

fn sends(producer: &mut impl Sends<[u64; 2]>, from: u64, count: u64) -> u64 {
    let sent = (0..count).take_while(|value| producer.try_send(message(from * 10 + value)).is_ok());
    sent.count() as u64
}

/// Every message is whole; those of each producer are there once and in order.
fn check(received: &[[u64; 2]], sent: &[u64]) {
    for &[value, check] in received {
        assert_eq!(check, !value, "torn: {received:?}");
    }
    for (from, &count) in (1..).zip(sent) {
        let of_one: Vec<u64> = received.iter().map(|m| m[0]).filter(|m| m / 10 == from).collect();
        assert_eq!(of_one, (0..count).map(|v| from * 10 + v).collect::<Vec<_>>(), "{received:?}");
    }
    assert_eq!(received.len() as u64, sent.iter().sum::<u64>());
}

fn two_producers_wrap<P: Sends<[u64; 2]>, C: Receives<[u64; 2]>>(
    channel: Channel<P, C>,
    capacity: usize,
    counts: [u64; 2],
) {
    bounded(2, move || {
        let (mut first, mut consumer) = channel(capacity, Spin).expect("because it is in range");
        let mut second = first.clone();
        let threads = [
            thread::spawn(move || sends(&mut first, 1, counts[0])),
            thread::spawn(move || sends(&mut second, 2, counts[1])),
        ];
        let mut received = receive(&mut consumer, 2);
        let sent = threads.map(join);
        received.extend(receive_rest(&mut consumer));
        check(&received, &sent);
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
    });
}

#[test]
fn fan_in_wraps_with_two_producers() {
    two_producers_wrap(fan_in::channel, 1, [2, 1]);
}

#[test]
fn fan_in_wraps_at_capacity_two() {
    two_producers_wrap(fan_in::channel, 2, [3, 1]);
}

#[test]
fn sharing_wraps_with_two_producers() {
    two_producers_wrap(sharing::channel, 1, [2, 1]);
}

#[test]
fn sharing_wraps_at_capacity_two() {
    two_producers_wrap(sharing::channel, 2, [3, 1]);
}

/// A ring is closed only behind the last message of the last producer, also of one made late.
fn nothing_is_lost_at_the_end<P: Sends<[u64; 2]>, C: Receives<[u64; 2]>>(channel: Channel<P, C>) {
    bounded(2, move || {
        let (mut first, mut consumer) = channel(2, Spin).expect("because it is in range");
        let sender = thread::spawn(move || {
            assert_eq!(sends(&mut first, 1, 1), 1);
            let mut late = first.clone();
            drop(first);
            assert_eq!(sends(&mut late, 2, 1), 1);
        });
        let mut received = Vec::new();
        let mut is_closed = false;
        for _ in 0..3 {
            match consumer.try_recv() {
                Ok(message) => received.push(message),
                Err(TryRecvError::Closed) => is_closed = true,
                Err(TryRecvError::Empty) => {}
            }
        }
        if is_closed {
            check(&received, &[1, 1]);
        }
        join(sender);
        received.extend(receive_rest(&mut consumer));
        check(&received, &[1, 1]);
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
    });
}

#[test]
fn fan_in_loses_nothing_at_the_end() {
    nothing_is_lost_at_the_end(fan_in::channel);
}

#[test]
fn sharing_loses_nothing_at_the_end() {
    nothing_is_lost_at_the_end(sharing::channel);
}

/// A producer is made while the consumer goes: its lane is ended by somebody.
fn a_lane_made_at_the_end_is_ended<P: Sends<[u64; 2]>, C: Receives<[u64; 2]>>(
    channel: Channel<P, C>,
) {
    bounded(3, move || {
        let (first, consumer) = channel(1, Spin).expect("because it is in range");
        let receiver = thread::spawn(move || drop(consumer));
        let mut late = first.clone();
        join(receiver);
        let _ = late.try_send(message(1));
        assert!(late.try_send(message(2)).is_err());
        assert_eq!(late.send(message(3)).map_err(|error| error.0), Err(message(3)));
    });
}

#[test]
fn fan_in_ends_a_lane_made_at_the_end() {
    a_lane_made_at_the_end_is_ended(fan_in::channel);
}

#[test]
fn sharing_ends_a_lane_made_at_the_end() {
    a_lane_made_at_the_end_is_ended(sharing::channel);
}

/// Two consumers on one lane whose slots are written again: no copy that counts is torn or stale,
/// and each message is taken once (RB-50).
fn two_consumers_race(batch: usize, capacity: usize) {
    bounded(2, move || {
        let (mut producer, mut consumer) =
            sharing::channel(capacity, Spin).expect("because it is in range");
        let mut other = consumer.clone();
        let filled = sends(&mut producer, 1, capacity as u64);
        let sender = thread::spawn(move || {
            let more = filled..filled + 2;
            more.take_while(|value| producer.try_send(message(10 + value)).is_ok()).count() as u64
        });
        let receiver = thread::spawn(move || receive_batches(&mut other, batch));
        let mine = receive_batches(&mut consumer, batch);
        let sent = filled + join(sender);
        let theirs = join(receiver);
        for received in [&mine, &theirs] {
            assert!(received.is_sorted(), "taken in order: {received:?}");
        }
        let mut received = [mine, theirs].concat();
        received.sort_unstable();
        received.extend(receive_rest(&mut consumer));
        check(&received, &[sent]);
    });
}

fn receive_batches(
    consumer: &mut sharing::Consumer<[u64; 2], Spin>,
    batch: usize,
) -> Vec<[u64; 2]> {
    if batch == 1 {
        return receive(consumer, 2);
    }
    let mut received = Vec::new();
    consumer.recv_many(&mut received, batch);
    received
}

#[test]
fn sharing_two_consumers_take_each_message_once() {
    two_consumers_race(1, 1);
}

#[test]
fn sharing_two_consumers_at_capacity_two() {
    two_consumers_race(1, 2);
}

#[test]
fn sharing_two_consumers_take_batches() {
    two_consumers_race(2, 2);
}

/// Two messages are there, for the taking by two consumers at the same time: none of the two goes
/// without, whether they look at the lane first or last.
#[test]
fn sharing_two_consumers_find_two_messages_of_one_lane() {
    for lane in [0, 1] {
        bounded(3, move || {
            let (first, mut consumer) = sharing::channel(4, Spin).expect("because it is in range");
            let mut producers = [first.clone(), first];
            producers.reverse();
            let mut other = consumer.clone();
            assert_eq!(sends(&mut producers[lane], 1, 2), 2);
            let receiver = thread::spawn(move || other.try_recv().is_ok());
            assert!(consumer.try_recv().is_ok());
            assert!(join(receiver));
        });
    }
}

/// What a consumer did before it took a message is done when the producer has written the slot
/// again, so the copy was made before (RB-50).
#[test]
fn sharing_reuse_comes_after_the_copy() {
    for batch in [1, 2] {
        bounded(3, move || {
            let (mut producer, mut consumer) =
                sharing::channel(1, Spin).expect("because it is in range");
            assert_eq!(producer.try_send(1_u64), Ok(()));
            let receipt = HeapWords::new(1);
            let found = receipt.clone();
            let sender = thread::spawn(move || {
                for _ in 0..2 {
                    if producer.try_send(2).is_ok() {
                        assert_eq!(found.load_relaxed(0), 1);
                        break;
                    }
                }
            });
            receipt.store_relaxed(0, 1);
            assert_eq!(consumer.recv_with(batch, |message| assert_eq!(message, 1)), 1);
            join(sender);
        });
        bounded(3, move || {
            let (mut producer, mut consumer) =
                sharing::channel(1, Spin).expect("because it is in range");
            assert_eq!(producer.try_send(1_u64), Ok(()));
            let receipt = HeapWords::new(1);
            let found = receipt.clone();
            let sender = thread::spawn(move || {
                if producer.try_send(2).is_ok() {
                    assert_eq!(found.load_relaxed(0), 1);
                }
            });
            receipt.store_relaxed(0, 1);
            assert_eq!(consumer.try_recv(), Ok(1));
            join(sender);
        });
    }
}

/// As above, of two consumers: the one that gives the room back speaks for the other too.
#[test]
fn sharing_room_is_given_back_for_both_consumers() {
    bounded(3, || {
        let (mut producer, mut consumer) =
            sharing::channel(8, Spin).expect("because it is in range");
        assert_eq!(producer.send_many(0..8_u64), 8);
        let mut other = consumer.clone();
        let receipts = HeapWords::new(2);
        let (mine, found) = (receipts.clone(), receipts.clone());
        let sender = thread::spawn(move || {
            if producer.try_send(8).is_ok() {
                assert_eq!([found.load_relaxed(0), found.load_relaxed(1)], [1, 1]);
            }
        });
        let receiver = thread::spawn(move || {
            receipts.store_relaxed(0, 1);
            other.try_recv()
        });
        mine.store_relaxed(1, 1);
        let mut received = [consumer.try_recv(), join(receiver)];
        received.sort_by_key(|message| message.ok());
        assert_eq!(received, [Ok(0), Ok(1)]);
        join(sender);
    });
}

/// As above, where one consumer takes the last message and the other finds the lane empty.
#[test]
fn sharing_room_is_given_back_by_who_finds_nothing() {
    bounded(3, || {
        let (mut producer, mut consumer) =
            sharing::channel(8, Spin).expect("because it is in range");
        let mut other = consumer.clone();
        assert_eq!(producer.send_many(0..7_u64), 7);
        for value in 0..6 {
            assert_eq!(consumer.try_recv(), Ok(value));
        }
        // The room of six was given back.
        let receipt = HeapWords::new(1);
        let found = receipt.clone();
        let sender = thread::spawn(move || {
            let sent = producer.send_many(7..15);
            assert!(sent >= 7);
            assert!(sent == 7 || found.load_relaxed(0) == 1);
        });
        let receiver = thread::spawn(move || other.recv_with(1, drop));
        receipt.store_relaxed(0, 1);
        let _ = consumer.try_recv();
        join(receiver);
        join(sender);
    });
}
