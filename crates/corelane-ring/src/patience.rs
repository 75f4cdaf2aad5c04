//! How long a receiver that keeps up with its sender waits before it looks at the sender's index
//! again.
//!
//! A ring between two busy threads has two ways to run. In step, the receiver takes every message
//! the moment it is published, and each one costs a transfer of the index line there and back.
//! Apart, messages gather, one look finds many, and the index line moves seldom; that is two to
//! three times as fast. Chance and alignment decide between the two unless somebody steps back, and
//! only the receiver can do so without holding a message back from being visible.
//!
//! So a receiver whose looks find something each time, but little, pauses before the next look,
//! doubling from one pause instruction to [`PAUSES_MAX`]. The first look that finds nothing ends
//! this. If even the longest pause finds next to nothing, the sender is not just ahead but sends
//! single messages, as in question and answer: the receiver then rests from pausing for a while,
//! four times as long after every such failure in a row.

use crate::sync::spin_loop;

/// Most pause instructions before a look; on current processors well below a microsecond.
const PAUSES_MAX: u32 = if cfg!(loom) { 1 } else { 32 };
/// A look that finds fewer messages than this found little.
const LITTLE: u64 = 64;
/// The longest pause did not pay if the look after it finds no more messages than this.
const NEXT_TO_NOTHING: u64 = 4;
/// Looks that find something between two attempts, after the first failure and at most.
const REST: core::ops::RangeInclusive<u32> = 64..=4096;

/// The state of one receiver.
#[derive(Debug)]
pub(crate) struct Patience {
    pauses: u32,
    has_found: bool,
    rest: u32,
    rest_next: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { pauses: 0, has_found: false, rest: 0, rest_next: *REST.start() }
    }
}

impl Patience {
    /// Call before a look at the sender's index.
    #[inline(always)]
    pub(crate) fn pause(&self) {
        for _ in 0..self.pauses {
            spin_loop();
        }
    }

    /// Call after the look, with the number of messages that it found.
    pub(crate) fn found(&mut self, messages: u64) {
        if messages == 0 {
            (self.pauses, self.has_found) = (0, false);
        } else if self.rest > 0 {
            self.rest -= 1;
        } else if self.pauses == PAUSES_MAX && messages <= NEXT_TO_NOTHING {
            (self.pauses, self.has_found) = (0, false);
            self.rest = self.rest_next;
            self.rest_next = (self.rest_next * 4).min(*REST.end());
        } else {
            if self.pauses == PAUSES_MAX {
                self.rest_next = *REST.start();
            }
            if self.has_found && messages < LITTLE {
                self.pauses = (self.pauses * 2).clamp(1, PAUSES_MAX);
            }
            self.has_found = true;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn pauses_after(finds: &[u64]) -> Vec<u32> {
        let mut patience = Patience::default();
        let each = finds.iter().map(|&found| {
            patience.found(found);
            patience.pauses
        });
        each.collect()
    }

    #[test]
    fn it_doubles_while_looks_find_little() {
        let finds = [1, 1, 1, LITTLE, LITTLE - 1, 1, 1, 1, NEXT_TO_NOTHING + 1, LITTLE];
        assert_eq!(pauses_after(&finds), [0, 1, 2, 2, 4, 8, 16, 32, 32, 32]);
    }

    #[test]
    fn a_look_in_vain_ends_it() {
        assert_eq!(pauses_after(&[2, 2, 2, 0, 2, 2, 0]), [0, 1, 2, 0, 0, 1, 0]);
    }

    #[test]
    fn single_messages_are_hardly_delayed() {
        let pauses = pauses_after(&[1; 100_000]);
        assert_eq!(pauses[..9], [0, 1, 2, 4, 8, 16, 32, 0, 0]);
        let attempts = pauses.iter().filter(|&&pauses| pauses == PAUSES_MAX).count();
        assert!((20..40).contains(&attempts), "attempts={attempts}");
    }

    #[test]
    fn a_success_shortens_the_next_rest() {
        let mut patience = Patience::default();
        for _ in 0..10_000 {
            patience.found(1);
        }
        assert_eq!(patience.rest_next, *REST.end());
        while patience.pauses < PAUSES_MAX {
            patience.found(1);
        }
        patience.found(20);
        assert_eq!(patience.rest_next, *REST.start());
    }

    #[test]
    fn question_and_answer_never_pauses() {
        // It looks in vain before every message.
        let finds: Vec<u64> = (0..100).map(|look| look % 2).collect();
        assert_eq!(pauses_after(&finds), [0; 100]);
    }
}
