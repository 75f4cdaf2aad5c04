//! What every ring that several ends may share must do, tested over each of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Spin;
use crate::ends::{Channel, Receives, Sends, for_each_ring};
use crate::error::{CapacityError, RecvError, SendError, TryRecvError, TrySendError};

for_each_ring!([mpsc, mpmc, fan_in, sharing]
    capacities_are_checked,
    a_full_ring_gives_the_message_back,
    one_slot_is_enough,
    order_holds_per_producer,
    a_message_is_visible_when_send_returns,
    producers_that_are_gone_close_the_ring_behind_their_messages,
    consumers_that_are_gone_close_the_ring_for_those_that_send,
    a_producer_may_be_made_at_any_time,
    a_batch_takes_no_more_from_the_iterator_than_was_sent,
    an_empty_batch_changes_nothing,
    a_wish_for_no_messages_takes_none,
    an_iterator_that_panics_leaves_the_ring_usable,
    a_receiver_that_panics_leaves_the_ring_usable,
);

fn ring<P, C>(channel: Channel<P, C>, capacity: usize) -> (P, C) {
    channel(capacity, Spin).expect("because the capacity is in range")
}

/// All that is there now.
fn all<T>(consumer: &mut impl Receives<T>) -> Vec<T> {
    core::iter::from_fn(|| consumer.try_recv().ok()).collect()
}

fn capacities_are_checked<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    for asked in [0, usize::MAX] {
        let refused = channel(asked, Spin).map(|_| ());
        assert!(matches!(refused, Err(CapacityError { asked: found, .. }) if found == asked));
    }
    let (mut producer, _consumer) = ring(channel, 3);
    assert_eq!(producer.send_many(0..9), 4, "capacities are rounded up to a power of two");
}

fn a_full_ring_gives_the_message_back<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    for capacity in [1, 2, 4, 8] {
        let (mut producer, mut consumer) = ring(channel, capacity);
        for lap in 0..5 {
            for value in 0..capacity as u64 {
                assert_eq!(producer.try_send(lap * 100 + value), Ok(()));
            }
            assert_eq!(producer.try_send(77), Err(TrySendError::Full(77)));
            assert_eq!(producer.send_many([78]), 0);
            for value in 0..capacity as u64 {
                assert_eq!(consumer.try_recv(), Ok(lap * 100 + value));
            }
            assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

fn one_slot_is_enough<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    let (mut producer, mut consumer) = ring(channel, 1);
    let mut taken = Vec::new();
    for value in 0..50 {
        assert_eq!(producer.try_send(value), Ok(()));
        assert_eq!(producer.try_send(99), Err(TrySendError::Full(99)));
        match value % 3 {
            0 => assert_eq!(consumer.recv_many(&mut taken, 7), 1),
            1 => assert_eq!(consumer.recv_with(7, |message| taken.push(message)), 1),
            _ => taken.push(consumer.recv().expect("because a message lies there")),
        }
    }
    assert_eq!(taken, (0..50).collect::<Vec<_>>());
}

fn order_holds_per_producer<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    let (first, mut consumer) = ring(channel, 16);
    let mut producers = [first.clone(), first.clone(), first];
    let mut random = fastrand::Rng::with_seed(11);
    let (mut sent, mut received) = ([0; 3], [0; 3]);
    for _ in 0..2000 {
        let index = random.usize(..3);
        if random.bool() {
            let next = index as u64 * 10_000 + sent[index];
            sent[index] += producers[index].send_many(next..next + random.u64(..6)) as u64;
        } else {
            consumer.recv_with(random.usize(..6), |message| {
                let from = message as usize / 10_000;
                assert_eq!(message % 10_000, received[from]);
                received[from] += 1;
            });
        }
    }
    for message in all(&mut consumer) {
        let from = message as usize / 10_000;
        assert_eq!(message % 10_000, received[from]);
        received[from] += 1;
    }
    assert_eq!(sent, received);
    assert!(sent.iter().all(|&count| count > 100));
}

fn a_message_is_visible_when_send_returns<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    let (mut producer, mut consumer) = ring(channel, 64);
    for value in 0..200 {
        assert_eq!(producer.send(value), Ok(()));
        assert_eq!(consumer.try_recv(), Ok(value));
    }
}

fn producers_that_are_gone_close_the_ring_behind_their_messages<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C>,
) {
    let (mut first, mut consumer) = ring(channel, 4);
    let mut second = first.clone();
    assert_eq!(first.try_send(1), Ok(()));
    drop(first);
    assert_eq!(second.try_send(2), Ok(()));
    assert!(!consumer.is_closed());
    drop(second);
    assert!(consumer.is_closed());
    let mut left = [consumer.try_recv(), consumer.recv().map_err(|_| TryRecvError::Closed)];
    left.sort_by_key(|message| *message.as_ref().expect("because two were sent"));
    assert_eq!(left, [Ok(1), Ok(2)]);
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(consumer.recv(), Err(RecvError));
}

fn consumers_that_are_gone_close_the_ring_for_those_that_send<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C>,
) {
    let (mut producer, consumer) = ring(channel, 2);
    assert_eq!(producer.try_send(1), Ok(()));
    assert!(!producer.is_closed());
    drop(consumer);
    assert!(producer.is_closed());
    assert_eq!(producer.send_many(2..9), 1, "room that is left may be used");
    assert_eq!(producer.try_send(3), Err(TrySendError::Closed(3)));
    assert_eq!(producer.send(4), Err(SendError(4)));
    let mut later = producer.clone();
    assert!(later.is_closed());
    let answers: Vec<_> = (5..9).map(|value| later.send(value)).collect();
    assert_eq!(answers.last(), Some(&Err(SendError(8))), "a full ring tells it at the latest");
}

fn a_producer_may_be_made_at_any_time<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    let (mut producer, mut consumer) = ring(channel, 2);
    for value in 0..100 {
        let mut next = producer.clone();
        assert_eq!(producer.try_send(value), Ok(()));
        if value % 2 == 0 {
            assert_eq!(consumer.try_recv(), Ok(value));
            drop(producer);
        } else {
            drop(producer);
            assert_eq!(consumer.try_recv(), Ok(value));
        }
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(next.try_send(1000), Ok(()));
        assert_eq!(consumer.recv(), Ok(1000));
        producer = next;
    }
    drop(producer);
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
}

fn a_batch_takes_no_more_from_the_iterator_than_was_sent<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C>,
) {
    let (mut producer, mut consumer) = ring(channel, 4);
    let mut exact = 0..10;
    assert_eq!(producer.send_many(exact.by_ref()), 4);
    assert_eq!(exact.next(), Some(4));
    assert_eq!(all(&mut consumer), [0, 1, 2, 3]);
    // An iterator that promises nothing about its length.
    let mut unknown = (0..10).filter(|value| value % 2 == 0);
    assert_eq!(producer.send_many(unknown.by_ref()), 4);
    assert_eq!(unknown.next(), Some(8));
    assert_eq!(all(&mut consumer), [0, 2, 4, 6]);
    // One that ends before the ring is full; what it did not fill is no message.
    assert_eq!(producer.send_many((0..3).filter(|value| value % 2 == 0)), 2);
    assert_eq!(all(&mut consumer), [0, 2]);
    // One that promises more than it has.
    struct Boaster(u64);
    impl Iterator for Boaster {
        type Item = u64;
        fn next(&mut self) -> Option<u64> {
            self.0 = self.0.checked_sub(1)?;
            Some(self.0)
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, None)
        }
    }
    assert_eq!(producer.send_many(Boaster(2)), 2);
    assert_eq!(all(&mut consumer), [1, 0]);
    assert_eq!(producer.try_send(5), Ok(()));
    assert_eq!(all(&mut consumer), [5]);
}

fn an_empty_batch_changes_nothing<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    let (mut producer, mut consumer) = ring(channel, 1);
    assert_eq!(producer.send_many([]), 0);
    assert_eq!(producer.try_send(1), Ok(()), "nothing was claimed");
    assert_eq!(consumer.try_recv(), Ok(1));
}

fn a_wish_for_no_messages_takes_none<P: Sends<u64>, C: Receives<u64>>(channel: Channel<P, C>) {
    let (mut producer, mut consumer) = ring(channel, 2);
    assert_eq!(producer.send_many([1, 2]), 2);
    assert_eq!(consumer.recv_with(0, |_| panic!("nothing was asked for")), 0);
    assert_eq!(consumer.recv_many(&mut Vec::new(), 0), 0);
    assert_eq!(all(&mut consumer), [1, 2]);
}

fn an_iterator_that_panics_leaves_the_ring_usable<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C>,
) {
    let (mut producer, mut consumer) = ring(channel, 4);
    for _ in 0..3 {
        let messages = (0..4).map(|value| if value < 2 { value } else { panic!("as planned") });
        let sent = catch_unwind(AssertUnwindSafe(|| producer.send_many(messages)));
        assert!(sent.is_err());
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty), "nothing was sent");
        assert_eq!(producer.send_many(10..20), 4);
        assert_eq!(all(&mut consumer), [10, 11, 12, 13]);
    }
}

fn a_receiver_that_panics_leaves_the_ring_usable<P: Sends<u64>, C: Receives<u64>>(
    channel: Channel<P, C>,
) {
    let (mut producer, mut consumer) = ring(channel, 4);
    for _ in 0..5 {
        assert_eq!(producer.send_many(0..4), 4);
        let mut seen = Vec::new();
        let taken = catch_unwind(AssertUnwindSafe(|| {
            consumer.recv_with(3, |message| {
                seen.push(message);
                assert!(message == 0, "as planned");
            })
        }));
        assert!(taken.is_err());
        assert_eq!(seen, [0, 1]);
        // What was agreed on together is gone in some rings, what lies behind is not.
        let rest = all(&mut consumer);
        assert!(rest == [2, 3] || rest == [3], "{rest:?}");
        assert_eq!(producer.send_many(0..9), 4, "all the room is back");
        assert_eq!(all(&mut consumer), [0, 1, 2, 3]);
    }
}
