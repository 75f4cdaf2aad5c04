//! A lane of a sharing ring: what its producer and every consumer know of it, and the turns that a
//! consumer has on it. Who takes which message is decided in `sharing.rs`.
//!
//! # Orders
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | P51 | `Producer::publish` | Release store of the tail, after the messages | C51 |
//! | C51 | `KnownLane::look` | Acquire load of the tail, before the copies | P51 |
//! | C52 | `Lane::take` | AcqRel compare-and-swap of the head, after the copies | C52, and by way of C57 with P52 |
//! | C57 | `Lane::release`, `release_all` | Release maximum of the position released, after the head passed it | P52 |
//! | P52 | `Lane::released` | Acquire load of that position, before a slot is written again | C57 |
//! | P55 | `Producer`'s drop | Release store of the lane's end, after its last message | C55 |
//! | C55 | `Lane::is_over` | Acquire load of the lane's end, before head and tail are compared | P55 |

use bytemuck::Pod;

use crate::line::OwnLine;
use crate::patience::Patience;
use crate::storage::HeapWords;
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::words;

/// Messages of one lane after which a consumer looks for a lane that nobody looks after.
const TURN_MAX: u64 = if cfg!(loom) { 2 } else { 1024 };

/// A producer's lane.
#[derive(Debug)]
pub(super) struct Lane {
    /// Position after the last message; the producer's (P51).
    pub(super) tail: OwnLine<AtomicU64>,
    /// Position of the next message; moved by consumers (C52).
    head: OwnLine<AtomicU64>,
    /// A position that the head has reached; raised by consumers in strides (C57), so that a
    /// producer that waits for room does not take the head's line from them at every message.
    released: OwnLine<AtomicU64>,
    pub(super) is_producer_gone: AtomicBool,
    words: HeapWords,
    slot_words: usize,
}

impl Lane {
    /// An empty lane.
    pub(super) fn new(slots: u64, slot_words: usize) -> Self {
        Self {
            tail: OwnLine::default(),
            head: OwnLine::default(),
            released: OwnLine::default(),
            is_producer_gone: AtomicBool::new(false),
            words: HeapWords::new(slots as usize * slot_words),
            slot_words,
        }
    }

    /// Index of the first word of the slot of `position`.
    #[inline(always)]
    fn start(&self, position: u64, slots: u64) -> usize {
        (position & (slots - 1)) as usize * self.slot_words
    }

    #[inline(always)]
    pub(super) fn put<T: Pod>(&self, position: u64, slots: u64, message: &T) {
        let start = self.start(position, slots);
        words::write(&self.words, start, message);
    }

    #[inline(always)]
    pub(super) fn copy<T: Pod>(&self, position: u64, slots: u64) -> T {
        let start = self.start(position, slots);
        words::read(&self.words, start)
    }

    /// Position of the next message, as it was a moment ago.
    #[inline(always)]
    pub(super) fn head(&self) -> u64 {
        // No order is needed: the compare-and-swap tells whether it was the newest.
        self.head.load(Ordering::Relaxed)
    }

    /// Moves the head over `count` messages, of which copies were made; the head as it is if
    /// somebody else did.
    #[inline(always)]
    pub(super) fn take(&self, head: u64, count: u64) -> Result<u64, u64> {
        // C52: the copies were made before, and with those of whoever moved the head earlier they
        // come before C57. RB-50: the head only grows, so when it still is `head`, the producer
        // did not come round to the slots.
        let (order, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.head.compare_exchange_weak(head, head + count, order, relaxed)
    }

    /// Tells the producer of the room behind the head when that has entered another quarter of
    /// the lap; whether it did.
    #[inline(always)]
    pub(super) fn release(&self, head: u64, count: u64, slots: u64) -> bool {
        let quarter_shift = (slots.trailing_zeros()).saturating_sub(2);
        let is_due = head >> quarter_shift != (head + count) >> quarter_shift;
        if is_due {
            // C57: pairs with P52.
            self.released.fetch_max(head + count, Ordering::Release);
        }
        is_due
    }

    /// Tells the producer of all room, when nothing is left; whether it did.
    pub(super) fn release_all(&self) -> bool {
        // Acquire, so that all copies before the head come before C57.
        let head = self.head.load(Ordering::Acquire);
        // C57: pairs with P52.
        self.released.load(Ordering::Relaxed) < head
            && self.released.fetch_max(head, Ordering::Release) < head
    }

    /// How far the producer may count on room.
    pub(super) fn released(&self) -> u64 {
        // P52: pairs with C57; whoever took a message before there had copied it.
        self.released.load(Ordering::Acquire)
    }

    /// Whether nothing is in it and nothing will come.
    pub(super) fn is_over(&self) -> bool {
        // C55: pairs with P55.
        self.is_producer_gone.load(Ordering::Acquire)
            && self.head.load(Ordering::Relaxed) == self.tail.load(Ordering::Relaxed)
    }
}

/// A lane as one consumer knows it.
#[derive(Debug)]
pub(super) struct KnownLane {
    pub(super) lane: Arc<Lane>,
    pub(super) tail_cached: u64,
    /// Where the turn ends that this consumer has begun.
    turn_end: Option<u64>,
    pub(super) is_turn_over: bool,
    /// The head at the last look whether anybody looks after the lane.
    head_seen: u64,
    patience: Patience,
}

impl KnownLane {
    pub(super) fn new(lane: &Arc<Lane>) -> Self {
        Self {
            lane: lane.clone(),
            tail_cached: 0,
            turn_end: None,
            is_turn_over: false,
            head_seen: 0,
            patience: Patience::default(),
        }
    }

    /// Looks at the producer's index, when everything known was taken, after a moment for messages
    /// to gather if the producer is just ahead. Messages there are from `head` on; none when the
    /// turn is over.
    #[cold]
    #[inline(never)]
    pub(super) fn look(&mut self, head: u64) -> u64 {
        let turn_end = *self.turn_end.get_or_insert(head + TURN_MAX);
        self.is_turn_over = head >= turn_end;
        if self.is_turn_over {
            return 0;
        }
        self.patience.pause();
        // C51: pairs with P51.
        let tail = self.lane.tail.load(Ordering::Acquire);
        let found = tail.saturating_sub(head);
        self.patience.found(found);
        // The end of the turn must not be passed without a look.
        self.tail_cached = tail.min(turn_end);
        found
    }

    pub(super) fn begin_turn(&mut self) {
        self.turn_end = None;
        self.is_turn_over = false;
    }

    /// Whether messages lie there and nobody took any since this was asked last.
    pub(super) fn is_left_alone(&mut self) -> bool {
        // No order is needed: nothing is read here.
        let head = self.lane.head.load(Ordering::Relaxed);
        let is_untouched = core::mem::replace(&mut self.head_seen, head) == head;
        is_untouched && self.lane.tail.load(Ordering::Relaxed) != head
    }
}

/// Why a lane gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// It is empty, or this consumer's turn is over.
    Nothing,
    /// Another consumer was quicker.
    Lost,
}
