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

    /// Where the words lie, and how many there are.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn atomics(&self) -> (*const u64, usize) {
        const { assert!(size_of::<Line>() == WORDS_PER_LINE * size_of::<u64>()) };
        (self.lines.as_ptr().cast(), self.lines.len() * WORDS_PER_LINE)
    }

    /// `count` words from `first` on, when they lie within one line.
    #[inline(always)]
    fn within_line(&self, first: usize, count: usize) -> Option<&[AtomicU64]> {
        let (line, offset) = (first / WORDS_PER_LINE, first % WORDS_PER_LINE);
        (offset + count <= WORDS_PER_LINE).then(|| &self.lines[line].0[offset..][..count])
    }

    /// The lines that hold `count` words from `first` on, when a line begins with `first`.
    #[inline(always)]
    fn whole_lines(&self, first: usize, count: usize) -> Option<&[Line]> {
        let line = first / WORDS_PER_LINE;
        let lines = line..line + count.div_ceil(WORDS_PER_LINE);
        first.is_multiple_of(WORDS_PER_LINE).then(|| &self.lines[lines])
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

    /// Checks the range once for what lies within a line or begins with one.
    #[inline(always)]
    fn read(&self, first: usize, out: &mut [u64]) {
        if let Some(words) = self.within_line(first, out.len()) {
            for (out, word) in out.iter_mut().zip(words) {
                *out = word.load(Ordering::Relaxed);
            }
        } else if let Some(lines) = self.whole_lines(first, out.len()) {
            for (out, line) in out.chunks_mut(WORDS_PER_LINE).zip(lines) {
                for (out, word) in out.iter_mut().zip(&line.0) {
                    *out = word.load(Ordering::Relaxed);
                }
            }
        } else {
            for (offset, out) in out.iter_mut().enumerate() {
                *out = self.load_relaxed(first + offset);
            }
        }
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

    /// Checks the range once for what lies within a line or begins with one.
    #[inline(always)]
    fn write(&self, first: usize, words: &[u64]) {
        if let Some(target) = self.within_line(first, words.len()) {
            for (word, &value) in target.iter().zip(words) {
                word.store(value, Ordering::Relaxed);
            }
        } else if let Some(lines) = self.whole_lines(first, words.len()) {
            for (words, line) in words.chunks(WORDS_PER_LINE).zip(lines) {
                for (word, &value) in line.0.iter().zip(words) {
                    word.store(value, Ordering::Relaxed);
                }
            }
        } else {
            for (offset, &value) in words.iter().enumerate() {
                self.store_relaxed(first + offset, value);
            }
        }
    }
}
