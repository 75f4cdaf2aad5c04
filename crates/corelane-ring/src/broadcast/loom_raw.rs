//! The records of the typed ends over words of the model checker, which are all read as copies.

use core::marker::PhantomData;

use bytemuck::{Pod, Zeroable};

use crate::storage::{HeapWords, ReadWords, WriteWords};

use super::shape::LogShape;

const WORD_BYTES: usize = size_of::<u64>();

/// The records of a log.
#[derive(Debug)]
pub(super) struct Records<T> {
    shape: LogShape,
    words: HeapWords,
    messages: PhantomData<fn(T) -> T>,
}

impl<T: Pod> Records<T> {
    pub(super) fn new(shape: &LogShape, words: &HeapWords) -> Self {
        Self { shape: *shape, words: words.clone(), messages: PhantomData }
    }

    pub(super) fn slots(&self) -> &Self {
        self
    }

    pub(super) fn write(&self, position: u64, message: &T) {
        let (chunks, _) = bytemuck::bytes_of(message).as_chunks::<WORD_BYTES>();
        for (index, chunk) in (self.shape.record_start(position)..).zip(chunks) {
            self.words.store_relaxed(index, u64::from_ne_bytes(*chunk));
        }
    }

    pub(super) fn read(&self, position: u64) -> T {
        let mut message = <T as Zeroable>::zeroed();
        let (chunks, _) = bytemuck::bytes_of_mut(&mut message).as_chunks_mut::<WORD_BYTES>();
        for (index, chunk) in (self.shape.record_start(position)..).zip(chunks) {
            *chunk = self.words.load_relaxed(index).to_ne_bytes();
        }
        message
    }
}

/// Records by position.
pub(super) type Slots<'a, T> = &'a Records<T>;
