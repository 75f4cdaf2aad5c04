//! The sending end that MPSC and MPMC rings have in common.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::error::{SendError, TrySendError};
use crate::sync::{Arc, Ordering};
use crate::turns::{Shared, TurnSlots, claim};
use crate::wait::Wait;

/// A sending end; clone it for every thread that sends.
///
/// Lock-free among producers. One that is preempted between its claim and its commit holds up the
/// consumers at that slot; with more threads than cores see [`fan_in`](crate::fan_in) and
/// [`sharing`](crate::sharing). It never allocates.
///
/// It moves between threads and is cloned, never shared:
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::mpsc::Producer<u8, corelane_ring::Spin>>();
/// ```
#[derive(Debug)]
pub struct Producer<T: Send, W: Wait> {
    slots: TurnSlots<T>,
    shared: Arc<Shared<T, W>>,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<T: Send, W: Wait> Producer<T, W> {
    /// The first producer of a ring; it is counted already.
    pub(crate) fn first(shared: Arc<Shared<T, W>>) -> Self {
        Self { slots: TurnSlots::of(&shared), shared, is_not_sync: PhantomData }
    }

    /// Sends one message; it is visible to the consumers on return.
    ///
    /// # Errors
    /// - [`TrySendError::Full`], [`TrySendError::Closed`]: the message comes back. That every
    ///   consumer is gone is noticed at the latest when the ring is full.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        let Some((position, _)) = claim(&self.shared, &self.slots, 1) else {
            return Err(match self.is_closed() {
                true => TrySendError::Closed(message),
                false => TrySendError::Full(message),
            });
        };
        // SAFETY: RB-30: this end claimed the position just now.
        unsafe { self.slots.fill(position, message) };
        self.shared.messages.notify(1);
        Ok(())
    }

    /// Sends one message, waiting for room as long as it takes. May park.
    ///
    /// # Errors
    /// - [`SendError`]: every consumer is gone; the message comes back.
    pub fn send(&mut self, message: T) -> Result<(), SendError<T>> {
        let mut message = match self.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(message)) => return Err(SendError(message)),
            Err(TrySendError::Full(message)) => Some(message),
        };
        let shared = self.shared.clone();
        shared.room.wait_until(|| match self.try_send(message.take()?) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Closed(message)) => Some(Err(SendError(message))),
            Err(TrySendError::Full(back)) => {
                message = Some(back);
                None
            }
        })
    }

    /// Claims up to `count` positions, as many in a row as are free now; none when the ring is
    /// full.
    ///
    /// The consumers cannot pass a claim: fill and commit it without delay.
    pub fn claim(&mut self, count: usize) -> Option<Claim<'_, T, W>> {
        let (next, room) = claim(&self.shared, &self.slots, count)?;
        Some(Claim { ring: self, next, end: next + room, written: 0 })
    }

    /// Sends messages until the iterator ends or the ring is full, and returns how many.
    ///
    /// Positions are claimed together, by the length that the iterator promises at least.
    /// No more is taken from the iterator than was sent. When it panics, nothing of the claim at
    /// hand was sent.
    pub fn send_many(&mut self, messages: impl IntoIterator<Item = T>) -> usize {
        let mut messages = messages.into_iter();
        let mut sent = 0;
        while messages.size_hint() != (0, Some(0)) {
            let wanted = messages.size_hint().0.max(1);
            let Some(mut claim) = self.claim(wanted) else { return sent };
            while claim.remaining() > 0 {
                let Some(message) = messages.next() else { return sent + claim.commit() };
                claim.put(message);
            }
            sent += claim.commit();
        }
        sent
    }

    /// Messages that the ring holds at most.
    pub fn capacity(&self) -> usize {
        self.slots.count()
    }

    /// Whether every consumer is gone.
    pub fn is_closed(&self) -> bool {
        // P33: pairs with C33.
        self.shared.receivers.load(Ordering::Acquire) == 0
    }
}

impl<T: Send, W: Wait> Clone for Producer<T, W> {
    fn clone(&self) -> Self {
        // No order is needed: this end is counted already, so the count cannot be zero meanwhile.
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self::first(self.shared.clone())
    }
}

impl<T: Send, W: Wait> Drop for Producer<T, W> {
    fn drop(&mut self) {
        // P34: pairs with C34; every message of every producer was published before the last one
        // goes.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.messages.notify_all();
        }
    }
}

/// Positions that are filled one after the other. Each message is visible once it was committed;
/// what was not filled by then is skipped by the consumers.
///
/// Dropping the claim drops what was put into it, and publishes nothing of it (RB-3). A claim must
/// not be leaked, as [`core::mem::forget`] does: its positions would be neither filled nor given up,
/// no consumer could ever pass them, and the ring would stand still for good.
#[derive(Debug)]
#[must_use = "nothing is published before the commit"]
pub struct Claim<'a, T: Send, W: Wait> {
    ring: &'a mut Producer<T, W>,
    next: u64,
    end: u64,
    written: u64,
}

impl<T: Send, W: Wait> Claim<'_, T, W> {
    /// Puts the next message.
    ///
    /// # Panics
    /// When the claim is full.
    #[inline]
    pub fn put(&mut self, message: T) {
        assert!(self.remaining() > 0, "claim is full");
        // SAFETY: RB-30: the positions to `end` are claimed and those from here on not filled.
        unsafe { self.ring.slots.put(self.next + self.written, message) };
        self.written += 1;
    }

    /// Messages that still fit.
    #[inline]
    pub fn remaining(&self) -> usize {
        (self.end - self.next - self.written) as usize
    }

    /// Publishes what was put, gives the rest up, and returns how many messages that were.
    #[inline]
    pub fn commit(mut self) -> usize {
        let written = core::mem::take(&mut self.written);
        for position in self.next..self.next + written {
            // SAFETY: RB-30: `put` filled this position of the claim.
            unsafe { self.ring.slots.publish(position) };
        }
        self.next += written;
        if written > 0 {
            self.ring.shared.messages.notify(written as u32);
        }
        written as usize
    }

    /// Gives the next position up, and what was put there back.
    fn give_up(&mut self) -> Option<T> {
        let position = self.next;
        self.next += 1;
        let message = self.written.checked_sub(1).map(|written| {
            self.written = written;
            // SAFETY: RB-30: `put` filled this position and it was not published.
            unsafe { self.ring.slots.take_back(position) }
        });
        self.ring.slots.skip(position);
        message
    }
}

impl<T: Send, W: Wait> Drop for Claim<'_, T, W> {
    fn drop(&mut self) {
        if self.next < self.end {
            // A consumer that sleeps may wait for what lies behind.
            let rest = Rest { claim: self };
            while rest.claim.next < rest.claim.end {
                drop(rest.claim.give_up());
            }
        }
    }
}

/// What is left of a claim while it is dropped: given up in any case, because a message that
/// panics when it is dropped must not leave a slot that nobody can pass.
struct Rest<'a, 'b, T: Send, W: Wait> {
    claim: &'a mut Claim<'b, T, W>,
}

impl<T: Send, W: Wait> Drop for Rest<'_, '_, T, W> {
    fn drop(&mut self) {
        while self.claim.next < self.claim.end {
            drop(self.claim.give_up());
        }
        self.claim.ring.shared.messages.notify_all();
    }
}
