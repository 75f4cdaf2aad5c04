//! The unsafe of the broadcast: where the records of the typed ends lie, and reading them there.
//!
//! It decides nothing. Records are written as atomic words, which is always allowed; that nobody
//! writes a record while it is read as plain memory is the log's protocol, and the caller says
//! why it holds.

use core::marker::PhantomData;
use core::ptr::NonNull;

use bytemuck::{Pod, Zeroable};

use crate::storage::{HeapWords, ReadWords};
use crate::sync::{AtomicU64, Ordering};

use super::shape::LogShape;

const WORD_BYTES: usize = size_of::<u64>();

/// The records of a log on the heap: where they lie is found out once and not for every message.
#[derive(Debug)]
pub(super) struct Records<T> {
    first: NonNull<AtomicU64>,
    mask: usize,
    /// Keeps the memory.
    _words: HeapWords,
    messages: PhantomData<fn(T) -> T>,
}

// SAFETY: what `first` points to are atomic words, which threads may share, and the memory goes
// with `_words`, which is `Send`; a message leaves as a copy, for which `T` is `Send`.
unsafe impl<T: Send> Send for Records<T> {}

impl<T: Pod> Records<T> {
    /// The records of a log of this shape.
    ///
    /// # Panics
    /// When records are no `T`, or the words are too few.
    pub(super) fn new(shape: &LogShape, words: &HeapWords) -> Self {
        assert!(size_of::<T>() == shape.record_words() * WORD_BYTES, "record is no message");
        assert!(shape.data_words() <= words.len(), "records beyond the storage");
        let first = words.as_plain().0.cast::<AtomicU64>().cast_mut();
        // SAFETY: the first record lies within the words of the storage, as was just checked;
        // their address is not null.
        let first = unsafe { NonNull::new_unchecked(first.add(shape.record_start(0))) };
        let mask = shape.slots() - 1;
        Self { first, mask, _words: words.clone(), messages: PhantomData }
    }

    /// The same without the way over its owner.
    #[inline(always)]
    pub(super) fn slots(&self) -> Slots<'_, T> {
        Slots { first: self.first, mask: self.mask, records: PhantomData }
    }
}

/// Records by position.
#[derive(Debug)]
pub(super) struct Slots<'a, T> {
    first: NonNull<AtomicU64>,
    mask: usize,
    records: PhantomData<&'a Records<T>>,
}

impl<T> Clone for Slots<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slots<'_, T> {}

impl<'a, T: Pod> Slots<'a, T> {
    const WORDS: usize = size_of::<T>() / WORD_BYTES;

    /// The words of the record at `position`.
    #[inline(always)]
    fn words(self, position: u64) -> &'a [AtomicU64] {
        let first = (position as usize & self.mask) * Self::WORDS;
        // SAFETY: the masked position is that of a slot, all of which lie in the memory, as
        // `Records::new` checked; `Records` keeps it as long as it is borrowed.
        unsafe { core::slice::from_raw_parts(self.first.add(first).as_ptr(), Self::WORDS) }
    }

    /// Writes the record at `position`, each word without ordering.
    #[inline(always)]
    pub(super) fn write(self, position: u64, message: &T) {
        let (chunks, _) = bytemuck::bytes_of(message).as_chunks::<WORD_BYTES>();
        for (word, chunk) in self.words(position).iter().zip(chunks) {
            word.store(u64::from_ne_bytes(*chunk), Ordering::Relaxed);
        }
    }

    /// Copies the record at `position`, each word without ordering.
    #[inline(always)]
    pub(super) fn read(self, position: u64) -> T {
        let mut message = <T as Zeroable>::zeroed();
        let (chunks, _) = bytemuck::bytes_of_mut(&mut message).as_chunks_mut::<WORD_BYTES>();
        for (word, chunk) in self.words(position).iter().zip(chunks) {
            *chunk = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        message
    }

    /// The record at `position`, read as plain memory.
    ///
    /// # Safety
    /// As for [`run`](Self::run), until this returns.
    #[inline(always)]
    pub(super) unsafe fn take(self, position: u64) -> T {
        let record = self.words(position).as_ptr().cast::<T>();
        // SAFETY: these words are within the memory, have the size of a `T`, which any bits are a
        // value of, and lie as `T` must, since the first slot does; the rest is the caller's
        // promise.
        unsafe { record.read() }
    }

    /// Up to `count` records from `position` on, to the end of the memory at most, as plain memory,
    /// which the compiler may read as it likes.
    ///
    /// # Safety
    /// Until the slice is gone nobody writes these records, and whoever wrote them last did so
    /// before, in the order of an Acquire load. The alignment of `T` is not above the storage's.
    #[inline(always)]
    pub(super) unsafe fn run(self, position: u64, count: u64) -> &'a [T] {
        let index = position as usize & self.mask;
        let count = count.min((self.mask + 1 - index) as u64) as usize;
        let first = self.words(position).as_ptr().cast::<T>();
        // SAFETY: slots from `index` to the last one lie in a row within the memory, each of the
        // size of a `T`, which any bits are a value of; the first of them is aligned as the
        // storage is, so the others are as `T` is. The rest is the caller's promise.
        unsafe { core::slice::from_raw_parts(first, count) }
    }
}
