//! A counter of this process that one thread sleeps on, beside its lanes, and others raise.
//!
//! It carries nothing: what happened stands elsewhere, and is looked at after the count changed.

use std::sync::atomic::Ordering;

use corelane_shm::{OwnedSegment, SegmentError, SegmentInfo, WordsRw, futex};

use crate::envelope::{LAYOUT_HASH, LAYOUT_VERSION};

/// An event count. Cheap to clone; clones are the same counter.
#[derive(Debug, Clone)]
pub struct EventCount {
    words: WordsRw,
}

impl EventCount {
    /// Makes a counter at zero, in a segment that nobody else is given.
    ///
    /// # Errors
    /// - [`SegmentError`]: the system is short of memory or descriptors.
    pub fn new() -> Result<Self, SegmentError> {
        let info = SegmentInfo {
            kind: 0,
            generation: 0,
            layout_version: LAYOUT_VERSION,
            layout_hash: LAYOUT_HASH,
        };
        Ok(Self { words: OwnedSegment::create("corelane-event-count", 1, info)?.into_words() })
    }

    /// The count now. Look at it before looking for what it counts.
    #[inline]
    pub fn now(&self) -> u64 {
        self.words.load_acquire(0)
    }

    /// Adds one and wakes who sleeps on it. Call it after what it announces.
    pub fn raise(&self) {
        self.words.as_atomics()[0].fetch_add(1, Ordering::Release);
        // The word is mapped and aligned: waking it cannot fail.
        let _ = futex::wake(&self.words, 0);
    }

    /// What to sleep on until the count differs from `seen`.
    pub fn waiter(&self, seen: u64) -> futex::Waiter<'_> {
        futex::Waiter { words: &self.words, index: 0, expected: seen as u32 }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use corelane_shm::futex::{WaitOutcome, wait_any};

    use super::*;

    #[test]
    fn a_raise_is_seen_whether_it_comes_before_the_sleep_or_during_it() {
        let count = EventCount::new().unwrap();
        let seen = count.now();
        count.clone().raise();
        assert_eq!(wait_any(&[count.waiter(seen)], None).unwrap(), WaitOutcome::ValueChanged);
        let seen = count.now();
        let raiser = thread::spawn({
            let count = count.clone();
            move || count.raise()
        });
        wait_any(&[count.waiter(seen)], None).unwrap();
        raiser.join().unwrap();
        assert_eq!(count.now(), 2);
    }
}
