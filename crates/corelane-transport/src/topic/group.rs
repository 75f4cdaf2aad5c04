//! The page of a group of subscribers: what the subscribers of one process write, and publishers
//! read.
//!
//! ```text
//! word 0     sleepers: times that one fell asleep << 32 | how many sleep now     a line
//! word 1     how many of those listen to a bell
//! word 8     the group of the log: joins, cursors of all seats                    lines
//! then       holds, as many words for each seat
//! ```

use std::os::fd::OwnedFd;

use corelane_ring::broadcast::LogShape;
use corelane_shm::slab::HOLDS_MAX;
use corelane_shm::{
    OwnedSegment, PeerSegment, SegmentError, SegmentExpect, SegmentInfo, WordsRo, WordsRw,
};

/// Most subscribers of one process that share a page.
pub const SEATS_MAX: usize = 4_096;

/// Kind of the segment.
pub(crate) const GROUP_KIND: u32 = 13;
/// "seats v1" as a number.
const LAYOUT_HASH: u64 = u64::from_le_bytes(*b"seats v1");
const LAYOUT_VERSION: u32 = 1;
const LINE_WORDS: usize = 8;
/// The word that says who sleeps.
pub(crate) const SLEEPERS: usize = 0;
/// The word that says how many of the sleepers wait for a ring.
pub(crate) const LISTENERS: usize = 1;
const LOG_GROUP: usize = LINE_WORDS;

/// How many sleep, in the word that says so.
pub(crate) const fn sleeping(word: u64) -> u32 {
    word as u32
}

/// Added when one falls asleep.
pub(crate) const FALLS_ASLEEP: u64 = 1 << 32 | 1;

/// Size of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupShape {
    seats: usize,
    holds: usize,
}

impl GroupShape {
    /// None when there cannot be such a group.
    pub(crate) fn new(seats: usize, holds: usize) -> Option<Self> {
        ((1..=SEATS_MAX).contains(&seats) && holds <= HOLDS_MAX).then_some(Self { seats, holds })
    }

    pub(crate) fn seats(&self) -> usize {
        self.seats
    }

    pub(crate) fn holds(&self) -> usize {
        self.holds
    }

    fn first_hold(&self) -> usize {
        (LOG_GROUP + LogShape::group_words(self.seats)).next_multiple_of(LINE_WORDS)
    }

    fn words(&self) -> usize {
        self.first_hold() + self.seats * self.holds
    }

    /// Creates and seals the page.
    pub(crate) fn create(&self, generation: u64) -> Result<OwnedSegment, SegmentError> {
        let info = SegmentInfo {
            kind: GROUP_KIND,
            generation,
            layout_version: LAYOUT_VERSION,
            layout_hash: LAYOUT_HASH,
        };
        OwnedSegment::create("corelane-group", self.words(), info)
    }

    /// Checks and maps the page of a peer.
    pub(crate) fn open(&self, fd: OwnedFd) -> Result<WordsRo, SegmentError> {
        let expect = SegmentExpect {
            kind: GROUP_KIND,
            layout_version: LAYOUT_VERSION,
            layout_hash: LAYOUT_HASH,
            min_words: self.words(),
            max_words: self.words(),
        };
        Ok(PeerSegment::open(fd, &expect)?.words().clone())
    }

    /// The words of the log's group.
    pub(crate) fn log_group<W: Windows>(&self, words: &W) -> W {
        words.part(LOG_GROUP, LogShape::group_words(self.seats))
    }

    /// The holds of a seat.
    pub(crate) fn holds_of(&self, words: &WordsRw, seat: usize) -> WordsRw {
        words.part(self.first_hold() + seat * self.holds, self.holds)
    }

    /// The holds of all seats.
    pub(crate) fn all_holds(&self, words: &WordsRo) -> WordsRo {
        words.part(self.first_hold(), self.seats * self.holds)
    }
}

/// Words of either access, of which a part can be had.
pub(crate) trait Windows: Sized {
    /// A part that is known to be there.
    fn part(&self, first: usize, len: usize) -> Self;
}

impl Windows for WordsRo {
    fn part(&self, first: usize, len: usize) -> Self {
        self.window(first, len).expect("because the segment was made or checked for this shape")
    }
}

impl Windows for WordsRw {
    fn part(&self, first: usize, len: usize) -> Self {
        self.window(first, len).expect("because the segment was made or checked for this shape")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_group_lie_apart() {
        let shape = GroupShape::new(3, 4).unwrap();
        let own = shape.create(1).unwrap();
        let peer = shape.open(own.fd().try_clone_to_owned().unwrap()).unwrap();
        own.words().store_release(SLEEPERS, FALLS_ASLEEP);
        let cursors = shape.log_group(own.words());
        (0..cursors.len()).for_each(|index| cursors.store_release(index, 7));
        shape.holds_of(own.words(), 2).store_release(3, 9);
        assert_eq!(sleeping(peer.load_acquire(SLEEPERS)), 1);
        let holds = shape.all_holds(&peer);
        let held: Vec<_> = (0..holds.len()).map(|index| holds.load_acquire(index)).collect();
        assert_eq!(held, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(shape.log_group(&peer).len(), LogShape::group_words(3));
    }

    #[test]
    fn a_group_has_as_many_words_as_the_picture_says() {
        let shape = GroupShape::new(3, 4).unwrap();
        assert_eq!((shape.seats(), shape.holds()), (3, 4));
        // A line, joins and cursors in whole lines, and the holds.
        assert_eq!((shape.first_hold(), shape.words()), (24, 24 + 12));
        let own = shape.create(1).unwrap();
        for seat in 0..3 {
            let holds = shape.holds_of(own.words(), seat);
            assert_eq!(holds.len(), 4);
            holds.store_release(0, 7);
            assert_eq!(own.words().load_acquire(24 + 4 * seat), 7);
        }
        assert_eq!(GroupShape::new(SEATS_MAX, HOLDS_MAX).map(|it| it.seats()), Some(SEATS_MAX));
    }

    #[test]
    fn who_falls_asleep_is_counted_and_changes_the_word_for_ever() {
        let two = 2 * FALLS_ASLEEP;
        assert_eq!((sleeping(0), sleeping(two)), (0, 2));
        assert_eq!(two - 2, 2 << 32, "it is another word when they are awake again");
    }

    #[test]
    fn groups_that_cannot_be_are_none() {
        for (seats, holds) in [(0, 1), (SEATS_MAX + 1, 1), (1, HOLDS_MAX + 1)] {
            assert_eq!(GroupShape::new(seats, holds), None);
        }
        let own = GroupShape::new(1, 0).unwrap().create(1).unwrap();
        let other = GroupShape::new(1000, 0).unwrap();
        let refused = other.open(own.fd().try_clone_to_owned().unwrap()).unwrap_err();
        assert_eq!(refused.code(), "CL-0313");
    }
}
