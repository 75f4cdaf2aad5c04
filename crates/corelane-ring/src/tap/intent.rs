//! The intent: how far a producer may be writing, as it says so and as a tap reads it.

use super::TapError;
use crate::storage::{ReadWords, WriteWords};
use crate::sync::{Ordering, fence};

/// Word of the intent's storage.
const INTENT: usize = 0;
/// Positions beyond are none: no ring lives that long, and what is added to one does not overflow.
const POSITION_MAX: u64 = 1 << 62;

/// The producer's side: what it told, and where.
#[derive(Debug)]
pub(crate) struct Intent<W> {
    words: Option<W>,
    /// Nothing from here on is written.
    end: u64,
    step: u64,
}

/// Positions by which the intent of a ring of `capacity` positions is raised: a quarter of a lap.
pub(super) const fn step(capacity: u64) -> u64 {
    if capacity < 4 { 1 } else { capacity / 4 }
}

impl<W: WriteWords> Intent<W> {
    /// Of a producer that tells nobody, and may write anywhere.
    pub(crate) const fn untold() -> Self {
        Self { words: None, end: u64::MAX, step: 0 }
    }

    /// Of the producer of a fresh ring of `capacity` positions, in a storage that is zero.
    pub(crate) fn told(words: W, capacity: u64) -> Self {
        Self { words: Some(words), end: 0, step: step(capacity) }
    }

    /// Nothing from this position on may be written before the intent is raised.
    #[inline(always)]
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Allows writing below `end`, and a quarter of a lap from `position` on.
    #[inline]
    pub(crate) fn raise(&mut self, position: u64, end: u64) {
        let Some(words) = &self.words else { return };
        if end > self.end {
            self.end = end.max(position + self.step);
            // No order is needed: the fence P60 is the order.
            words.store_relaxed(INTENT, self.end);
            // P60: pairs with C60; whoever sees what is written after this sees the intent.
            fence(Ordering::SeqCst);
        }
    }
}

/// The intent as the producer told it; an order to what was read before is up to the caller.
pub(super) fn load(words: &impl ReadWords, position: u64) -> Result<u64, TapError> {
    let found = words.load_relaxed(INTENT);
    match found <= POSITION_MAX {
        true => Ok(found),
        false => Err(TapError::Corrupt { what: "intent", found, position }),
    }
}

/// Whether what was copied from `position` on was the record of that position and lap (RB-40).
#[inline]
pub(super) fn is_intact(
    words: &impl ReadWords,
    position: u64,
    capacity: u64,
) -> Result<bool, TapError> {
    // C60: pairs with P60; if a word of the copy was of a later lap, its intent is seen below.
    fence(Ordering::Acquire);
    Ok(load(words, position)? <= position + capacity)
}
