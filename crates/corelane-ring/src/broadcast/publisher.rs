//! The publishing end over words: one write for every subscriber.
//!
//! It knows neither types nor waiting; `typed.rs` adds both.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::storage::{ReadWords, WriteWords};
use crate::sync::{Ordering, fence};

use super::arrivals::{Arrivals, Change, NoArrivals};
use super::gating::{Cursor, Group};
use super::shape::{
    CLOSED, CURSORS, FLOOR, INTENT, LogError, LogShape, TAIL, Verdict, cursor_generation,
};

/// What happens to a reliable subscriber that lags while the publisher needs its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LagPolicy {
    /// The publisher waits: a claim is refused until the subscriber has read on.
    #[default]
    Wait,
    /// A subscriber that lags by `lag_max` records or more goes on as a lossy one.
    Demote {
        /// Records, from 1 to the slots of the log.
        lag_max: u64,
    },
    /// A subscriber that lags by `lag_max` records or more receives nothing any more.
    Evict {
        /// Records, from 1 to the slots of the log.
        lag_max: u64,
    },
}

impl LagPolicy {
    /// The verdict over a subscriber that holds the publisher back and lags by `lag`.
    fn judge(self, lag: u64) -> Option<Verdict> {
        match self {
            Self::Demote { lag_max } if lag >= lag_max => Some(Verdict::Demoted),
            Self::Evict { lag_max } if lag >= lag_max => Some(Verdict::Evicted),
            _ => None,
        }
    }

    fn check(self, slots: usize) -> Result<(), LogError> {
        match self {
            Self::Demote { lag_max } | Self::Evict { lag_max }
                if !(1..=slots as u64).contains(&lag_max) =>
            {
                Err(LogError::LagLimit { lag_max, slots })
            }
            _ => Ok(()),
        }
    }
}

/// What a publisher counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PublisherCounts {
    /// Reliable subscribers that were demoted to lossy.
    pub demoted: u64,
    /// Reliable subscribers that were evicted.
    pub evicted: u64,
    /// Cursors seen outside of what is possible (RB-24).
    pub clamped: u64,
    /// Looks at every cursor.
    pub scans: u64,
    /// Claims refused because a subscriber holds its room.
    pub refused: u64,
}

/// The log has less room than was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("claim of {asked} records exceeds the free room={free}: claim less, or wait")]
pub struct ClaimError {
    /// Records asked for.
    pub asked: usize,
    /// Records that there is room for.
    pub free: usize,
}

impl ClaimError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0276"
    }
}

/// The subscriber that the last refused claim ran into, and what that claim saw.
#[derive(Debug, Clone, Copy)]
struct Blocker {
    group: usize,
    seat: usize,
    word: u64,
    tail: u64,
    count: usize,
}

/// The publishing end over words. Lock-free and wait-free; only adding a group allocates.
///
/// `A` is where it hears of groups that come and go while it is at work ([`Arrivals`]).
#[derive(Debug)]
pub struct WordPublisher<D: WriteWords, C, A = NoArrivals> {
    shape: LogShape,
    policy: LagPolicy,
    data: D,
    arrivals: A,
    groups: Vec<Group<C>>,
    seats: usize,
    tail: u64,
    /// It may write below this without another look at anything.
    limit: u64,
    intent: u64,
    /// The lowest cursor of the last scan, and not above the tail of then.
    slowest: u64,
    /// Nobody joins below this.
    floor: u64,
    blocker: Option<Blocker>,
    counts: PublisherCounts,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<D: WriteWords, C: ReadWords> WordPublisher<D, C> {
    /// Makes the publisher of a fresh log: the storage must be zeroed.
    ///
    /// # Errors
    /// - [`LogError::StorageTooSmall`]: the storage does not fit the shape.
    /// - [`LogError::LagLimit`]: the policy does not fit the shape.
    pub fn new(shape: LogShape, policy: LagPolicy, data: D) -> Result<Self, LogError> {
        Self::with_arrivals(shape, policy, data, NoArrivals)
    }
}

impl<D: WriteWords, C: ReadWords, A: Arrivals<C>> WordPublisher<D, C, A> {
    /// The same, for groups that come and go by `arrivals`.
    ///
    /// # Errors
    /// As [`new`](WordPublisher::new).
    pub fn with_arrivals(
        shape: LogShape,
        policy: LagPolicy,
        data: D,
        arrivals: A,
    ) -> Result<Self, LogError> {
        shape.check("data", data.len(), shape.data_words())?;
        policy.check(shape.slots())?;
        Ok(Self {
            shape,
            policy,
            data,
            arrivals,
            groups: Vec::new(),
            seats: 0,
            tail: 0,
            limit: 0,
            intent: 0,
            slowest: 0,
            floor: 0,
            blocker: None,
            counts: PublisherCounts::default(),
            is_not_sync: PhantomData,
        })
    }

    /// Adds a zeroed storage for as many cursors as it holds, and returns its first seat.
    ///
    /// Nobody may join in it before this returned. Not to be mixed with groups that arrive.
    ///
    /// # Errors
    /// - [`LogError::StorageTooSmall`]: it holds no cursor.
    /// - [`LogError::NoSeat`]: with it there are more seats than the shape allows.
    pub fn add_group(&mut self, cursors: C) -> Result<usize, LogError> {
        self.shape.check("cursors", cursors.len(), LogShape::group_words(1))?;
        let (first, end) = (self.seats, self.seats + cursors.len() - CURSORS);
        if end > self.shape.subscribers_max() {
            return Err(LogError::NoSeat { max: self.shape.subscribers_max() });
        }
        self.groups.push(Group::new(cursors, first..end));
        self.seats = end;
        Ok(first)
    }

    /// Takes in the groups that came and lets go of those that left. Refused claims are worth
    /// another try after this; everything else hears of the news by itself.
    pub fn admit(&mut self) {
        if !self.arrivals.has_news() {
            return;
        }
        self.blocker = None;
        // Without a look at any cursor the limit of before would still hold.
        self.limit = self.tail;
        for change in self.arrivals.take() {
            match change {
                Change::Came { first, cursors } => {
                    let end = first + cursors.len().saturating_sub(CURSORS);
                    assert!(end <= self.shape.subscribers_max(), "group beyond the seats");
                    self.groups.push(Group::new(cursors, first..end));
                }
                Change::Left { first } => self.groups.retain(|group| group.seats().start != first),
            }
        }
    }

    /// Makes positions below `below` unavailable to whoever joins from now on, as far as no
    /// subscriber is still there. What belongs to positions below the returned one may be reused.
    ///
    /// It looks at every cursor: call it seldom, for many positions at once.
    pub fn retire(&mut self, below: u64) -> u64 {
        self.admit();
        self.scan(0, 0);
        self.floor = self.floor.max(below.min(self.slowest));
        // No order is needed: the fence P23 is the order.
        self.data.store_relaxed(FLOOR, self.floor);
        // P23: pairs with C22: either a joiner sees the floor, or its join is seen below.
        fence(Ordering::SeqCst);
        if self.has_joined() {
            self.scan(0, 0);
        }
        self.slowest.min(self.floor)
    }

    /// The word of the cursor that the last refused claim ran into, as it was then: its seat, and
    /// the word's index in the storage of its group.
    pub fn blocker(&self) -> Option<(&C, usize, u64)> {
        self.blocker.map(|Blocker { group, seat, word, .. }| {
            let group = &self.groups[group];
            (group.storage(), CURSORS + seat - group.seats().start, word)
        })
    }

    /// The storages of all groups.
    pub fn groups(&self) -> impl Iterator<Item = &C> {
        self.groups.iter().map(Group::storage)
    }

    /// Claims room for `count` records; what is put into it is published by one commit. Dropping
    /// the claim without a commit publishes nothing (RB-3).
    ///
    /// # Errors
    /// - [`ClaimError`]: there is less room; nothing is lost.
    #[inline(always)]
    pub fn claim(&mut self, count: usize) -> Result<WordClaim<'_, D, C, A>, ClaimError> {
        if self.tail + count as u64 > self.limit {
            self.refresh(count)?;
        }
        Ok(WordClaim { room: count as u64, written: 0, log: self })
    }

    /// Records published so far.
    #[inline]
    pub fn published(&self) -> u64 {
        self.tail
    }

    /// The shape of the log.
    pub fn shape(&self) -> LogShape {
        self.shape
    }

    /// What was counted so far.
    pub fn counts(&self) -> PublisherCounts {
        self.counts
    }

    /// Tells subscribers that no record follows. Publishing one opens the log again.
    pub fn close(&mut self) {
        // P22: pairs with C21; every record was published before.
        self.data.store_release(TAIL, self.tail | CLOSED);
    }

    /// Records that can be claimed without a look at any cursor.
    #[inline(always)]
    pub(super) fn room_cached(&self) -> u64 {
        self.limit - self.tail
    }

    /// Allows itself at least `count` more records, if it can.
    #[inline(always)]
    pub(super) fn refresh(&mut self, count: usize) -> Result<(), ClaimError> {
        if self.is_unchanged(count) { self.refuse(count) } else { self.refresh_changed(count) }
    }

    /// Whether the same claim as the last one is made again, or a larger one, and the subscriber
    /// that it ran into did nothing meanwhile. One load, for a publisher that tries and tries.
    #[inline(always)]
    fn is_unchanged(&self, count: usize) -> bool {
        self.blocker.is_some_and(|blocker| {
            blocker.tail == self.tail
                && blocker.count <= count
                && blocker.word == self.groups[blocker.group].word(blocker.seat)
        })
    }

    #[inline(always)]
    fn refuse(&mut self, count: usize) -> Result<(), ClaimError> {
        self.counts.refused += 1;
        Err(ClaimError { asked: count, free: self.room_cached() as usize })
    }

    #[cold]
    #[inline(never)]
    fn refresh_changed(&mut self, count: usize) -> Result<(), ClaimError> {
        let slots = self.shape.slots() as u64;
        if count as u64 > slots {
            return Err(ClaimError { asked: count, free: self.room_cached() as usize });
        }
        // Positions below `needed` are about to be read for the last time.
        let needed = self.shape.oldest(self.tail + count as u64);
        if self.is_still_blocked(needed, count) {
            return self.refuse(count);
        }
        let step = self.shape.stride().max(count as u64);
        if self.tail + count as u64 > self.intent {
            self.intent = self.tail + step;
            // No order is needed: the fence P23 is the order.
            self.data.store_relaxed(INTENT, self.intent);
        }
        // P23: pairs with C22: either a joiner sees the intent, or its join is seen below.
        // With C23: whoever sees a payload word written after this sees the intent.
        fence(Ordering::SeqCst);
        if self.has_joined() || self.slowest < needed {
            self.scan(needed, count);
        }
        self.limit = self.intent.min(self.slowest + slots);
        if self.slowest < needed {
            return self.refuse(count);
        }
        Ok(())
    }

    /// Whether somebody joined, or a group came or went, since the last call.
    fn has_joined(&mut self) -> bool {
        let mut has_joined = self.arrivals.has_news();
        if has_joined {
            self.admit();
        }
        for group in &mut self.groups {
            has_joined |= group.has_joined();
        }
        has_joined
    }

    /// Whether the subscriber that refused the last claim still stands in the way.
    fn is_still_blocked(&mut self, needed: u64, count: usize) -> bool {
        let Some(Blocker { group, seat, .. }) = self.blocker else { return false };
        let (word, gate) = (self.groups[group].word(seat), self.shape.gate(seat));
        let cursor = Cursor::read(word, self.data.load_relaxed(gate), &self.shape, self.tail);
        let Cursor::Gates(position) = cursor else { return false };
        let is_blocked = position < needed && self.policy.judge(self.tail - position).is_none();
        if is_blocked {
            self.blocker = Some(Blocker { group, seat, word, tail: self.tail, count });
        }
        is_blocked
    }

    /// Looks at every cursor and dismisses whoever stands in the way and lags too far.
    fn scan(&mut self, needed: u64, count: usize) {
        self.counts.scans += 1;
        let lags = self.groups.iter().map(|group| group.lag_max(self.tail));
        let lag_max = lags.fold(0, u64::max);
        self.blocker = None;
        let lowest = self.shape.oldest(self.tail).max(needed);
        self.slowest = match self.tail.checked_sub(lag_max) {
            Some(slowest) if slowest >= lowest => slowest,
            _ => self.scan_each(needed, count),
        };
        // P25: pairs with C20; whatever was read before a cursor moved was read before this.
        // P24: pairs with C23; whoever sees a record written after this sees the verdict.
        fence(Ordering::AcqRel);
    }

    /// The same, one cursor after the other. The lowest that counts.
    #[cold]
    fn scan_each(&mut self, needed: u64, count: usize) -> u64 {
        let (tail, mut slowest) = (self.tail, self.tail);
        for (index, group) in self.groups.iter().enumerate() {
            for seat in group.seats() {
                let (word, gate) = (group.word(seat), self.shape.gate(seat));
                let verdict = self.data.load_relaxed(gate);
                let position = match Cursor::read(word, verdict, &self.shape, self.tail) {
                    Cursor::Ungated => continue,
                    Cursor::Gates(position) => position,
                    Cursor::Clamped(position) => {
                        self.counts.clamped += 1;
                        position
                    }
                };
                let lag = self.tail - position;
                if let Some(verdict) = self.policy.judge(lag).filter(|_| position < needed) {
                    self.data.store_relaxed(gate, verdict.word(cursor_generation(word)));
                    match verdict {
                        Verdict::Demoted => self.counts.demoted += 1,
                        Verdict::Evicted => self.counts.evicted += 1,
                    }
                } else if position < slowest {
                    slowest = position;
                    let blocker = Blocker { group: index, seat, word, tail, count };
                    self.blocker = (position < needed).then_some(blocker);
                }
            }
        }
        slowest
    }

    /// Publishes `count` records that were written behind the tail, where there was room.
    #[inline(always)]
    pub(super) fn publish(&mut self, count: u64) {
        debug_assert!(count <= self.room_cached(), "records without room");
        self.tail += count;
        // P20: pairs with C21; the records are visible to whoever sees this tail.
        self.data.store_release(TAIL, self.tail);
    }
}

/// Records ahead of the one that is written whose line is fetched.
const AHEAD: u64 = 16;

/// Room that is filled, then published at once.
#[derive(Debug)]
#[must_use = "nothing is published before the commit"]
pub struct WordClaim<'a, D: WriteWords, C, A = NoArrivals> {
    log: &'a mut WordPublisher<D, C, A>,
    written: u64,
    room: u64,
}

impl<D: WriteWords, C: ReadWords, A: Arrivals<C>> WordClaim<'_, D, C, A> {
    /// Puts the next record; words that are not given keep what the slot held.
    ///
    /// # Panics
    /// When the claim is full or the record too long: the caller knows both.
    #[inline]
    pub fn put(&mut self, record: &[u64]) {
        assert!(record.len() <= self.log.shape.record_words(), "record exceeds the slot");
        assert!(self.written < self.room, "claim is full");
        let position = self.log.tail + self.written;
        self.log.data.write(self.log.shape.record_start(position), record);
        self.written += 1;
        // Stores leave a core in order: without this each would wait for the line of its record.
        if position + AHEAD < self.log.limit {
            self.log.data.write_soon(self.log.shape.record_start(position + AHEAD));
        }
    }

    /// Puts the next record by `write`, which is given its position.
    #[inline(always)]
    pub(super) fn put_at(&mut self, write: impl FnOnce(u64)) {
        assert!(self.written < self.room, "claim is full");
        write(self.log.tail + self.written);
        self.written += 1;
    }

    /// Records that still fit.
    pub fn remaining(&self) -> usize {
        (self.room - self.written) as usize
    }

    /// Publishes what was put, all at once, and returns how many records that were.
    #[inline(always)]
    pub fn commit(self) -> usize {
        if self.written > 0 {
            self.log.publish(self.written);
        }
        self.written as usize
    }
}
