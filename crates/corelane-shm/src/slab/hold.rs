//! A reader's side of a slab: copying chunks, and holding them to read them in place.

use std::fmt;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use corelane_ring::holds;
use thiserror::Error;

use super::extent::PeerExtent;
use super::{ChunkRef, EXTENTS_MAX, ExtentShape, PAYLOAD_BYTES_MAX, ShapeError};
use crate::{SegmentError, WordsRw};

/// Most chunks that one reader holds at a time: one bit of a word each.
pub const HOLDS_MAX: usize = 64;

/// Says that a peer keeps to the protocol, so that its memory may be read in place.
///
/// A peer that does not could change bytes behind a `&[u8]`, which is undefined. Without this a
/// payload is copied first, which is safe whatever the peer does.
#[derive(Debug, Clone, Copy)]
pub struct Trusted(());

impl Trusted {
    /// Trusts.
    ///
    /// # Safety
    ///
    /// Every owner whose memory is read with this keeps to SL-1: it does not write a chunk while a
    /// hold on it is in force. Processes of this library do.
    pub const unsafe fn assume() -> Self {
        Self(())
    }

    #[cfg(test)]
    pub(crate) const fn of_a_test() -> Self {
        Self(())
    }
}

/// Why a chunk was not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The chunk was used again: this reader came too late.
    #[error("payload was overwritten before it was read: read more often, or be reliable")]
    Overrun,
    /// The extent was not handed over (yet).
    #[error("payload lies in extent={extent}, which was not handed over: detach this peer")]
    NoExtent {
        /// Its number.
        extent: u32,
    },
    /// The record refers to what cannot be (SL-4).
    #[error(
        "record refers to chunk={index} length={length} of an extent with chunks={} of \
         chunk_bytes={}: the peer is broken, detach it", shape.chunks, shape.chunk_bytes
    )]
    Corrupt {
        /// Number of the chunk.
        index: u32,
        /// Length of the payload.
        length: u64,
        /// What the extent is.
        shape: ExtentShape,
    },
    /// Every hold is in use.
    #[error("all {max} holds are in use: drop a sample first, or ask for more")]
    NoHold {
        /// Number of holds.
        max: usize,
    },
    /// The payload does not fit what it should be copied into.
    #[error("payload has {bytes} bytes where {room} were given: give more")]
    TooLong {
        /// Bytes of the payload.
        bytes: usize,
        /// Bytes given.
        room: usize,
    },
}

impl ReadError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Overrun => "CL-0372",
            Self::NoExtent { .. } => "CL-0373",
            Self::Corrupt { .. } => "CL-0374",
            Self::NoHold { .. } => "CL-0375",
            Self::TooLong { .. } => "CL-0376",
        }
    }

    /// Whether the owner is to blame, and should be given up.
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::NoExtent { .. } | Self::Corrupt { .. })
    }
}

/// Why an extent was not taken over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExtentError {
    /// It cannot be.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Its segment was refused.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// Its number is not the next one.
    #[error("extent={found} came where extent={expected} was due: the peer is broken, detach it")]
    Order {
        /// Its number.
        found: u32,
        /// The next number.
        expected: u32,
    },
}

impl ExtentError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape(cause) => cause.code(),
            Self::Segment(cause) => cause.code(),
            Self::Order { .. } => "CL-0377",
        }
    }
}

/// The holds of one reader: words in its own page that an owner looks at before it reuses a chunk.
#[derive(Debug, Clone)]
pub struct Holds {
    shared: Arc<HoldWords>,
}

#[derive(Debug)]
struct HoldWords {
    words: WordsRw,
    /// A bit for each word that is free.
    free: AtomicU64,
}

impl Holds {
    /// Takes zeroed words, one for each hold, [`HOLDS_MAX`] at most; more are not used.
    pub fn new(words: WordsRw) -> Self {
        let count = words.len().min(HOLDS_MAX);
        let free = if count == 0 { 0 } else { u64::MAX >> (HOLDS_MAX - count) };
        Self { shared: Arc::new(HoldWords { words, free: AtomicU64::new(free) }) }
    }

    /// Number of holds.
    pub fn count(&self) -> usize {
        self.shared.words.len().min(HOLDS_MAX)
    }

    fn claim(&self) -> Option<usize> {
        let take = |free: u64| (free != 0).then(|| free & (free - 1));
        let before = self.shared.free.fetch_update(Ordering::Acquire, Ordering::Relaxed, take);
        before.ok().map(|free| free.trailing_zeros() as usize)
    }
}

impl HoldWords {
    fn give_back(&self, slot: usize) {
        holds::give_back(&self.words, slot);
        self.free(slot);
    }

    /// The word is another one's to use.
    fn free(&self, slot: usize) {
        self.free.fetch_or(1 << slot, Ordering::Release);
    }
}

/// A payload that is held: it stays where it is, and is not written, until this is dropped.
pub struct Held {
    extent: PeerExtent,
    holds: Arc<HoldWords>,
    slot: usize,
    index: usize,
    length: usize,
}

impl Deref for Held {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: SL-3: `hold` saw the hold in force, and it is given back in drop only; the
        // owner is trusted, as `hold` was promised.
        unsafe { self.extent.bytes(self.index, self.length) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holds.give_back(self.slot);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("index", &self.index).field("length", &self.length).finish()
    }
}

/// The extents of one owner, as a reader knows them.
#[derive(Debug, Clone, Default)]
pub struct SlabReader {
    extents: Vec<PeerExtent>,
}

impl SlabReader {
    /// Knows no extent.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over an extent that the owner handed over. They come in order, from 0.
    ///
    /// # Errors
    /// - [`ExtentError`]: it is none, or not the next one.
    pub fn add(&mut self, number: u32, shape: ExtentShape, fd: OwnedFd) -> Result<(), ExtentError> {
        let expected = self.extents.len() as u32;
        if number != expected || number as usize >= EXTENTS_MAX {
            return Err(ExtentError::Order { found: number, expected });
        }
        self.extents.push(PeerExtent::open(shape.check()?, fd)?);
        Ok(())
    }

    /// Extents known.
    pub fn extents(&self) -> usize {
        self.extents.len()
    }

    /// The extent that holds what `reference` says, and the length of the payload (SL-4).
    fn find(&self, reference: ChunkRef) -> Result<(&PeerExtent, usize), ReadError> {
        let ChunkRef { extent, index, length, .. } = reference;
        let found = self.extents.get(extent as usize).ok_or(ReadError::NoExtent { extent })?;
        let shape = found.shape();
        if index as usize >= shape.chunks || length > shape.chunk_bytes as u64 {
            return Err(ReadError::Corrupt { index, length, shape });
        }
        Ok((found, length as usize))
    }

    /// Copies a payload to the start of `out`, and returns its length.
    ///
    /// # Errors
    /// - [`ReadError`]: it is not there any more, or never was.
    pub fn copy(&self, reference: ChunkRef, out: &mut [u8]) -> Result<usize, ReadError> {
        let (extent, bytes) = self.find(reference)?;
        let room = out.len();
        let out = out.get_mut(..bytes).ok_or(ReadError::TooLong { bytes, room })?;
        if extent.copy(reference, out) { Ok(bytes) } else { Err(ReadError::Overrun) }
    }

    /// Copies a payload into a vector, whose content it replaces.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub fn copy_to_vec(&self, reference: ChunkRef, out: &mut Vec<u8>) -> Result<(), ReadError> {
        let (_, bytes) = self.find(reference)?;
        debug_assert!(bytes <= PAYLOAD_BYTES_MAX);
        out.resize(bytes, 0);
        self.copy(reference, out).map(|_| ())
    }

    /// Holds a payload, to be read in place.
    ///
    /// # Errors
    /// - [`ReadError`]: it is not there any more, or never was, or there is no free hold.
    pub fn hold(&self, reference: ChunkRef, holds: &Holds, _: Trusted) -> Result<Held, ReadError> {
        let (extent, length) = self.find(reference)?;
        let slot = holds.claim().ok_or(ReadError::NoHold { max: holds.count() })?;
        // SL-3: it is in force when this says so.
        if !holds::take(&holds.shared.words, slot, reference.mark(), &extent.place(reference)) {
            holds.shared.free(slot);
            return Err(ReadError::Overrun);
        }
        let (extent, holds) = (extent.clone(), Arc::clone(&holds.shared));
        Ok(Held { extent, holds, slot, index: reference.index as usize, length })
    }
}
