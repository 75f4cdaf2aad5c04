//! The futures that wait on an event, first come first served.
//!
//! It keeps wakers and decides nothing; the event counts what is in here.

use core::task::Waker;
use std::collections::VecDeque;

/// A future's claim to be woken, kept by the future. It must be given back to the event.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

impl Ticket {
    /// Whether the future was registered since its ticket was last given back.
    pub(crate) fn is_issued(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn give_back(&mut self) -> Option<u64> {
        self.0.take()
    }
}

/// Wakers in the order of their registration.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    wakers: VecDeque<(u64, Waker)>,
    next: u64,
}

impl Tasks {
    /// Puts the waker under the ticket, at the end of the queue if it is not in it. The waker that
    /// it replaced, if any; true when the queue got longer.
    pub(super) fn put(&mut self, ticket: &mut Ticket, waker: Waker) -> (Option<Waker>, bool) {
        if let Some((_, old)) = self.wakers.iter_mut().find(|(id, _)| ticket.0 == Some(*id)) {
            return (Some(core::mem::replace(old, waker)), false);
        }
        self.wakers.push_back((self.next, waker));
        ticket.0 = Some(self.next);
        self.next += 1;
        (None, true)
    }

    /// Takes the waker of a ticket out; `None` when it was taken to be woken.
    pub(super) fn remove(&mut self, id: u64) -> Option<Waker> {
        let at = self.wakers.iter().position(|(other, _)| *other == id)?;
        self.wakers.remove(at).map(|(_, waker)| waker)
    }

    /// Takes the waker that waits longest.
    pub(super) fn pop(&mut self) -> Option<Waker> {
        self.wakers.pop_front().map(|(_, waker)| waker)
    }
}
