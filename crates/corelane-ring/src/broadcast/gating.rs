//! What holds the publisher back: the cursors of reliable subscribers, in groups.
//!
//! Cursors are written by others, so each is held against what is possible before it counts
//! (RB-24). Looking at them is not ordered here: the publisher puts its fences around.

use core::ops::Range;

use crate::storage::ReadWords;

use super::shape::{
    CURSORS, JOINS, LogShape, Verdict, cursor_generation, cursor_lag, cursor_next, cursor_position,
    free_word,
};

/// Cursors that are copied in one go: a line of them.
const LINE: usize = 8;

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

    /// How far the slowest cursor lies behind `tail`, all taken as they are; a number beyond every
    /// possible one where one of them lies ahead. Free seats lag by nothing.
    pub(super) fn lag_max(&self, tail: u64) -> u64 {
        let (mut lag_max, mut line) = (0, [0; LINE]);
        for first in (0..self.seats.len()).step_by(LINE) {
            let count = self.seats.len() - first;
            if count >= LINE {
                self.cursors.read(CURSORS + first, &mut line);
            } else {
                line.fill(free_word(0));
                self.cursors.read(CURSORS + first, &mut line[..count]);
            }
            // They move by quarters of a lap, so that neighbours mostly stand at the same place.
            let lag = match cursor_next(differences(&line)) {
                0 => cursor_lag(line[0], tail),
                _ => line_lag(&line, tail),
            };
            lag_max = lag.max(lag_max);
        }
        lag_max
    }
}

/// How far the slowest cursor of a line lies behind `tail`.
#[inline(never)]
fn line_lag(line: &[u64; LINE], tail: u64) -> u64 {
    // As a tree: one after the other, each would wait for the one before.
    let [a, b, c, d, e, f, g, h] = line.map(|word| cursor_lag(word, tail));
    (a.max(b).max(c.max(d))).max(e.max(f).max(g.max(h)))
}

/// The bits that are not the same in all words of a line.
#[inline(always)]
fn differences(line: &[u64; LINE]) -> u64 {
    let pairs = line.as_chunks::<2>().0;
    // Pair by pair, as they were loaded.
    let [even, odd] = pairs
        .iter()
        .fold([0; 2], |[even, odd], pair| [even | (pair[0] ^ line[0]), odd | (pair[1] ^ line[1])]);
    even | odd | (line[0] ^ line[1])
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

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::HeapWords;
    use crate::broadcast::shape::cursor_word;
    use crate::storage::WriteWords as _;

    /// Cursor words around a tail of 1,000: mostly as their neighbours, of several generations.
    fn word() -> impl Strategy<Value = u64> {
        let position = prop_oneof![
            6 => Just(768),
            2 => 0..=1_000u64,
            1 => 1_001..1_010u64,
            1 => Just(super::super::shape::POSITION_MAX),
        ];
        let taken = (any::<u8>(), position).prop_map(|(owner, at)| cursor_word(owner, at));
        prop_oneof![9 => taken, 2 => any::<u8>().prop_map(free_word)]
    }

    /// A group with these cursors, in a storage that goes on behind them with slower ones.
    fn group_of(words: &[u64]) -> Group<HeapWords> {
        let behind = [cursor_word(1, 0); LINE];
        let storage = HeapWords::new(LogShape::group_words(words.len() + behind.len()));
        storage.write(CURSORS, words);
        storage.write(CURSORS + words.len(), &behind);
        Group::new(storage, 0..words.len())
    }

    #[test]
    fn one_line_is_seen_to_differ_wherever_it_does() {
        // Of positions 7 and 15 the words have no bit in common, those of 7 and 8 most of them.
        let of = |position| cursor_word(3, position);
        for (one, other) in [(of(7), of(15)), (of(15), of(7)), (of(8), of(7)), (0, of(7))] {
            for others in 1..=u8::MAX {
                let is_other = |index: usize| others >> index & 1 != 0;
                let words: [_; LINE] =
                    std::array::from_fn(|index| if is_other(index) { other } else { one });
                let lags = words.map(|word| cursor_lag(word, 20));
                assert_eq!(
                    Some(group_of(&words).lag_max(20)),
                    lags.into_iter().max(),
                    "{words:x?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn the_slowest_cursor_counts_wherever_it_stands(
            words in proptest::collection::vec(word(), 1..40),
            is_calm in any::<bool>(),
        ) {
            let words: Vec<_> = match is_calm {
                true => vec![words[0]; words.len()],
                false => words,
            };
            let group = group_of(&words);
            let positions = words.iter().map(|&word| cursor_position(word));
            let taken: Vec<_> = positions.filter(|&position| position != u64::MAX).collect();
            let expected = taken.iter().map(|position| 1_000u64.wrapping_sub(*position)).max();
            prop_assert_eq!(group.lag_max(1_000), expected.unwrap_or(0));
        }
    }
}
