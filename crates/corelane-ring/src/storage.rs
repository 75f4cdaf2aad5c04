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

    /// Copies `words` to `first` on, each without ordering.
    fn write(&self, first: usize, words: &[u64]) {
        for (offset, &word) in words.iter().enumerate() {
            self.store_relaxed(first + offset, word);
        }
    }
}

const WORDS_PER_LINE: usize = 8;

#[repr(align(64))]
struct Line([AtomicU64; WORDS_PER_LINE]);

/// Zeroed words on the heap, aligned to cache lines; clones share them.
#[derive(Clone)]
pub struct HeapWords {
    lines: Arc<[Line]>,
    len: usize,
}

impl HeapWords {
    /// Allocates `len` zeroed words.
    pub fn new(len: usize) -> Self {
        let zeroed = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        let lines: Vec<Line> = (0..len.div_ceil(WORDS_PER_LINE)).map(|_| zeroed()).collect();
        Self { lines: Arc::from(lines), len }
    }

    #[inline]
    fn at(&self, index: usize) -> &AtomicU64 {
        &self.lines[index / WORDS_PER_LINE].0[index % WORDS_PER_LINE]
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

    #[inline]
    fn load_relaxed(&self, index: usize) -> u64 {
        self.at(index).load(Ordering::Relaxed)
    }

    #[inline]
    fn load_acquire(&self, index: usize) -> u64 {
        self.at(index).load(Ordering::Acquire)
    }
}

impl WriteWords for HeapWords {
    #[inline]
    fn store_relaxed(&self, index: usize, value: u64) {
        self.at(index).store(value, Ordering::Relaxed);
    }

    #[inline]
    fn store_release(&self, index: usize, value: u64) {
        self.at(index).store(value, Ordering::Release);
    }
}
