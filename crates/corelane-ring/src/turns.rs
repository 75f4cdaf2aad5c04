//! What MPSC and MPMC rings share: slots that say whose turn it is, and the producers' side.
//!
//! After Vyukov's bounded queue and rigtorp's turns: a slot's turn word counts up by [`STEP`] per
//! lap, so that both sides see in the slot itself whether it is free, full, or was given up.
//! Producers agree on positions by compare-and-swap. A producer that is preempted between its
//! claim and its commit holds up the consumers at that slot, and the others only when they come
//! round to it.
//!
//! # Orders
//!
//! Claiming is relaxed: head and tail only say who may look at which slot, and the slot's turn
//! word orders what is done there.
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | P31 | `TurnSlots::is_free` | Acquire load of the turn, before the slot is filled | C32 |
//! | P32 | `TurnSlots::publish`, `skip` | Release store of the turn, after the message | C31 |
//! | C31 | `TurnSlots::look` | Acquire load of the turn, before the message | P32 |
//! | C32 | `TurnSlots::free` | Release store of the turn, after the message was taken | P31 |
//! | P33 | `Producer::is_closed` | Acquire load of the number of consumers | C33 |
//! | C33 | a consumer's drop | Release change of the number of consumers | P33 |
//! | P34 | `Producer`'s drop | AcqRel decrement of the number of producers, after its last message | C34 |
//! | C34 | `is_closed` of a consumer | Acquire load of the number of producers, before a last look | P34 |

use crate::line::OwnLine;
use crate::raw::{SlotMemory, Slots, drop_each};
use crate::sync::{Arc, AtomicU64, AtomicUsize, Ordering, spin_loop};
use crate::wait::{Event, Wait};

/// Turn words of one lap: free, full, skipped, and one unused so that a lap is a shift.
const STEP: u64 = 4;
/// The slot holds a message of this lap.
const FULL: u64 = 1;
/// The slot's claim was given up in this lap.
const SKIPPED: u64 = 2;

/// Most pauses in a row after a lost race.
const BACKOFF_MAX: u32 = if cfg!(loom) { 0 } else { 6 };

/// What a consumer finds at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Message,
    Skipped,
    Nothing,
}

/// What all ends of a ring share.
#[derive(Debug)]
pub(crate) struct Shared<T, W: Wait> {
    /// Position of the next claim; moved by producers.
    tail: OwnLine<AtomicU64>,
    /// Position of the next message; moved by consumers when they are several.
    pub(crate) head: OwnLine<AtomicU64>,
    pub(crate) senders: AtomicUsize,
    pub(crate) receivers: AtomicUsize,
    /// Waited for by the consumers.
    pub(crate) messages: Event<W>,
    /// Waited for by the producers.
    pub(crate) room: Event<W>,
    memory: SlotMemory<T, Turn>,
}

/// The turn word of a slot.
#[derive(Debug, Default)]
pub(crate) struct Turn(AtomicU64);

impl<T, W: Wait> Shared<T, W> {
    pub(crate) fn new(slots: usize, wait: W) -> Arc<Self>
    where
        W: Clone,
    {
        Arc::new(Self {
            tail: OwnLine::default(),
            head: OwnLine::default(),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            messages: Event::new(wait.clone()),
            room: Event::new(wait),
            memory: SlotMemory::new(slots),
        })
    }
}

impl<T, W: Wait> Drop for Shared<T, W> {
    fn drop(&mut self) {
        // SAFETY: the view ends with this function.
        let slots = unsafe { self.memory.view() };
        let ring = TurnSlots::new(slots);
        drop_each(0..ring.slots.count() as u64, |position| {
            if ring.slots.note(position).0.load(Ordering::Relaxed) % STEP == FULL {
                // SAFETY: RB-8: every end is gone, and the turn says that a message lies here.
                drop(unsafe { ring.slots.take(position) });
            }
        });
    }
}

/// The slots, and the rules by which their turns go round.
#[derive(Debug)]
pub(crate) struct TurnSlots<T> {
    slots: Slots<T, Turn>,
    lap_shift: u32,
}

impl<T> Clone for TurnSlots<T> {
    fn clone(&self) -> Self {
        Self::new(self.slots.clone())
    }
}

impl<T> TurnSlots<T> {
    fn new(slots: Slots<T, Turn>) -> Self {
        let lap_shift = slots.count().trailing_zeros();
        Self { slots, lap_shift }
    }

    pub(crate) fn of<W: Wait>(shared: &Shared<T, W>) -> Self {
        // SAFETY: every end that calls this keeps `shared` as long as the view.
        Self::new(unsafe { shared.memory.view() })
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.count()
    }

    /// The turn of `position` while its slot is free.
    #[inline(always)]
    fn free_turn(&self, position: u64) -> u64 {
        (position >> self.lap_shift) * STEP
    }

    /// Whether the slot of `position` is free for it.
    #[inline(always)]
    fn is_free(&self, position: u64) -> bool {
        // P31: pairs with C32; what was taken out of the slot a lap ago was taken before this.
        self.slots.note(position).0.load(Ordering::Acquire) == self.free_turn(position)
    }

    /// Moves a message into the slot of `position` and publishes it.
    ///
    /// # Safety
    /// The caller claimed `position` and did not fill it yet (RB-30).
    #[inline(always)]
    pub(crate) unsafe fn fill(&self, position: u64, message: T) {
        // SAFETY: RB-30: by the caller's promise the slot is its own, and free.
        unsafe {
            self.put(position, message);
            self.publish(position);
        }
    }

    /// Moves a message into the slot of `position`.
    ///
    /// # Safety
    /// As for [`fill`](Self::fill).
    #[inline(always)]
    pub(crate) unsafe fn put(&self, position: u64, message: T) {
        // SAFETY: RB-30: by the caller's promise the slot is its own, and free.
        unsafe { self.slots.put(position, message) };
    }

    /// Publishes the message in the slot of `position`.
    ///
    /// # Safety
    /// The caller claimed `position`, put a message there and did not publish it yet.
    #[inline(always)]
    pub(crate) unsafe fn publish(&self, position: u64) {
        // P32: pairs with C31; the message is visible to whoever sees this turn.
        let turn = self.free_turn(position) + FULL;
        self.slots.note(position).0.store(turn, Ordering::Release);
    }

    /// Moves a message back out of a slot that was filled and not published.
    ///
    /// # Safety
    /// As for [`publish`](Self::publish); the position must not be published afterwards.
    pub(crate) unsafe fn take_back(&self, position: u64) -> T {
        // SAFETY: RB-30: by the caller's promise.
        unsafe { self.slots.take(position) }
    }

    /// Publishes that nothing will come at `position`.
    pub(crate) fn skip(&self, position: u64) {
        // P32: the same store, without a message.
        let turn = self.free_turn(position) + SKIPPED;
        self.slots.note(position).0.store(turn, Ordering::Release);
    }

    /// What lies at `position`.
    #[inline(always)]
    pub(crate) fn look(&self, position: u64) -> Found {
        // C31: pairs with P32.
        let turn = self.slots.note(position).0.load(Ordering::Acquire);
        match turn.wrapping_sub(self.free_turn(position)) {
            FULL => Found::Message,
            SKIPPED => Found::Skipped,
            _ => Found::Nothing,
        }
    }

    /// Moves the message out of the slot of `position` and frees the slot.
    ///
    /// # Safety
    /// [`look`](Self::look) found a message at `position`, which belongs to the caller alone
    /// (RB-30).
    #[inline(always)]
    pub(crate) unsafe fn take(&self, position: u64) -> T {
        // SAFETY: RB-30: by the caller's promise.
        let message = unsafe { self.slots.take(position) };
        self.free(position);
        message
    }

    /// Frees the slot of `position` for the next lap.
    #[inline(always)]
    pub(crate) fn free(&self, position: u64) {
        // C32: pairs with P31; the message was moved out before.
        let turn = self.free_turn(position) + STEP;
        self.slots.note(position).0.store(turn, Ordering::Release);
    }
}

/// Waits a little longer after each race that was lost in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    #[inline]
    pub(crate) fn pause(&mut self) {
        for _ in 0..1 << self.0 {
            spin_loop();
        }
        self.0 = (self.0 + 1).min(BACKOFF_MAX);
    }
}

/// Claims up to `count` positions in a row, at least one, of which every slot is free; none when
/// the ring is full.
#[inline]
pub(crate) fn claim<T, W: Wait>(
    shared: &Shared<T, W>,
    slots: &TurnSlots<T>,
    count: usize,
) -> Option<(u64, u64)> {
    let mut backoff = Backoff::default();
    let mut tail = shared.tail.load(Ordering::Relaxed);
    loop {
        let most = count.min(slots.count()) as u64;
        let free = (0..most).take_while(|offset| slots.is_free(tail + offset)).count() as u64;
        if free == 0 {
            let now = shared.tail.load(Ordering::Relaxed);
            if now == tail {
                return None;
            }
            tail = now;
            continue;
        }
        // No order is needed: the turns carry it. RB-30: the tail only grows, so when it still
        // is `tail`, nobody claimed these slots since they were seen to be free.
        let (order, relaxed) = (Ordering::Relaxed, Ordering::Relaxed);
        match shared.tail.compare_exchange_weak(tail, tail + free, order, relaxed) {
            Ok(_) => return Some((tail, free)),
            Err(now) => {
                tail = now;
                backoff.pause();
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn each_lost_race_doubles_the_pause_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let pauses = [(); 9].map(|()| {
            backoff.pause();
            backoff.0
        });
        assert_eq!(pauses, [1, 2, 3, 4, 5, 6, 6, 6, 6]);
    }
}
