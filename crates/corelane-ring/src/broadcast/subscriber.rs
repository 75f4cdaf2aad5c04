//! The subscribing end over words, reliable or lossy.
//!
//! It knows neither types nor waiting; `typed.rs` adds both.

use core::cell::Cell;
use core::marker::PhantomData;

use thiserror::Error;

use crate::patience::Patience;
use crate::storage::{ReadWords, WriteWords};
use crate::sync::{Ordering, fence};

use super::shape::{
    CLOSED, CURSORS, FLOOR, INTENT, JOINS, LogError, LogShape, TAIL, Verdict, cursor_generation,
    cursor_position, cursor_word, free_word,
};

/// Where a new subscriber begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With what is published from now on.
    #[default]
    Tail,
    /// With the oldest record that is still there for sure: three quarters of a lap back and more,
    /// once that much was published.
    Oldest,
}

/// Why no record was received, and what became of the subscriber.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[non_exhaustive]
pub enum TryRecvError {
    /// No record is there now.
    #[error("log is empty")]
    Empty,
    /// The publisher is gone and every record was received.
    #[error("log is empty and its publisher is gone")]
    Closed,
    /// The publisher overran this lossy subscriber, which goes on behind the gap.
    #[error("publisher overran the subscriber: missed={missed} records: read more often")]
    Lagged {
        /// Records that were not received.
        missed: u64,
    },
    /// This reliable subscriber lagged too far and is a lossy one from here on. Told once.
    #[error("reliable subscriber lagged too far and is lossy now: read more often, or join again")]
    Demoted,
    /// This reliable subscriber lagged too far and receives nothing any more. Told every time.
    #[error("reliable subscriber lagged too far and was evicted: read more often, and join again")]
    Evicted,
}

impl TryRecvError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "CL-0271",
            Self::Closed => "CL-0272",
            Self::Lagged { .. } => "CL-0273",
            Self::Demoted => "CL-0274",
            Self::Evicted => "CL-0275",
        }
    }
}

/// The seat of a reliable subscriber: a cursor of its own.
#[derive(Debug)]
pub struct Seat<C> {
    /// Storage of the group that the seat is in.
    pub group: C,
    /// First seat of the group, as [`WordPublisher::add_group`](super::WordPublisher::add_group)
    /// returned it.
    pub first: usize,
    /// The seat, counted over all groups.
    pub seat: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Reliable,
    Lossy,
    Evicted,
}

/// The subscribing end over words. Wait-free; it never allocates.
#[derive(Debug)]
pub struct WordSubscriber<D, C: WriteWords> {
    position: u64,
    tail_cached: u64,
    released: u64,
    /// Position from which on it is time to release.
    release_at: u64,
    /// The last look at the tail found that nothing follows.
    is_over: bool,
    /// The last look at the tail found nothing, and all that was read is released.
    is_idle: bool,
    mode: Mode,
    generation: u8,
    shape: LogShape,
    data: D,
    seat: Option<Seat<C>>,
    gate: usize,
    missed: u64,
    patience: Patience,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<D: ReadWords, C: WriteWords> WordSubscriber<D, C> {
    /// Joins as a reliable subscriber, which no record escapes.
    ///
    /// Joins in the same group must follow one another, not overlap, and the seat must be free.
    ///
    /// # Errors
    /// - [`LogError::StorageTooSmall`]: a storage does not fit the shape.
    /// - [`LogError::NoSeat`]: the seat is not one of the group, or is taken.
    pub fn join_reliable(
        shape: LogShape,
        data: D,
        seat: Seat<C>,
        start: Start,
    ) -> Result<Self, LogError> {
        shape.check("data", data.len(), shape.data_words())?;
        let no_seat = LogError::NoSeat { max: shape.subscribers_max() };
        if seat.seat < seat.first || seat.seat >= shape.subscribers_max() {
            return Err(no_seat);
        }
        let index = CURSORS + seat.seat - seat.first;
        shape.check("cursors", seat.group.len(), index + 1)?;
        let before = seat.group.load_relaxed(index);
        if cursor_position(before) != u64::MAX {
            return Err(no_seat);
        }
        let gate = shape.gate(seat.seat);
        let mut generation = cursor_generation(before).wrapping_add(1);
        if Verdict::of(data.load_relaxed(gate), generation).is_some() {
            generation = generation.wrapping_add(1);
        }
        let floor = Self::first(&shape, &data, start);
        seat.group.store_relaxed(index, cursor_word(generation, floor));
        // C26: pairs with P27; whoever counts this join sees the cursor.
        seat.group.store_release(JOINS, seat.group.load_relaxed(JOINS).wrapping_add(1));
        // C22: pairs with P23. Either the publisher's fence came first, and its intent is seen
        // below; or its next look finds this join (RB-22).
        fence(Ordering::SeqCst);
        let position = Self::first(&shape, &data, start);
        let mut joined = Self::at(shape, data, Mode::Reliable, position);
        joined.set_released(floor);
        (joined.seat, joined.gate, joined.generation) = (Some(seat), gate, generation);
        joined.release();
        Ok(joined)
    }

    /// Joins as a lossy subscriber, which never holds the publisher back.
    ///
    /// # Errors
    /// - [`LogError::StorageTooSmall`]: the storage does not fit the shape.
    pub fn join_lossy(shape: LogShape, data: D, start: Start) -> Result<Self, LogError> {
        shape.check("data", data.len(), shape.data_words())?;
        let position = Self::first(&shape, &data, start);
        Ok(Self::at(shape, data, Mode::Lossy, position))
    }

    /// The position to start at: never below what the intent endangers, never beyond the tail.
    fn first(shape: &LogShape, data: &D, start: Start) -> u64 {
        // No order is needed: a joiner's fence C22 is the order, and no record is read before C21.
        match start {
            Start::Tail => LogShape::position(data.load_relaxed(TAIL)),
            Start::Oldest => {
                let tail = LogShape::position(data.load_relaxed(TAIL));
                let intent = LogShape::position(data.load_relaxed(INTENT));
                shape.oldest(intent).max(data.load_relaxed(FLOOR).min(tail))
            }
        }
    }

    fn at(shape: LogShape, data: D, mode: Mode, position: u64) -> Self {
        Self {
            position,
            tail_cached: position,
            released: position,
            release_at: position + shape.stride(),
            is_over: false,
            is_idle: false,
            mode,
            generation: 0,
            shape,
            data,
            seat: None,
            gate: 0,
            missed: 0,
            patience: Patience::default(),
            is_not_sync: PhantomData,
        }
    }

    /// Copies the next record.
    ///
    /// # Errors
    /// - [`TryRecvError`]: there is none, or the subscriber lost its place.
    ///
    /// # Panics
    /// When `record` is longer than a record: the caller knows the shape.
    #[inline]
    pub fn try_recv(&mut self, record: &mut [u64]) -> Result<(), TryRecvError> {
        assert!(record.len() <= self.shape.record_words(), "record exceeds the slot");
        if !self.has_next() {
            self.look_again()?;
        }
        self.data.read(self.shape.record_start(self.position), record);
        self.finish()
    }

    /// Records that [`take`](Self::take) can copy one after the other before it is time for
    /// another look, or to release.
    #[inline]
    pub fn run(&self) -> u64 {
        (self.tail_cached - self.position).min((self.release_at - 1).saturating_sub(self.position))
    }

    /// Copies the next record of a [`run`](Self::run). False when there is none or the subscriber
    /// lost its place, and nothing changed: [`try_recv`](Self::try_recv) says why.
    ///
    /// # Panics
    /// When `record` is longer than a record: the caller knows the shape.
    #[inline(always)]
    pub fn take(&mut self, record: &mut [u64]) -> bool {
        assert!(record.len() <= self.shape.record_words(), "record exceeds the slot");
        self.data.read(self.shape.record_start(self.position), record);
        let is_taken = self.has_next() && self.is_intact();
        self.position += u64::from(is_taken);
        is_taken
    }

    /// Records that are known to be there, after a look if there is none.
    ///
    /// # Errors
    /// - [`TryRecvError`]: there is none.
    #[inline]
    pub fn look(&mut self) -> Result<u64, TryRecvError> {
        if self.has_next() { Ok(self.tail_cached - self.position) } else { self.look_again() }
    }

    /// The same as [`look`](Self::look), without a moment for records to gather: for records that
    /// take longer than a look, as those do that refer to something else.
    ///
    /// # Errors
    /// - [`TryRecvError`]: there is none.
    pub fn look_now(&mut self) -> Result<u64, TryRecvError> {
        if !self.has_next() && self.refresh() == 0 {
            return Err(self.why_empty());
        }
        Ok(self.tail_cached - self.position)
    }

    /// Copies the next record and leaves it where it is, for who takes hold of what it refers to
    /// before [`skip`](Self::skip).
    ///
    /// # Errors
    /// - [`TryRecvError`]: there is none, or the subscriber lost its place.
    ///
    /// # Panics
    /// When `record` is longer than a record: the caller knows the shape.
    #[inline]
    pub fn peek(&mut self, record: &mut [u64]) -> Result<(), TryRecvError> {
        assert!(record.len() <= self.shape.record_words(), "record exceeds the slot");
        self.look()?;
        self.data.read(self.shape.record_start(self.position), record);
        if self.is_intact() { Ok(()) } else { Err(self.settle()) }
    }

    /// Goes past the record that was peeked at.
    ///
    /// # Errors
    /// - [`TryRecvError`]: there is none, or the subscriber lost its place.
    #[inline]
    pub fn skip(&mut self) -> Result<(), TryRecvError> {
        self.look()?;
        self.finish()
    }

    /// Whether the next record is known to be there.
    #[inline(always)]
    pub fn has_next(&self) -> bool {
        self.position != self.tail_cached
    }

    /// Goes on to the next record if the one just copied counts.
    #[inline(always)]
    pub(super) fn finish(&mut self) -> Result<(), TryRecvError> {
        if !self.is_intact() {
            return Err(self.settle());
        }
        if self.advance(1) {
            self.release();
        }
        Ok(())
    }

    /// Records that can be taken at once, `count` at most; none only when that is 0.
    #[inline(always)]
    pub(super) fn ready(&mut self, count: usize) -> Result<u64, TryRecvError> {
        let mut ready = self.tail_cached - self.position;
        if ready < count as u64 {
            ready = if ready == 0 { self.look_again()? } else { self.refresh() };
        }
        Ok(ready.min(count as u64))
    }

    /// Lets the publisher reuse what was read, now; without effect for a lossy subscriber.
    ///
    /// Reading does so by itself every quarter of a lap, and when nothing is left.
    pub fn release(&mut self) {
        if self.released != self.position {
            if let (Mode::Reliable, Some(seat)) = (self.mode, &self.seat) {
                let word = cursor_word(self.generation, self.position);
                // C20: pairs with P25; every record before `position` was read before this.
                seat.group.store_release(CURSORS + seat.seat - seat.first, word);
            }
            self.set_released(self.position);
        }
    }

    fn set_released(&mut self, position: u64) {
        self.released = position;
        self.release_at = position + self.shape.stride();
    }

    /// Position of the next record.
    #[inline]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Records missed so far.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Whether no record can escape this subscriber: it is reliable, and was not demoted.
    pub fn is_reliable(&self) -> bool {
        self.mode == Mode::Reliable
    }

    /// Whether the publisher is gone; records may be left.
    pub fn is_closed(&self) -> bool {
        // C21: pairs with P22; its last record is visible to the next look at the tail.
        self.data.load_acquire(TAIL) & CLOSED != 0
    }

    /// Position up to which the publisher may overwrite.
    #[inline]
    pub fn released(&self) -> u64 {
        self.released
    }

    /// Looks at the tail when everything known was taken, after a moment for records to gather if
    /// the publisher is just ahead. Records there are, never none.
    #[inline(always)]
    pub(super) fn look_again(&mut self) -> Result<u64, TryRecvError> {
        // C21: pairs with P20 and P22; a tail at the own position says that nothing happened.
        if self.is_idle && self.data.load_acquire(TAIL) == self.position {
            return Err(TryRecvError::Empty);
        }
        self.look_closer()
    }

    #[cold]
    #[inline(never)]
    fn look_closer(&mut self) -> Result<u64, TryRecvError> {
        self.patience.pause();
        let found = self.refresh();
        self.patience.found(found);
        self.is_idle = found == 0;
        if found == 0 { Err(self.why_empty()) } else { Ok(found) }
    }

    /// Looks at the tail; releases when there is nothing new. Records there are.
    #[cold]
    #[inline(never)]
    pub(super) fn refresh(&mut self) -> u64 {
        if self.mode == Mode::Evicted {
            return 0;
        }
        // C21: pairs with P20 and P22. A tail that runs backwards is none.
        let tail = self.data.load_acquire(TAIL);
        self.is_over = tail & CLOSED != 0;
        self.tail_cached = LogShape::position(tail).max(self.position);
        if self.tail_cached == self.position {
            self.release();
        }
        self.tail_cached - self.position
    }

    /// Whether the record just copied is the one that was published at `position` (RB-21).
    #[inline(always)]
    pub(super) fn is_intact(&self) -> bool {
        // C23: pairs with P23 and P24; if a word of the copy was newer, so is what is seen below.
        fence(Ordering::Acquire);
        match self.mode {
            Mode::Reliable => {
                Verdict::of(self.data.load_relaxed(self.gate), self.generation).is_none()
            }
            Mode::Lossy => self.shape.oldest(self.data.load_relaxed(INTENT)) <= self.position,
            Mode::Evicted => false,
        }
    }

    /// Goes on by `count` records; true every quarter of a lap, when it is time to release.
    #[inline(always)]
    #[must_use]
    pub(super) fn advance(&mut self, count: u64) -> bool {
        self.position += count;
        self.position >= self.release_at
    }

    /// What became of a subscriber whose record was not intact.
    #[cold]
    fn settle(&mut self) -> TryRecvError {
        match self.mode {
            Mode::Reliable => {
                let verdict = Verdict::of(self.data.load_relaxed(self.gate), self.generation);
                self.leave();
                if verdict == Some(Verdict::Demoted) {
                    self.mode = Mode::Lossy;
                    return TryRecvError::Demoted;
                }
                self.mode = Mode::Evicted;
                self.tail_cached = self.position;
                TryRecvError::Evicted
            }
            Mode::Lossy => {
                // No order is needed: a tail behind this position is none, and so is an intent that
                // runs backwards.
                let intent = LogShape::position(self.data.load_relaxed(INTENT));
                let oldest = self.shape.oldest(intent).max(self.position);
                let missed = oldest - self.position;
                self.position = oldest;
                self.set_released(oldest);
                self.tail_cached = oldest;
                self.missed = self.missed.saturating_add(missed);
                TryRecvError::Lagged { missed }
            }
            Mode::Evicted => TryRecvError::Evicted,
        }
    }

    /// Why the last look found nothing.
    #[cold]
    fn why_empty(&self) -> TryRecvError {
        if self.mode == Mode::Evicted {
            TryRecvError::Evicted
        } else if self.is_over {
            TryRecvError::Closed
        } else {
            TryRecvError::Empty
        }
    }
}

impl<D, C: WriteWords> WordSubscriber<D, C> {
    /// Frees the seat: from here on nobody holds the publisher back.
    pub(super) fn leave(&mut self) {
        if let Some(seat) = self.seat.take() {
            let index = CURSORS + seat.seat - seat.first;
            // C20: pairs with P25; every record was read before this.
            seat.group.store_release(index, free_word(self.generation));
        }
    }
}

impl<D, C: WriteWords> Drop for WordSubscriber<D, C> {
    fn drop(&mut self) {
        self.leave();
    }
}
