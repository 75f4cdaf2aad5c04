//! What holds the publisher back: the cursors of reliable subscribers, in groups.
//!
//! Cursors are written by others, so each is held against what is possible before it counts
//! (RB-24). Looking at them is not ordered here: the publisher puts its fences around.

use core::ops::Range;

use crate::storage::ReadWords;

use super::shape::{
    CURSORS, JOINS, LogShape, Verdict, cursor_generation, cursor_position, free_word,
};

/// Cursors that are copied in one go.
const CHUNK: usize = 64;
/// Cursors that are looked at side by side: with one extreme for all, each look would wait for the
/// one before.
const LANES: usize = 4;

/// Cursors in one storage. Those of a trusted group lie packed, eight on a line.
#[derive(Debug)]
pub(super) struct Group<C> {
    cursors: C,
    /// Seats of the group, over all groups.
    seats: Range<usize>,
    joins_seen: u64,
}

impl<C: ReadWords> Group<C> {
    pub(super) fn new(cursors: C, seats: Range<usize>) -> Self {
        Self { cursors, seats, joins_seen: 0 }
    }

    /// Whether somebody joined since the last call.
    pub(super) fn has_joined(&mut self) -> bool {
        // P27: pairs with C26; the cursor of a join that is counted here is seen by a scan.
        let joins = self.cursors.load_acquire(JOINS);
        core::mem::replace(&mut self.joins_seen, joins) != joins
    }

    /// Where its cursors lie.
    pub(super) fn storage(&self) -> &C {
        &self.cursors
    }

    /// The cursor word of a seat of this group.
    pub(super) fn word(&self, seat: usize) -> u64 {
        self.cursors.load_relaxed(CURSORS + seat - self.seats.start)
    }

    pub(super) fn seats(&self) -> Range<usize> {
        self.seats.clone()
    }

    /// The lowest and the highest position plus one of all cursors, taken as they are. Without any
    /// it is the highest number there is, and 0.
    pub(super) fn extremes(&self) -> (u64, u64) {
        let (mut low, mut high) = ([u64::MAX; LANES], [0; LANES]);
        let mut chunk = [0; CHUNK];
        for first in (0..self.seats.len()).step_by(CHUNK) {
            let count = CHUNK.min(self.seats.len() - first);
            let chunk = &mut chunk[..count.next_multiple_of(LANES)];
            let (found, rest) = chunk.split_at_mut(count);
            self.cursors.read(CURSORS + first, found);
            rest.fill(free_word(0));
            for words in chunk.as_chunks::<LANES>().0 {
                for (lane, &word) in words.iter().enumerate() {
                    let position = cursor_position(word);
                    low[lane] = low[lane].min(position);
                    high[lane] = high[lane].max(position.wrapping_add(1));
                }
            }
        }
        let low = low.into_iter().fold(u64::MAX, u64::min);
        let high = high.into_iter().fold(0, u64::max);
        (low, high)
    }
}

/// What one cursor means to a publisher whose tail stands at `tail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cursor {
    /// The seat is free, or its owner was dismissed.
    Ungated,
    /// The owner holds back what lies a lap ahead of this position.
    Gates(u64),
    /// The owner claims what cannot be; it counts as the possible position next to it.
    Clamped(u64),
}

impl Cursor {
    /// Reads a cursor word in the light of the gate word of its seat.
    pub(super) fn read(word: u64, gate: u64, shape: &LogShape, tail: u64) -> Self {
        let position = cursor_position(word);
        if position == u64::MAX || Verdict::of(gate, cursor_generation(word)).is_some() {
            return Self::Ungated;
        }
        let lowest = shape.oldest(tail);
        if (lowest..=tail).contains(&position) {
            Self::Gates(position)
        } else {
            Self::Clamped(position.clamp(lowest, tail))
        }
    }
}
