//! Large payloads that stay in place: buffers that two threads hand to each other.
//!
//! Two ways to say whose a buffer is: the bare hand-over (a flag for each buffer and no ring, the
//! limit that no queue can beat), and [`Pooled`], which sends buffer numbers through a queue of
//! messages and gets them back through a second one. The only unsafe code of this crate.
//!
//! Invariant BH-1: at any time a buffer belongs to one end, and only that end touches its bytes.

use std::{
    cell::UnsafeCell,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam_utils::CachePadded;

use crate::{
    bulk_peer::{BulkPeer, BulkReceiver, BulkSender},
    peer::{Peer, Receiver, Sender},
};

/// Buffers start at a page, as in a mapping.
const ALIGNMENT: usize = 4096;

/// Memory that belongs to two ends in turn.
struct Buffers {
    bytes: usize,
    list: Box<[UnsafeCell<Box<[u8]>>]>,
}

// SAFETY: BH-1: the two ends never touch the same buffer at the same time; what makes it pass from
// one to the other (a flag, a queue) synchronises them.
unsafe impl Sync for Buffers {}

impl Buffers {
    fn new(count: usize, bytes: usize) -> Arc<Self> {
        let buffer = || UnsafeCell::new(vec![0; bytes + ALIGNMENT].into_boxed_slice());
        Arc::new(Self { bytes, list: (0..count).map(|_| buffer()).collect() })
    }

    /// The bytes of a buffer.
    ///
    /// # Safety
    /// The caller is the end that owns the buffer by BH-1, and gives the reference up before the
    /// buffer passes to the other end.
    #[expect(clippy::mut_from_ref, reason = "BH-1 makes it exclusive, not the borrow of the list")]
    unsafe fn bytes(&self, index: usize) -> &mut [u8] {
        // SAFETY: BH-1, as the caller promises; nobody else has a reference into this buffer.
        let memory: &mut [u8] = unsafe { &mut *self.list[index].get() };
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        &mut memory[start..start + self.bytes]
    }
}

/// The bare hand-over: buffers in a circle, one flag for each, nothing else.
#[derive(Debug, Clone, Copy)]
pub struct HandOver;

struct Flagged {
    buffers: Arc<Buffers>,
    /// True while a buffer belongs to the receiver.
    is_full: Arc<[CachePadded<AtomicBool>]>,
    next: usize,
}

/// An end of the bare hand-over that writes.
pub struct HandOverSender(Flagged);

/// An end of the bare hand-over that reads.
pub struct HandOverReceiver(Flagged);

impl Flagged {
    /// Uses the next buffer if its flag says `is_full`, and turns the flag.
    #[inline]
    fn turn(&mut self, is_full: bool, apply: impl FnOnce(&mut [u8])) -> bool {
        let flag = &self.is_full[self.next];
        // Pairs with the Release below in the other end.
        if flag.load(Ordering::Acquire) != is_full {
            return false;
        }
        // SAFETY: BH-1: only the sender makes a flag true and only the receiver makes it false, so
        // while it says `is_full` the buffer is this end's; the reference ends with `apply`.
        apply(unsafe { self.buffers.bytes(self.next) });
        // Pairs with the Acquire above in the other end: the bytes come with the flag.
        flag.store(!is_full, Ordering::Release);
        self.next = (self.next + 1) % self.is_full.len();
        true
    }
}

impl BulkSender for HandOverSender {
    #[inline]
    fn try_send(&mut self, fill: &mut impl FnMut(&mut [u8])) -> bool {
        self.0.turn(false, fill)
    }
}

impl BulkReceiver for HandOverReceiver {
    #[inline]
    fn try_recv(&mut self, look: &mut impl FnMut(&[u8])) -> bool {
        self.0.turn(true, |bytes| look(bytes))
    }
}

impl BulkPeer for HandOver {
    const NAME: &'static str = "bare hand-over";
    type Sender = HandOverSender;
    type Receiver = HandOverReceiver;

    fn open(count: usize, bytes: usize) -> (Self::Sender, Self::Receiver) {
        let buffers = Buffers::new(count, bytes);
        let is_full: Arc<[_]> = (0..count).map(|_| CachePadded::new(false.into())).collect();
        let end = || Flagged { buffers: buffers.clone(), is_full: is_full.clone(), next: 0 };
        (HandOverSender(end()), HandOverReceiver(end()))
    }
}

/// A queue that delivers every message once, to whom it was sent, with all that its sender did.
///
/// # Safety
/// Between one sender and one receiver, each message sent is received at most once and none is
/// received that was not sent; the receipt happens after the sending (Release and Acquire).
pub unsafe trait DeliversOnce: Peer {}

/// Any queue of messages as a hand-over of buffers: their numbers go there through one queue and
/// come back through another.
#[derive(Debug)]
pub struct Pooled<P>(PhantomData<P>);

/// The end that owns every free buffer.
pub struct PooledSender<P: Peer> {
    buffers: Arc<Buffers>,
    free: Vec<u64>,
    full: P::Sender<u64>,
    returned: P::Receiver<u64>,
}

/// The end that owns the buffers whose numbers it has received.
pub struct PooledReceiver<P: Peer> {
    buffers: Arc<Buffers>,
    full: P::Receiver<u64>,
    returned: P::Sender<u64>,
}

/// The queues have room for every buffer twice: a receiver may give places back late, as long as
/// it keeps fewer than half of them.
const ROOM_FACTOR: usize = 2;
const HAS_ROOM: &str = "because the queue has room for every buffer twice";

impl<P: DeliversOnce> BulkSender for PooledSender<P> {
    #[inline]
    fn try_send(&mut self, fill: &mut impl FnMut(&mut [u8])) -> bool {
        let Some(number) = self.free.pop().or_else(|| self.returned.try_recv()) else {
            return false;
        };
        // SAFETY: BH-1: the number was never sent, or it came back through a queue that delivers
        // once (`DeliversOnce`), after the receiver was done; the reference ends with `fill`.
        fill(unsafe { self.buffers.bytes(number as usize) });
        self.full.try_send(number).expect(HAS_ROOM);
        true
    }
}

impl<P: DeliversOnce> BulkReceiver for PooledReceiver<P> {
    #[inline]
    fn try_recv(&mut self, look: &mut impl FnMut(&[u8])) -> bool {
        let Some(number) = self.full.try_recv() else { return false };
        // SAFETY: BH-1: the sender gave the buffer up when it sent the number, which a queue that
        // delivers once (`DeliversOnce`) gives to nobody else; the reference ends with `look`.
        look(unsafe { self.buffers.bytes(number as usize) });
        self.returned.try_send(number).expect(HAS_ROOM);
        true
    }
}

impl<P: DeliversOnce> BulkPeer for Pooled<P> {
    const NAME: &'static str = P::NAME;
    type Sender = PooledSender<P>;
    type Receiver = PooledReceiver<P>;

    fn open(count: usize, bytes: usize) -> (Self::Sender, Self::Receiver) {
        let buffers = Buffers::new(count, bytes);
        let queue = || {
            let (mut senders, mut receivers) = P::open::<u64>(count * ROOM_FACTOR, 1, 1);
            let ends = senders.pop().zip(receivers.pop());
            ends.expect("because one of each end was asked for")
        };
        let ((full_in, full_out), (back_in, back_out)) = (queue(), queue());
        let free = (0..count as u64).rev().collect();
        (
            PooledSender { buffers: buffers.clone(), free, full: full_in, returned: back_out },
            PooledReceiver { buffers, full: full_out, returned: back_in },
        )
    }
}

// SAFETY: the channel moves each message out of it once; the standard library synchronises.
unsafe impl DeliversOnce for crate::standard::StdChannel {}

// SAFETY: RB-1 and RB-8 of corelane-ring: a message is published once and taken once, and the tail
// is stored with Release (P3) and loaded with Acquire (C3).
unsafe impl DeliversOnce for crate::ours::Spsc {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standard::StdChannel;

    fn goes_round<P: BulkPeer>() {
        let (mut sender, mut receiver) = P::open(2, 192);
        let mut read = Vec::new();
        for number in 0..6u8 {
            assert!(sender.try_send(&mut |bytes| bytes.fill(number)));
            if number % 2 == 1 {
                assert!(!sender.try_send(&mut |_| panic!("{}: no buffer is free", P::NAME)));
                let mut look = |bytes: &[u8]| {
                    assert_eq!((bytes.len(), bytes.as_ptr().align_offset(ALIGNMENT)), (192, 0));
                    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                    read.push(bytes[0]);
                };
                while receiver.try_recv(&mut look) {}
            }
        }
        assert_eq!(read, [0, 1, 2, 3, 4, 5], "{}", P::NAME);
    }

    #[test]
    fn buffers_are_handed_over_in_order() {
        goes_round::<HandOver>();
        goes_round::<Pooled<StdChannel>>();
        goes_round::<Pooled<crate::ours::Spsc>>();
    }
}
