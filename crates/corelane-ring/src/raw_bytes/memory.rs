//! The bytes of a `throughput` ring: a range of memory that something keeps in place.
//!
//! It decides nothing: which byte may be touched when is up to the two sides in `raw_bytes.rs`.

use core::any::Any;
use core::ptr::NonNull;
use std::alloc::Layout;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};

/// Alignment on the heap: a page, so that a hardware prefetcher meets as few page ends as can be.
const HEAP_ALIGN: usize = 4096;

/// A range whose length is a power of two.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    base: NonNull<u8>,
    mask: usize,
    /// Frees the memory when the last side goes.
    _keep: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the pointer is used through the unsafe methods only, whose callers rule out races; what
// keeps the memory is `Send` and `Sync` itself.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// # Safety
    /// `len` bytes from `base` on are initialised memory as long as `keep` lives, and `len` is a
    /// power of two.
    pub(super) unsafe fn new(
        base: NonNull<u8>,
        len: usize,
        keep: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self { base, mask: len - 1, _keep: keep }
    }

    /// Memory on the heap; all of it is touched now, so that no page is missing later.
    pub(super) fn zeroed(len: usize) -> Self {
        assert!(len.is_power_of_two(), "the capacity is checked before");
        let block = Block::zeroed(len);
        // SAFETY: the block is that long, it is zeroed, and lives as long as it is kept.
        unsafe { Self::new(block.base, len, Arc::new(block)) }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.mask + 1
    }

    #[inline(always)]
    pub(super) fn offset(&self, position: u64) -> usize {
        position as usize & self.mask
    }

    #[inline(always)]
    pub(super) fn to_end(&self, position: u64) -> u64 {
        (self.mask + 1 - self.offset(position)) as u64
    }

    /// # Safety
    /// The bytes lie within the memory, and nobody else touches them as long as the slice lives.
    #[allow(clippy::mut_from_ref, reason = "the caller promises that nobody else touches them")]
    #[inline(always)]
    pub(super) unsafe fn slice_mut(&self, offset: usize, length: usize) -> &mut [u8] {
        // SAFETY: the memory is initialised; the rest is the caller's promise.
        unsafe { core::slice::from_raw_parts_mut(self.base.as_ptr().add(offset), length) }
    }

    /// # Safety
    /// The bytes lie within the memory, and nobody writes them as long as the slice lives.
    #[inline(always)]
    pub(super) unsafe fn slice(&self, offset: usize, length: usize) -> &[u8] {
        // SAFETY: the memory is initialised; the rest is the caller's promise.
        unsafe { core::slice::from_raw_parts(self.base.as_ptr().add(offset), length) }
    }

    /// # Safety
    /// As for [`slice_mut`](Self::slice_mut), during the call.
    #[inline(always)]
    pub(super) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        // SAFETY: the caller's promise.
        unsafe { self.slice_mut(offset, bytes.len()) }.copy_from_slice(bytes);
    }

    /// # Safety
    /// As for [`slice`](Self::slice), during the call.
    #[inline(always)]
    pub(super) unsafe fn read(&self, offset: usize, bytes: &mut [u8]) {
        // SAFETY: the caller's promise.
        bytes.copy_from_slice(unsafe { self.slice(offset, bytes.len()) });
    }

    /// # Safety
    /// As for [`slice_mut`](Self::slice_mut), over the eight bytes of the word.
    #[inline(always)]
    pub(super) unsafe fn put(&self, offset: usize, word: u64) {
        // SAFETY: the caller's promise.
        unsafe { self.atomic(offset) }.store(word, Ordering::Relaxed);
    }

    /// Reads a word once, whatever the compiler would like.
    ///
    /// # Safety
    /// As for [`slice`](Self::slice), over the eight bytes of the word.
    #[inline(always)]
    pub(super) unsafe fn get(&self, offset: usize) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { self.atomic(offset) }.load(Ordering::Relaxed)
    }

    /// # Safety
    /// The word lies within the memory, and nobody makes a slice over it as long as this lives.
    #[inline(always)]
    unsafe fn atomic(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "words are aligned");
        // SAFETY: the base is aligned to lines, so the word is aligned; the rest is the caller's
        // promise.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }
}

/// Memory from the allocator.
#[derive(Debug)]
struct Block {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block does nothing but own its memory; `Drop` needs no particular thread.
unsafe impl Send for Block {}
// SAFETY: as above; a shared block gives no access.
unsafe impl Sync for Block {}

impl Block {
    fn zeroed(len: usize) -> Self {
        let layout = Layout::from_size_align(len, HEAP_ALIGN);
        let layout = layout.expect("because the capacity is limited so that it is no overflow");
        // SAFETY: the layout has a size above zero, because a power of two is.
        let memory = unsafe { std::alloc::alloc(layout) };
        let base = NonNull::new(memory).unwrap_or_else(|| std::alloc::handle_alloc_error(layout));
        // SAFETY: the memory was allocated with this length.
        unsafe { base.write_bytes(0, len) };
        Self { base, layout }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this very layout.
        unsafe { std::alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}
