//! The receiving end of the `throughput` ring.

use core::cell::Cell;
use core::marker::PhantomData;

use super::channel::{Peer, Polling};
use super::frame::{Frame, Place, parse};
use super::{ReadError, ReadSide};
use crate::storage::{ReadWords, WriteWords};

/// The receiving end. Wait-free but where it says that it waits; one per ring. It never allocates.
#[derive(Debug)]
pub struct Consumer<T, H, P = Polling> {
    pub(super) side: ReadSide<T, H>,
    pub(super) peer: P,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<T: ReadWords, H: WriteWords> Consumer<T, H> {
    /// Makes the consumer of a fresh ring whose producer polls.
    pub fn new(side: ReadSide<T, H>) -> Self {
        Self::with_peer(side, Polling)
    }
}

impl<T: ReadWords, H: WriteWords, P: Peer> Consumer<T, H, P> {
    /// Makes the consumer of a fresh ring whose producer is told of room through `peer`.
    pub fn with_peer(side: ReadSide<T, H>, peer: P) -> Self {
        Self { side, peer, is_not_sync: PhantomData }
    }

    /// Looks at the next record; it stays in the ring until [`Record::consume`].
    ///
    /// # Errors
    /// - [`ReadError::Closed`]: the producer is gone and every record was received.
    /// - [`ReadError::CorruptTail`], [`ReadError::CorruptHeader`]: the peer wrote nonsense.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Record<'_, T, H, P>>, ReadError> {
        Ok(look(&mut self.side, &self.peer)?.map(|place| self.record_at(place)))
    }

    /// Starts a batch of up to `records_max` records, of those that are there. Those that were
    /// taken go back to the producer together, when the batch is dropped.
    #[inline]
    pub fn drain(&mut self, records_max: usize) -> Drain<'_, T, H, P> {
        Drain { position: self.side.head(), left: records_max, ring: self }
    }

    /// Gives the room of consumed records back to the producer now.
    ///
    /// Consuming does so by itself every quarter of a lap, and looking does when there is nothing.
    #[inline]
    pub fn release(&mut self) {
        if self.side.release() {
            self.peer.notify();
        }
    }

    /// Whether the producer is known to be gone; records may be left.
    pub fn is_closed(&self) -> bool {
        self.peer.is_gone()
    }

    /// What tells the producer of room.
    pub fn peer(&self) -> &P {
        &self.peer
    }

    /// Capacity in bytes, headers and gaps included.
    pub fn capacity_bytes(&self) -> usize {
        self.side.capacity()
    }

    /// Bytes consumed so far, headers, gaps and padding included.
    pub fn consumed_bytes(&self) -> u64 {
        self.side.head()
    }

    #[inline(always)]
    fn advance(&mut self, to: u64) {
        if self.side.advance(to) {
            self.peer.notify();
        }
    }

    #[inline(always)]
    pub(super) fn record_at(&mut self, place: Place) -> Record<'_, T, H, P> {
        Record { ring: self, place }
    }

    #[inline(always)]
    fn view(&self, place: Place) -> View<'_, T, H> {
        View { side: &self.side, place }
    }
}

/// The next record, or that there is none now.
#[inline(always)]
pub(super) fn look<T: ReadWords, H: WriteWords>(
    side: &mut ReadSide<T, H>,
    peer: &impl Peer,
) -> Result<Option<Place>, ReadError> {
    match next_place(side, peer, side.head())? {
        None => look_after_the_end(side, peer),
        found => Ok(found),
    }
}

/// The first record at `position` or, behind padding, after it.
#[inline(always)]
fn next_place<T: ReadWords, H: WriteWords>(
    side: &mut ReadSide<T, H>,
    peer: &impl Peer,
    mut position: u64,
) -> Result<Option<Place>, ReadError> {
    // Twice at most: padding leads to the start of the memory, where there is none.
    loop {
        if position == side.tail() && !refresh(side, peer, position)? {
            return Ok(None);
        }
        // Read once, then only the copy is used (RB-6).
        let header = side.word(position);
        let (ready, to_end) = (side.tail() - position, side.to_end(position));
        match parse(position, header, ready, to_end) {
            Some(Frame::Record(place)) => return Ok(Some(place)),
            Some(Frame::Padding) => position += to_end,
            None => return Err(ReadError::CorruptHeader { position, header }),
        }
    }
}

/// Looks at the producer's tail; true when there is something at `position`.
#[cold]
#[inline(never)]
fn refresh<T: ReadWords, H: WriteWords>(
    side: &mut ReadSide<T, H>,
    peer: &impl Peer,
    position: u64,
) -> Result<bool, ReadError> {
    if side.refresh()? {
        peer.notify();
    }
    Ok(position != side.tail())
}

/// The ring was empty a moment ago: it is over only if the producer had gone before a look that
/// found nothing (RB-14).
#[cold]
#[inline(never)]
fn look_after_the_end<T: ReadWords, H: WriteWords>(
    side: &mut ReadSide<T, H>,
    peer: &impl Peer,
) -> Result<Option<Place>, ReadError> {
    if !peer.is_gone() {
        return Ok(None);
    }
    next_place(side, peer, side.head())?.map(Some).ok_or(ReadError::Closed)
}

/// A committed record in place.
#[derive(Debug)]
pub struct Record<'a, T: ReadWords, H: WriteWords, P: Peer> {
    ring: &'a mut Consumer<T, H, P>,
    place: Place,
}

impl<T: ReadWords, H: WriteWords, P: Peer> Record<'_, T, H, P> {
    /// The payload, in place.
    #[cfg(not(loom))]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.ring.view(self.place).bytes()
    }

    /// Copies payload bytes, from its byte `first` on.
    ///
    /// # Panics
    /// When the range lies beyond the payload.
    #[inline]
    pub fn read(&self, first: usize, out: &mut [u8]) {
        self.ring.view(self.place).read(first, out);
    }

    /// Payload bytes.
    #[inline]
    pub fn length(&self) -> usize {
        self.place.length as usize
    }

    /// Takes the record out of the ring.
    #[inline]
    pub fn consume(self) {
        self.ring.advance(self.place.end());
    }
}

/// A record of a batch, in place.
#[derive(Debug)]
pub struct View<'a, T, H> {
    side: &'a ReadSide<T, H>,
    place: Place,
}

impl<'a, T: ReadWords, H: WriteWords> View<'a, T, H> {
    /// The payload, in place.
    #[cfg(not(loom))]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.side.window(self.place.payload, self.place.length as usize)
    }

    /// Copies payload bytes, from its byte `first` on.
    ///
    /// # Panics
    /// When the range lies beyond the payload.
    #[inline]
    pub fn read(&self, first: usize, out: &mut [u8]) {
        let length = self.length();
        assert!(first <= length && out.len() <= length - first, "range beyond the payload");
        self.side.read(self.place.payload + first as u64, out);
    }

    /// Payload bytes.
    #[inline]
    pub fn length(&self) -> usize {
        self.place.length as usize
    }
}

/// Records taken as one batch. Those that were not taken stay in the ring.
#[derive(Debug)]
pub struct Drain<'a, T: ReadWords, H: WriteWords, P: Peer> {
    ring: &'a mut Consumer<T, H, P>,
    position: u64,
    left: usize,
}

impl<T: ReadWords, H: WriteWords, P: Peer> Drain<'_, T, H, P> {
    /// Takes the next record; none when there is no other one now, or the batch is complete.
    ///
    /// # Errors
    /// - [`ReadError::CorruptTail`], [`ReadError::CorruptHeader`]: the peer wrote nonsense.
    #[inline]
    pub fn take(&mut self) -> Result<Option<View<'_, T, H>>, ReadError> {
        if self.left == 0 {
            return Ok(None);
        }
        let ring = &mut *self.ring;
        let Some(place) = next_place(&mut ring.side, &ring.peer, self.position)? else {
            return Ok(None);
        };
        self.left -= 1;
        self.position = place.end();
        Ok(Some(self.ring.view(place)))
    }
}

impl<T: ReadWords, H: WriteWords, P: Peer> Drop for Drain<'_, T, H, P> {
    #[inline]
    fn drop(&mut self) {
        self.ring.advance(self.position);
    }
}
