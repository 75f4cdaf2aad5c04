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
//! doubling from one pause instruction to [`PAUSES_MAX`] as long as that makes it find more. The
//! first look that finds nothing ends this, and so does a pause that did not pay: a receiver that
//! waits for single messages, as in question and answer, does not pause.

use crate::sync::spin_loop;

/// Most pause instructions before a look; on current processors well below a microsecond.
const PAUSES_MAX: u32 = if cfg!(loom) { 1 } else { 16 };
/// A look that finds fewer messages than this found little.
const LITTLE: u64 = 64;
/// Looks in a row that find a single message, after which a pause is tried.
const SINGLES_MAX: u32 = 8;

/// The state of one receiver.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    pauses: u32,
    singles: u32,
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
        let did_not_pay = messages <= u64::from(self.pauses / 2);
        if messages == 0 || did_not_pay {
            *self = Self::default();
        } else if messages == 1 && self.pauses == 0 && self.singles < SINGLES_MAX {
            self.singles += 1;
        } else if messages < LITTLE {
            self.pauses = (self.pauses * 2).clamp(1, PAUSES_MAX);
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
    fn it_doubles_while_looks_find_little_and_pauses_pay() {
        let finds = [2, 1, 5, LITTLE, LITTLE - 1, 9, 9, 9, 8, 2];
        assert_eq!(pauses_after(&finds), [1, 2, 4, 4, 8, 16, 16, 16, 0, 1]);
    }

    #[test]
    fn a_look_in_vain_ends_it() {
        assert_eq!(pauses_after(&[2, 2, 0, 2, 0]), [1, 2, 0, 1, 0]);
    }

    #[test]
    fn single_messages_are_tried_once_in_a_while_and_hardly_delayed() {
        let pauses = pauses_after(&[1; 100]);
        assert_eq!(pauses[..11], [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0]);
        assert!(pauses.iter().sum::<u32>() <= 30, "{pauses:?}");
    }

    #[test]
    fn question_and_answer_never_pauses() {
        // It looks in vain before every message.
        let finds: Vec<u64> = (0..100).map(|look| look % 2).collect();
        assert_eq!(pauses_after(&finds), [0; 100]);
    }
}
