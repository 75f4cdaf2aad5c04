//! The size of a broadcast log, where its words lie, and what they say. Checked once, at creation.

use thiserror::Error;

/// Most records that a log holds.
pub const SLOTS_MAX: usize = 1 << 30;
/// Most words of one record (64 KiB).
pub const RECORD_WORDS_MAX: usize = 8 << 10;
/// Most reliable subscribers of one log at a time.
pub const SUBSCRIBERS_MAX: usize = 1 << 16;
/// Positions are below this: 45 years at 50 million records a second.
pub const POSITION_MAX: u64 = POSITION_MASK - 1;

/// Words on one pair of cache lines.
const WORDS_PER_PAIR: usize = 16;
/// Position after the last record published; written by the publisher (P20).
pub const TAIL: usize = 0;
/// Added to the tail when the publisher is gone (P22): one look tells both, so that a subscriber
/// that finds nothing takes the publisher's line once and not twice.
pub(super) const CLOSED: u64 = 1 << 63;
/// The publisher writes no position from here on; on a line of its own, because it changes seldom
/// and the tail always (P23).
pub(super) const INTENT: usize = WORDS_PER_PAIR;
/// Nobody joins below this position; behind the intent, because it changes as seldom (P23).
pub(super) const FLOOR: usize = INTENT + 1;
/// A word for whoever stands above the log; the ring leaves it alone. It is beside the intent.
pub const SPARE: usize = INTENT + 2;
/// Verdicts over reliable subscribers, one word each; written by the publisher (P24).
const GATES: usize = 2 * WORDS_PER_PAIR;

/// Counts the joins of a group of cursors; written by whoever serialises them (C22).
pub(super) const JOINS: usize = 0;
/// The first cursor of a group, on the next line.
pub(super) const CURSORS: usize = 8;

const POSITION_MASK: u64 = (1 << GENERATION_SHIFT) - 1;
const GENERATION_SHIFT: u32 = 56;
const VERDICT_SHIFT: u32 = 8;

/// Number and size of a log's records, and how many reliable subscribers it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogShape {
    slots: usize,
    record_words: usize,
    subscribers_max: usize,
    records_first: usize,
}

/// Why a log cannot be made or joined.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[non_exhaustive]
pub enum LogError {
    /// The number of slots is not usable.
    #[error("slots={0} is not a power of two from 2 to {SLOTS_MAX}: choose one that is")]
    Slots(usize),
    /// The size of a record is not usable.
    #[error("record_words={0} is not from 1 to {RECORD_WORDS_MAX}: choose a size in that range")]
    RecordWords(usize),
    /// The number of reliable subscribers is not usable.
    #[error("subscribers_max={0} is above {SUBSCRIBERS_MAX}: choose fewer, or use lossy ones")]
    SubscribersMax(usize),
    /// The lag limit is not usable.
    #[error("lag_max={lag_max} is not from 1 to slots={slots}: choose one in that range")]
    LagLimit {
        /// What was asked for.
        lag_max: u64,
        /// Records that the log holds.
        slots: usize,
    },
    /// The storage is smaller than the shape asks for.
    #[error("{what} has {found} words where the log needs {needed}: give it that many")]
    StorageTooSmall {
        /// Which storage.
        what: &'static str,
        /// Words it has.
        found: usize,
        /// Words it needs.
        needed: usize,
    },
    /// Every seat for a reliable subscriber is taken.
    #[error("all {max} seats for reliable subscribers are taken: let one leave, or join as lossy")]
    NoSeat {
        /// Reliable subscribers that the log was made for.
        max: usize,
    },
}

impl LogError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Slots(_) => "CL-0261",
            Self::RecordWords(_) => "CL-0262",
            Self::SubscribersMax(_) => "CL-0263",
            Self::LagLimit { .. } => "CL-0264",
            Self::StorageTooSmall { .. } => "CL-0265",
            Self::NoSeat { .. } => "CL-0266",
        }
    }
}

impl LogShape {
    /// A log of `slots` records (a power of two) of `record_words` words, with at most
    /// `subscribers_max` reliable subscribers at a time; lossy ones are not limited.
    ///
    /// # Errors
    /// - [`LogError::Slots`], [`LogError::RecordWords`], [`LogError::SubscribersMax`]: out of
    ///   range.
    pub const fn new(
        slots: usize,
        record_words: usize,
        subscribers_max: usize,
    ) -> Result<Self, LogError> {
        if slots < 2 || slots > SLOTS_MAX || !slots.is_power_of_two() {
            return Err(LogError::Slots(slots));
        }
        if record_words == 0 || record_words > RECORD_WORDS_MAX {
            return Err(LogError::RecordWords(record_words));
        }
        if subscribers_max > SUBSCRIBERS_MAX {
            return Err(LogError::SubscribersMax(subscribers_max));
        }
        let records_first = GATES + subscribers_max.next_multiple_of(WORDS_PER_PAIR);
        Ok(Self { slots, record_words, subscribers_max, records_first })
    }

    /// Number of records that the log holds.
    #[inline(always)]
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Words of a record.
    #[inline(always)]
    pub const fn record_words(&self) -> usize {
        self.record_words
    }

    /// Most reliable subscribers at a time.
    pub const fn subscribers_max(&self) -> usize {
        self.subscribers_max
    }

    /// Words that the publisher's storage must have.
    pub const fn data_words(&self) -> usize {
        self.records_first + self.slots * self.record_words
    }

    /// Words that the storage of a group of `count` cursors must have.
    pub const fn group_words(count: usize) -> usize {
        CURSORS + count
    }

    /// Steps in which the intent is raised and cursors are published: a quarter of a lap.
    #[inline(always)]
    pub(super) const fn stride(&self) -> u64 {
        if self.slots < 8 { 1 } else { self.slots as u64 / 4 }
    }

    /// Index of the verdict over the subscriber in `seat`.
    pub(super) const fn gate(&self, seat: usize) -> usize {
        GATES + seat
    }

    /// Index of the first word of the record at `position`.
    #[inline(always)]
    pub(super) const fn record_start(&self, position: u64) -> usize {
        self.records_first + (position as usize & (self.slots - 1)) * self.record_words
    }

    /// The position that a publisher wrote, as far as it can be one: positions beyond are not
    /// counted with.
    #[inline(always)]
    pub(super) const fn position(word: u64) -> u64 {
        let position = word & !CLOSED;
        if position > POSITION_MAX { POSITION_MAX } else { position }
    }

    /// The oldest position that no write below `intent` can have damaged.
    #[inline(always)]
    pub(super) const fn oldest(&self, intent: u64) -> u64 {
        intent.saturating_sub(self.slots as u64)
    }

    pub(super) const fn check(
        &self,
        what: &'static str,
        found: usize,
        needed: usize,
    ) -> Result<(), LogError> {
        if found < needed {
            return Err(LogError::StorageTooSmall { what, found, needed });
        }
        Ok(())
    }
}

/// A cursor word: the generation of the seat's owner, and its position plus one; no position means
/// that the seat is free, so that zeroed words are free seats.
#[inline(always)]
pub(super) const fn cursor_word(generation: u8, position: u64) -> u64 {
    (generation as u64) << GENERATION_SHIFT | position.wrapping_add(1) & POSITION_MASK
}

/// The cursor word of a seat that `generation` has left.
pub(super) const fn free_word(generation: u8) -> u64 {
    (generation as u64) << GENERATION_SHIFT
}

/// The position in a cursor word plus one; 0 when the seat is free.
#[inline(always)]
pub(super) const fn cursor_next(word: u64) -> u64 {
    word & POSITION_MASK
}

/// The position in a cursor word; the highest number there is when the seat is free.
#[inline(always)]
pub(super) const fn cursor_position(word: u64) -> u64 {
    cursor_next(word).wrapping_sub(1)
}

/// How far the position in a cursor word lies behind `tail`, a number beyond every possible one
/// where it lies ahead; 0 when the seat is free.
#[inline(always)]
pub(super) const fn cursor_lag(word: u64, tail: u64) -> u64 {
    let (next, end) = (cursor_next(word), tail + 1);
    end.wrapping_sub(if next == 0 { end } else { next })
}

/// The generation in a cursor word.
#[inline(always)]
pub(super) const fn cursor_generation(word: u64) -> u8 {
    (word >> GENERATION_SHIFT) as u8
}

/// What the publisher decided about a subscriber that lagged too far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Verdict {
    Demoted = 1,
    Evicted = 2,
}

impl Verdict {
    /// The gate word that tells it to the owner of `generation`. Zero says nothing to anybody.
    #[inline(always)]
    pub(super) const fn word(self, generation: u8) -> u64 {
        (self as u64) << VERDICT_SHIFT | generation as u64
    }

    /// What a gate word tells the owner of `generation`.
    #[inline(always)]
    pub(super) const fn of(word: u64, generation: u8) -> Option<Self> {
        if word as u8 != generation {
            return None;
        }
        match word >> VERDICT_SHIFT {
            0 => None,
            1 => Some(Self::Demoted),
            _ => Some(Self::Evicted),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn records_follow_the_verdicts() {
        let shape = LogShape::new(4, 2, 17).expect("because the shape is valid");
        assert_eq!((shape.gate(0), shape.gate(16)), (32, 48));
        let starts = [0, 1, 3, 4, 9].map(|position| shape.record_start(position));
        assert_eq!(starts, [64, 66, 70, 64, 66]);
        assert_eq!(shape.data_words(), 72);
        let alone = LogShape::new(2, 1, 0).expect("because the shape is valid");
        assert_eq!((alone.record_start(0), alone.data_words()), (32, 34));
    }

    #[test]
    fn a_position_that_a_publisher_lies_about_is_none_beyond_the_last() {
        for (word, position) in [
            (7, 7),
            (7 | CLOSED, 7),
            (POSITION_MAX, POSITION_MAX),
            (POSITION_MAX + 1, POSITION_MAX),
            (u64::MAX, POSITION_MAX),
        ] {
            assert_eq!(LogShape::position(word), position, "{word:#x}");
        }
    }

    #[test]
    fn a_verdict_is_told_to_the_owner_that_it_was_made_over() {
        for verdict in [Verdict::Demoted, Verdict::Evicted] {
            let word = verdict.word(7);
            assert_eq!((Verdict::of(word, 7), Verdict::of(word, 8)), (Some(verdict), None));
        }
        assert_eq!(Verdict::of(0, 0), None, "zeroed words say nothing to anybody");
    }
}
