//! The size of a ring, checked once so that the hot path need not.

use thiserror::Error;

/// Most slots of one ring: the 32-bit sequence in a commit word must not repeat within a lap.
pub(crate) const SLOTS_MAX: usize = 1 << 24;
/// Most words of one slot, the commit word included (64 KiB).
pub(crate) const SLOT_WORDS_MAX: usize = 8 << 10;

/// Number and size of a ring's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    slots: usize,
    slot_words: usize,
}

/// Why a shape is refused.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// The number of slots is not usable.
    #[error("slots={0} is not a power of two from 2 to {SLOTS_MAX}: choose one that is")]
    Slots(usize),
    /// The size of a slot is not usable.
    #[error("slot_words={0} is not from 2 to {SLOT_WORDS_MAX}: choose a size in that range")]
    SlotWords(usize),
    /// The storage is smaller than the shape asks for.
    #[error("{what} has {found} words where the ring needs {needed}: give it that many")]
    StorageTooSmall {
        /// Which storage.
        what: &'static str,
        /// Words it has.
        found: usize,
        /// Words it needs.
        needed: usize,
    },
}

impl ShapeError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Slots(_) => "CL-0211",
            Self::SlotWords(_) => "CL-0212",
            Self::StorageTooSmall { .. } => "CL-0213",
        }
    }
}

impl Shape {
    /// A ring of `slots` slots (a power of two) of `slot_words` words, the commit word included.
    ///
    /// # Errors
    /// - [`ShapeError::Slots`], [`ShapeError::SlotWords`]: out of range.
    pub const fn new(slots: usize, slot_words: usize) -> Result<Self, ShapeError> {
        if slots < 2 || slots > SLOTS_MAX || !slots.is_power_of_two() {
            return Err(ShapeError::Slots(slots));
        }
        if slot_words < 2 || slot_words > SLOT_WORDS_MAX {
            return Err(ShapeError::SlotWords(slot_words));
        }
        Ok(Self { slots, slot_words })
    }

    /// Number of slots.
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Words of a slot that hold payload.
    pub const fn payload_words(&self) -> usize {
        self.slot_words - 1
    }

    /// Words that the data storage must have.
    pub const fn data_words(&self) -> usize {
        self.slots * self.slot_words
    }

    /// Index of the first word of the slot at `position`.
    #[inline]
    pub(crate) const fn slot_start(&self, position: u64) -> usize {
        (position as usize & (self.slots - 1)) * self.slot_words
    }

    pub(crate) fn check(
        &self,
        what: &'static str,
        found: usize,
        needed: usize,
    ) -> Result<(), ShapeError> {
        if found < needed {
            return Err(ShapeError::StorageTooSmall { what, found, needed });
        }
        Ok(())
    }
}
