//! Bounds-checked access to the words of a segment, read-only or by its one writer.
//!
//! Loads and stores are wait-free and allocate nothing. It never forms a `&[u8]` or `&[u64]` over
//! mapped memory, and orders nothing across words beyond Acquire and Release.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::raw::{Access, RawWords};

/// A window reaches beyond the words it is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "window is out of bounds first={first} len={len} available={available}; ask for fewer words"
)]
#[non_exhaustive]
pub struct WindowError {
    /// First word asked for.
    pub first: usize,
    /// Number of words asked for.
    pub len: usize,
    /// Words there are.
    pub available: usize,
}

impl WindowError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0361"
    }
}

/// Words that this process may only read; clones share the mapping, the last one unmaps it.
///
/// Indexes out of bounds panic, as for a slice.
#[derive(Clone, Debug)]
pub struct WordsRo {
    raw: RawWords,
}

impl WordsRo {
    pub(crate) fn new(raw: RawWords) -> Self {
        Self { raw }
    }

    /// Number of words.
    #[inline]
    pub fn len(&self) -> usize {
        self.raw.atomics().len()
    }

    /// Whether there are no words at all.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The words `first..first + len` as words of their own.
    ///
    /// # Errors
    ///
    /// - [`WindowError`] when there are fewer.
    pub fn window(&self, first: usize, len: usize) -> Result<Self, WindowError> {
        match self.raw.window(first, len) {
            Some(raw) => Ok(Self { raw }),
            None => Err(WindowError { first, len, available: self.len() }),
        }
    }

    /// Loads a word without ordering.
    ///
    /// # Panics
    ///
    /// When `index` is out of bounds.
    #[inline]
    pub fn load_relaxed(&self, index: usize) -> u64 {
        self.raw.atomics()[index].load(Ordering::Relaxed)
    }

    /// Loads a word; what the Release store that wrote it published is visible afterwards.
    ///
    /// # Panics
    ///
    /// When `index` is out of bounds.
    #[inline]
    pub fn load_acquire(&self, index: usize) -> u64 {
        let value = self.load_relaxed(index);
        // Only relaxed loads are sure to work on read-only memory, so the order is a fence; pairs
        // with `WordsRw::store_release`, in this process or the peer's.
        fence(Ordering::Acquire);
        value
    }

    /// Copies `out.len()` words from `first` on, each without ordering.
    ///
    /// # Panics
    ///
    /// When they reach out of bounds.
    #[inline]
    pub fn read(&self, first: usize, out: &mut [u64]) {
        self.raw.read(first, out);
    }

    /// Copies bytes from byte `first` on, whatever a peer does to them meanwhile: what was torn is
    /// garbage. Faster than words for more than some hundred bytes.
    ///
    /// # Panics
    ///
    /// When they reach out of bounds.
    #[inline]
    pub fn copy_bytes(&self, first: usize, out: &mut [u8]) {
        self.raw.copy_out(first, out);
    }

    pub(crate) fn raw(&self) -> &RawWords {
        &self.raw
    }
}

/// Words that this process, and no other, may write; clones share the mapping.
///
/// All loads of [`WordsRo`] are there through `Deref`. Threads of the process agree among
/// themselves who writes which word.
#[derive(Clone, Debug)]
pub struct WordsRw {
    words: WordsRo,
}

impl WordsRw {
    pub(crate) fn new(raw: RawWords) -> Self {
        assert_eq!(raw.access(), Access::ReadWrite, "only a segment's creator maps it writable");
        Self { words: WordsRo::new(raw) }
    }

    /// The words `first..first + len` as words of their own.
    ///
    /// # Errors
    ///
    /// - [`WindowError`] when there are fewer.
    pub fn window(&self, first: usize, len: usize) -> Result<Self, WindowError> {
        self.words.window(first, len).map(|words| Self { words })
    }

    /// The same words without the right to write.
    pub fn read_only(&self) -> WordsRo {
        self.words.clone()
    }

    /// Stores a word without ordering.
    ///
    /// # Panics
    ///
    /// When `index` is out of bounds.
    #[inline]
    pub fn store_relaxed(&self, index: usize, value: u64) {
        self.as_atomics()[index].store(value, Ordering::Relaxed);
    }

    /// Stores a word and publishes everything stored before; pairs with `WordsRo::load_acquire`.
    ///
    /// # Panics
    ///
    /// When `index` is out of bounds.
    #[inline]
    pub fn store_release(&self, index: usize, value: u64) {
        self.as_atomics()[index].store(value, Ordering::Release);
    }

    /// Has the processor fetch the word's line to write it, if it can; beyond the words, nothing.
    #[inline(always)]
    pub(crate) fn write_soon(&self, index: usize) {
        self.words.raw.write_soon(index);
    }

    /// Copies `words` to `first` on, each without ordering.
    ///
    /// # Panics
    ///
    /// When they reach out of bounds.
    #[inline]
    pub fn write(&self, first: usize, words: &[u64]) {
        let target = &self.as_atomics()[first..][..words.len()];
        for (word, &value) in target.iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// The words as atomics, for what the methods here do not cover.
    #[inline]
    pub fn as_atomics(&self) -> &[AtomicU64] {
        self.words.raw.atomics()
    }
}

impl Deref for WordsRw {
    type Target = WordsRo;

    #[inline]
    fn deref(&self) -> &WordsRo {
        &self.words
    }
}
