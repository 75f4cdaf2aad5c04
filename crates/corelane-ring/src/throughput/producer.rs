//! The sending end of the `throughput` ring.

use core::cell::Cell;
use core::marker::PhantomData;

use super::channel::{Peer, Polling};
use super::frame::{Place, padding, payload_bytes_max};
use super::{ClaimError, WriteSide};
use crate::storage::{ReadWords, WriteWords};

/// The sending end. Wait-free but where it says that it waits; one per ring. It never allocates.
#[derive(Debug)]
pub struct Producer<T, H, P = Polling> {
    pub(super) room: Room<T, H>,
    pub(super) peer: P,
    is_not_sync: PhantomData<Cell<()>>,
}

/// The memory and what is staged in it, apart from the peer so that waiting can look at both.
#[derive(Debug)]
pub(super) struct Room<T, H> {
    side: WriteSide<T, H>,
    /// Where the next record goes: the tail, or further on in a batch.
    staged: u64,
    payload_bytes_max: usize,
}

impl<T: WriteWords, H: ReadWords> Producer<T, H> {
    /// Makes the producer of a fresh ring whose consumer polls.
    pub fn new(side: WriteSide<T, H>) -> Self {
        Self::with_peer(side, Polling)
    }
}

impl<T: WriteWords, H: ReadWords, P: Peer> Producer<T, H, P> {
    /// Makes the producer of a fresh ring whose consumer is told of records through `peer`.
    pub fn with_peer(side: WriteSide<T, H>, peer: P) -> Self {
        let payload_bytes_max = payload_bytes_max(side.capacity());
        let room = Room { staged: side.tail(), side, payload_bytes_max };
        Self { room, peer, is_not_sync: PhantomData }
    }

    /// Claims room for a payload of up to `length` bytes; dropping the claim without a commit
    /// gives it back (RB-3).
    ///
    /// # Errors
    /// - [`ClaimError::Full`], [`ClaimError::Closed`]: no room; nothing changed. That the consumer
    ///   is gone is noticed at the latest when the ring is full.
    /// - [`ClaimError::TooLong`]: no record of this ring can be that long.
    /// - [`ClaimError::CorruptHead`]: the peer wrote nonsense.
    #[inline]
    pub fn claim(&mut self, length: usize) -> Result<Claim<'_, T, H, P>, ClaimError> {
        let place = self.room.place_afresh(length, &self.peer)?;
        Ok(self.claim_at(place))
    }

    /// Copies a payload into the ring; it is visible to the consumer on return.
    ///
    /// # Errors
    /// - [`ClaimError`]: as for [`claim`](Self::claim).
    #[inline]
    pub fn try_send(&mut self, payload: &[u8]) -> Result<(), ClaimError> {
        let mut claim = self.claim(payload.len())?;
        claim.write(0, payload);
        claim.commit(payload.len());
        Ok(())
    }

    /// Starts a batch: records that become visible together, by one commit (RB-13).
    #[inline]
    pub fn batch(&mut self) -> Batch<'_, T, H, P> {
        self.room.staged = self.room.side.tail();
        Batch { ring: self }
    }

    /// Whether the consumer is known to be gone; never of a ring whose consumer polls.
    pub fn is_closed(&self) -> bool {
        self.peer.is_gone()
    }

    /// Capacity in bytes, headers and gaps included.
    pub fn capacity_bytes(&self) -> usize {
        self.room.side.capacity()
    }

    /// Most payload bytes of one record.
    pub fn payload_bytes_max(&self) -> usize {
        self.room.payload_bytes_max
    }

    /// Bytes published so far, headers, gaps and padding included.
    pub fn committed_bytes(&self) -> u64 {
        self.room.side.tail()
    }

    #[inline(always)]
    pub(super) fn claim_at(&mut self, place: Place) -> Claim<'_, T, H, P> {
        Claim { ring: self, place, publishes: true }
    }

    #[inline(always)]
    fn publish(&mut self) {
        self.room.side.publish(self.room.staged);
        self.peer.notify();
    }
}

impl<T: WriteWords, H: ReadWords> Room<T, H> {
    /// Finds room behind the tail: a batch that was dropped published nothing (RB-13).
    #[inline(always)]
    pub(super) fn place_afresh(
        &mut self,
        length: usize,
        peer: &impl Peer,
    ) -> Result<Place, ClaimError> {
        self.staged = self.side.tail();
        self.place(length, peer)
    }

    /// Finds room behind what is staged; writes the padding that leads to it (RB-11).
    #[inline(always)]
    fn place(&mut self, length: usize, peer: &impl Peer) -> Result<Place, ClaimError> {
        if length > self.payload_bytes_max {
            return Err(ClaimError::TooLong { length, max: self.payload_bytes_max });
        }
        let place = Place::new(self.staged, length);
        if place.bytes() > self.side.to_end(self.staged) {
            return self.place_behind_padding(length, peer);
        }
        if place.end() > self.side.allowed() {
            self.make_room(place.end(), peer)?;
        }
        Ok(place)
    }

    #[cold]
    #[inline(never)]
    fn place_behind_padding(
        &mut self,
        length: usize,
        peer: &impl Peer,
    ) -> Result<Place, ClaimError> {
        let to_end = self.side.to_end(self.staged);
        let place = Place::new(self.staged + to_end, length);
        if place.end() > self.side.allowed() {
            self.make_room(place.end(), peer)?;
        }
        self.side.put_word(self.staged, padding(to_end));
        Ok(place)
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self, end: u64, peer: &impl Peer) -> Result<(), ClaimError> {
        if end > self.side.limit() {
            self.side.refresh()?;
            if end > self.side.limit() {
                return Err(match peer.is_gone() {
                    true => ClaimError::Closed,
                    false => ClaimError::Full { capacity_bytes: self.side.capacity() },
                });
            }
        }
        self.side.allow(self.staged, end);
        Ok(())
    }
}

/// Room that its producer may write until it is committed or dropped.
#[derive(Debug)]
#[must_use = "nothing is published before the commit"]
pub struct Claim<'a, T: WriteWords, H: ReadWords, P: Peer> {
    ring: &'a mut Producer<T, H, P>,
    place: Place,
    /// False within a batch, which publishes on its own commit.
    publishes: bool,
}

impl<T: WriteWords, H: ReadWords, P: Peer> Claim<'_, T, H, P> {
    /// The claimed bytes, to be written in place. They hold what was there a lap before.
    #[cfg(not(loom))]
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.ring.room.side.window(self.place.payload, self.place.length as usize)
    }

    /// Copies bytes into the payload, from its byte `first` on.
    ///
    /// # Panics
    /// When they do not fit the claim: its owner knows how long it is.
    #[inline]
    pub fn write(&mut self, first: usize, bytes: &[u8]) {
        assert!(
            first <= self.length() && bytes.len() <= self.length() - first,
            "payload exceeds the claim"
        );
        self.ring.room.side.write(self.place.payload + first as u64, bytes);
    }

    /// Bytes claimed.
    #[inline]
    pub fn length(&self) -> usize {
        self.place.length as usize
    }

    /// Publishes the record with the first `length` bytes of the claim; in a batch, adds it to
    /// the batch.
    ///
    /// # Panics
    /// When `length` is more than was claimed.
    #[inline]
    pub fn commit(self, length: usize) {
        assert!(length <= self.length(), "length exceeds the claim");
        let place = Place { length: length as u32, ..self.place };
        self.ring.room.side.put_word(place.start, place.header());
        self.ring.room.staged = place.end();
        if self.publishes {
            self.ring.publish();
        }
    }
}

/// Records that become visible together. Dropping it without a commit publishes none (RB-13).
#[derive(Debug)]
#[must_use = "nothing is published before the commit"]
pub struct Batch<'a, T: WriteWords, H: ReadWords, P: Peer> {
    ring: &'a mut Producer<T, H, P>,
}

impl<T: WriteWords, H: ReadWords, P: Peer> Batch<'_, T, H, P> {
    /// Claims room for the next record of the batch.
    ///
    /// A batch takes part of the ring until it is committed: when this answers that the ring is
    /// full, commit and go on with another batch.
    ///
    /// # Errors
    /// - [`ClaimError`]: as for [`Producer::claim`]; the batch stays as it is.
    #[inline]
    pub fn claim(&mut self, length: usize) -> Result<Claim<'_, T, H, P>, ClaimError> {
        let place = self.ring.room.place(length, &self.ring.peer)?;
        Ok(Claim { ring: self.ring, place, publishes: false })
    }

    /// Copies a payload into the batch.
    ///
    /// # Errors
    /// - [`ClaimError`]: as for [`claim`](Self::claim).
    #[inline]
    pub fn push(&mut self, payload: &[u8]) -> Result<(), ClaimError> {
        let mut claim = self.claim(payload.len())?;
        claim.write(0, payload);
        claim.commit(payload.len());
        Ok(())
    }

    /// Bytes of the ring that the batch takes, headers, gaps and padding included.
    pub fn staged_bytes(&self) -> u64 {
        self.ring.room.staged - self.ring.room.side.tail()
    }

    /// Publishes every record of the batch.
    #[inline]
    pub fn commit(self) {
        if self.ring.room.staged != self.ring.room.side.tail() {
            self.ring.publish();
        }
    }
}
