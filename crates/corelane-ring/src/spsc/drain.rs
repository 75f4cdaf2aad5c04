//! A batch of messages of the SPSC ring, taken one by one, all at once, or read as slices.

use core::iter::FusedIterator;

use super::Consumer;
use crate::wait::Wait;

/// Messages taken as one batch. Their room goes back to the producer when it is dropped, in strides
/// of a quarter of the ring.
#[derive(Debug)]
pub struct Drain<'a, T: Send, W: Wait> {
    ring: &'a mut Consumer<T, W>,
    left: u64,
}

impl<'a, T: Send, W: Wait> Drain<'a, T, W> {
    /// The next `left` messages, which are there.
    pub(super) fn new(ring: &'a mut Consumer<T, W>, left: u64) -> Self {
        Self { ring, left }
    }

    /// The messages that were not taken yet: those to the end of the memory, and those from its
    /// start on.
    #[cfg(not(loom))]
    pub fn as_slices(&self) -> (&[T], &[T]) {
        // SAFETY: RB-8: these slots hold messages, which only this consumer takes, and it is
        // borrowed as long as the slices live.
        unsafe { self.ring.slots.slices(self.ring.head, self.left as usize) }
    }

    /// Takes what was not taken yet out of the ring and drops it: the end of a batch that was read
    /// as slices.
    #[inline]
    pub fn consume(mut self) {
        if core::mem::needs_drop::<T>() {
            self.by_ref().for_each(drop);
        }
        self.ring.head += core::mem::take(&mut self.left);
    }
}

impl<T: Send, W: Wait> Iterator for Drain<'_, T, W> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.left == 0 {
            return None;
        }
        // SAFETY: RB-8: `head` is below the tail, and moves on at once, so that no position is
        // taken twice even when the batch is leaked.
        let message = unsafe { self.ring.slots.take(self.ring.head) };
        self.ring.head += 1;
        self.left -= 1;
        Some(message)
    }

    /// Takes all that is left, and counts what was taken once, at the end.
    #[inline]
    fn fold<B, F: FnMut(B, T) -> B>(self, first: B, mut fold: F) -> B {
        let (head, left) = (self.ring.head, self.left);
        let mut counted = Counted { batch: self, taken: 0 };
        let mut folded = first;
        for position in head..head + left {
            counted.taken += 1;
            // SAFETY: RB-8: the position is below the tail, and is taken once: whoever panics in
            // between, `counted` moves the head beyond it.
            folded = fold(folded, unsafe { counted.batch.ring.slots.take(position) });
        }
        folded
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}

impl<T: Send, W: Wait> ExactSizeIterator for Drain<'_, T, W> {}
impl<T: Send, W: Wait> FusedIterator for Drain<'_, T, W> {}

impl<T: Send, W: Wait> Drop for Drain<'_, T, W> {
    #[inline]
    fn drop(&mut self) {
        // In strides: a producer that waits for room would take the head's line at every batch.
        if self.ring.head - self.ring.head_published >= self.ring.slots.count() as u64 / 4 {
            self.ring.release();
        }
    }
}

/// A batch of which so many messages were taken that its head does not know of.
struct Counted<'a, T: Send, W: Wait> {
    batch: Drain<'a, T, W>,
    taken: u64,
}

impl<T: Send, W: Wait> Drop for Counted<'_, T, W> {
    #[inline]
    fn drop(&mut self) {
        self.batch.ring.head += self.taken;
    }
}
