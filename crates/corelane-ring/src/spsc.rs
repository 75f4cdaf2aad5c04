//! The typed SPSC ring: one producer, one consumer, messages of any type, in process.
//!
//! Each end keeps its own index and a cached copy of the other's, and looks at the shared ones only
//! when the copy says full or empty. A message is visible to the consumer when `try_send` returns.
//!
//! # Orders
//! | id | orders | how |
//! |---|---|---|
//! | P3, C3 | messages before their reading | tail: Release store in `Producer::publish`, Acquire load in `Consumer::refresh` |
//! | C4, P4 | taking before filling again | head: Release store in `Consumer::release`, Acquire load in `Producer::refresh` |
//! | C5, P5 | the last release before the end is seen | Release store in `Consumer`'s drop, Acquire load in `Producer::is_closed` |
//! | P6, C6 | the last message before a last look | Release store in `Producer`'s drop, Acquire load in `Consumer::is_closed` |

use core::cell::Cell;
use core::marker::PhantomData;

use crate::error::{CapacityError, TryRecvError, TrySendError};
use crate::line::OwnLine;
use crate::patience::Patience;
use crate::raw::{SlotMemory, Slots, drop_each};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::wait::{Event, Ticket, Wait};

mod drain;
mod waiting;

pub use drain::Drain;
pub use waiting::{RecvFuture, SendFuture};

/// Most slots of a typed ring.
pub const CAPACITY_MAX: usize = 1 << 30;

/// What both ends share. Each side writes lines of its own.
#[derive(Debug)]
struct Shared<T, W: Wait> {
    /// Position after the last message published; written by the producer (P3).
    tail: OwnLine<AtomicU64>,
    /// Position of the first message not released; written by the consumer (C4).
    head: OwnLine<AtomicU64>,
    is_sender_gone: AtomicBool,
    is_receiver_gone: AtomicBool,
    /// Waited for by the consumer.
    messages: Event<W>,
    /// Waited for by the producer.
    room: Event<W>,
    memory: SlotMemory<T>,
}

impl<T, W: Wait> Drop for Shared<T, W> {
    fn drop(&mut self) {
        let (head, tail) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        drop_each(head..tail, |position| {
            // SAFETY: RB-8: both ends are gone, the consumer released up to `head` when it went,
            // and the slots from there to `tail` hold messages. The view ends with the statement.
            drop(unsafe { self.memory.view().take(position) });
        });
    }
}

/// The two ends of a ring.
pub type Ends<T, W> = (Producer<T, W>, Consumer<T, W>);

/// Makes a ring for at least `capacity` messages, whose ends wait as `wait` says.
///
/// The room of a message goes back to the producer when it is received. That of batches goes back
/// every quarter of a lap, when the ring is found empty, and with [`Consumer::release`]: a consumer
/// that stops after a batch while messages are left, in order to wait for its producer by other
/// means, calls it before it does.
///
/// # Errors
/// - [`CapacityError`]: the capacity is zero or too large.
pub fn channel<T: Send, W: Wait + Clone>(
    capacity: usize,
    wait: W,
) -> Result<Ends<T, W>, CapacityError> {
    channel_with(capacity, wait.clone(), wait)
}

/// As [`channel`], with a strategy for each end: the consumer waits for messages by one, the
/// producer waits for room by the other. For strategies that belong to one end, like a descriptor.
///
/// # Errors
/// - [`CapacityError`]: the capacity is zero or too large.
pub fn channel_with<T: Send, W: Wait>(
    capacity: usize,
    for_messages: W,
    for_room: W,
) -> Result<Ends<T, W>, CapacityError> {
    if !(1..=CAPACITY_MAX).contains(&capacity) {
        return Err(CapacityError { asked: capacity, max: CAPACITY_MAX });
    }
    let slots = capacity.next_power_of_two();
    let shared = Arc::new(Shared {
        tail: OwnLine::default(),
        head: OwnLine::default(),
        is_sender_gone: AtomicBool::new(false),
        is_receiver_gone: AtomicBool::new(false),
        messages: Event::new(for_messages),
        room: Event::new(for_room),
        memory: SlotMemory::new(slots),
    });
    // SAFETY: each end keeps the memory alive through `shared` as long as it has its view.
    let (slots, slots_too) = unsafe { (shared.memory.view(), shared.memory.view()) };
    let producer = Producer {
        slots,
        tail: 0,
        head_cached: 0,
        shared: shared.clone(),
        ticket: Ticket::default(),
        is_not_sync: PhantomData,
    };
    let consumer = Consumer {
        slots: slots_too,
        head: 0,
        tail_cached: 0,
        head_published: 0,
        patience: Patience::default(),
        shared,
        ticket: Ticket::default(),
        is_not_sync: PhantomData,
    };
    Ok((producer, consumer))
}

/// The sending end. Lock-free; its calls without waiting are wait-free. It never allocates, but
/// for the first future that waits.
///
/// It moves between threads and is neither shared nor cloned:
/// ```
/// fn moves<T: Send>() {}
/// # #[cfg(not(loom))]
/// moves::<corelane_ring::spsc::Producer<u8, corelane_ring::Spin>>();
/// ```
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::spsc::Producer<u8, corelane_ring::Spin>>();
/// ```
/// ```compile_fail,E0277
/// fn is_cloned<T: Clone>() {}
/// is_cloned::<corelane_ring::spsc::Producer<u8, corelane_ring::Spin>>();
/// ```
#[derive(Debug)]
pub struct Producer<T: Send, W: Wait> {
    slots: Slots<T>,
    tail: u64,
    head_cached: u64,
    shared: Arc<Shared<T, W>>,
    ticket: Ticket,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<T: Send, W: Wait> Producer<T, W> {
    /// Sends one message; it is visible to the consumer on return.
    ///
    /// # Errors
    /// - [`TrySendError::Full`], [`TrySendError::Closed`]: the message comes back. That the
    ///   consumer is gone is noticed at the latest when the ring is full.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if self.room_cached() == 0 && self.refresh() == 0 {
            return Err(match self.is_closed() {
                true => TrySendError::Closed(message),
                false => TrySendError::Full(message),
            });
        }
        // SAFETY: RB-8: `head <= tail < head + slots`, so the slot at `tail` is free (P4), and
        // only this producer puts messages.
        unsafe { self.slots.put(self.tail, message) };
        self.publish(1);
        Ok(())
    }

    /// Sends messages until the iterator ends or the ring is full, publishing them as one batch,
    /// and returns how many.
    ///
    /// No more is taken from the iterator than was sent. When it panics, nothing was sent.
    pub fn send_many(&mut self, messages: impl IntoIterator<Item = T>) -> usize {
        let mut messages = messages.into_iter();
        let mut room = self.room_cached();
        if room < messages.size_hint().1.unwrap_or(usize::MAX) as u64 {
            room = self.refresh();
        }
        let mut claim = Claim { ring: self, written: 0, room };
        while claim.written < room {
            let Some(message) = messages.next() else { break };
            claim.put(message);
        }
        claim.commit()
    }

    /// Claims room for `count` messages; what is put into it is published by one commit.
    ///
    /// # Errors
    /// - [`ClaimError`]: there is less room; nothing changed.
    pub fn claim(&mut self, count: usize) -> Result<Claim<'_, T, W>, ClaimError> {
        let room = count as u64;
        if self.room_cached() < room && self.refresh() < room {
            return Err(ClaimError { asked: count, free: self.room_cached() as usize });
        }
        Ok(Claim { ring: self, written: 0, room })
    }

    /// Messages that the ring holds at most.
    pub fn capacity(&self) -> usize {
        self.slots.count()
    }

    /// Whether the consumer is gone.
    pub fn is_closed(&self) -> bool {
        // P5: pairs with C5.
        self.shared.is_receiver_gone.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn room_cached(&self) -> u64 {
        self.slots.count() as u64 - (self.tail - self.head_cached)
    }

    /// Looks at the consumer's index; the room there is now.
    #[cold]
    #[inline(never)]
    fn refresh(&mut self) -> u64 {
        // P4: pairs with C4; whatever was taken out of a released slot was taken before this.
        self.head_cached = self.shared.head.load(Ordering::Acquire);
        self.room_cached()
    }

    #[inline(always)]
    fn publish(&mut self, count: u64) {
        self.tail += count;
        // P3: pairs with C3; the messages are visible to whoever sees this tail.
        self.shared.tail.store(self.tail, Ordering::Release);
        self.shared.messages.notify(1);
    }
}

impl<T: Send, W: Wait> Drop for Producer<T, W> {
    fn drop(&mut self) {
        // P6: pairs with C6; every message was published before.
        self.shared.is_sender_gone.store(true, Ordering::Release);
        self.shared.messages.notify_all();
    }
}

/// The ring has less room than was asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("claim of {asked} messages exceeds the free room={free}: claim less, or wait")]
pub struct ClaimError {
    /// Messages asked for.
    pub asked: usize,
    /// Messages that there is room for.
    pub free: usize,
}

impl ClaimError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0251"
    }
}

/// Room that is filled, then published at once. Dropping it without a commit drops what was put
/// into it and publishes nothing (RB-3).
#[derive(Debug)]
#[must_use = "nothing is published before the commit"]
pub struct Claim<'a, T: Send, W: Wait> {
    ring: &'a mut Producer<T, W>,
    written: u64,
    room: u64,
}

impl<T: Send, W: Wait> Claim<'_, T, W> {
    /// Puts the next message.
    ///
    /// # Panics
    /// When the claim is full: its owner knows how many it asked for.
    #[inline]
    pub fn put(&mut self, message: T) {
        assert!(self.written < self.room, "claim is full");
        // SAFETY: RB-8: the claim owns the free slots from `tail` to `tail + room`, and the ones
        // before `written` are the filled ones.
        unsafe { self.ring.slots.put(self.ring.tail + self.written, message) };
        self.written += 1;
    }

    /// Messages that still fit.
    pub fn remaining(&self) -> usize {
        (self.room - self.written) as usize
    }

    /// Publishes what was put, all at once, and returns how many messages that were.
    #[inline]
    pub fn commit(mut self) -> usize {
        let written = core::mem::take(&mut self.written);
        if written > 0 {
            self.ring.publish(written);
        }
        written as usize
    }
}

impl<T: Send, W: Wait> Drop for Claim<'_, T, W> {
    fn drop(&mut self) {
        drop_each(self.ring.tail..self.ring.tail + self.written, |position| {
            // SAFETY: RB-8: the claim filled these slots and nobody was told.
            drop(unsafe { self.ring.slots.take(position) });
        });
    }
}

/// The receiving end. Lock-free; its calls without waiting are wait-free. It never allocates, but
/// for the first future that waits.
///
/// It moves between threads and is neither shared nor cloned:
/// ```
/// fn moves<T: Send>() {}
/// # #[cfg(not(loom))]
/// moves::<corelane_ring::spsc::Consumer<u8, corelane_ring::Spin>>();
/// ```
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::spsc::Consumer<u8, corelane_ring::Spin>>();
/// ```
/// ```compile_fail,E0277
/// fn is_cloned<T: Clone>() {}
/// is_cloned::<corelane_ring::spsc::Consumer<u8, corelane_ring::Spin>>();
/// ```
#[derive(Debug)]
pub struct Consumer<T: Send, W: Wait> {
    slots: Slots<T>,
    head: u64,
    tail_cached: u64,
    head_published: u64,
    patience: Patience,
    shared: Arc<Shared<T, W>>,
    ticket: Ticket,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<T: Send, W: Wait> Consumer<T, W> {
    /// Takes the next message.
    ///
    /// # Errors
    /// - [`TryRecvError::Empty`], [`TryRecvError::Closed`]: there is none.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if self.head == self.tail_cached && self.look() == 0 {
            return Err(self.why_empty());
        }
        // SAFETY: RB-8: `head < tail`, so the slot holds a message (C3) that only this consumer
        // takes.
        let message = unsafe { self.slots.take(self.head) };
        self.head += 1;
        self.release();
        Ok(message)
    }

    /// Takes up to `count` messages, of those that are there, as one batch.
    ///
    /// The batch gives them one by one and as slices; what was not taken stays in the ring.
    #[inline]
    pub fn drain(&mut self, count: usize) -> Drain<'_, T, W> {
        let mut ready = self.tail_cached - self.head;
        if ready == 0 {
            ready = self.look();
        } else if ready < count as u64 {
            ready = self.refresh();
        }
        Drain::new(self, ready.min(count as u64))
    }

    /// Takes up to `count` messages, of those that are there, and appends them to `messages`;
    /// returns how many.
    pub fn recv_many(&mut self, messages: &mut Vec<T>, count: usize) -> usize {
        let batch = self.drain(count);
        let ready = batch.len();
        messages.extend(batch);
        ready
    }
    /// Whether the producer is gone; messages may be left.
    pub fn is_closed(&self) -> bool {
        // C6: pairs with P6; its last message is visible to the next look at the tail.
        self.shared.is_sender_gone.load(Ordering::Acquire)
    }

    /// Looks at the producer's index when everything known was taken, after a moment for messages
    /// to gather if the producer is just ahead. Messages there are.
    #[cold]
    #[inline(never)]
    fn look(&mut self) -> u64 {
        self.patience.pause();
        let found = self.refresh();
        self.patience.found(found);
        found
    }

    /// Looks at the producer's index; gives room back when there is nothing. Messages there are.
    #[cold]
    #[inline(never)]
    fn refresh(&mut self) -> u64 {
        // C3: pairs with P3.
        self.tail_cached = self.shared.tail.load(Ordering::Acquire);
        if self.tail_cached == self.head {
            self.release();
        }
        self.tail_cached - self.head
    }

    /// Gives the room of everything that was taken back to the producer now.
    #[inline(always)]
    pub fn release(&mut self) {
        if self.head_published != self.head {
            // C4: pairs with P4; every message before `head` was moved out before this.
            self.shared.head.store(self.head, Ordering::Release);
            self.head_published = self.head;
            self.shared.room.notify(1);
        }
    }

    /// The ring was empty a moment ago: it is over only if the producer had gone before a look
    /// that found nothing.
    #[cold]
    fn why_empty(&mut self) -> TryRecvError {
        if self.is_closed() && self.refresh() == 0 {
            TryRecvError::Closed
        } else {
            TryRecvError::Empty
        }
    }
}

impl<T: Send, W: Wait> Drop for Consumer<T, W> {
    fn drop(&mut self) {
        self.release();
        // C5: pairs with P5.
        self.shared.is_receiver_gone.store(true, Ordering::Release);
        self.shared.room.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
