//! The typed receiving end of the broadcast in process; `typed.rs` has the other ends.

use bytemuck::Pod;

use crate::storage::{ALIGN_BYTES, HeapWords};
use crate::sync::Arc;
use crate::wait::Wait;

use super::publisher::LagPolicy;
use super::raw::Records;
use super::subscriber::{TryRecvError, WordSubscriber};
use super::typed::Shared;

/// A receiving end. Lock-free; its calls without waiting are wait-free. It never allocates.
#[derive(Debug)]
pub struct Subscriber<T: Pod + Send, W: Wait> {
    pub(super) log: WordSubscriber<HeapWords, HeapWords>,
    pub(super) seat: Option<usize>,
    /// Whether nobody writes a record before this subscriber released it.
    #[cfg_attr(loom, expect(dead_code, reason = "under loom every record is copied"))]
    reads_in_place: bool,
    records: Records<T>,
    pub(super) shared: Arc<Shared<W>>,
}

impl<T: Pod + Send, W: Wait> Subscriber<T, W> {
    /// A subscriber that is counted already.
    pub(super) fn new(
        log: WordSubscriber<HeapWords, HeapWords>,
        seat: Option<usize>,
        shared: Arc<Shared<W>>,
    ) -> Self {
        // Under this policy nobody is dismissed, so a reliable subscriber stays one.
        let is_gating = shared.policy == LagPolicy::Wait && log.is_reliable();
        let reads_in_place = is_gating && align_of::<T>() <= ALIGN_BYTES;
        let records = Records::new(&shared.shape, &shared.data);
        Self { log, seat, reads_in_place, records, shared }
    }

    /// Takes the next message.
    ///
    /// Room goes back to the publisher every quarter of a lap, and when nothing is left.
    ///
    /// # Errors
    /// - [`TryRecvError`]: there is none, or the subscriber lost its place.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if !self.log.has_next() {
            self.look_again()?;
        }
        #[cfg(not(loom))]
        if self.reads_in_place {
            // SAFETY: RB-20: the record is published (C21) and not released, and nobody is
            // dismissed under this policy; it is read no more once it is released below.
            let message = unsafe { self.records.slots().take(self.log.position()) };
            if self.log.advance(1) {
                self.release_now();
            }
            return Ok(message);
        }
        self.take_copy()
    }

    /// Takes the next message, waiting for one as long as it takes. May park.
    ///
    /// # Errors
    /// - [`TryRecvError`]: the publisher is gone, or the subscriber lost its place; never
    ///   [`TryRecvError::Empty`].
    pub fn recv(&mut self) -> Result<T, TryRecvError> {
        loop {
            match self.try_recv() {
                Err(TryRecvError::Empty) => self.wait_for_message(),
                other => return other,
            }
        }
    }

    /// Takes up to `count` messages, of those that are there, as one batch, and gives each to
    /// `take`; returns how many.
    ///
    /// # Errors
    /// - [`TryRecvError`]: not a single one was there, or the subscriber lost its place before the
    ///   first.
    #[inline]
    pub fn drain(&mut self, count: usize, take: impl FnMut(T)) -> Result<usize, TryRecvError> {
        let released = self.log.released();
        let taken = self.drain_each(count, take);
        self.tell_released(released);
        taken
    }

    /// Takes up to `count` messages, of those that are there, and appends them to `messages`;
    /// returns how many.
    ///
    /// # Errors
    /// - as [`drain`](Self::drain).
    pub fn recv_many(
        &mut self,
        messages: &mut Vec<T>,
        count: usize,
    ) -> Result<usize, TryRecvError> {
        self.drain(count, |message| messages.push(message))
    }

    /// Gives the room of received messages back to the publisher now.
    pub fn release(&mut self) {
        self.release_now();
    }

    /// The same, apart from the path that most messages take.
    #[cold]
    #[inline(never)]
    fn release_now(&mut self) {
        let released = self.log.released();
        self.log.release();
        self.tell_released(released);
    }

    /// Sequence of the next message, counted from the first one published.
    pub fn position(&self) -> u64 {
        self.log.position()
    }

    /// Messages missed so far.
    pub fn missed(&self) -> u64 {
        self.log.missed()
    }

    /// Whether no message can escape this subscriber: it is reliable, and was not demoted.
    pub fn is_reliable(&self) -> bool {
        self.log.is_reliable()
    }

    /// Whether the publisher is gone; messages may be left.
    pub fn is_closed(&self) -> bool {
        self.log.is_closed()
    }

    /// Takes the next message, which is there, as a copy that may turn out not to count.
    #[inline(never)]
    fn take_copy(&mut self) -> Result<T, TryRecvError> {
        let released = self.log.released();
        let message = self.records.slots().read(self.log.position());
        let outcome = self.log.finish();
        self.tell_released(released);
        outcome.map(|()| message)
    }

    #[inline(always)]
    fn drain_each(&mut self, count: usize, take: impl FnMut(T)) -> Result<usize, TryRecvError> {
        let ready = self.log.ready(count)?;
        #[cfg(not(loom))]
        if self.reads_in_place {
            self.drain_in_place(ready, take);
            return Ok(ready as usize);
        }
        self.drain_copied(ready, take)
    }

    #[inline(always)]
    fn drain_copied(&mut self, ready: u64, mut take: impl FnMut(T)) -> Result<usize, TryRecvError> {
        for taken in 0..ready {
            let message = self.records.slots().read(self.log.position());
            if taken > 0 && !self.log.is_intact() {
                // What the reason is comes to light again in the next call.
                return Ok(taken as usize);
            }
            self.log.finish()?;
            take(message);
        }
        Ok(ready as usize)
    }

    /// Takes messages where they lie: in words that nobody writes the compiler may move whole
    /// lines, which it may not with words that somebody could write.
    #[cfg(not(loom))]
    #[inline(always)]
    fn drain_in_place(&mut self, ready: u64, mut take: impl FnMut(T)) {
        let mut left = ready;
        while left > 0 {
            let most = left.min(self.shared.shape.stride());
            // SAFETY: RB-20: these records are published (C21) and not released, and nobody is
            // dismissed under this policy; the words are written by the publisher alone, and are
            // read no more once `Taken` releases them.
            let messages = unsafe { self.records.slots().run(self.log.position(), most) };
            left -= messages.len() as u64;
            let mut taken = Taken { log: &mut self.log, count: 0 };
            for message in messages {
                taken.count += 1;
                take(*message);
            }
        }
    }

    /// Looks for messages when everything known was taken.
    #[cold]
    #[inline(never)]
    fn look_again(&mut self) -> Result<(), TryRecvError> {
        let released = self.log.released();
        let found = self.log.look_again();
        self.tell_released(released);
        found.map(drop)
    }

    #[inline(always)]
    fn tell_released(&self, before: u64) {
        if W::SLEEPS && self.log.released() != before {
            self.shared.room.notify(1);
        }
    }

    #[cold]
    fn wait_for_message(&mut self) {
        let shared = self.shared.clone();
        shared.messages.wait_until(|| (self.log.refresh() > 0 || self.is_closed()).then_some(()));
    }
}

/// Messages taken so far, also when their taker panics.
#[cfg(not(loom))]
struct Taken<'a> {
    log: &'a mut WordSubscriber<HeapWords, HeapWords>,
    count: u64,
}

#[cfg(not(loom))]
impl Drop for Taken<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.log.advance(self.count) {
            self.log.release();
        }
    }
}

impl<T: Pod + Send, W: Wait> Drop for Subscriber<T, W> {
    fn drop(&mut self) {
        // First, so that the last one leaves no room behind for a message that nobody gets.
        self.shared.listener_leaves();
        self.log.leave();
        if let Some(seat) = self.seat {
            self.shared.seats().push(seat);
        }
        self.shared.room.notify_all();
    }
}
