//! Many producers to many consumers over a lane per producer: what MPMC is with more threads than
//! cores.
//!
//! A producer writes into its own lane; consumers read ahead, then agree by one compare-and-swap
//! on who got what. Nobody ever owns a slot that another one waits for, so an end that is
//! preempted, wherever it is, holds up nobody. That is why messages are plain data: a reader that
//! loses the race has copied words that may be written meanwhile, and forgets them.
//!
//! The messages of one producer are taken in order; there is none across producers.
//!
//! # Orders
//! Those of a lane, P51, C51, C52, P52, C55 and C57, stand in `sharing/lane.rs`. Beside them:
//!
//! | id | orders | how |
//! |---|---|---|
//! | C54, P54 | the consumers' end before it is seen | AcqRel decrement in `Consumer`'s drop, Acquire load in `Producer::is_closed` |
//! | P55, C56 | the last messages before a last look | AcqRel decrement in `Producer`'s drop, Acquire load in `Consumer::is_closed` |
//!
//! The count of changes has no order of its own. It changes within the lock of the list, so who
//! sees the change and gets the lock finds the lane; before a last look, C56 shows every change.

mod lane;

use core::{cell::Cell, marker::PhantomData};

use bytemuck::Pod;

use crate::error::{CapacityError, RecvError, SendError, TryRecvError, TrySendError};
use crate::sync::{Arc, AtomicUsize, Mutex, Ordering};
use crate::wait::{Event, Wait};
use crate::words;

use self::lane::{KnownLane, Lane, Miss};

/// Most slots of a lane.
const CAPACITY_MAX: usize = 1 << 24;
/// Most messages that a consumer reads ahead of one compare-and-swap.
const BATCH_MAX: usize = 64;
/// Largest message of which a consumer reads several ahead: the copies lie on its stack.
const BATCHED_BYTES_MAX: usize = 1024;

/// What all ends share.
#[derive(Debug)]
struct Shared<W: Wait> {
    slots: u64,
    /// Every lane whose producer lives or that may hold messages. Locked by who makes an end, and
    /// never waited for by those that send or receive.
    lanes: Mutex<Vec<Arc<Lane>>>,
    /// Changes of `lanes`; tells the consumers to copy the list.
    changes: AtomicUsize,
    producers: AtomicUsize,
    consumers: AtomicUsize,
    messages: Event<W>,
    room: Event<W>,
}

impl<W: Wait> Shared<W> {
    /// Tells the producers that one of them has room. All of them wait here, each for its own
    /// lane, so one that was woken alone might be the wrong one.
    #[inline(always)]
    fn tell_room(&self) {
        self.room.notify_all();
    }
}

/// The first end of each side.
pub type Ends<T, W> = (Producer<T, W>, Consumer<T, W>);

/// Makes lanes for at least `lane_capacity` messages each, one per producer.
///
/// Room goes back to a producer a quarter of its lane at a time, and when a consumer finds the
/// lane empty. So a lane of eight messages or more that was full can stay full for its producer,
/// which then sleeps, until somebody received a quarter of it: a consumer must not stop before
/// that to wait for an answer of the producer.
///
/// # Errors
/// - [`CapacityError`]: the capacity is zero or too large.
pub fn channel<T: Pod + Send, W: Wait + Clone>(
    lane_capacity: usize,
    wait: W,
) -> Result<Ends<T, W>, CapacityError> {
    if !(1..=CAPACITY_MAX).contains(&lane_capacity) {
        return Err(CapacityError { asked: lane_capacity, max: CAPACITY_MAX });
    }
    let shared = Arc::new(Shared {
        slots: lane_capacity.next_power_of_two() as u64,
        lanes: Mutex::new(Vec::new()),
        changes: AtomicUsize::new(0),
        producers: AtomicUsize::new(0),
        consumers: AtomicUsize::new(1),
        messages: Event::new(wait.clone()),
        room: Event::new(wait),
    });
    let producer = Producer::new(shared.clone());
    Ok((producer, Consumer::new(shared)))
}

/// A sending end with a lane of its own; a clone has another one.
///
/// Wait-free without waiting. Cloning allocates a lane and takes a lock that nobody takes who
/// sends or receives.
///
/// It moves between threads and is not shared:
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::sharing::Producer<u8, corelane_ring::Spin>>();
/// ```
#[derive(Debug)]
pub struct Producer<T: Pod + Send, W: Wait> {
    lane: Arc<Lane>,
    tail: u64,
    head_cached: u64,
    shared: Arc<Shared<W>>,
    sends: PhantomData<Cell<T>>,
}

impl<T: Pod + Send, W: Wait> Producer<T, W> {
    fn new(shared: Arc<Shared<W>>) -> Self {
        let lane = Arc::new(Lane::new(shared.slots, words::words_of::<T>()));
        // No order is needed: whoever makes a producer has one, or has the ring for itself.
        shared.producers.fetch_add(1, Ordering::Relaxed);
        let mut lanes = shared.lanes.lock();
        // Without a consumer that looks meanwhile, nobody else forgets lanes that are over.
        lanes.retain(|lane| !lane.is_over());
        // No order is needed: the last consumer goes before it empties the list within the lock, so
        // either it is seen here or it finds this lane, and no lane is kept for nobody.
        if shared.consumers.load(Ordering::Relaxed) > 0 {
            lanes.push(lane.clone());
            // No order is needed: it changes within the lock.
            shared.changes.fetch_add(1, Ordering::Relaxed);
        }
        drop(lanes);
        // A consumer that found the lock taken went without the new list, and may sleep.
        shared.messages.notify_all();
        Self { lane, tail: 0, head_cached: 0, shared, sends: PhantomData }
    }

    /// Sends one message; it is visible to the consumers on return.
    ///
    /// # Errors
    /// - [`TrySendError::Full`], [`TrySendError::Closed`]: the message comes back. That every
    ///   consumer is gone is noticed at the latest when this lane is full.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if self.room_cached() == 0 && self.refresh() == 0 {
            return Err(match self.is_closed() {
                true => TrySendError::Closed(message),
                false => TrySendError::Full(message),
            });
        }
        self.lane.put(self.tail, self.shared.slots, &message);
        self.publish(1);
        Ok(())
    }

    /// Sends one message, waiting for room as long as it takes. May park.
    ///
    /// # Errors
    /// - [`SendError`]: every consumer is gone; the message comes back.
    pub fn send(&mut self, message: T) -> Result<(), SendError<T>> {
        let shared = self.shared.clone();
        shared.room.wait_until(|| match self.try_send(message) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Closed(message)) => Some(Err(SendError(message))),
            Err(TrySendError::Full(_)) => None,
        })
    }

    /// Sends messages until the iterator ends or the lane is full, publishing them as one batch,
    /// and returns how many. No more is taken from the iterator than was sent; when it panics,
    /// nothing was sent.
    pub fn send_many(&mut self, messages: impl IntoIterator<Item = T>) -> usize {
        let mut messages = messages.into_iter();
        let mut room = self.room_cached();
        if room < messages.size_hint().1.unwrap_or(usize::MAX) as u64 {
            room = self.refresh();
        }
        let mut sent = 0;
        while sent < room {
            let Some(message) = messages.next() else { break };
            self.lane.put(self.tail + sent, self.shared.slots, &message);
            sent += 1;
        }
        if sent > 0 {
            self.publish(sent);
        }
        sent as usize
    }

    /// Whether every consumer is gone.
    pub fn is_closed(&self) -> bool {
        // P54: pairs with C54.
        self.shared.consumers.load(Ordering::Acquire) == 0
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn lane(&self) -> &Arc<impl Sized + use<T, W>> {
        &self.lane
    }

    #[inline(always)]
    fn room_cached(&self) -> u64 {
        self.shared.slots - (self.tail - self.head_cached)
    }

    #[cold]
    #[inline(never)]
    fn refresh(&mut self) -> u64 {
        self.head_cached = self.lane.released();
        self.room_cached()
    }

    #[inline(always)]
    fn publish(&mut self, count: u64) {
        self.tail += count;
        // P51: pairs with C51.
        self.lane.tail.store(self.tail, Ordering::Release);
        self.shared.messages.notify(count as u32);
    }
}

impl<T: Pod + Send, W: Wait> Clone for Producer<T, W> {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl<T: Pod + Send, W: Wait> Drop for Producer<T, W> {
    fn drop(&mut self) {
        // P55: pairs with C55; its last message was published before.
        self.lane.is_producer_gone.store(true, Ordering::Release);
        if self.shared.producers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.messages.notify_all();
        }
    }
}

/// A receiving end; clone it for every thread that receives. Lock-free.
///
/// It stays on a lane while that has messages, but for a thousand of them at most when nobody else
/// looks after another one. Consumers begin on different lanes, so that they meet seldom.
#[derive(Debug)]
pub struct Consumer<T: Pod + Send, W: Wait> {
    lanes: Vec<KnownLane>,
    current: usize,
    changes_known: usize,
    shared: Arc<Shared<W>>,
    receives: PhantomData<Cell<T>>,
}

impl<T: Pod + Send, W: Wait> Consumer<T, W> {
    /// A consumer that is counted already.
    fn new(shared: Arc<Shared<W>>) -> Self {
        let mut consumer =
            Self { lanes: Vec::new(), current: 0, changes_known: 0, shared, receives: PhantomData };
        consumer.learn_lanes();
        consumer
    }

    /// Takes the next message of a lane that has one.
    ///
    /// # Errors
    /// - [`TryRecvError::Empty`], [`TryRecvError::Closed`]: there is none in any lane.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if let Some(message) = self.next() {
            return Ok(message);
        }
        if !self.is_closed() {
            return Err(TryRecvError::Empty);
        }
        // It is over only if the producers had gone before a look that found nothing, in every
        // lane there is.
        match self.next() {
            Some(message) => Ok(message),
            None if self.knows_every_lane() => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Takes the next message, waiting for one as long as it takes. May park.
    ///
    /// # Errors
    /// - [`RecvError`]: every producer is gone and every message was received.
    pub fn recv(&mut self) -> Result<T, RecvError> {
        let shared = self.shared.clone();
        shared.messages.wait_until(|| match self.try_recv() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Closed) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        })
    }

    /// Hands up to `count` messages of one lane, of those that are there, to `take` and returns
    /// how many; up to 64 are agreed on at once, of messages above 1 KiB one.
    ///
    /// When `take` panics, the messages that were agreed on with the one it was given are lost.
    pub fn recv_with(&mut self, count: usize, mut take: impl FnMut(T)) -> usize {
        match count {
            0 => 0,
            _ if size_of::<T>() > BATCHED_BYTES_MAX => self.next().into_iter().map(take).count(),
            _ => self.recv_batch(count.min(BATCH_MAX), &mut take),
        }
    }

    /// Takes up to `count` messages of one lane, of those that are there, and appends them to
    /// `messages`; returns how many.
    pub fn recv_many(&mut self, messages: &mut Vec<T>, count: usize) -> usize {
        self.recv_with(count, |message| messages.push(message))
    }

    /// Whether every producer is gone; messages may be left.
    pub fn is_closed(&self) -> bool {
        // C56: pairs with P55 by way of the count.
        self.shared.producers.load(Ordering::Acquire) == 0
    }

    fn recv_batch(&mut self, most: usize, take: &mut impl FnMut(T)) -> usize {
        let taken = self.visit(|consumer, insists| {
            let mut batch = [T::zeroed(); BATCH_MAX];
            let taken = consumer.take_batch(&mut batch[..most], insists)?;
            batch[..taken].iter().for_each(|message| take(*message));
            Ok(taken)
        });
        taken.unwrap_or(0)
    }

    #[inline]
    fn next(&mut self) -> Option<T> {
        if let Ok(message) = self.take_one(false) {
            return Some(message);
        }
        self.visit(Self::take_one)
    }

    /// Tries every lane once, from the current one on, and stays where there was something.
    ///
    /// A lane that another consumer was quicker on is insisted on only when no other has anything.
    fn visit<R>(&mut self, mut take: impl FnMut(&mut Self, bool) -> Result<R, Miss>) -> Option<R> {
        if !self.knows_every_lane() {
            self.learn_lanes();
        }
        let mut insists = self.lanes.len() == 1;
        let mut has_lost = false;
        let mut unvisited = self.lanes.len();
        while unvisited > 0 {
            match take(self, insists) {
                Ok(taken) => return Some(taken),
                Err(Miss::Lost) => has_lost = true,
                Err(Miss::Nothing) => self.finish_lane(&mut unvisited),
            }
            self.current = self.current.wrapping_add(1);
            if self.current >= self.lanes.len() {
                self.current = 0;
            }
            unvisited -= 1;
            if unvisited == 0 && has_lost {
                (insists, has_lost, unvisited) = (true, false, self.lanes.len());
            }
        }
        None
    }

    /// What `look` finds while another end has the list of lanes locked.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn while_locked<R>(&mut self, look: impl FnOnce(&mut Self) -> R) -> R {
        let shared = self.shared.clone();
        let _lock = shared.lanes.lock();
        look(self)
    }

    /// There was nothing for this consumer in the current lane. Leaves `current` before the lane
    /// that comes next.
    fn finish_lane(&mut self, unvisited: &mut usize) {
        let known = &self.lanes[self.current];
        if known.lane.release_all() {
            self.shared.tell_room();
        }
        if known.is_turn_over {
            self.end_turn();
            *unvisited = self.lanes.len() + 1;
            self.current = self.current.wrapping_sub(1);
        } else if known.lane.is_over() {
            // In order: with the last lane in its place a round would miss another one.
            self.lanes.remove(self.current);
            self.current = self.current.wrapping_sub(1);
        }
    }

    /// Goes to the next lane that nobody looks after, or begins a turn where it is.
    fn end_turn(&mut self) {
        let count = self.lanes.len();
        let mut others = (1..count).map(|step| (self.current + step) % count);
        self.lanes[self.current].begin_turn();
        if let Some(alone) = others.find(|&index| self.lanes[index].is_left_alone()) {
            self.current = alone;
            self.lanes[alone].begin_turn();
        }
    }

    #[inline]
    fn knows_every_lane(&self) -> bool {
        // No order is needed: the lock of the list has it, and before a last look C56.
        self.shared.changes.load(Ordering::Relaxed) == self.changes_known
    }

    /// Takes one message of the current lane. Unless it insists, it gives way to a consumer that
    /// was quicker.
    #[inline(always)]
    fn take_one(&mut self, insists: bool) -> Result<T, Miss> {
        let slots = self.shared.slots;
        let known = self.lanes.get_mut(self.current).ok_or(Miss::Nothing)?;
        let mut head = known.lane.head();
        loop {
            if head >= known.tail_cached && known.look(head) == 0 {
                return Err(Miss::Nothing);
            }
            let lane = &*known.lane;
            let message = lane.copy(head, slots);
            match lane.take(head, 1) {
                Ok(_) => {
                    if lane.release(head, 1, slots) {
                        self.shared.tell_room();
                    }
                    return Ok(message);
                }
                Err(now) if insists => head = now,
                Err(_) => return Err(Miss::Lost),
            }
        }
    }

    /// Takes as many messages of the current lane as fit.
    fn take_batch(&mut self, batch: &mut [T], insists: bool) -> Result<usize, Miss> {
        let slots = self.shared.slots;
        let known = self.lanes.get_mut(self.current).ok_or(Miss::Nothing)?;
        let mut head = known.lane.head();
        loop {
            if head + batch.len() as u64 > known.tail_cached {
                known.look(head);
            }
            let lane = &*known.lane;
            let ready = known.tail_cached.saturating_sub(head).min(batch.len() as u64);
            if ready == 0 {
                return Err(Miss::Nothing);
            }
            for (position, message) in (head..head + ready).zip(&mut *batch) {
                *message = lane.copy(position, slots);
            }
            match lane.take(head, ready) {
                Ok(_) => {
                    if lane.release(head, ready, slots) {
                        self.shared.tell_room();
                    }
                    return Ok(ready as usize);
                }
                Err(now) if insists => head = now,
                Err(_) => return Err(Miss::Lost),
            }
        }
    }

    #[cold]
    fn learn_lanes(&mut self) {
        let Some(mut lanes) = self.shared.lanes.try_lock() else { return };
        lanes.retain(|lane| !lane.is_over());
        // No order is needed: it changes within the lock.
        self.changes_known = self.shared.changes.load(Ordering::Relaxed);
        let is_first_time = self.lanes.is_empty();
        self.lanes = lanes.iter().map(KnownLane::new).collect();
        drop(lanes);
        // Another consumer that found the lock taken went without the new list, and may sleep.
        self.shared.messages.notify_all();
        if is_first_time && !self.lanes.is_empty() {
            // Consumers spread over the lanes.
            self.current = self.shared.consumers.load(Ordering::Relaxed) % self.lanes.len();
        }
        self.current = self.current.min(self.lanes.len().saturating_sub(1));
    }
}

impl<T: Pod + Send, W: Wait> Clone for Consumer<T, W> {
    fn clone(&self) -> Self {
        // No order is needed: this end is counted already, so the count cannot be zero meanwhile.
        self.shared.consumers.fetch_add(1, Ordering::Relaxed);
        Self::new(self.shared.clone())
    }
}

impl<T: Pod + Send, W: Wait> Drop for Consumer<T, W> {
    fn drop(&mut self) {
        // C54: pairs with P54.
        if self.shared.consumers.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Nobody takes what is left, and nobody forgets the lanes any more.
            self.shared.lanes.lock().clear();
            self.shared.room.notify_all();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Spin;

    /// A consumer whose turn is over goes to a lane that is left alone; another one empties that
    /// before its look. It still finds the message of the lane that it came from.
    #[test]
    fn a_round_goes_on_behind_a_lane_that_was_emptied_meanwhile() {
        const TURN: u64 = 1024;
        let (mut first, mut consumer) =
            channel::<u64, _>(4096, Spin).expect("because the capacity is in range");
        let mut second = first.clone();
        assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty), "but it knows both lanes now");
        // The third consumer begins with the second lane.
        let _idle = consumer.clone();
        let mut other = consumer.clone();
        assert_eq!((first.send_many(0..=TURN), second.send_many([7])), (TURN as usize + 1, 1));
        for value in 0..TURN {
            assert_eq!(consumer.try_recv(), Ok(value));
        }
        let mut looks = Vec::new();
        let found = consumer.visit(|consumer, insists| {
            looks.push(consumer.current);
            if consumer.current == 1 {
                assert_eq!(other.try_recv(), Ok(7));
            }
            consumer.take_one(insists)
        });
        assert_eq!((found, looks), (Some(TURN), vec![0, 1, 0]));
    }
}
