//! The bytes of a `throughput` ring under the model checker: a cell per word, so that loom sees
//! every access and reports a race. There are no slices, because loom could not watch them.

use crate::sync::{Arc, UnsafeCell};

const WORD: usize = 8;

#[derive(Debug, Clone)]
pub(super) struct Memory {
    words: Arc<Vec<UnsafeCell<u64>>>,
}

impl Memory {
    pub(super) fn zeroed(len: usize) -> Self {
        Self { words: Arc::new((0..len / WORD).map(|_| UnsafeCell::new(0)).collect()) }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len() * WORD
    }

    pub(super) fn offset(&self, position: u64) -> usize {
        position as usize & (self.len() - 1)
    }

    pub(super) fn to_end(&self, position: u64) -> u64 {
        (self.len() - self.offset(position)) as u64
    }

    /// # Safety
    /// Nobody else touches these bytes during the call. loom checks it.
    pub(super) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        for (index, &byte) in (offset..).zip(bytes) {
            self.words[index / WORD].with_mut(|word| {
                // SAFETY: the caller's promise; the byte lies within its word.
                unsafe { *word.cast::<u8>().add(index % WORD) = byte }
            });
        }
    }

    /// # Safety
    /// Nobody writes these bytes during the call. loom checks it.
    pub(super) unsafe fn read(&self, offset: usize, bytes: &mut [u8]) {
        for (index, byte) in (offset..).zip(bytes) {
            self.words[index / WORD].with(|word| {
                // SAFETY: the caller's promise; the byte lies within its word.
                *byte = unsafe { *word.cast::<u8>().add(index % WORD) }
            });
        }
    }

    /// # Safety
    /// As for [`write`](Self::write).
    pub(super) unsafe fn put(&self, offset: usize, word: u64) {
        // SAFETY: the caller's promise.
        self.words[offset / WORD].with_mut(|at| unsafe { *at = word });
    }

    /// # Safety
    /// As for [`read`](Self::read).
    pub(super) unsafe fn get(&self, offset: usize) -> u64 {
        // SAFETY: the caller's promise.
        self.words[offset / WORD].with(|at| unsafe { *at })
    }
}
