//! The typed SPSC ring: one producer, one consumer, messages of any type, in process.
//!
//! Each end keeps its own index and a cached copy of the other's, and looks at the shared ones only
//! when the copy says full or empty. A message is visible to the consumer when `try_send` returns.

use core::iter::FusedIterator;

use crate::error::{CapacityError, RecvError, SendError, TryRecvError, TrySendError};
use crate::line::OwnLine;
use crate::raw::{SlotMemory, Slots};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use crate::wait::{Event, Wait};

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
        for position in head..tail {
            // SAFETY: RB-8: both ends are gone, the consumer released up to `head` when it went,
            // and the slots from there to `tail` hold messages. The view ends with the statement.
            drop(unsafe { self.memory.view().take(position) });
        }
    }
}

/// Makes a ring for at least `capacity` messages, whose ends wait as `wait` says.
///
/// # Errors
/// - [`CapacityError`]: the capacity is zero or too large.
pub fn channel<T: Send, W: Wait + Clone>(
    capacity: usize,
    wait: W,
) -> Result<(Producer<T, W>, Consumer<T, W>), CapacityError> {
    if !(1..=CAPACITY_MAX).contains(&capacity) {
        return Err(CapacityError { asked: capacity, max: CAPACITY_MAX });
    }
    let slots = capacity.next_power_of_two();
    let shared = Arc::new(Shared {
        tail: OwnLine::default(),
        head: OwnLine::default(),
        is_sender_gone: AtomicBool::new(false),
        is_receiver_gone: AtomicBool::new(false),
        messages: Event::new(wait.clone()),
        room: Event::new(wait),
        memory: SlotMemory::new(slots),
    });
    // SAFETY: each end keeps the memory alive through `shared` as long as it has its view.
    let (slots, slots_too) = unsafe { (shared.memory.view(), shared.memory.view()) };
    let lag_max = (slots.count() as u64 / 4).max(1);
    Ok((
        Producer { slots, tail: 0, head_cached: 0, shared: shared.clone() },
        Consumer { slots: slots_too, head: 0, head_published: 0, tail_cached: 0, lag_max, shared },
    ))
}
