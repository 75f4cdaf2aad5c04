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
//! this: a receiver that waits for single messages, as in question and answer, never pauses.

use crate::sync::spin_loop;

/// Most pause instructions before a look; on current processors well below a microsecond.
const PAUSES_MAX: u32 = if cfg!(loom) { 1 } else { 16 };
/// A look that finds fewer messages than this found little.
const LITTLE: u64 = 64;

/// The state of one receiver.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    pauses: u32,
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
    #[inline(always)]
    pub(crate) fn found(&mut self, messages: u64) {
        if messages == 0 {
            self.pauses = 0;
        } else if messages < LITTLE {
            self.pauses = (self.pauses * 2).clamp(1, PAUSES_MAX);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_while_looks_find_little_and_ends_with_the_first_empty_one() {
        let mut patience = Patience::default();
        let mut seen = Vec::new();
        for found in [1, 1, 5, LITTLE, LITTLE - 1, 1, 1, 1, 0, 1] {
            patience.found(found);
            seen.push(patience.pauses);
        }
        assert_eq!(seen, [1, 2, 4, 4, 8, 16, 16, 16, 0, 1]);
    }

    #[test]
    fn one_message_at_a_time_never_pauses() {
        let mut patience = Patience::default();
        for _ in 0..100 {
            // A receiver in question and answer looks in vain before every message.
            patience.found(0);
            assert_eq!(patience.pauses, 0);
            patience.found(1);
        }
    }
}
