//! Broadcast with what everybody has: a queue for each receiver, and every message sent to each.

use ::crossbeam_channel::bounded;
use ::rtrb::{Producer, RingBuffer};
use corelane_bench::{Delivery, Payload, Peer, Sender};

use crate::one_by_one::{ANY, OneByOne, OneByOneReceiver, Push, check_ends, one_by_one_peer};
use crate::rtrb::RtrbReceiver;

one_by_one_peer! {
    /// A crossbeam channel for each receiver.
    CrossbeamSideBySide = "crossbeam-channel for each", Each, (1, ANY),
    EachOf<::crossbeam_channel::Sender<M>> => ::crossbeam_channel::Receiver<M>,
    |capacity, _sending, receiving| {
        let channels = (0..receiving).map(|_| bounded(capacity));
        let (ends, receivers) = channels.map(|(end, other)| (end, OneByOneReceiver(other))).unzip();
        (vec![OneByOne::new(EachOf { ends, reached: 0 })], receivers)
    }
}

/// A sender of each queue.
#[derive(Debug)]
pub(crate) struct EachOf<E> {
    ends: Vec<E>,
    /// Queues that have the message which the last call gave back, and which the next one brings.
    reached: usize,
}

impl<M: Copy, E: Push<M>> Push<M> for EachOf<E> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        for end in &mut self.ends[self.reached..] {
            end.push(message)?;
            self.reached += 1;
        }
        self.reached = 0;
        Ok(())
    }
}

/// An rtrb ring for each receiver.
#[derive(Debug)]
pub(crate) struct RtrbSideBySide;

impl Peer for RtrbSideBySide {
    const NAME: &'static str = "rtrb for each";
    const DELIVERY: Delivery = Delivery::Each;
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (1, ANY);

    type Sender<M: Payload> = RtrbEach<M>;
    type Receiver<M: Payload> = RtrbReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(senders, receivers);
        let (rings, receivers) = (0..receivers)
            .map(|_| RingBuffer::new(capacity))
            .map(|(producer, consumer)| (producer, RtrbReceiver(consumer)))
            .unzip();
        (vec![RtrbEach { rings, batch: Vec::with_capacity(capacity) }], receivers)
    }
}

/// The producers of all rings.
#[derive(Debug)]
pub(crate) struct RtrbEach<M> {
    rings: Vec<Producer<M>>,
    /// A batch is made once and copied to every ring.
    batch: Vec<M>,
}

impl<M: Copy + Send> Sender<M> for RtrbEach<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        if self.rings.iter().any(Producer::is_full) {
            return Err(message);
        }
        for ring in &mut self.rings {
            ring.push(message).map_err(|_full| message)?;
        }
        Ok(())
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        let free = |ring: &Producer<M>| match ring.cached_slots() {
            cached if cached >= count => count,
            _ => ring.slots(),
        };
        let count = self.rings.iter().map(free).min().unwrap_or(0).min(count);
        self.batch.clear();
        self.batch.extend(std::iter::repeat_with(make).take(count));
        for ring in &mut self.rings {
            let (_, rest) = ring.push_partial_slice(&self.batch);
            debug_assert!(rest.is_empty(), "only the producer fills the ring");
        }
        count
    }
}
