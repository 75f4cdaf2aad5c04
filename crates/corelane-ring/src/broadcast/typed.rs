//! The typed broadcast in process: messages of plain data, and ends that wait.

use core::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytemuck::Pod;

use crate::error::{SendError, TrySendError};
use crate::storage::HeapWords;
use crate::sync::{Arc, AtomicUsize, Ordering};
use crate::wait::{Event, Wait};

use super::publisher::{ClaimError, LagPolicy, PublisherCounts, WordClaim, WordPublisher};
use super::raw::{Records, Slots};
use super::receiver::Subscriber;
use super::shape::{LogError, LogShape};
use super::subscriber::{Seat, Start, WordSubscriber};

const WORD_BYTES: usize = 8;

/// Words of a message; a type that is not made of whole words does not compile.
const fn record_words<T>() -> usize {
    assert!(size_of::<T>() > 0 && size_of::<T>().is_multiple_of(WORD_BYTES), "not whole words");
    size_of::<T>() / WORD_BYTES
}

/// What all ends share.
#[derive(Debug)]
pub(super) struct Shared<W: Wait> {
    pub(super) shape: LogShape,
    pub(super) policy: LagPolicy,
    pub(super) data: HeapWords,
    pub(super) cursors: HeapWords,
    /// Free seats. Held while somebody joins, so that joins follow one another.
    pub(super) seats: Mutex<Vec<usize>>,
    /// Subscribers, and handles that can make some.
    pub(super) listeners: AtomicUsize,
    /// Waited for by subscribers.
    pub(super) messages: Event<W>,
    /// Waited for by the publisher.
    pub(super) room: Event<W>,
}

impl<W: Wait> Shared<W> {
    fn is_deserted(&self) -> bool {
        // P26: pairs with C27.
        self.listeners.load(Ordering::Acquire) == 0
    }

    pub(super) fn listener_leaves(&self) {
        // C27: pairs with P26.
        self.listeners.fetch_sub(1, Ordering::AcqRel);
    }

    pub(super) fn seats(&self) -> MutexGuard<'_, Vec<usize>> {
        // A list of numbers is never left half changed.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two sides of a broadcast.
pub type Ends<T, W> = (Publisher<T, W>, Subscribers<T, W>);

/// Makes a broadcast for at least `capacity` messages and at most `subscribers_max` reliable
/// subscribers at a time, whose publisher waits for the slowest of them.
///
/// `T` is plain data: any bits are a value of it, it has no padding, and it is made of whole words
/// of eight bytes, or this does not compile. Its alignment does not matter, but eight is fastest.
///
/// # Errors
/// - [`LogError`]: the capacity or the number of subscribers is out of range.
pub fn channel<T: Pod + Send, W: Wait + Clone>(
    capacity: usize,
    subscribers_max: usize,
    wait: W,
) -> Result<Ends<T, W>, LogError> {
    channel_with(capacity, subscribers_max, LagPolicy::Wait, wait)
}

/// The same with a policy for reliable subscribers that lag.
///
/// # Errors
/// - [`LogError`]: the capacity, the number of subscribers or the lag limit is out of range.
pub fn channel_with<T: Pod + Send, W: Wait + Clone>(
    capacity: usize,
    subscribers_max: usize,
    policy: LagPolicy,
    wait: W,
) -> Result<Ends<T, W>, LogError> {
    let slots = match capacity {
        0 => 0,
        _ => capacity.max(2).checked_next_power_of_two().unwrap_or(capacity),
    };
    let shape = LogShape::new(slots, const { record_words::<T>() }, subscribers_max)?;
    let data = HeapWords::new(shape.data_words());
    let cursors = HeapWords::new(LogShape::group_words(subscribers_max));
    let mut log = WordPublisher::new(shape, policy, data.clone())?;
    if subscribers_max > 0 {
        log.add_group(cursors.clone())?;
    }
    let records = Records::new(&shape, &data);
    let shared = Arc::new(Shared {
        shape,
        policy,
        data,
        cursors,
        seats: Mutex::new((0..subscribers_max).rev().collect()),
        listeners: AtomicUsize::new(1),
        messages: Event::new(wait.clone()),
        room: Event::new(wait),
    });
    let publisher = Publisher { log, records, shared: shared.clone() };
    Ok((publisher, Subscribers { shared, messages: PhantomData }))
}

/// The publishing end. Lock-free; its calls without waiting are wait-free. It never allocates.
#[derive(Debug)]
pub struct Publisher<T: Pod + Send, W: Wait> {
    log: WordPublisher<HeapWords, HeapWords>,
    records: Records<T>,
    shared: Arc<Shared<W>>,
}

impl<T: Pod + Send, W: Wait> Publisher<T, W> {
    /// Sends one message to every subscriber; it is visible to them on return.
    ///
    /// # Errors
    /// - [`TrySendError::Full`], [`TrySendError::Closed`]: the message comes back. That every
    ///   subscriber and every [`Subscribers`] is gone is noticed within a quarter of a lap.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if self.log.room_cached() == 0 && self.find_room(1) == 0 {
            return Err(match self.is_closed() {
                true => TrySendError::Closed(message),
                false => TrySendError::Full(message),
            });
        }
        self.records.slots().write(self.log.published(), &message);
        self.log.publish(1);
        self.shared.messages.notify(u32::MAX);
        Ok(())
    }

    /// Sends one message, waiting for room as long as it takes. May park.
    ///
    /// # Errors
    /// - [`SendError`]: every subscriber and every [`Subscribers`] is gone.
    pub fn send(&mut self, message: T) -> Result<(), SendError<T>> {
        if self.log.room_cached() == 0 && self.find_room(1) == 0 {
            self.wait_for_room();
        }
        self.try_send(message).map_err(|error| SendError(error.into_inner()))
    }

    /// Sends messages until the iterator ends or the log is full, publishing a batch every quarter
    /// of a lap and at the end, and returns how many.
    ///
    /// No more is taken from the iterator than was sent, unless the iterator panics: then the
    /// messages of the last batch are lost.
    #[inline]
    pub fn send_many(&mut self, messages: impl IntoIterator<Item = T>) -> usize {
        let mut messages = messages.into_iter();
        let batch_max = self.log.shape().stride();
        let mut sent = 0;
        loop {
            let wanted = messages.size_hint().1.map_or(batch_max, |most| most as u64);
            let wanted = wanted.clamp(1, batch_max);
            let mut room = self.log.room_cached().min(wanted);
            if room < wanted {
                room = self.find_room(wanted).min(wanted);
            }
            let (slots, first) = (self.records.slots(), self.log.published());
            let mut written = 0;
            for message in messages.by_ref().take(room as usize) {
                slots.write(first + written, &message);
                written += 1;
            }
            if written > 0 {
                self.log.publish(written);
                self.shared.messages.notify(u32::MAX);
            }
            sent += written as usize;
            if written == 0 || written < room {
                return sent;
            }
        }
    }

    /// Claims room for `count` messages; what is put into it is published by one commit.
    ///
    /// # Errors
    /// - [`ClaimError`]: there is less room; nothing changed.
    #[inline]
    pub fn claim(&mut self, count: usize) -> Result<Claim<'_, T, W>, ClaimError> {
        let claim = self.log.claim(count)?;
        Ok(Claim { claim, slots: self.records.slots(), messages: &self.shared.messages })
    }

    /// Messages that the log holds at most.
    pub fn capacity(&self) -> usize {
        self.log.shape().slots()
    }

    /// Messages published so far.
    pub fn published(&self) -> u64 {
        self.log.published()
    }

    /// What was counted so far.
    pub fn counts(&self) -> PublisherCounts {
        self.log.counts()
    }

    /// Whether every subscriber and every [`Subscribers`] is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.is_deserted()
    }

    /// Messages there is room for, after a look at the subscribers for `wanted`; none when nobody
    /// is left to receive them.
    #[cold]
    #[inline(never)]
    fn find_room(&mut self, wanted: u64) -> u64 {
        if self.is_closed() {
            return 0;
        }
        match self.log.refresh(wanted as usize) {
            Ok(()) => self.log.room_cached(),
            Err(refused) => refused.free as u64,
        }
    }

    /// Waits until there is room, or nobody is left.
    #[cold]
    fn wait_for_room(&mut self) {
        let shared = self.shared.clone();
        shared.room.wait_until(|| (self.find_room(1) > 0 || self.is_closed()).then_some(()));
    }
}

impl<T: Pod + Send, W: Wait> Drop for Publisher<T, W> {
    fn drop(&mut self) {
        self.log.close();
        self.shared.messages.notify_all();
    }
}

/// Room that is filled, then published at once. Dropping it without a commit publishes nothing
/// (RB-3).
#[derive(Debug)]
#[must_use = "nothing is published before the commit"]
pub struct Claim<'a, T: Pod + Send, W: Wait> {
    claim: WordClaim<'a, HeapWords, HeapWords>,
    slots: Slots<'a, T>,
    messages: &'a Event<W>,
}

impl<T: Pod + Send, W: Wait> Claim<'_, T, W> {
    /// Puts the next message.
    ///
    /// # Panics
    /// When the claim is full: its owner knows how many it asked for.
    #[inline]
    pub fn put(&mut self, message: T) {
        self.claim.put_at(|position| self.slots.write(position, &message));
    }

    /// Messages that still fit.
    pub fn remaining(&self) -> usize {
        self.claim.remaining()
    }

    /// Publishes what was put, all at once, and returns how many messages that were.
    #[inline]
    pub fn commit(self) -> usize {
        let written = self.claim.commit();
        if written > 0 {
            self.messages.notify(u32::MAX);
        }
        written
    }
}

/// Makes subscribers, at any time and from any thread; clones make them too.
#[derive(Debug)]
pub struct Subscribers<T: Pod + Send, W: Wait> {
    shared: Arc<Shared<W>>,
    messages: PhantomData<fn() -> T>,
}

impl<T: Pod + Send, W: Wait> Subscribers<T, W> {
    /// A subscriber that no message escapes. Takes a lock for a moment; allocates nothing.
    ///
    /// # Errors
    /// - [`LogError::NoSeat`]: every seat is taken.
    pub fn reliable(&self, start: Start) -> Result<Subscriber<T, W>, LogError> {
        let shared = &self.shared;
        let mut seats = shared.seats();
        let max = shared.shape.subscribers_max();
        let number = *seats.last().ok_or(LogError::NoSeat { max })?;
        let seat = Seat { group: shared.cursors.clone(), first: 0, seat: number };
        let log = WordSubscriber::join_reliable(shared.shape, shared.data.clone(), seat, start)?;
        seats.pop();
        Ok(self.subscriber(log, Some(number)))
    }

    /// A subscriber that never holds the publisher back and is told what it missed.
    pub fn lossy(&self, start: Start) -> Subscriber<T, W> {
        let shared = &self.shared;
        let log = WordSubscriber::join_lossy(shared.shape, shared.data.clone(), start);
        self.subscriber(log.expect("because the storage was made for this shape"), None)
    }

    /// Free seats for reliable subscribers.
    pub fn seats_free(&self) -> usize {
        self.shared.seats().len()
    }

    fn subscriber(
        &self,
        log: WordSubscriber<HeapWords, HeapWords>,
        seat: Option<usize>,
    ) -> Subscriber<T, W> {
        self.shared.listeners.fetch_add(1, Ordering::Relaxed);
        Subscriber::new(log, seat, self.shared.clone())
    }
}

impl<T: Pod + Send, W: Wait> Clone for Subscribers<T, W> {
    fn clone(&self) -> Self {
        self.shared.listeners.fetch_add(1, Ordering::Relaxed);
        Self { shared: self.shared.clone(), messages: PhantomData }
    }
}

impl<T: Pod + Send, W: Wait> Drop for Subscribers<T, W> {
    fn drop(&mut self) {
        // Nobody need be woken: the publisher sleeps only while a reliable subscriber listens.
        self.shared.listener_leaves();
    }
}
