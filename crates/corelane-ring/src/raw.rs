//! The unsafe of the typed rings: slots that are written once, then read once, in turns.
//!
//! It decides nothing: which end owns a slot when is the ring's protocol, and every caller names
//! the invariant that says so.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::sync::UnsafeCell;

/// A message, and what the ring notes beside it, if anything.
#[derive(Debug)]
#[repr(C)]
struct Slot<T, N> {
    note: N,
    message: UnsafeCell<MaybeUninit<T>>,
}

/// Slots that begin on a pair of cache lines, so that a record of one line never lies on two.
#[derive(Debug)]
pub(crate) struct SlotMemory<T, N = ()> {
    first: NonNull<Slot<T, N>>,
    count: usize,
    owns: PhantomData<Slot<T, N>>,
}

// SAFETY: RB-8: a slot is accessed by one thread at a time, and what it holds moves from one to
// the other, which is what `Send` allows.
unsafe impl<T: Send, N: Send> Send for SlotMemory<T, N> {}
// SAFETY: as above; the shared reference gives no access but through the unsafe methods.
unsafe impl<T: Send, N: Sync> Sync for SlotMemory<T, N> {}

/// Alignment of the first slot.
const ALIGN: usize = 128;

impl<T, N: Default> SlotMemory<T, N> {
    /// Empty slots; `count` is a power of two.
    pub(crate) fn new(count: usize) -> Self {
        assert!(count.is_power_of_two(), "the number of slots is checked before");
        let layout = Self::layout(count);
        let first = if layout.size() == 0 {
            NonNull::dangling()
        } else {
            // SAFETY: the layout has a size above zero.
            let memory = unsafe { std::alloc::alloc(layout) };
            NonNull::new(memory.cast()).unwrap_or_else(|| std::alloc::handle_alloc_error(layout))
        };
        for index in 0..count {
            let slot = Slot { note: N::default(), message: UnsafeCell::new(MaybeUninit::uninit()) };
            // SAFETY: the memory was made for `count` slots, of which this is one.
            unsafe { first.add(index).write(slot) };
        }
        Self { first, count, owns: PhantomData }
    }
}

impl<T, N> SlotMemory<T, N> {
    fn layout(count: usize) -> std::alloc::Layout {
        let layout = std::alloc::Layout::array::<Slot<T, N>>(count);
        let layout = layout.and_then(|layout| layout.align_to(ALIGN));
        layout.expect("because the capacity is limited so that the size is no overflow")
    }

    /// A view that skips the way over the owner.
    ///
    /// # Safety
    /// The view must not be used after this memory is dropped.
    pub(crate) unsafe fn view(&self) -> Slots<T, N> {
        Slots { first: self.first, mask: self.count - 1 }
    }
}

impl<T, N> Drop for SlotMemory<T, N> {
    fn drop(&mut self) {
        for index in 0..self.count {
            // SAFETY: every slot was written in `new`, and is dropped once. A `MaybeUninit`
            // drops no message: the ring takes out what is left before.
            unsafe { self.first.add(index).drop_in_place() };
        }
        let layout = Self::layout(self.count);
        if layout.size() != 0 {
            // SAFETY: it was allocated in `new` with this very layout.
            unsafe { std::alloc::dealloc(self.first.as_ptr().cast(), layout) };
        }
    }
}

/// Slots by position; positions count on for ever and wrap around the memory.
#[derive(Debug)]
pub(crate) struct Slots<T, N = ()> {
    first: NonNull<Slot<T, N>>,
    mask: usize,
}

impl<T, N> Clone for Slots<T, N> {
    fn clone(&self) -> Self {
        Self { first: self.first, mask: self.mask }
    }
}

// SAFETY: as for `SlotMemory`.
unsafe impl<T: Send, N: Sync> Send for Slots<T, N> {}
// SAFETY: as for `SlotMemory`.
unsafe impl<T: Send, N: Sync> Sync for Slots<T, N> {}

impl<T, N> Slots<T, N> {
    #[inline(always)]
    fn slot(&self, position: u64) -> &Slot<T, N> {
        // SAFETY: the masked index is below the number of slots, and whoever made this view
        // promised that the memory is still there.
        unsafe { self.first.add(position as usize & self.mask).as_ref() }
    }

    /// Number of slots.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.mask + 1
    }

    /// What the ring notes beside the message of `position`.
    #[inline(always)]
    pub(crate) fn note(&self, position: u64) -> &N {
        &self.slot(position).note
    }

    /// Moves a message into the slot of `position`.
    ///
    /// # Safety
    /// The caller owns the slot (RB-8), and it is empty.
    #[inline(always)]
    pub(crate) unsafe fn put(&self, position: u64, message: T) {
        self.slot(position).message.with_mut(|slot| {
            // SAFETY: nobody else accesses the slot, by the caller's promise.
            unsafe { (*slot).write(message) };
        });
    }

    /// Moves the message out of the slot of `position`.
    ///
    /// # Safety
    /// The caller owns the slot (RB-8), and it holds a message, which is taken this once.
    #[inline(always)]
    pub(crate) unsafe fn take(&self, position: u64) -> T {
        // SAFETY: nobody else accesses the slot, and it is initialised, by the caller's promise.
        self.slot(position).message.with(|slot| unsafe { (*slot).assume_init_read() })
    }
}

impl<T> Slots<T> {
    /// The messages in `count` slots from `position` on: those to the end of the memory, and
    /// those from its start on.
    ///
    /// # Safety
    /// The slots hold messages and nobody writes them as long as the slices live.
    #[cfg(not(loom))]
    pub(crate) unsafe fn slices(&self, position: u64, count: usize) -> (&[T], &[T]) {
        let start = position as usize & self.mask;
        let first = count.min(self.count() - start);
        // SAFETY: a slot without a note has the layout of its message, the slots lie in a row
        // within the memory, and the rest is the caller's promise.
        unsafe {
            let base = self.first.as_ptr().cast::<T>();
            (
                core::slice::from_raw_parts(base.add(start), first),
                core::slice::from_raw_parts(base, count - first),
            )
        }
    }
}

/// Calls `drop_one` for each position, also for those behind one whose message panics when it is
/// dropped, so that it takes no other message along. A second panic aborts, as everywhere.
pub(crate) fn drop_each(positions: core::ops::Range<u64>, drop_one: impl FnMut(u64)) {
    let mut rest = Rest(positions, drop_one);
    for position in rest.0.by_ref() {
        (rest.1)(position);
    }
}

/// Positions whose messages are still to be dropped.
struct Rest<F: FnMut(u64)>(core::ops::Range<u64>, F);

impl<F: FnMut(u64)> Drop for Rest<F> {
    fn drop(&mut self) {
        self.0.by_ref().for_each(&mut self.1);
    }
}
