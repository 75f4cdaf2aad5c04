//! What a ring runs on: indexed 64-bit words, and a heap form of them.
//!
//! Every access is an atomic word access, so a peer that writes at the wrong moment can make a
//! value wrong but never the program undefined. Mapped segments implement the traits elsewhere.

use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};

/// Words that this end may read.
///
/// Words of one storage never move and their number never changes. Indexes beyond
/// [`len`](Self::len) panic: the ring checks its shape against the storage once, at creation.
pub trait ReadWords {
    /// Number of words.
    fn len(&self) -> usize;

    /// Whether there are no words at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loads a word without ordering.
    fn load_relaxed(&self, index: usize) -> u64;

    /// Loads a word; what its Release store published is visible afterwards.
    fn load_acquire(&self, index: usize) -> u64;

    /// Copies `out.len()` words from `first` on, each without ordering.
    fn read(&self, first: usize, out: &mut [u64]) {
        for (offset, word) in out.iter_mut().enumerate() {
            *word = self.load_relaxed(first + offset);
        }
    }
}

/// Words that this end, and nobody else, may write.
pub trait WriteWords: ReadWords {
    /// Stores a word without ordering.
    fn store_relaxed(&self, index: usize, value: u64);

    /// Stores a word and publishes everything stored before.
    fn store_release(&self, index: usize, value: u64);

    /// Tells the processor that the word is written soon: its line is fetched meanwhile. Changes
    /// nothing, and does nothing where there is no such instruction.
    #[inline(always)]
    fn write_soon(&self, index: usize) {
        let _ = index;
    }

    /// Copies `words` to `first` on, each without ordering.
    fn write(&self, first: usize, words: &[u64]) {
        for (offset, &word) in words.iter().enumerate() {
            self.store_relaxed(first + offset, word);
        }
    }
}

/// Alignment of the first word of heap storage, a pair of cache lines.
pub(crate) const ALIGN_BYTES: usize = 128;

/// Zeroed words on the heap, the first of which begins a pair of cache lines; clones share them.
#[derive(Clone)]
pub struct HeapWords {
    words: Arc<[AtomicU64]>,
    /// Words before the first one, so that it is aligned.
    skipped: usize,
    len: usize,
}

impl HeapWords {
    /// Allocates `len` zeroed words.
    pub fn new(len: usize) -> Self {
        // What follows the words shares no line with them either.
        let spare = if cfg!(loom) { 0 } else { 2 * ALIGN_BYTES / 8 };
        let words: Arc<[AtomicU64]> = (0..len + spare).map(|_| AtomicU64::new(0)).collect();
        let skipped = if cfg!(loom) { 0 } else { words.as_ptr().align_offset(ALIGN_BYTES) };
        assert!(skipped + len <= words.len(), "memory cannot be aligned");
        Self { words, skipped, len }
    }

    /// `count` words from `first` on, checked once.
    #[inline(always)]
    fn range(&self, first: usize, count: usize) -> &[AtomicU64] {
        &self.words[self.skipped..][first..][..count]
    }

    /// Where the words lie, and how many there are.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn as_plain(&self) -> (*const u64, usize) {
        const { assert!(size_of::<AtomicU64>() == size_of::<u64>()) };
        (self.range(0, self.len).as_ptr().cast(), self.len)
    }

    #[inline(always)]
    fn at(&self, index: usize) -> &AtomicU64 {
        &self.words[self.skipped + index]
    }
}

impl core::fmt::Debug for HeapWords {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HeapWords").field("len", &self.len).finish_non_exhaustive()
    }
}

impl ReadWords for HeapWords {
    fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn load_relaxed(&self, index: usize) -> u64 {
        self.at(index).load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn load_acquire(&self, index: usize) -> u64 {
        self.at(index).load(Ordering::Acquire)
    }

    #[inline(always)]
    fn read(&self, first: usize, out: &mut [u64]) {
        let words = self.range(first, out.len());
        for (out, word) in out.iter_mut().zip(words) {
            *out = word.load(Ordering::Relaxed);
        }
    }
}

impl WriteWords for HeapWords {
    #[inline(always)]
    fn store_relaxed(&self, index: usize, value: u64) {
        self.at(index).store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    fn store_release(&self, index: usize, value: u64) {
        self.at(index).store(value, Ordering::Release);
    }

    #[inline(always)]
    fn write(&self, first: usize, words: &[u64]) {
        for (word, &value) in self.range(first, words.len()).iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Nothing but what a storage must have.
    struct Plain(HeapWords);

    impl ReadWords for Plain {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn load_relaxed(&self, index: usize) -> u64 {
            self.0.load_relaxed(index)
        }

        fn load_acquire(&self, index: usize) -> u64 {
            self.0.load_acquire(index)
        }
    }

    impl WriteWords for Plain {
        fn store_relaxed(&self, index: usize, value: u64) {
            self.0.store_relaxed(index, value);
        }

        fn store_release(&self, index: usize, value: u64) {
            self.0.store_release(index, value);
        }
    }

    fn check(words: &impl WriteWords) {
        assert_eq!((words.len(), words.is_empty()), (5, false));
        words.write(1, &[7, 8, 9]);
        let mut copy = [0; 5];
        words.read(0, &mut copy);
        assert_eq!(copy, [0, 7, 8, 9, 0]);
        words.read(2, &mut copy[..2]);
        assert_eq!(copy, [8, 9, 8, 9, 0]);
    }

    #[test]
    fn words_are_copied_in_and_out_word_by_word_or_at_once() {
        check(&HeapWords::new(5));
        check(&Plain(HeapWords::new(5)));
        assert!(Plain(HeapWords::new(0)).is_empty());
    }

    #[test]
    fn heap_words_tell_their_number_and_not_their_content() {
        assert_eq!(format!("{:?}", HeapWords::new(5)), "HeapWords { len: 5, .. }");
    }
}
