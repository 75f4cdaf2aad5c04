//! A slab: memory for large payloads, of which a producer lends chunks that others read in place.
//!
//! A slab grows by *extents*, sealed segments with chunks of one size. A record carries a
//! [`ChunkRef`] instead of its payload. A chunk is used again when every reader that was promised
//! the record has gone past it, and nobody *holds* it: a hold is a word in the reader's own page.
//! No count is shared, so a reader that dies leaves nothing behind: its page is not looked at any
//! more.
//!
//! Readers that were promised nothing (lossy ones) find out by the chunk's generation whether what
//! they copied, or want to hold, is still what they were referred to.
//!
//! What it does not do: it neither carries references nor descriptors, and knows no cursor: the
//! owner of the slab says which positions are over.
//!
//! # Invariants
//!
//! - **SL-1** A chunk is granted to one [`Chunk`] at a time, and not while a hold on it is in
//!   force.
//! - **SL-2** Before a chunk is written again its generation is raised. A copy is right if the
//!   generation did not change: the owner's fence after raising it pairs with the reader's after
//!   the copy.
//! - **SL-3** A hold is in force when its word was stored before the generation was seen unchanged:
//!   between the two on either side lies a SeqCst fence, so that either the owner sees the hold or
//!   the reader the new generation.
//! - **SL-4** What a reader says about holds, and an owner about chunks, is held against what is
//!   possible: it never leads out of an extent, and keeps at most the chunks that it names.

mod class;
#[allow(unsafe_code)]
mod extent;
#[allow(unsafe_code)]
mod hold;
#[allow(unsafe_code)]
mod owner;

pub use extent::EXTENT_KIND;
pub use hold::{ExtentError, HOLDS_MAX, Held, Holds, ReadError, SlabReader, Trusted};
pub use owner::{Chunk, LoanError, NewExtent, Slab, SlabCounts};

use thiserror::Error;

/// Longest payload in a chunk: 1 GiB.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 30;
/// Most chunks of one extent.
pub const CHUNKS_MAX: usize = 1 << 16;
/// Most extents of one slab.
pub const EXTENTS_MAX: usize = 1 << 12;

/// Words in which a record carries a [`ChunkRef`].
pub const REF_WORDS: usize = 3;

/// Where a payload lies, as a record carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    /// Which extent.
    pub extent: u32,
    /// Which of its chunks.
    pub index: u32,
    /// Bytes of the payload.
    pub length: u64,
    /// Generation of the chunk when it was filled.
    pub generation: u64,
}

impl ChunkRef {
    /// The words of a record.
    #[inline]
    pub fn encode(&self) -> [u64; REF_WORDS] {
        [self.place(), self.length, self.generation]
    }

    /// Reads the words of a record. What they say is checked when the chunk is read.
    #[inline]
    pub fn decode(words: [u64; REF_WORDS]) -> Self {
        let [place, length, generation] = words;
        Self { extent: (place >> 32) as u32, index: place as u32, length, generation }
    }

    /// Extent and chunk in one word.
    fn place(&self) -> u64 {
        (self.extent as u64) << 32 | self.index as u64
    }

    /// What a reader marks while it holds the chunk; never zero.
    fn mark(&self) -> u64 {
        self.place() + 1
    }
}

/// Size of an extent, as its owner tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtentShape {
    /// Bytes of a chunk.
    pub chunk_bytes: usize,
    /// Number of chunks.
    pub chunks: usize,
}

/// An owner told of an extent that no slab makes.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error(
    "extent of chunks={} of chunk_bytes={} is not possible: the peer is broken, detach it",
    shape.chunks, shape.chunk_bytes
)]
pub struct ShapeError {
    /// What was told.
    pub shape: ExtentShape,
}

impl ShapeError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0371"
    }
}

#[cfg(test)]
mod tests;
