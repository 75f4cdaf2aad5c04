//! The unsafe of the broadcast: records that are read where they lie.
//!
//! It decides nothing: that nobody writes them meanwhile is the log's protocol, and the caller
//! says why it holds.

use crate::storage::HeapWords;

/// `count` words from `first` on, as plain memory, which the compiler may read as it likes.
///
/// # Safety
/// Until the slice is gone nobody writes these words, and whoever wrote them last did so before,
/// in the order of an Acquire load.
#[inline(always)]
pub(super) unsafe fn words(storage: &HeapWords, first: usize, count: usize) -> &[u64] {
    let words = storage.as_plain();
    assert!(first <= words.1 && count <= words.1 - first, "record beyond the storage");
    // SAFETY: the range lies within the words of the storage, which live as long as it is borrowed
    // and have the layout of `u64`; that nobody writes them is the caller's promise.
    unsafe { core::slice::from_raw_parts(words.0.add(first), count) }
}
