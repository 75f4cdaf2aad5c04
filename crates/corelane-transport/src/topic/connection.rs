//! A subscriber's place at one publisher: its cursor, its holds, and what it knows of the slab.

use std::sync::Arc;
use std::time::{Duration, Instant};

use corelane_ring::broadcast::{SPARE, TryRecvError, WordSubscriber};
use corelane_shm::slab::{Holds, SlabReader};
use corelane_shm::{WordsRo, WordsRw, futex};

use crate::strategy::SharedBarrier;

use super::hub::Link;

/// How long an extent that a record refers to may take to come.
const EXTENT_PATIENCE: Duration = Duration::from_secs(5);

/// A subscriber's place at one publisher.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Arc<Link>,
    pub(super) log: WordSubscriber<WordsRo, WordsRw>,
    pub(super) holds: Holds,
    pub(super) slab: SlabReader,
    /// Index of the own cursor in the words of the group's log.
    pub(super) cursor: usize,
    pub(super) cursors: WordsRw,
    pub(super) barrier: SharedBarrier,
    /// Whether the last payload lay in the slab: the next one, most likely, too.
    pub(super) was_loaned: bool,
    /// Extents known, and the time, when a record referred to one that had not come.
    pub(super) stalled: Option<(usize, Instant)>,
}

impl Connection {
    /// Tells a publisher that sleeps for want of room, if the cursor has moved since `released`.
    #[inline(always)]
    pub(super) fn let_go(&self, released: u64) {
        if self.log.released() != released {
            self.wake_publisher();
        }
    }

    fn wake_publisher(&self) {
        // Pairs with the barrier of a publisher between its announcement and its last look at the
        // cursors.
        self.barrier.of_waker();
        if self.link.data.load_relaxed(SPARE) != 0 {
            // The word is mapped and aligned: waking it cannot fail.
            let _ = futex::wake(&self.cursors, self.cursor);
        }
    }

    /// Leaves the next record where it is: the extent that it refers to was sent before it, and is
    /// on its way to the participant's thread.
    #[cold]
    pub(super) fn stall(&mut self) {
        self.stalled.get_or_insert((self.slab.extents(), Instant::now()));
    }

    /// Whether it still waits for an extent: false when it has waited too long.
    #[inline]
    pub(super) fn is_stalled(&mut self) -> Option<bool> {
        let (known, since) = self.stalled?;
        if self.link.slab().extents() > known {
            self.stalled = None;
            return None;
        }
        Some(!self.link.is_over() && since.elapsed() < EXTENT_PATIENCE)
    }

    /// Whether a look at it is worth while.
    pub(super) fn has_something(&mut self) -> bool {
        if let Some(is_waiting) = self.is_stalled() {
            return !is_waiting;
        }
        let released = self.log.released();
        let is_worth = !matches!(self.log.look(), Err(TryRecvError::Empty | TryRecvError::Closed));
        self.let_go(released);
        is_worth || self.link.is_over()
    }
}
