//! What a router counts: written by its thread alone, read by anyone at any time.

use std::{
    ops::AddAssign,
    sync::atomic::{AtomicU64, Ordering},
};

use crossbeam_utils::CachePadded;

/// Totals since the router started. Every record taken out of a lane is in exactly one of them
/// (RT-1); what a client took with it in its inbox was forwarded and is told by
/// [`Detached`](crate::Detached).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RouterTotals {
    /// Records committed to the receiver's lane.
    pub forwarded: u64,
    /// Dropped: nobody has that address.
    pub dropped_unknown: u64,
    /// Dropped: the receiver's client is not attached.
    pub dropped_dead: u64,
    /// Dropped: the receiver's lane stayed full for [`STALL_NS`](crate::STALL_NS).
    pub dropped_stalled: u64,
    /// Dropped: not a message, or sent under somebody else's address.
    pub malformed: u64,
}

impl RouterTotals {
    fn fields(&mut self) -> [&mut u64; 5] {
        let Self { forwarded, dropped_unknown, dropped_dead, dropped_stalled, malformed } = self;
        [forwarded, dropped_unknown, dropped_dead, dropped_stalled, malformed]
    }

    /// Records dropped for any reason.
    pub fn dropped(&self) -> u64 {
        self.dropped_unknown + self.dropped_dead + self.dropped_stalled + self.malformed
    }
}

impl AddAssign for RouterTotals {
    fn add_assign(&mut self, mut other: Self) {
        for (total, more) in self.fields().into_iter().zip(other.fields()) {
            *total += *more;
        }
    }
}

/// Counters of one router, on cache lines of their own.
#[derive(Debug, Default)]
pub struct RouterStats(CachePadded<[AtomicU64; 5]>);

impl RouterStats {
    /// The totals now.
    pub fn totals(&self) -> RouterTotals {
        let mut totals = RouterTotals::default();
        for (total, counter) in totals.fields().into_iter().zip(self.0.iter()) {
            *total = counter.load(Ordering::Relaxed);
        }
        totals
    }

    /// Publishes new totals; only the router's own thread calls this.
    pub(crate) fn publish(&self, mut totals: RouterTotals) {
        for (total, counter) in totals.fields().into_iter().zip(self.0.iter()) {
            counter.store(*total, Ordering::Relaxed);
        }
    }
}
