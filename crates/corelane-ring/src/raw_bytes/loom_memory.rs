//! The bytes of a `throughput` ring under the model checker: a cell per word, so that loom sees
//! every access and reports a race. There are no slices, because loom could not watch them. Where
//! a tap reads along, each is an atomic word instead, which may be read while it is written.

use crate::storage::{HeapWords, ReadWords, WriteWords};
use crate::sync::{Arc, UnsafeCell};

const WORD: usize = 8;

#[derive(Debug, Clone)]
pub(super) enum Memory {
    Cells(Arc<Vec<UnsafeCell<u64>>>),
    Words(HeapWords),
}

impl Memory {
    pub(super) fn zeroed(len: usize) -> Self {
        Self::Cells(Arc::new((0..len / WORD).map(|_| UnsafeCell::new(0)).collect()))
    }

    pub(super) fn over(words: HeapWords) -> Self {
        Self::Words(words)
    }

    pub(super) fn len(&self) -> usize {
        WORD * match self {
            Self::Cells(cells) => cells.len(),
            Self::Words(words) => words.len(),
        }
    }

    pub(super) fn offset(&self, position: u64) -> usize {
        position as usize & (self.len() - 1)
    }

    pub(super) fn to_end(&self, position: u64) -> u64 {
        (self.len() - self.offset(position)) as u64
    }

    /// # Safety
    /// Nobody else touches these bytes during the call. loom checks it of cells.
    pub(super) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset.is_multiple_of(WORD), "payloads begin with a word");
        for (index, part) in (offset / WORD..).zip(bytes.chunks(WORD)) {
            let mut word = [0; WORD];
            word[..part.len()].copy_from_slice(part);
            // SAFETY: the caller's promise; what fills the last word up belongs to the record too.
            unsafe { self.put(index * WORD, u64::from_ne_bytes(word)) };
        }
    }

    /// # Safety
    /// Nobody writes these bytes during the call. loom checks it of cells.
    pub(super) unsafe fn read(&self, offset: usize, bytes: &mut [u8]) {
        assert!(offset.is_multiple_of(WORD), "payloads begin with a word");
        for (index, part) in (offset / WORD..).zip(bytes.chunks_mut(WORD)) {
            // SAFETY: the caller's promise.
            let word = unsafe { self.get(index * WORD) }.to_ne_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
    }

    /// # Safety
    /// As for [`write`](Self::write).
    pub(super) unsafe fn put(&self, offset: usize, word: u64) {
        match self {
            // SAFETY: the caller's promise.
            Self::Cells(cells) => cells[offset / WORD].with_mut(|at| unsafe { *at = word }),
            Self::Words(words) => words.store_relaxed(offset / WORD, word),
        }
    }

    /// # Safety
    /// As for [`read`](Self::read).
    pub(super) unsafe fn get(&self, offset: usize) -> u64 {
        match self {
            // SAFETY: the caller's promise.
            Self::Cells(cells) => cells[offset / WORD].with(|at| unsafe { *at }),
            Self::Words(words) => words.load_relaxed(offset / WORD),
        }
    }
}
