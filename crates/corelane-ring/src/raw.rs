//! The unsafe of the typed rings: slots that are written once, then read once, in turns.
//!
//! It decides nothing: which end owns a slot when is the ring's protocol, and every caller names
//! the invariant that says so.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::sync::UnsafeCell;

/// One slot.
type Cell<T> = UnsafeCell<MaybeUninit<T>>;

/// Cells that begin on a pair of cache lines, so that a record of one line never lies on two.
#[derive(Debug)]
pub(crate) struct SlotMemory<T> {
    cells: NonNull<Cell<T>>,
    slots: usize,
    owns: PhantomData<Cell<T>>,
}

// SAFETY: RB-8: a slot is accessed by one thread at a time, and what it holds moves from one to
// the other, which is what `Send` allows.
unsafe impl<T: Send> Send for SlotMemory<T> {}
// SAFETY: as above; the shared reference gives no access but through the unsafe methods.
unsafe impl<T: Send> Sync for SlotMemory<T> {}

/// Alignment of the first slot.
const ALIGN: usize = 128;

impl<T> SlotMemory<T> {
    /// Empty slots; `slots` is a power of two.
    pub(crate) fn new(slots: usize) -> Self {
        assert!(slots.is_power_of_two(), "the number of slots is checked before");
        let layout = Self::layout(slots);
        let cells = if layout.size() == 0 {
            NonNull::dangling()
        } else {
            // SAFETY: the layout has a size above zero.
            let memory = unsafe { std::alloc::alloc(layout) };
            NonNull::new(memory.cast()).unwrap_or_else(|| std::alloc::handle_alloc_error(layout))
        };
        for index in 0..slots {
            // SAFETY: the memory was made for `slots` cells, of which this is one.
            unsafe { cells.add(index).write(UnsafeCell::new(MaybeUninit::uninit())) };
        }
        Self { cells, slots, owns: PhantomData }
    }

    fn layout(slots: usize) -> std::alloc::Layout {
        let layout = std::alloc::Layout::array::<Cell<T>>(slots);
        let layout = layout.and_then(|layout| layout.align_to(ALIGN));
        layout.expect("because the capacity is limited so that the size is no overflow")
    }

    /// A view that skips the way over the owner.
    ///
    /// # Safety
    /// The view must not be used after this memory is dropped.
    pub(crate) unsafe fn view(&self) -> Slots<T> {
        Slots { cells: self.cells, mask: self.slots - 1 }
    }
}

impl<T> Drop for SlotMemory<T> {
    fn drop(&mut self) {
        for index in 0..self.slots {
            // SAFETY: every cell was written in `new`, and is dropped once. A `MaybeUninit`
            // drops no message: the ring takes out what is left before.
            unsafe { self.cells.add(index).drop_in_place() };
        }
        let layout = Self::layout(self.slots);
        if layout.size() != 0 {
            // SAFETY: it was allocated in `new` with this very layout.
            unsafe { std::alloc::dealloc(self.cells.as_ptr().cast(), layout) };
        }
    }
}

/// Slots by position; positions count on for ever and wrap around the memory.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    cells: NonNull<Cell<T>>,
    mask: usize,
}

// SAFETY: as for `SlotMemory`.
unsafe impl<T: Send> Send for Slots<T> {}
// SAFETY: as for `SlotMemory`.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T> Slots<T> {
    #[inline(always)]
    fn cell(&self, position: u64) -> &Cell<T> {
        // SAFETY: the masked index is below the number of cells, and whoever made this view
        // promised that the memory is still there.
        unsafe { self.cells.add(position as usize & self.mask).as_ref() }
    }

    /// Number of slots.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.mask + 1
    }

    /// Moves a message into the slot of `position`.
    ///
    /// # Safety
    /// The caller owns the slot (RB-8), and it is empty.
    #[inline(always)]
    pub(crate) unsafe fn put(&self, position: u64, message: T) {
        self.cell(position).with_mut(|slot| {
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
        self.cell(position).with(|slot| unsafe { (*slot).assume_init_read() })
    }

    /// Looks at the message in the slot of `position`.
    ///
    /// # Safety
    /// The slot holds a message and nobody writes it as long as the reference lives.
    #[inline(always)]
    #[cfg(not(loom))]
    pub(crate) unsafe fn get(&self, position: u64) -> &T {
        // SAFETY: by the caller's promise.
        self.cell(position).with(|slot| unsafe { (*slot).assume_init_ref() })
    }

    /// The messages in `count` slots from `position` on: those to the end of the memory, and
    /// those from its start on.
    ///
    /// # Safety
    /// The slots hold messages and nobody writes them as long as the slices live.
    #[cfg(not(loom))]
    pub(crate) unsafe fn slices(&self, position: u64, count: usize) -> (&[T], &[T]) {
        let start = position as usize & self.mask;
        let first = count.min(self.count() - start);
        // SAFETY: a cell has the layout of its message, the cells lie in a row within the memory,
        // and the rest is the caller's promise.
        unsafe {
            let base = self.cells.as_ptr().cast::<T>();
            (
                core::slice::from_raw_parts(base.add(start), first),
                core::slice::from_raw_parts(base, count - first),
            )
        }
    }
}
