//! The MPSC ring: any number of producers, one consumer, messages of any type, in process.
//!
//! Messages come out in the order of the claims, so those of one producer in the order of sending.
//! The consumer has no compare-and-swap: its position is its own. The orders, P31 to C34, stand in
//! `turns.rs`: each slot has a word that says whose turn it is.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::error::{CapacityError, RecvError, TryRecvError};
use crate::patience::Patience;
use crate::spsc::CAPACITY_MAX;
use crate::sync::{Arc, Ordering};
use crate::turns::{Found, Shared, TurnSlots};
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
    let slots = TurnSlots::of(&shared);
    let producer = Producer::first(shared.clone());
    let consumer = Consumer {
        slots,
        head: 0,
        known: 0,
        patience: Patience::default(),
        shared,
        is_not_sync: PhantomData,
    };
    Ok((producer, consumer))
}

/// Most slots that one look visits.
const LOOK_AHEAD: u64 = 64;

/// The receiving end. Wait-free but for a producer that was preempted within a claim: what lies
/// behind that claim is not seen before it is committed. It never allocates.
///
/// It moves between threads and is not shared:
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::mpsc::Consumer<u8, corelane_ring::Spin>>();
/// ```
#[derive(Debug)]
pub struct Consumer<T: Send, W: Wait> {
    slots: TurnSlots<T>,
    head: u64,
    /// Every slot before it was published.
    known: u64,
    patience: Patience,
    shared: Arc<Shared<T, W>>,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<T: Send, W: Wait> Consumer<T, W> {
    /// Takes the next message.
    ///
    /// # Errors
    /// - [`TryRecvError::Empty`], [`TryRecvError::Closed`]: there is none.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.next() {
            Some(message) => {
                self.shared.room.notify(1);
                Ok(message)
            }
            None => self.last_look(),
        }
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

    /// Hands up to `count` messages, of those that are there, to `take` and returns how many.
    ///
    /// When `take` panics, the messages behind the one it was given stay in the ring.
    #[inline]
    pub fn recv_with(&mut self, count: usize, mut take: impl FnMut(T)) -> usize {
        let mut batch = Batch { ring: self, taken: 0 };
        while batch.taken < count
            && let Some(message) = batch.ring.next()
        {
            batch.taken += 1;
            take(message);
        }
        batch.taken
    }

    /// Takes up to `count` messages, of those that are there, and appends them to `messages`;
    /// returns how many.
    pub fn recv_many(&mut self, messages: &mut Vec<T>, count: usize) -> usize {
        self.recv_with(count, |message| messages.push(message))
    }

    /// Whether every producer is gone; messages may be left.
    pub fn is_closed(&self) -> bool {
        // C34: pairs with P34.
        self.shared.senders.load(Ordering::Acquire) == 0
    }

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        loop {
            let position = self.head;
            if position == self.known && self.look() == 0 {
                return None;
            }
            match self.slots.look(position) {
                Found::Nothing => return None,
                Found::Skipped => {
                    self.head += 1;
                    self.slots.free(position);
                    self.shared.room.notify(1);
                }
                Found::Message => {
                    self.head += 1;
                    // SAFETY: RB-30: there is one consumer, and it takes each position once.
                    return Some(unsafe { self.slots.take(position) });
                }
            }
        }
    }

    /// Looks how many slots in a row are published, when everything known was taken, after a
    /// moment for messages to gather if the producers are just ahead.
    #[cold]
    #[inline(never)]
    fn look(&mut self) -> u64 {
        self.patience.pause();
        let ahead = self.head..self.head + LOOK_AHEAD.min(self.slots.count() as u64);
        let found = ahead.take_while(|&at| self.slots.look(at) != Found::Nothing).count() as u64;
        self.known = self.head + found;
        self.patience.found(found);
        found
    }

    /// There was nothing a moment ago: it is over only if the producers had gone before a look
    /// that found nothing.
    #[cold]
    fn last_look(&mut self) -> Result<T, TryRecvError> {
        if !self.is_closed() {
            return Err(TryRecvError::Empty);
        }
        self.next().ok_or(TryRecvError::Closed)
    }
}

/// Messages taken in a row; the producers are told of the room once, also when the one who takes
/// them panics.
struct Batch<'a, T: Send, W: Wait> {
    ring: &'a mut Consumer<T, W>,
    taken: usize,
}

impl<T: Send, W: Wait> Drop for Batch<'_, T, W> {
    #[inline]
    fn drop(&mut self) {
        if self.taken > 0 {
            self.ring.shared.room.notify(self.taken as u32);
        }
    }
}

impl<T: Send, W: Wait> Drop for Consumer<T, W> {
    fn drop(&mut self) {
        // C33: pairs with P33.
        self.shared.receivers.store(0, Ordering::Release);
        self.shared.room.notify_all();
    }
}
