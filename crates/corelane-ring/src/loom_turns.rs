//! Models of the MPSC and the MPMC ring, which loom runs through every interleaving up to a number
//! of preemptions. Run with `ci/loom`.
//!
//! The slots are loom's cells, so that a message that is put or taken while another end may still
//! access the slot is an error by itself (RB-8, RB-30). loom's `Arc` reports what is never dropped.

use loom::thread;

use crate::ends::{Channel, Receives, Sends, bounded, join, receive, receive_rest};
use crate::error::{RecvError, TrySendError};
use crate::producers::Producer;
use crate::sync::Arc;
use crate::{HeapWords, ReadWords, Spin, WriteWords, mpmc, mpsc};

/// Sends until the ring is full: the number of the producer in the tens.
fn sends<P: Sends<u64>>(producer: &mut P, from: u64, count: u64) -> u64 {
    (0..count).take_while(|value| producer.try_send(from * 10 + value).is_ok()).count() as u64
}

/// The messages of each producer are there once and in order.
fn check_order(received: &[u64], counts: [u64; 2]) {
    for (from, count) in (1..).zip(counts) {
        let of_one: Vec<u64> =
            received.iter().filter(|&message| message / 10 == from).map(|m| m % 10).collect();
        assert_eq!(of_one, (0..count).collect::<Vec<_>>(), "{received:?}");
    }
    assert_eq!(received.len() as u64, counts.iter().sum::<u64>());
}

/// Two producers, one consumer; slots are used again.
fn two_producers_wrap<P: Sends<u64>, C: Receives<u64>>(
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
        check_order(&received, sent);
    });
}

#[test]
fn mpsc_wraps_with_two_producers() {
    two_producers_wrap(mpsc::channel, 2, [2, 2]);
}

#[test]
fn mpmc_wraps_with_two_producers() {
    two_producers_wrap(mpmc::channel, 2, [2, 2]);
}

#[test]
fn mpsc_wraps_at_capacity_one() {
    two_producers_wrap(mpsc::channel, 1, [2, 1]);
}

#[test]
fn mpmc_wraps_at_capacity_one() {
    two_producers_wrap(mpmc::channel, 1, [2, 1]);
}

#[test]
fn mpsc_wraps_at_capacity_four() {
    two_producers_wrap(mpsc::channel, 4, [4, 2]);
}

#[test]
fn mpmc_wraps_at_capacity_four() {
    two_producers_wrap(mpmc::channel, 4, [4, 2]);
}

/// Waiting ends find room and messages when there are some, and the end of the ring.
fn waiting_ends_go_on<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    bounded(2, move || {
        let (mut producer, mut consumer) = channel(1, Spin).expect("because it is in range");
        let sender = thread::spawn(move || {
            for value in 0..3 {
                producer.send(value).expect("because the consumer stays");
            }
        });
        let received: Vec<_> = core::iter::from_fn(|| consumer.recv().ok()).collect();
        assert_eq!(received, [0, 1, 2]);
        join(sender);
    });
}

#[test]
fn mpsc_waits() {
    waiting_ends_go_on(mpsc::channel);
}

#[test]
fn mpmc_waits() {
    waiting_ends_go_on(mpmc::channel);
}

/// Two consumers agree on who gets what, one by one or in batches.
fn two_consumers_share(batch: usize) {
    bounded(2, move || {
        let (mut producer, mut consumer) = mpmc::channel(2, Spin).expect("because it is in range");
        let mut other = consumer.clone();
        assert_eq!(sends(&mut producer, 1, 2), 2);
        let mut second = producer.clone();
        let sender = thread::spawn(move || sends(&mut second, 2, 2));
        let receiver = thread::spawn(move || receive_batches(&mut other, batch));
        let mine = receive_batches(&mut consumer, batch);
        let sent = join(sender);
        let theirs = join(receiver);
        for received in [&mine, &theirs] {
            assert!(received.is_sorted(), "messages are taken in order: {received:?}");
        }
        let mut received = [mine, theirs].concat();
        received.sort_unstable();
        received.extend(receive_rest(&mut consumer));
        check_order(&received, [2, sent]);
    });
}

fn receive_batches(consumer: &mut mpmc::Consumer<u64, Spin>, batch: usize) -> Vec<u64> {
    if batch == 1 {
        return receive(consumer, 2);
    }
    let mut received = Vec::new();
    consumer.recv_many(&mut received, batch);
    received
}

#[test]
fn mpmc_two_consumers_take_each_message_once() {
    two_consumers_share(1);
}

#[test]
fn mpmc_two_consumers_take_batches() {
    two_consumers_share(2);
}

/// Consumers pass over what was given up, whoever waits behind it (RB-3).
fn aborts_are_passed_over<C: Receives<u64>>(
    channel: Channel<Producer<u64, Spin>, C>,
    capacity: usize,
) {
    bounded(2, move || {
        let (mut first, mut consumer) = channel(capacity, Spin).expect("because it is in range");
        let mut second = first.clone();
        let giver = thread::spawn(move || {
            if let Some(mut claim) = first.claim(2) {
                claim.put(99);
            }
            let mut sent = 0;
            if let Some(mut claim) = first.claim(2) {
                claim.put(10);
                sent = claim.commit() as u64;
            }
            sent
        });
        let sender = thread::spawn(move || sends(&mut second, 2, 1));
        let mut received = receive(&mut consumer, 1);
        let sent = [join(giver), join(sender)];
        received.extend(receive_rest(&mut consumer));
        check_order(&received, sent);
    });
}

#[test]
fn mpsc_passes_over_aborted_claims() {
    aborts_are_passed_over(mpsc::channel, 2);
}

#[test]
fn mpmc_passes_over_aborted_claims() {
    aborts_are_passed_over(mpmc::channel, 2);
}

/// A slot that was given up goes to the next producer only after its message was dropped.
fn aborted_slots_are_handed_over<C: Receives<u64>>(channel: Channel<Producer<u64, Spin>, C>) {
    bounded(3, move || {
        let (mut first, mut consumer) = channel(1, Spin).expect("because it is in range");
        let mut second = first.clone();
        // The search of loom finds this order when the claim is in the first thread.
        let other = thread::spawn(move || {
            let mut received = receive(&mut consumer, 1);
            let sent = sends(&mut second, 2, 1);
            received.extend(receive_rest(&mut consumer));
            (received, sent)
        });
        if let Some(mut claim) = first.claim(1) {
            claim.put(99);
        }
        let (received, sent) = join(other);
        check_order(&received, [0, sent]);
    });
}

#[test]
fn mpsc_hands_aborted_slots_over() {
    aborted_slots_are_handed_over(mpsc::channel);
}

#[test]
fn mpmc_hands_aborted_slots_over() {
    aborted_slots_are_handed_over(mpmc::channel);
}

/// What was sent and not received is dropped once, whichever end goes last.
fn messages_are_dropped_once<C: Receives<Arc<()>>>(channel: Channel<Producer<Arc<()>, Spin>, C>) {
    bounded(3, move || {
        let (mut producer, mut consumer) = channel(2, Spin).expect("because it is in range");
        let message = Arc::new(());
        let copy = message.clone();
        let sender = thread::spawn(move || {
            for _ in 0..2 {
                let _ = producer.try_send(copy.clone());
            }
            if let Some(mut claim) = producer.claim(1) {
                claim.put(copy.clone());
            }
        });
        let received = consumer.try_recv();
        drop(consumer);
        join(sender);
        drop(received);
        assert_eq!(Arc::strong_count(&message), 1);
    });
}

#[test]
fn mpsc_drops_each_message_once() {
    messages_are_dropped_once(mpsc::channel);
}

#[test]
fn mpmc_drops_each_message_once() {
    messages_are_dropped_once(mpmc::channel);
}

/// What an end did before it went is done for the end that sees it gone.
fn closing_orders<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    bounded(2, move || {
        let (mut producer, consumer) = channel(1, Spin).expect("because it is in range");
        let receipt = HeapWords::new(1);
        let left = receipt.clone();
        let receiver = thread::spawn(move || {
            left.store_relaxed(0, 1);
            drop(consumer);
        });
        if producer.is_closed() {
            assert_eq!(receipt.load_relaxed(0), 1);
        }
        producer.send(1).expect("because there is room");
        match producer.try_send(2) {
            Err(TrySendError::Closed(2)) => assert_eq!(receipt.load_relaxed(0), 1),
            other => assert_eq!(other, Err(TrySendError::Full(2))),
        }
        join(receiver);
    });
    bounded(2, move || {
        let (first, mut consumer) = channel(1, Spin).expect("because it is in range");
        let second = first.clone();
        let receipts = HeapWords::new(2);
        let senders = [(0, first), (1, second)].map(|(index, producer)| {
            let left = receipts.clone();
            thread::spawn(move || {
                left.store_relaxed(index, 1);
                drop(producer);
            })
        });
        assert_eq!(consumer.recv(), Err(RecvError));
        assert_eq!([receipts.load_relaxed(0), receipts.load_relaxed(1)], [1, 1]);
        senders.into_iter().for_each(join);
    });
}

#[test]
fn mpsc_closing_orders() {
    closing_orders(mpsc::channel);
}

#[test]
fn mpmc_closing_orders() {
    closing_orders(mpmc::channel);
}

#[test]
fn fan_in_closing_orders() {
    closing_orders(crate::fan_in::channel);
}

#[test]
fn sharing_closing_orders() {
    closing_orders(crate::sharing::channel);
}
