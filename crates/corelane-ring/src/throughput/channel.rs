//! The `throughput` ring in process, with ends that wait for each other and notice the other's end.

use super::consumer::look;
use super::frame::{CAPACITY_BYTES_MAX, CAPACITY_BYTES_MIN, Place};
use super::producer::Claim;
use super::{ClaimError, Consumer, Producer, ReadError, Record, SetupError};
use crate::line::OwnLine;
use crate::raw_bytes::heap_sides;
use crate::storage::HeapWords;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::wait::{Event, Wait};

/// The other end, as far as this one is concerned: told of what changed, asked whether it is there.
pub trait Peer {
    /// Call after publishing records, or after giving room back.
    fn notify(&self);

    /// Whether it is known to be gone, with everything that it did before visible.
    fn is_gone(&self) -> bool;
}

/// A peer that polls and is told nothing; whether it is there is somebody else's concern.
#[derive(Debug, Default, Clone, Copy)]
pub struct Polling;

impl Peer for Polling {
    #[inline(always)]
    fn notify(&self) {}

    #[inline(always)]
    fn is_gone(&self) -> bool {
        false
    }
}

/// The sending end of a [`channel`].
///
/// It moves between threads and is not shared:
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::throughput::ChannelProducer<corelane_ring::Spin>>();
/// ```
pub type ChannelProducer<W> = Producer<HeapWords, HeapWords, ConsumerLink<W>>;
/// The receiving end of a [`channel`].
pub type ChannelConsumer<W> = Consumer<HeapWords, HeapWords, ProducerLink<W>>;

/// What the ends share beside the ring.
#[derive(Debug)]
struct Shared<W: Wait> {
    /// Waited for by the consumer.
    records: OwnLine<Event<W>>,
    /// Waited for by the producer.
    room: OwnLine<Event<W>>,
    is_producer_gone: AtomicBool,
    is_consumer_gone: AtomicBool,
}

/// The producer's link to its consumer. Dropping it tells the consumer that the producer is gone.
#[derive(Debug)]
pub struct ConsumerLink<W: Wait>(Arc<Shared<W>>);

/// The consumer's link to its producer. Dropping it tells the producer that the consumer is gone.
#[derive(Debug)]
pub struct ProducerLink<W: Wait>(Arc<Shared<W>>);

/// Makes a ring of at least `capacity_bytes`, headers and gaps included, whose ends wait as `wait`
/// says.
///
/// # Errors
/// - [`SetupError::Capacity`]: the capacity is zero or too large.
pub fn channel<W: Wait + Clone>(
    capacity_bytes: usize,
    wait: W,
) -> Result<(ChannelProducer<W>, ChannelConsumer<W>), SetupError> {
    if !(1..=CAPACITY_BYTES_MAX).contains(&capacity_bytes) {
        return Err(SetupError::Capacity { asked: capacity_bytes });
    }
    let rounded = capacity_bytes.next_power_of_two().max(CAPACITY_BYTES_MIN);
    let (write, read) = heap_sides(rounded)?;
    let shared = Arc::new(Shared {
        records: OwnLine(Event::new(wait.clone())),
        room: OwnLine(Event::new(wait)),
        is_producer_gone: AtomicBool::new(false),
        is_consumer_gone: AtomicBool::new(false),
    });
    let producer = Producer::with_peer(write, ConsumerLink(shared.clone()));
    Ok((producer, Consumer::with_peer(read, ProducerLink(shared))))
}

impl<W: Wait> Peer for ConsumerLink<W> {
    #[inline(always)]
    fn notify(&self) {
        self.0.records.notify(1);
    }

    fn is_gone(&self) -> bool {
        // P13: pairs with C13.
        self.0.is_consumer_gone.load(Ordering::Acquire)
    }
}

impl<W: Wait> Drop for ConsumerLink<W> {
    fn drop(&mut self) {
        // P12: pairs with C12; every record was published before.
        self.0.is_producer_gone.store(true, Ordering::Release);
        self.0.records.notify_all();
    }
}

impl<W: Wait> Peer for ProducerLink<W> {
    #[inline(always)]
    fn notify(&self) {
        self.0.room.notify(1);
    }

    fn is_gone(&self) -> bool {
        // C12: pairs with P12; its last record is visible to the next look at the tail.
        self.0.is_producer_gone.load(Ordering::Acquire)
    }
}

impl<W: Wait> Drop for ProducerLink<W> {
    fn drop(&mut self) {
        // C13: pairs with P13.
        self.0.is_consumer_gone.store(true, Ordering::Release);
        self.0.room.notify_all();
    }
}

impl<W: Wait> ChannelProducer<W> {
    /// Claims room for a payload of up to `length` bytes, waiting for it as long as it takes. May
    /// park.
    ///
    /// # Errors
    /// - [`ClaimError`]: as for [`claim`](Producer::claim), but never [`ClaimError::Full`].
    #[inline]
    pub fn claim_when_free(
        &mut self,
        length: usize,
    ) -> Result<Claim<'_, HeapWords, HeapWords, ConsumerLink<W>>, ClaimError> {
        let place = match self.room.place_afresh(length, &self.peer) {
            Err(ClaimError::Full { .. }) => self.wait_for_room(length),
            answer => answer,
        };
        Ok(self.claim_at(place?))
    }

    #[cold]
    #[inline(never)]
    fn wait_for_room(&mut self, length: usize) -> Result<Place, ClaimError> {
        let (room, peer) = (&mut self.room, &self.peer);
        peer.0.room.wait_until(|| match room.place_afresh(length, peer) {
            Err(ClaimError::Full { .. }) => None,
            answer => Some(answer),
        })
    }

    /// Copies a payload into the ring, waiting for room as long as it takes. May park.
    ///
    /// # Errors
    /// - [`ClaimError`]: as for [`claim_when_free`](Self::claim_when_free).
    #[inline]
    pub fn send(&mut self, payload: &[u8]) -> Result<(), ClaimError> {
        let mut claim = self.claim_when_free(payload.len())?;
        claim.write(0, payload);
        claim.commit(payload.len());
        Ok(())
    }
}

impl<W: Wait> ChannelConsumer<W> {
    /// Looks at the next record, waiting for one as long as it takes; it stays in the ring until
    /// [`Record::consume`]. May park.
    ///
    /// # Errors
    /// - [`ReadError`]: as for [`try_recv`](Consumer::try_recv).
    #[inline]
    pub fn recv(&mut self) -> Result<Record<'_, HeapWords, HeapWords, ProducerLink<W>>, ReadError> {
        let place = match look(&mut self.side, &self.peer).transpose() {
            Some(answer) => answer,
            None => self.wait_for_record(),
        };
        Ok(self.record_at(place?))
    }

    #[cold]
    #[inline(never)]
    fn wait_for_record(&mut self) -> Result<Place, ReadError> {
        let (side, peer) = (&mut self.side, &self.peer);
        peer.0.records.wait_until(|| look(side, peer).transpose())
    }
}
