//! Many producers to one consumer over a lane each: what MPSC is with more threads than cores.
//!
//! Every producer has an SPSC ring of its own, and the consumer goes round. No producer waits for
//! another one, and one that is preempted, wherever it is, holds up nobody. The messages of one
//! producer keep their order; there is none across producers.
//!
//! # Orders
//!
//! Those of a lane are the SPSC ring's, P3 to C6. What is added:
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | C41 | `Consumer`'s drop | Release store of its end, within the lock | P41 |
//! | P41 | `Producer::is_closed` | Acquire load of the consumer's end | C41 |
//! | P43 | `Producer`'s drop | AcqRel decrement of the number of producers, after its last message | C43 |
//! | C43 | `Consumer::is_closed` | Acquire load of the number of producers, before a last round | P43 |
//!
//! The count of the lanes made has no order of its own. It changes within the lock of the list, so
//! whoever sees the change and gets the lock finds the lane; and before a last round, C43 shows
//! every change.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::error::{CapacityError, RecvError, SendError, TryRecvError, TrySendError};
use crate::spsc;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering};
use crate::wait::{Event, Spin, Wait};

/// Messages in a row from one lane before the others have their turn.
const TURN_MAX: usize = 256;

/// What all ends share.
#[derive(Debug)]
struct Shared<T: Send, W: Wait> {
    lane_capacity: usize,
    wait: W,
    /// Lanes that the consumer has not taken over yet. Locked when a producer is made, and never
    /// waited for by the consumer.
    new_lanes: Mutex<Vec<Lane<T, W>>>,
    /// Lanes ever made; tells the consumer to look into `new_lanes`.
    lanes_made: AtomicUsize,
    /// Producers alive.
    producers: AtomicUsize,
    is_receiver_gone: AtomicBool,
    messages: Event<W>,
}

/// The consumer's side of a lane. The ring ends before the producer is told.
#[derive(Debug)]
struct Lane<T: Send, W: Wait> {
    ring: spsc::Consumer<T, Spin>,
    room: RoomEnd<W>,
}

/// Where a producer waits for room in its lane; it is told of the lane's end, also when a message
/// panics as the lane drops it.
#[derive(Debug)]
struct RoomEnd<W: Wait>(Arc<Event<W>>);

impl<W: Wait> Drop for RoomEnd<W> {
    fn drop(&mut self) {
        self.0.notify_all();
    }
}

impl<T: Send, W: Wait> Lane<T, W> {
    /// Whether nothing is in it and nothing will come.
    fn is_over(&mut self) -> bool {
        self.ring.is_closed() && self.ring.drain(1).len() == 0
    }
}

/// The first end of each side.
pub type Ends<T, W> = (Producer<T, W>, Consumer<T, W>);

/// Makes lanes for at least `lane_capacity` messages each, one per producer.
///
/// # Errors
/// - [`CapacityError`]: the capacity is zero or too large.
pub fn channel<T: Send, W: Wait + Clone>(
    lane_capacity: usize,
    wait: W,
) -> Result<Ends<T, W>, CapacityError> {
    let (sender, receiver) = spsc::channel(lane_capacity, Spin)?;
    let room = Arc::new(Event::new(wait.clone()));
    let lane = Lane { ring: receiver, room: RoomEnd(room.clone()) };
    let shared = Arc::new(Shared {
        lane_capacity,
        messages: Event::new(wait.clone()),
        wait,
        new_lanes: Mutex::new(Vec::new()),
        lanes_made: AtomicUsize::new(0),
        producers: AtomicUsize::new(1),
        is_receiver_gone: AtomicBool::new(false),
    });
    let producer = Producer { lane: sender, room, shared: shared.clone() };
    let consumer = Consumer {
        lanes: vec![lane],
        current: 0,
        turn: 0,
        lanes_known: 0,
        shared,
        is_not_sync: PhantomData,
    };
    Ok((producer, consumer))
}

/// A sending end with a lane of its own; a clone has another one.
///
/// Wait-free without waiting. Cloning allocates a lane and takes a lock that only clones take.
///
/// It moves between threads and is not shared:
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::fan_in::Producer<u8, corelane_ring::Spin>>();
/// ```
#[derive(Debug)]
pub struct Producer<T: Send, W: Wait + Clone> {
    lane: spsc::Producer<T, Spin>,
    room: Arc<Event<W>>,
    shared: Arc<Shared<T, W>>,
}

impl<T: Send, W: Wait + Clone> Producer<T, W> {
    /// Sends one message; it is visible to the consumer on return.
    ///
    /// # Errors
    /// - [`TrySendError::Full`], [`TrySendError::Closed`]: the message comes back. That the
    ///   consumer is gone is noticed at the latest when this lane is full.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        self.lane.try_send(message)?;
        self.shared.messages.notify(1);
        Ok(())
    }

    /// Sends one message, waiting for room as long as it takes. May park.
    ///
    /// # Errors
    /// - [`SendError`]: the consumer is gone; the message comes back.
    pub fn send(&mut self, message: T) -> Result<(), SendError<T>> {
        let mut message = match self.try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(message)) => return Err(SendError(message)),
            Err(TrySendError::Full(message)) => Some(message),
        };
        let room = self.room.clone();
        room.wait_until(|| match self.try_send(message.take()?) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Closed(message)) => Some(Err(SendError(message))),
            Err(TrySendError::Full(back)) => {
                message = Some(back);
                None
            }
        })
    }

    /// Sends messages until the iterator ends or the lane is full, publishing them as one batch,
    /// and returns how many. No more is taken from the iterator than was sent.
    pub fn send_many(&mut self, messages: impl IntoIterator<Item = T>) -> usize {
        let sent = self.lane.send_many(messages);
        if sent > 0 {
            self.shared.messages.notify(1);
        }
        sent
    }

    /// Whether the consumer is gone.
    pub fn is_closed(&self) -> bool {
        // P41: pairs with C41.
        self.shared.is_receiver_gone.load(Ordering::Acquire)
    }
}

impl<T: Send, W: Wait + Clone> Clone for Producer<T, W> {
    fn clone(&self) -> Self {
        let capacity = self.shared.lane_capacity;
        let (lane, ring) = spsc::channel(capacity, Spin)
            .expect("because the first lane was made with this capacity");
        let room = Arc::new(Event::new(self.shared.wait.clone()));
        // No order is needed: this end is counted already, so the count cannot be zero meanwhile.
        self.shared.producers.fetch_add(1, Ordering::Relaxed);
        let mut new_lanes = self.shared.new_lanes.lock();
        if !self.is_closed() {
            // A consumer that does not look meanwhile must not cost memory for lanes long over.
            new_lanes.retain_mut(|lane| !lane.is_over());
            new_lanes.push(Lane { ring, room: RoomEnd(room.clone()) });
            // No order is needed: it changes within the lock, so that the count never runs ahead
            // of the list.
            self.shared.lanes_made.fetch_add(1, Ordering::Relaxed);
        }
        drop(new_lanes);
        // A consumer that found the lock taken went without the lanes in the list, and may sleep.
        self.shared.messages.notify_all();
        Self { lane, room, shared: self.shared.clone() }
    }
}

impl<T: Send, W: Wait + Clone> Drop for Producer<T, W> {
    fn drop(&mut self) {
        // P43: pairs with C43; every message of every producer was published before the last one
        // goes, and every lane is in the list.
        if self.shared.producers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.messages.notify_all();
        }
    }
}

/// The receiving end. It goes round the lanes and stays on one while it has messages, for at most
/// a turn. Wait-free without waiting.
///
/// It moves between threads and is not shared:
/// ```compile_fail,E0277
/// fn is_shared<T: Sync>() {}
/// is_shared::<corelane_ring::fan_in::Consumer<u8, corelane_ring::Spin>>();
/// ```
#[derive(Debug)]
pub struct Consumer<T: Send, W: Wait> {
    lanes: Vec<Lane<T, W>>,
    current: usize,
    turn: usize,
    lanes_known: usize,
    shared: Arc<Shared<T, W>>,
    is_not_sync: PhantomData<Cell<()>>,
}

impl<T: Send, W: Wait> Consumer<T, W> {
    /// Takes the next message of the lane whose turn it is.
    ///
    /// # Errors
    /// - [`TryRecvError::Empty`], [`TryRecvError::Closed`]: there is none in any lane.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if self.turn < TURN_MAX
            && let Some(lane) = self.lanes.get_mut(self.current)
            && let Ok(message) = lane.ring.try_recv()
        {
            self.turn += 1;
            lane.room.0.notify(1);
            return Ok(message);
        }
        let mut message = None;
        self.go_round(1, &mut |taken| message = Some(taken));
        match message {
            Some(message) => Ok(message),
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
    pub fn recv_with(&mut self, count: usize, mut take: impl FnMut(T)) -> usize {
        self.go_round(count, &mut take)
    }

    /// Takes up to `count` messages, of those that are there, and appends them to `messages`;
    /// returns how many.
    pub fn recv_many(&mut self, messages: &mut Vec<T>, count: usize) -> usize {
        self.go_round(count, &mut |message| messages.push(message))
    }

    /// Whether every producer is gone; messages may be left.
    pub fn is_closed(&self) -> bool {
        // C43: pairs with P43.
        self.shared.producers.load(Ordering::Acquire) == 0
    }

    /// Visits every lane once, beginning with the one after the current turn.
    fn go_round(&mut self, count: usize, take: &mut impl FnMut(T)) -> usize {
        self.take_over_new_lanes();
        let mut taken = 0;
        for _ in 0..=self.lanes.len() {
            if taken == count || self.lanes.is_empty() {
                break;
            }
            if self.turn >= TURN_MAX {
                self.turn = 0;
                self.current =
                    if self.current + 1 < self.lanes.len() { self.current + 1 } else { 0 };
            }
            let lane = &mut self.lanes[self.current];
            let wanted = (count - taken).min(TURN_MAX - self.turn);
            let batch = lane.ring.drain(wanted);
            let ready = batch.len();
            taken += ready;
            self.turn += ready;
            let freed = (ready > 0).then_some(Freed { room: &lane.room.0 });
            batch.for_each(&mut *take);
            drop(freed);
            if ready < wanted {
                // Nothing is left in this lane: it is the next one's turn, and a lane whose
                // producer had gone before the look is over.
                self.end_turn();
            }
        }
        taken
    }

    fn end_turn(&mut self) {
        self.turn = 0;
        if self.lanes[self.current].is_over() {
            // In order: with the last lane in its place a round would miss another one.
            self.lanes.remove(self.current);
        } else {
            self.current += 1;
        }
        if self.current >= self.lanes.len() {
            self.current = 0;
        }
    }

    #[inline]
    fn take_over_new_lanes(&mut self) {
        // No order is needed: the lock below has it.
        if self.shared.lanes_made.load(Ordering::Relaxed) != self.lanes_known
            && let Some(mut new_lanes) = self.shared.new_lanes.try_lock()
        {
            // No order is needed: it changes within the lock.
            self.lanes_known = self.shared.lanes_made.load(Ordering::Relaxed);
            self.lanes.append(&mut new_lanes);
        }
    }

    /// Lanes in memory, those not taken over yet included.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn lanes_held(&self) -> usize {
        self.lanes.len() + self.shared.new_lanes.lock().len()
    }

    /// There was nothing a moment ago: it is over only if the producers had gone before a round
    /// that found nothing.
    #[cold]
    fn last_look(&mut self) -> Result<T, TryRecvError> {
        if !self.is_closed() {
            return Err(TryRecvError::Empty);
        }
        let mut message = None;
        self.go_round(1, &mut |taken| message = Some(taken));
        // Nobody makes a lane any more, so the lock was free and the round went through all of
        // them. Their producers may be about to mark them as ended; no message follows.
        message.ok_or(TryRecvError::Closed)
    }
}

/// Tells the producer of a lane that there is room, also when the one who takes its messages
/// panics.
struct Freed<'a, W: Wait> {
    room: &'a Event<W>,
}

impl<W: Wait> Drop for Freed<'_, W> {
    #[inline]
    fn drop(&mut self) {
        self.room.notify(1);
    }
}

impl<T: Send, W: Wait> Drop for Consumer<T, W> {
    fn drop(&mut self) {
        let mut new_lanes = self.shared.new_lanes.lock();
        // C41: pairs with P41; within the lock, so that no lane is made that nobody ends.
        self.shared.is_receiver_gone.store(true, Ordering::Release);
        self.lanes.append(&mut new_lanes);
        // What is left of them ends with this end, outside of the lock.
    }
}
