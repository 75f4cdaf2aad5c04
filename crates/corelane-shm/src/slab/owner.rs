//! The owner's side of a slab: lending chunks to fill, and taking them back.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

use corelane_ring::holds;
use thiserror::Error;

use super::class::{CLASSES, chunk_bytes, class_of};
use super::extent::OwnExtent;
use super::{CHUNKS_MAX, ChunkRef, EXTENTS_MAX, ExtentShape, PAYLOAD_BYTES_MAX};
use crate::{SegmentError, SegmentOptions, WordsRo};

/// Bytes of the first extent of a size, if one chunk is smaller; later ones double.
const EXTENT_BYTES_FIRST: usize = 128 << 10;
/// Bytes beyond which extents do not double any more.
const EXTENT_BYTES_TARGET: usize = 64 << 20;

/// Why no chunk was lent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoanError {
    /// No chunk is that long.
    #[error("payload of {bytes} bytes is above the limit={limit}: split it")]
    TooLong {
        /// Bytes asked for.
        bytes: usize,
        /// Longest payload.
        limit: usize,
    },
    /// Every chunk of the size is in use, and the slab may not grow.
    #[error(
        "no chunk of {bytes} bytes is free and the slab has used={used} of limit={limit} bytes: \
         wait for readers, drop loans, or raise the limit"
    )]
    Exhausted {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes of all extents.
        used: usize,
        /// Most bytes of all extents.
        limit: usize,
    },
    /// The system gave no memory for another extent.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

impl LoanError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "CL-0378",
            Self::Exhausted { .. } => "CL-0379",
            Self::Segment(cause) => cause.code(),
        }
    }
}

/// A chunk to be filled. Dropping it gives it back.
pub struct Chunk {
    extent: Arc<OwnExtent>,
    reference: ChunkRef,
    class: usize,
    returns: Arc<Mutex<Vec<Returned>>>,
    is_published: bool,
}

#[derive(Debug, Clone, Copy)]
struct Returned {
    class: usize,
    place: Place,
}

/// Extent and chunk.
type Place = (u32, u32);

impl Chunk {
    /// What a record says to refer to it.
    pub fn reference(&self) -> ChunkRef {
        self.reference
    }

    /// Shortens the payload.
    ///
    /// # Panics
    /// When it would grow.
    pub fn truncate(&mut self, length: usize) {
        assert!(length as u64 <= self.reference.length, "a payload can only be shortened");
        self.reference.length = length as u64;
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: SL-1: the slab granted this chunk to this value alone, until drop or publish.
        unsafe { self.extent.bytes(self.reference.index as usize, self.reference.length as usize) }
    }
}

impl DerefMut for Chunk {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: SL-1: as in `deref`, and this value is borrowed mutably.
        unsafe {
            self.extent.bytes_mut(self.reference.index as usize, self.reference.length as usize)
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if !self.is_published {
            let place = (self.reference.extent, self.reference.index);
            let mut returns = self.returns.lock().unwrap_or_else(PoisonError::into_inner);
            returns.push(Returned { class: self.class, place });
        }
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// An extent that readers have to be given before a reference into it is published.
#[derive(Debug)]
pub struct NewExtent<'a> {
    /// Its number.
    pub number: u32,
    /// Its size.
    pub shape: ExtentShape,
    /// Its sealed descriptor.
    pub fd: BorrowedFd<'a>,
}

/// What a slab counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SlabCounts {
    /// Bytes of all extents.
    pub bytes: usize,
    /// Extents.
    pub extents: usize,
    /// Chunks in all extents.
    pub chunks: usize,
    /// Chunks that are free.
    pub free: usize,
    /// Chunks that published records refer to.
    pub published: usize,
}

#[derive(Debug, Default)]
struct Class {
    free: Vec<Place>,
    /// Published chunks with the position of their record, oldest first.
    published: VecDeque<(u64, Place)>,
    /// Published chunks whose position is over but which were held when they were looked at.
    held: Vec<Place>,
    extents: usize,
}

/// The owner's side of a slab.
#[derive(Debug)]
pub struct Slab {
    limit_bytes: usize,
    used_bytes: usize,
    generation: u64,
    memory: SegmentOptions,
    extents: Vec<Arc<OwnExtent>>,
    classes: Vec<Class>,
    returns: Arc<Mutex<Vec<Returned>>>,
}

impl Slab {
    /// A slab without memory, which grows to `limit_bytes` at most, by extents whose memory is as
    /// `memory` says. `generation` is written into their headers.
    pub fn new(limit_bytes: usize, generation: u64, memory: SegmentOptions) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            generation,
            memory,
            extents: Vec::new(),
            classes: (0..CLASSES).map(|_| Class::default()).collect(),
            returns: Arc::default(),
        }
    }

    /// Lends a free chunk for a payload of `bytes`, if there is one. It holds what was there
    /// before; zeros at first.
    ///
    /// # Errors
    /// - [`LoanError::TooLong`].
    pub fn lend(&mut self, bytes: usize) -> Result<Option<Chunk>, LoanError> {
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(LoanError::TooLong { bytes, limit: PAYLOAD_BYTES_MAX });
        }
        let class = class_of(bytes);
        if self.classes[class].free.is_empty() {
            self.take_returns();
        }
        let Some(place @ (extent, index)) = self.classes[class].free.pop() else { return Ok(None) };
        let owner = &self.extents[place.0 as usize];
        let generation = owner.generation(index as usize);
        let reference = ChunkRef { extent, index, length: bytes as u64, generation };
        let (extent, returns) = (Arc::clone(owner), Arc::clone(&self.returns));
        Ok(Some(Chunk { extent, reference, class, returns, is_published: false }))
    }

    fn take_returns(&mut self) {
        let mut returns = self.returns.lock().unwrap_or_else(PoisonError::into_inner);
        for Returned { class, place } in returns.drain(..) {
            self.classes[class].free.push(place);
        }
    }

    /// Position up to which records must be over so that a part of the chunks for `bytes` can be
    /// free again: that of one in four of them, oldest first. `None` when none is published.
    pub fn wanted(&self, bytes: usize) -> Option<u64> {
        let class = &self.classes[class_of(bytes)];
        let count = class.published.len();
        if count == 0 {
            return (!class.held.is_empty()).then_some(0);
        }
        class.published.get(count.div_ceil(4) - 1).map(|(position, _)| position + 1)
    }

    /// Takes chunks of the size for `bytes` back whose records lie below `over`, but for those
    /// that one of `holders` holds. Each holder is a storage of holds, a word each.
    pub fn reclaim<'a>(
        &mut self,
        bytes: usize,
        over: u64,
        holders: impl Iterator<Item = &'a WordsRo>,
    ) {
        let class = &mut self.classes[class_of(bytes)];
        let count = class.published.partition_point(|(position, _)| *position < over);
        for (_, (extent, index)) in class.published.drain(..count) {
            self.extents[extent as usize].retire(index as usize);
            class.held.push((extent, index));
        }
        if class.held.is_empty() {
            return;
        }
        // SL-3: a reader's hold is seen here, or the reader sees the new generation; SL-2: whoever
        // reads what is written after this sees the new generation.
        let mut held = HashSet::new();
        holds::note_marks(holders, |mark| {
            held.insert(mark);
        });
        let Class { held: waiting, free, .. } = class;
        waiting.retain(|&(extent, index)| {
            let reference = ChunkRef { extent, index, length: 0, generation: 0 };
            let is_held = held.contains(&reference.mark());
            if !is_held {
                free.push((extent, index));
            }
            is_held
        });
    }

    /// Adds an extent with chunks for `bytes`. Readers must be given it before a reference into it
    /// is published.
    ///
    /// # Errors
    /// - [`LoanError::Exhausted`]: the slab may not grow so far.
    /// - [`LoanError::Segment`]: the system gives no memory.
    pub fn grow(&mut self, bytes: usize) -> Result<NewExtent<'_>, LoanError> {
        let class = class_of(bytes);
        let size = chunk_bytes(class);
        let (used, limit) = (self.used_bytes, self.limit_bytes);
        let left = limit.saturating_sub(used);
        let chunks = chunks_wished(self.classes[class].extents, size).min(left / size);
        if chunks == 0 || self.extents.len() == EXTENTS_MAX {
            return Err(LoanError::Exhausted { bytes, used, limit });
        }
        let shape = ExtentShape { chunk_bytes: size, chunks };
        let number = self.extents.len() as u32;
        self.extents.push(Arc::new(OwnExtent::create(shape, self.generation, &self.memory)?));
        self.used_bytes += size * chunks;
        self.classes[class].extents += 1;
        self.classes[class].free.extend((0..chunks as u32).rev().map(|index| (number, index)));
        Ok(self.extent(number))
    }

    /// Takes back the extent that was added last, with chunks for `bytes`, of which nothing was
    /// lent yet: no reader could be given it.
    pub fn undo_growth(&mut self, bytes: usize) {
        let class = &mut self.classes[class_of(bytes)];
        let Some(extent) = self.extents.pop() else { return };
        let number = self.extents.len() as u32;
        class.free.retain(|(of, _)| *of != number);
        class.extents -= 1;
        let ExtentShape { chunk_bytes, chunks } = extent.shape();
        self.used_bytes -= chunk_bytes * chunks;
    }

    /// All extents, for a reader that comes late.
    pub fn extents(&self) -> impl Iterator<Item = NewExtent<'_>> {
        (0..self.extents.len() as u32).map(|number| self.extent(number))
    }

    fn extent(&self, number: u32) -> NewExtent<'_> {
        let extent = &self.extents[number as usize];
        NewExtent { number, shape: extent.shape(), fd: extent.fd() }
    }

    /// Notes that the record at `position` refers to `chunk` from here on. Positions only grow.
    pub fn published(&mut self, mut chunk: Chunk, position: u64) {
        chunk.is_published = true;
        let place = (chunk.reference.extent, chunk.reference.index);
        self.classes[chunk.class].published.push_back((position, place));
    }

    /// What is in use. Looks at every size.
    pub fn counts(&mut self) -> SlabCounts {
        self.take_returns();
        let mut counts = SlabCounts {
            bytes: self.used_bytes,
            extents: self.extents.len(),
            chunks: self.extents.iter().map(|extent| extent.shape().chunks).sum(),
            ..SlabCounts::default()
        };
        for class in &self.classes {
            counts.free += class.free.len();
            counts.published += class.published.len() + class.held.len();
        }
        counts
    }
}

/// Chunks of the next extent of a size that has `extents` already, if there is room for them.
fn chunks_wished(extents: usize, size: usize) -> usize {
    let bytes = (EXTENT_BYTES_FIRST << extents.min(16)).min(EXTENT_BYTES_TARGET);
    (bytes / size).clamp(1, CHUNKS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_double_up_to_a_size_and_hold_a_chunk_at_least() {
        const KIB: usize = 1 << 10;
        let wished =
            |size| [0, 1, 5, 9, 10, usize::MAX].map(|extents| chunks_wished(extents, size));
        assert_eq!(wished(32 * KIB), [4, 8, 128, 2_048, 2_048, 2_048]);
        assert_eq!(wished(640), [204, 409, 6_553, CHUNKS_MAX, CHUNKS_MAX, CHUNKS_MAX]);
        assert_eq!(wished(1_024 * KIB), [1, 1, 4, 64, 64, 64]);
        assert_eq!(wished(PAYLOAD_BYTES_MAX), [1; 6]);
    }
}
