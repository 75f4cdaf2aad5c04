//! Direct lanes: one sender and one receiver, in any two processes, past every router.
//!
//! The sender chooses the kind. A `latency` lane has fixed slots, and a small record moves with one
//! line transfer; a `throughput` lane has records of any size and batches, and its receiver reads
//! in place, so it has to trust the sender. Each end writes a segment of its own and reads that of
//! the other. They are handed over by a link, and no exchange, router or node is on the way of a
//! record or watches the two: when an end dies, the other learns it by the link.
//!
//! A record is visible to the receiver when `send` returns, and is received after the death of its
//! sender. When the receiver ends, what it had not received is lost and counted, and the next
//! receiver gets a ring of its own. Order: that of sending. Progress: wait-free, but where it says
//! that it waits.
//!
//! Others may read along ([`Participant::lane_tap`]): a tap copies records out of the ring while
//! they are there, and tells by the sender's intent whether a copy was whole
//! ([`corelane_ring::tap`]). It writes nothing, and neither end does anything for it or waits.
//!
//! ```text
//! sender                                    receiver
//! +-----------------------------+   read    +------------------------------+
//! | bell or tail, room wanted   | --------> | head                         |
//! | intent, ring                | <-------- | sleep word                   |
//! +-----------------------------+   read    +------------------------------+
//!              | read by taps
//! ```

mod error;
mod page;
mod receiver;
mod ring;
mod sender;
mod tap;
mod tap_ring;
mod taps;

pub use error::{LaneError, LaneReceiveError, LaneSendError};
pub use receiver::LaneReceiver;
pub use sender::{LaneCounts, LaneSender};
pub use tap::{LaneMissed, LaneTap};

use corelane_shm::slab::Trusted;

use crate::participant::Participant;

/// What kind of ring a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaneKind {
    /// Fixed slots; the sooner a record is there, the better.
    Latency {
        /// Number of slots, a power of two.
        slots: usize,
        /// Cache lines of a slot; a record has 8 bytes less.
        slot_lines: usize,
    },
    /// Records of any size; the more a second, the better.
    Throughput {
        /// Bytes of the ring, a power of two; a record has less than half of it.
        capacity_bytes: usize,
    },
}

impl LaneKind {
    /// 256 slots of two lines.
    pub const LATENCY: Self = Self::Latency { slots: 256, slot_lines: 2 };
    /// As large as the L2 cache of a core.
    pub const THROUGHPUT: Self = Self::Throughput { capacity_bytes: 1 << 20 };
}

/// How a receiver waits, and whom it trusts.
#[derive(Debug, Clone, Copy)]
pub struct LaneOptions {
    /// Says that the sender keeps to the protocol, which a `throughput` lane asks for.
    pub trusted: Option<Trusted>,
    /// Looks before a wait goes to sleep. None at all makes the sender pay for the fence instead
    /// of this side, which is right for who sleeps most of the time.
    pub spins: u32,
}

impl Default for LaneOptions {
    fn default() -> Self {
        Self { trusted: None, spins: 400 }
    }
}

impl Participant {
    /// Makes the sending end of the lane `name`, of which there is one at a time.
    ///
    /// # Errors
    /// - [`LaneError`]: the exchange refuses, or the kind cannot be.
    pub fn lane_sender(&self, name: &str, kind: LaneKind) -> Result<LaneSender, LaneError> {
        LaneSender::new(self, name, kind)
    }

    /// Makes the receiving end of the lane `name`, of which there is one at a time.
    ///
    /// # Errors
    /// - [`LaneError`]: the exchange refuses, or the system is short of something.
    pub fn lane_receiver(
        &self,
        name: &str,
        options: LaneOptions,
    ) -> Result<LaneReceiver, LaneError> {
        LaneReceiver::new(self, name, options)
    }

    /// Reads along on the lane `name`, of which there may be some taps at a time
    /// ([`TAPS_MAX`](crate::exchange::TAPS_MAX)). One that comes before the lane waits for it.
    ///
    /// # Errors
    /// - [`LaneError`]: the exchange refuses, or the system is short of something.
    pub fn lane_tap(&self, name: &str) -> Result<LaneTap, LaneError> {
        LaneTap::new(self, name)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_tap;
