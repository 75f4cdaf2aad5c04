//! The MPMC ring: any number of producers and consumers, messages of any type, in process.
//!
//! Messages are taken in the order of the claims. Consumers agree on positions by compare-and-swap,
//! as the producers do. The orders, P31 to C34, stand in `turns.rs`: each slot has a word that says
//! whose turn it is.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::error::{CapacityError, RecvError, TryRecvError};
use crate::spsc::CAPACITY_MAX;
use crate::sync::{Arc, Ordering};
use crate::turns::{Backoff, Found, Shared, TurnSlots};
use crate::wait::Wait;

pub use crate::producers::{Claim, Producer};

/// The first end of each side.
pub type Ends<T, W> = (Producer<T, W>, Consumer<T, W>);

/// Makes a ring for at least `capacity` messages, whose ends wait as `wait` says.
///
/// # Errors
/// - [`CapacityError`]: the capacity is zero or too large.
pub fn channel<T: Send, W: Wait + Clone>(
    capacity: usize,
    wait: W,
) -> Result<Ends<T, W>, CapacityError> {
    if !(1..=CAPACITY_MAX).contains(&capacity) {
        return Err(CapacityError { asked: capacity, max: CAPACITY_MAX });
    }
    let shared = Shared::new(capacity.next_power_of_two(), wait);
    let producer = Producer::first(shared.clone());
    Ok((producer, Consumer::new(shared)))
}

/// A receiving end; clone it for every thread that receives.
///
/// Lock-free among consumers. One that is preempted between its claim and its take holds up the
/// producers when they come round to that slot. It never allocates.
///
/// It moves between threads and is not shared:
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::mpmc::Consumer<u8, corelane_ring::Spin>>();
/// ```
#[derive(Debug)]
pub struct Consumer<T: Send, W: Wait> {
    slots: TurnSlots<T>,
    shared: Arc<Shared<T, W>>,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<T: Send, W: Wait> Consumer<T, W> {
    /// A consumer that is counted already.
    fn new(shared: Arc<Shared<T, W>>) -> Self {
        let slots = TurnSlots::of(&shared);
        Self { slots, shared, is_not_sync: PhantomData }
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// - [`TryRecvError::Empty`], [`TryRecvError::Closed`]: there is none.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut message = None;
        if self.take(1, &mut |taken| message = Some(taken)) == 0 && self.is_closed() {
            // It is over only if the producers had gone before a look that found nothing.
            self.take(1, &mut |taken| message = Some(taken));
            return message.ok_or(TryRecvError::Closed);
        }
        message.ok_or(TryRecvError::Empty)
    }

    /// Takes the next message, waiting for one as long as it takes. May park.
    ///
    /// # Errors
    /// - [`RecvError`]: every producer is gone and every message was received.
    pub fn recv(&mut self) -> Result<T, RecvError> {
        match self.try_recv() {
            Ok(message) => return Ok(message),
            Err(TryRecvError::Closed) => return Err(RecvError),
            Err(TryRecvError::Empty) => {}
        }
        let shared = self.shared.clone();
        shared.messages.wait_until(|| match self.try_recv() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Closed) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        })
    }

    /// Hands up to `count` messages, of those that are there in a row, to `take` and returns how
    /// many; they are claimed together.
    ///
    /// When `take` panics, the messages behind the one it was given are dropped.
    #[inline]
    pub fn recv_with(&mut self, count: usize, mut take: impl FnMut(T)) -> usize {
        if count == 0 {
            return 0;
        }
        self.take(count, &mut take)
    }

    /// Takes up to `count` messages, of those that are there in a row, and appends them to
    /// `messages`; returns how many.
    pub fn recv_many(&mut self, messages: &mut Vec<T>, count: usize) -> usize {
        self.recv_with(count, |message| messages.push(message))
    }

    /// Whether every producer is gone; messages may be left.
    pub fn is_closed(&self) -> bool {
        // C34: pairs with P34.
        self.shared.senders.load(Ordering::Acquire) == 0
    }

    /// Takes up to `count` messages, which is at least one.
    #[inline(always)]
    fn take(&mut self, count: usize, take: &mut impl FnMut(T)) -> usize {
        let mut backoff = Backoff::default();
        let mut head = self.shared.head.load(Ordering::Relaxed);
        let most = count.min(self.slots.count()) as u64;
        loop {
            let first = self.slots.look(head);
            let mut ready = 0;
            if first == Found::Message {
                ready = 1;
                while ready < most && self.slots.look(head + ready) == Found::Message {
                    ready += 1;
                }
            }
            if first == Found::Nothing {
                let now = self.shared.head.load(Ordering::Relaxed);
                if now == head {
                    return 0;
                }
                head = now;
                continue;
            }
            // No order is needed: the turns carry it. RB-30: the head only grows, so when it
            // still is `head`, nobody took these positions since they were looked at.
            let claimed = self.shared.head.compare_exchange_weak(
                head,
                head + ready.max(1),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match claimed {
                Ok(_) if ready == 0 => {
                    self.slots.free(head);
                    self.shared.room.notify(1);
                    head += 1;
                }
                Ok(_) => {
                    let mut batch = Batch { ring: self, next: head, end: head + ready };
                    batch.by_ref().for_each(take);
                    return ready as usize;
                }
                Err(now) => {
                    head = now;
                    backoff.pause();
                }
            }
        }
    }
}

/// Claimed messages; what is left when it is dropped is dropped with it, and their slots freed.
struct Batch<'a, T: Send, W: Wait> {
    ring: &'a Consumer<T, W>,
    next: u64,
    end: u64,
}

impl<T: Send, W: Wait> Iterator for Batch<'_, T, W> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        if self.next == self.end {
            return None;
        }
        let position = self.next;
        self.next += 1;
        // SAFETY: RB-30: this end claimed the positions to `end`, which hold messages, and takes
        // each once.
        let message = unsafe { self.ring.slots.take(position) };
        self.ring.shared.room.notify(1);
        Some(message)
    }
}

impl<T: Send, W: Wait> Drop for Batch<'_, T, W> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<T: Send, W: Wait> Clone for Consumer<T, W> {
    fn clone(&self) -> Self {
        // No order is needed: this end is counted already, so the count cannot be zero meanwhile.
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self::new(self.shared.clone())
    }
}

impl<T: Send, W: Wait> Drop for Consumer<T, W> {
    fn drop(&mut self) {
        // C33: pairs with P33.
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.room.notify_all();
        }
    }
}
