//! What MPSC and MPMC do beyond what every shared ring does: claims, one order over all producers,
//! messages with a destructor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::ends::{Channel, Receives, for_each_ring};
use crate::error::{TryRecvError, TrySendError};
use crate::producers::Producer;
use crate::{Spin, fan_in, mpmc};

for_each_ring!([mpsc, mpmc]
    order_holds_over_all_claims,
    a_claim_is_visible_after_its_commit_only,
    a_dropped_claim_drops_what_was_put,
    what_a_claim_did_not_fill_is_passed_over,
    a_message_that_panics_when_dropped_leaves_no_hole,
    a_claim_that_is_full_panics,
    a_ring_tells_its_capacity,
);
for_each_ring!([mpsc, mpmc, fan_in]
    messages_are_dropped_once,
    a_message_that_panics_when_the_ring_ends_takes_no_other_along,
);

type Sender = Producer<u64, Spin>;

fn ring<P, C>(channel: Channel<P, C>, capacity: usize) -> (P, C) {
    channel(capacity, Spin).expect("because the capacity is in range")
}

fn order_holds_over_all_claims<C: Receives<u64>>(channel: Channel<Sender, C>) {
    let (first, mut consumer) = ring(channel, 8);
    let mut producers = [first.clone(), first];
    let mut random = fastrand::Rng::with_seed(5);
    let (mut sent, mut received) = (0, 0);
    for _ in 0..3000 {
        let producer = &mut producers[random.usize(..2)];
        if random.bool() {
            sent += producer.send_many(sent..sent + random.u64(..4)) as u64;
        } else {
            consumer.recv_with(random.usize(..4), |message| {
                assert_eq!(message, received);
                received += 1;
            });
        }
    }
    assert!(sent > 1000 && sent - received <= 8);
}

fn a_claim_is_visible_after_its_commit_only<C: Receives<u64>>(channel: Channel<Sender, C>) {
    let (mut first, mut consumer) = ring(channel, 4);
    let mut second = first.clone();
    assert!(first.claim(0).is_none());
    let mut claim = first.claim(3).expect("because there is room");
    assert_eq!(claim.remaining(), 3);
    claim.put(1);
    assert_eq!(second.try_send(4), Ok(()), "the others go on behind the claim");
    assert_eq!(second.try_send(5), Err(TrySendError::Full(5)));
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
    claim.put(2);
    assert_eq!(claim.remaining(), 1);
    assert_eq!(claim.commit(), 2);
    let mut received = Vec::new();
    while consumer.recv_many(&mut received, 9) > 0 {}
    assert_eq!(received, [1, 2, 4]);
    assert_eq!(second.send_many(6..20), 4, "skipped slots are free again");
}

fn a_dropped_claim_drops_what_was_put<C: Receives<Arc<()>>>(
    channel: Channel<Producer<Arc<()>, Spin>, C>,
) {
    let (mut producer, mut consumer) = ring(channel, 4);
    let message = Arc::new(());
    for _ in 0..9 {
        let mut claim = producer.claim(3).expect("because there is room");
        claim.put(message.clone());
        claim.put(message.clone());
        drop(claim);
        assert_eq!(Arc::strong_count(&message), 1);
        assert!(consumer.try_recv().is_err());
    }
}

fn what_a_claim_did_not_fill_is_passed_over<C: Receives<u64>>(channel: Channel<Sender, C>) {
    let (mut producer, mut consumer) = ring(channel, 4);
    for lap in 0..20 {
        drop(producer.claim(2));
        assert_eq!(producer.try_send(lap), Ok(()));
        assert_eq!(consumer.try_recv(), Ok(lap));
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
    }
    drop(producer.claim(4));
    drop(producer);
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Closed));
}

#[derive(Debug)]
struct PanicsOnDrop(bool);

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        assert!(!self.0, "as planned");
    }
}

fn a_message_that_panics_when_dropped_leaves_no_hole<C: Receives<PanicsOnDrop>>(
    channel: Channel<Producer<PanicsOnDrop, Spin>, C>,
) {
    let (mut producer, mut consumer) = ring(channel, 4);
    let given_up = catch_unwind(AssertUnwindSafe(|| {
        let mut claim = producer.claim(3).expect("because there is room");
        claim.put(PanicsOnDrop(true));
        claim.put(PanicsOnDrop(false));
    }));
    assert!(given_up.is_err());
    assert!(producer.try_send(PanicsOnDrop(false)).is_ok());
    assert!(consumer.try_recv().is_ok(), "the consumer passes over the whole claim");
    assert_eq!(producer.claim(9).map(|claim| claim.remaining()), Some(4));
}

fn a_claim_that_is_full_panics<C: Receives<u64>>(channel: Channel<Sender, C>) {
    let (mut producer, mut consumer) = ring(channel, 2);
    let put = catch_unwind(AssertUnwindSafe(|| {
        let mut claim = producer.claim(1).expect("because there is room");
        claim.put(1);
        claim.put(2);
    }));
    assert!(put.is_err());
    assert!(consumer.try_recv().is_err());
    assert_eq!(producer.send_many([3, 4]), 2);
    assert_eq!(consumer.try_recv(), Ok(3));
}

fn a_ring_tells_its_capacity<C: Receives<u64>>(channel: Channel<Sender, C>) {
    for (asked, rounded) in [(1, 1), (3, 4), (4, 4)] {
        let (mut producer, _consumer) = ring(channel, asked);
        assert_eq!(producer.capacity(), rounded);
        assert_eq!(producer.send_many(0..9), rounded);
    }
}

/// Panics as it is dropped if it is the one; the count tells how many are alive.
struct Planted {
    panics: bool,
    _count: Arc<()>,
}

impl Drop for Planted {
    fn drop(&mut self) {
        assert!(!self.panics, "as planned");
    }
}

fn a_message_that_panics_when_the_ring_ends_takes_no_other_along<
    P: crate::ends::Sends<Planted>,
    C: Receives<Planted>,
>(
    channel: Channel<P, C>,
) {
    for (planted, consumer_goes_first) in [(0, true), (1, true), (3, true), (0, false), (2, false)]
    {
        let count = Arc::new(());
        let (mut first, consumer) = ring(channel, 4);
        let mut second = first.clone();
        for value in 0..4 {
            let producer = if value % 2 == 0 { &mut first } else { &mut second };
            let message = Planted { panics: value == planted, _count: count.clone() };
            assert!(producer.try_send(message).is_ok());
        }
        assert_eq!(Arc::strong_count(&count), 5);
        let ended = catch_unwind(AssertUnwindSafe(|| match consumer_goes_first {
            true => drop((consumer, first, second)),
            false => drop((first, second, consumer)),
        }));
        assert!(ended.is_err(), "the panic is told");
        assert_eq!(Arc::strong_count(&count), 1, "planted={planted}");
    }
}

fn messages_are_dropped_once<P: crate::ends::Sends<Arc<u32>>, C: Receives<Arc<u32>>>(
    channel: Channel<P, C>,
) {
    for consumer_goes_first in [true, false] {
        let message = Arc::new(0);
        let (mut producer, mut consumer) = ring(channel, 4);
        let mut late = producer.clone();
        for round in 0..10 {
            let many = core::iter::repeat_n(message.clone(), round % 5);
            producer.send_many(many);
            let _ = late.try_send(message.clone());
            drop(consumer.try_recv());
            consumer.recv_with(round % 3, drop);
        }
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            consumer.recv_with(3, |_message| panic!("as planned"))
        }));
        assert!(panicked.is_err());
        producer.send_many(core::iter::repeat_n(message.clone(), 2));
        assert!(Arc::strong_count(&message) > 1, "some messages are left in the ring");
        if consumer_goes_first {
            drop(consumer);
            let _ = producer.try_send(message.clone());
            drop((producer, late));
        } else {
            drop((producer, late));
            drop(consumer);
        }
        assert_eq!(Arc::strong_count(&message), 1);
    }
}

/// What was claimed together with a message whose receiver panicked is dropped in an MPMC ring, and
/// stays in a fan-in.
#[test]
fn a_receiver_that_panics_decides_over_its_batch() {
    let (mut producer, mut consumer) = ring(mpmc::channel, 4);
    assert_eq!(producer.send_many(0..4), 4);
    let taken = catch_unwind(AssertUnwindSafe(|| consumer.recv_with(2, |_| panic!("as planned"))));
    assert!(taken.is_err());
    assert_eq!(consumer.try_recv(), Ok(2));

    let (mut producer, mut consumer) = ring(fan_in::channel, 4);
    assert_eq!(producer.send_many(0..4), 4);
    let taken = catch_unwind(AssertUnwindSafe(|| consumer.recv_with(2, |_| panic!("as planned"))));
    assert!(taken.is_err());
    assert_eq!(consumer.try_recv(), Ok(1));
}
