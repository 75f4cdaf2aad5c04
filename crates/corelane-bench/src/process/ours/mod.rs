//! Lanes and topics as users have them, and the bare rings of `corelane-ring` over sealed segments,
//! one adapter a file.
//!
//! Each end owns a segment, and sees that of the other one read-only.

mod broadcast;
mod lane;
mod latency;
pub(super) mod segments;
mod sleeping;
mod topic;
#[allow(unsafe_code)]
mod trust;

pub use broadcast::{MappedBroadcast, MappedBroadcastReceiver, MappedBroadcastSender};
pub use lane::{
    LatencyLane, PolledLane, PolledReceivingLane, ReceivingLane, SendingLane, SleepingLane,
    SleepingReceivingLane, ThroughputLane,
};
pub use latency::{MappedLatency, MappedLatencyReceiver, MappedLatencySender};
pub use sleeping::{MappedSleeping, MappedSleepingReceiver, MappedSleepingSender};
pub use topic::{
    LoanReceiver, LoanSender, Topic, TopicLoans, TopicPolled, TopicPolledReceiver, TopicReceiver,
    TopicSender, TopicSleeping,
};

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags};

use crate::process::ProcessCast;

/// Sleeps until the descriptor is readable, as an event loop does.
fn poll(fd: BorrowedFd<'_>) {
    // Interrupted or not, the next look says more.
    let _ = rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], None);
}

/// Adds every lane, topic and ring that runs across processes.
pub fn add_all(cast: &mut ProcessCast) {
    cast.add_queue::<LatencyLane>();
    cast.add_queue::<ThroughputLane>();
    cast.add_queue::<Topic>();
    cast.add_bulk::<TopicLoans>();
    cast.add_sleeping::<SleepingLane>();
    cast.add_sleeping::<PolledLane>();
    cast.add_sleeping::<TopicSleeping>();
    cast.add_sleeping::<TopicPolled>();
    cast.add_queue::<MappedLatency>();
    cast.add_queue::<MappedBroadcast>();
    cast.add_sleeping::<MappedSleeping>();
}
