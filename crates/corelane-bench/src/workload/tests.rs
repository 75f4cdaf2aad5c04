//! Every workload with a queue that works, and with one that does not.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use super::{bulk, capacity, checksum_up_to, fanout, histogram, latency, percentiles, throughput};
use crate::{
    bulk_peer::{BulkPeer, BulkReceiver},
    fanout_peer::FanoutPeer,
    harness::{PassError, Stage},
    in_place::{HandOver, HandOverReceiver, HandOverSender},
    peer::{Delivery, Ends, Message, Payload, Peer, Receiver, Sender},
    row::Mode,
    standard::{StdChannel, StdEach, StdReceiver},
    testing::stage,
};

/// A queue under a lock; one that `FORGETS` gives every hundredth message out twice, and the next
/// one not at all.
struct Locked<const FORGETS: bool>;

#[derive(Clone)]
struct LockedEnd<M> {
    queue: Arc<Mutex<VecDeque<M>>>,
    capacity: usize,
    repeats: Option<(usize, Option<M>)>,
}

impl<M: Copy + Send> Sender<M> for LockedEnd<M> {
    fn try_send(&mut self, message: M) -> Result<(), M> {
        let mut queue = self.queue.lock().unwrap();
        if queue.len() == self.capacity {
            return Err(message);
        }
        queue.push_back(message);
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        let mut queue = self.queue.lock().unwrap();
        let count = count.min(self.capacity - queue.len());
        queue.extend((0..count).map(|_| make()));
        count
    }
}

impl<M: Copy + Send> Receiver<M> for LockedEnd<M> {
    fn try_recv(&mut self) -> Option<M> {
        let message = self.queue.lock().unwrap().pop_front()?;
        let Some((count, last)) = &mut self.repeats else { return Some(message) };
        *count += 1;
        let repeated = last.replace(message).filter(|_| count.is_multiple_of(100));
        Some(repeated.unwrap_or(message))
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        let mut queue = self.queue.lock().unwrap();
        let count = count.min(queue.len());
        queue.drain(..count).for_each(|message| take(&message));
        count
    }
}

impl<const FORGETS: bool> Peer for Locked<FORGETS> {
    const NAME: &'static str = "locked";
    const DELIVERY: Delivery = Delivery::One;
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (usize::MAX, usize::MAX);

    type Sender<M: Payload> = LockedEnd<M>;
    type Receiver<M: Payload> = LockedEnd<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<LockedEnd<M>, LockedEnd<M>> {
        let repeats = FORGETS.then_some((0, None));
        let end = LockedEnd { queue: Arc::default(), capacity, repeats };
        (vec![end.clone(); senders], vec![end; receivers])
    }
}

fn staged(senders: usize, receivers: usize, mode: Mode) -> Stage {
    let mut stage = stage(senders, receivers);
    stage.key.mode = mode;
    stage
}

#[test]
fn every_number_of_ends_gets_every_message() {
    for (senders, receivers) in [(1, 1), (3, 1), (2, 2), (1, 3)] {
        for mode in [Mode::Single, Mode::Batch] {
            let stage = staged(senders, receivers, mode);
            let result = throughput::pass::<Locked<false>, 8>(&stage, 5_000).unwrap();
            assert!(result.values[0] > 0.0 && !result.wall.is_zero(), "{result:?}");
            assert_eq!(result.uses.len(), senders + receivers);
        }
    }
    let channel = throughput::pass::<StdChannel, 512>(&staged(2, 1, Mode::Single), 500);
    assert!(channel.is_ok(), "{channel:?}");
}

#[test]
fn a_broadcast_gives_everything_to_each() {
    let result = throughput::pass::<StdEach, 1>(&staged(1, 3, Mode::Single), 3_000);
    assert!(result.is_ok(), "{result:?}");
}

#[test]
fn a_queue_that_forgets_fails_the_pass() {
    let lost = throughput::pass::<Locked<true>, 1>(&staged(1, 1, Mode::Single), 1_000);
    assert!(matches!(lost, Err(PassError::Checksum { .. })), "{lost:?}");
    let lost = latency::pass::<Locked<true>, 8>(&staged(1, 1, Mode::Single), 1_000);
    assert!(matches!(lost, Err(PassError::Checksum { .. })), "{lost:?}");
}

#[test]
fn round_trips_are_all_in_the_histogram() {
    let result = latency::pass::<Locked<false>, 8>(&staged(1, 1, Mode::Single), 1_000).unwrap();
    let [_, p50, p99, p999, max] = result.values[..] else { panic!("{result:?}") };
    assert!(0.0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max, "{result:?}");
    assert_eq!(result.histogram.unwrap().len(), 512, "half of 1,000, in whole runs");
}

/// The bare hand-over with a receiver that changes a byte.
struct Scratched;

struct ScratchedReceiver(HandOverReceiver);

impl BulkReceiver for ScratchedReceiver {
    fn try_recv(&mut self, look: &mut impl FnMut(&[u8])) -> bool {
        self.0.try_recv(&mut |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[17] ^= 1;
            look(&bytes);
        })
    }
}

impl BulkPeer for Scratched {
    const NAME: &'static str = "scratched";
    type Sender = HandOverSender;
    type Receiver = ScratchedReceiver;

    fn open(count: usize, bytes: usize) -> (HandOverSender, ScratchedReceiver) {
        let (sender, receiver) = HandOver::open(count, bytes);
        (sender, ScratchedReceiver(receiver))
    }
}

#[test]
fn large_payloads_are_checked_byte_by_byte() {
    for mode in [Mode::EveryByte, Mode::HeaderOnly] {
        let mut stage = staged(1, 1, mode);
        stage.key.workload = crate::Workload::Bulk;
        stage.key.payload_bytes = 65_536;
        assert!(bulk::pass::<HandOver>(&stage, 100).unwrap().values[0] > 0.0);
        let scratched = bulk::pass::<Scratched>(&stage, 101);
        assert!(matches!(scratched, Err(PassError::Checksum { .. })), "{scratched:?}");
    }
}

/// One channel for each cursor; the third cursor reads only zeros.
struct Deaf;

struct DeafCursor(StdReceiver<crate::FanoutMessage>, bool);

impl Receiver<crate::FanoutMessage> for DeafCursor {
    fn try_recv(&mut self) -> Option<crate::FanoutMessage> {
        self.0.try_recv()
    }

    fn try_recv_many(
        &mut self,
        count: usize,
        take: &mut impl FnMut(&crate::FanoutMessage),
    ) -> usize {
        let is_deaf = self.1;
        let nothing = crate::FanoutMessage::default();
        self.0.try_recv_many(count, &mut |message| take(if is_deaf { &nothing } else { message }))
    }
}

impl FanoutPeer for Deaf {
    const NAME: &'static str = "deaf";
    type Publisher = <StdEach as FanoutPeer>::Publisher;
    type Cursor = DeafCursor;

    fn open(cursors: usize, capacity: usize) -> (Self::Publisher, Vec<DeafCursor>) {
        let (publisher, list) = <StdEach as FanoutPeer>::open(cursors, capacity);
        let cursors = (0..).zip(list).map(|(index, cursor)| DeafCursor(cursor, index == 2));
        (publisher, cursors.collect())
    }
}

#[test]
fn every_cursor_is_checked() {
    let stage = staged(1, 1, Mode::Single);
    let result = fanout::pass::<StdEach>(&stage, 10).unwrap();
    let [one, many, ratio] = result.values[..] else { panic!("{result:?}") };
    assert!(one > 0.0 && many > 0.0 && ratio == many / one, "{result:?}");
    let deaf = fanout::pass::<Deaf>(&stage, 10);
    assert!(matches!(deaf, Err(PassError::Checksum { .. })), "{deaf:?}");
}

#[test]
fn the_expected_checksum_is_that_of_the_messages() {
    let sum = (1..=100).map(|n| Message::<8>::new(n).checksum());
    assert_eq!(checksum_up_to(100, 8), sum.fold(0, u64::wrapping_add));
    assert_eq!(checksum_up_to(3, 1), 6);
}

#[test]
fn queues_have_a_sensible_capacity() {
    assert_eq!([8, 64, 256, 4096, 1 << 20].map(capacity), [1024, 1024, 512, 64, 64]);
}

#[test]
fn slow_round_trips_are_kept_as_slow_as_they_were() {
    let mut histogram = histogram();
    (0..998).for_each(|_| histogram.saturating_record(100));
    histogram.saturating_record(40_000);
    histogram.saturating_record(9_000_000_000);
    let [p50, p99, p999, max] = percentiles(&histogram);
    assert_eq!((p50, p99), (100.0, 100.0));
    assert!((p999 / 40_000.0 - 1.0).abs() < 1e-3 && (max / 9e9 - 1.0).abs() < 1e-3, "{p999} {max}");
}
