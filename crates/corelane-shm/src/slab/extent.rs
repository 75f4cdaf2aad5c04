//! The segments that a slab consists of: chunks of one size, each with a generation.
//!
//! It decides nothing about who may have a chunk when; it makes the slices over chunks that were
//! granted, and so has the unsafe code of the slab.
//!
//! ```text
//! words  0 .. chunks         one generation per chunk, padded to a page
//! then   chunks x chunk_bytes
//! ```

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use corelane_ring::holds::{self, Place};

use super::{CHUNKS_MAX, ChunkRef, ExtentShape, ShapeError};
use crate::slab::class::CHUNK_BYTES_MIN;
use crate::{
    OwnedSegment, PeerSegment, SegmentError, SegmentExpect, SegmentInfo, SegmentOptions, WordsRo,
    WordsRw,
};

/// Words of a page, at whose start the chunks lie.
const PAGE_WORDS: usize = 512;
/// Version of an extent's layout.
const LAYOUT_VERSION: u32 = 1;
/// Kind of an extent's segment.
pub const EXTENT_KIND: u32 = 11;

impl ExtentShape {
    /// Checks what a peer says of an extent.
    ///
    /// # Errors
    /// - [`ShapeError`]: no slab makes such an extent.
    pub fn check(self) -> Result<Self, ShapeError> {
        let is_size = self.chunk_bytes.is_multiple_of(8)
            && (CHUNK_BYTES_MIN..=super::PAYLOAD_BYTES_MAX).contains(&self.chunk_bytes);
        if is_size && (1..=CHUNKS_MAX).contains(&self.chunks) {
            return Ok(self);
        }
        Err(ShapeError { shape: self })
    }

    fn first_chunk_word(&self) -> usize {
        self.chunks.next_multiple_of(PAGE_WORDS)
    }

    /// Words of the whole extent.
    pub(super) fn words(&self) -> usize {
        self.first_chunk_word() + self.chunks * self.chunk_bytes / 8
    }

    /// Byte at which a chunk begins.
    fn chunk_start(&self, index: usize) -> usize {
        self.first_chunk_word() * 8 + index * self.chunk_bytes
    }
}

/// An extent on its owner's side.
#[derive(Debug)]
pub(super) struct OwnExtent {
    shape: ExtentShape,
    segment: OwnedSegment,
}

impl OwnExtent {
    pub(super) fn create(
        shape: ExtentShape,
        generation: u64,
        memory: &SegmentOptions,
    ) -> Result<Self, SegmentError> {
        let info = SegmentInfo {
            kind: EXTENT_KIND,
            generation,
            layout_version: LAYOUT_VERSION,
            layout_hash: shape.chunk_bytes as u64,
        };
        let segment = OwnedSegment::create_with("corelane-extent", shape.words(), info, memory)?;
        Ok(Self { shape, segment })
    }

    pub(super) fn shape(&self) -> ExtentShape {
        self.shape
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.segment.fd()
    }

    fn words(&self) -> &WordsRw {
        self.segment.words()
    }

    pub(super) fn generation(&self, index: usize) -> u64 {
        self.words().load_relaxed(index)
    }

    /// Makes every reference to the chunk an old one. What is read of it from here on is found to
    /// be so (SL-2).
    pub(super) fn retire(&self, index: usize) {
        holds::retire(self.words(), index);
    }

    /// The bytes of a chunk, to be read.
    ///
    /// # Safety
    ///
    /// As [`bytes_mut`](Self::bytes_mut), but the holder may have several.
    pub(super) unsafe fn bytes(&self, index: usize, len: usize) -> &[u8] {
        assert!(index < self.shape.chunks && len <= self.shape.chunk_bytes, "bytes beyond a chunk");
        // SAFETY: SL-1 by the caller: only the holder writes, and it is borrowed.
        unsafe { self.words().raw().bytes(self.shape.chunk_start(index), len) }
            .expect("the chunk lies in the extent because its index does")
    }

    /// The bytes of a chunk.
    ///
    /// # Safety
    ///
    /// The chunk was granted to the caller alone, and is not granted again while the slice lives
    /// (SL-1).
    #[expect(clippy::mut_from_ref, reason = "SL-1: a chunk has one holder at a time")]
    pub(super) unsafe fn bytes_mut(&self, index: usize, len: usize) -> &mut [u8] {
        assert!(index < self.shape.chunks && len <= self.shape.chunk_bytes, "bytes beyond a chunk");
        // SAFETY: SL-1 by the caller: nobody else in this process has a slice of this chunk; other
        // processes that still read it find a newer generation and throw away what they read.
        unsafe { self.words().raw().bytes_mut(self.shape.chunk_start(index), len) }
            .expect("the chunk lies in the extent because its index does")
    }
}

/// An extent on a reader's side.
#[derive(Debug, Clone)]
pub(super) struct PeerExtent {
    shape: ExtentShape,
    words: Arc<WordsRo>,
}

impl PeerExtent {
    pub(super) fn open(shape: ExtentShape, fd: OwnedFd) -> Result<Self, SegmentError> {
        let words = shape.words();
        let expect = SegmentExpect {
            kind: EXTENT_KIND,
            layout_version: LAYOUT_VERSION,
            layout_hash: shape.chunk_bytes as u64,
            min_words: words,
            max_words: words,
        };
        let segment = PeerSegment::open(fd, &expect)?;
        Ok(Self { shape, words: Arc::new(segment.words().clone()) })
    }

    pub(super) fn shape(&self) -> ExtentShape {
        self.shape
    }

    /// The chunk's generation word, and what `reference` says that it was.
    pub(super) fn place(&self, reference: ChunkRef) -> Place<'_, WordsRo> {
        let ChunkRef { index, generation, .. } = reference;
        Place { generations: &self.words, index: index as usize, generation }
    }

    /// Copies the chunk's first bytes; false when they were reused meanwhile (SL-2).
    pub(super) fn copy(&self, reference: ChunkRef, out: &mut [u8]) -> bool {
        self.words.copy_bytes(self.shape.chunk_start(reference.index as usize), out);
        holds::is_intact(&self.place(reference))
    }

    /// The chunk's first bytes, in place.
    ///
    /// # Safety
    ///
    /// A hold on the chunk was seen to be in force (SL-3) and stays so while the slice lives, and
    /// the owner is trusted to respect it.
    pub(super) unsafe fn bytes(&self, index: usize, len: usize) -> &[u8] {
        // SAFETY: SL-3 and the trust that the caller answers for: nobody writes the chunk.
        unsafe { self.words.raw().bytes(self.shape.chunk_start(index), len) }
            .expect("the chunk lies in the extent because its reference was checked")
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::super::PAYLOAD_BYTES_MAX;
    use super::*;

    const SHAPE: ExtentShape = ExtentShape { chunk_bytes: 640, chunks: 3 };

    #[test]
    fn chunks_lie_side_by_side_behind_the_pages_of_their_generations() {
        let starts = [0, 1, 2].map(|index| SHAPE.chunk_start(index));
        assert_eq!(starts, [4_096, 4_736, 5_376]);
        assert_eq!(SHAPE.words(), 512 + 3 * 80);
        let many = ExtentShape { chunks: 513, ..SHAPE };
        assert_eq!((many.chunk_start(0), many.words()), (8_192, 1_024 + 513 * 80));
    }

    #[test]
    fn what_just_can_be_is_an_extent() {
        for (chunk_bytes, chunks) in
            [(CHUNK_BYTES_MIN, 1), (PAYLOAD_BYTES_MAX, 1), (CHUNK_BYTES_MIN, CHUNKS_MAX)]
        {
            let shape = ExtentShape { chunk_bytes, chunks };
            assert_eq!(shape.check(), Ok(shape));
        }
        for (chunk_bytes, chunks) in
            [(CHUNK_BYTES_MIN - 8, 1), (PAYLOAD_BYTES_MAX + 8, 1), (516, 1), (512, CHUNKS_MAX + 1)]
        {
            let shape = ExtentShape { chunk_bytes, chunks };
            assert_eq!(shape.check(), Err(ShapeError { shape }));
        }
    }

    #[test]
    fn bytes_beyond_a_chunk_are_a_panic() {
        let extent = OwnExtent::create(SHAPE, 1, &SegmentOptions::default()).unwrap();
        for (index, len, is_there) in [(2, 640, true), (3, 0, false), (0, 641, false)] {
            // SAFETY: SL-1: nobody else knows of this extent.
            let read = catch_unwind(|| unsafe { extent.bytes(index, len) }.len());
            let write = AssertUnwindSafe(|| {
                // SAFETY: SL-1: as above.
                unsafe { extent.bytes_mut(index, len) }.len()
            });
            assert_eq!(read.ok(), is_there.then_some(len));
            assert_eq!(catch_unwind(write).ok(), is_there.then_some(len));
        }
    }
}
