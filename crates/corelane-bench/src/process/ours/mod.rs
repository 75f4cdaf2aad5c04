//! The rings of `corelane-ring` over sealed segments, one adapter a file.
//!
//! Each end owns a segment, and sees that of the other one read-only. `throughput` is not here:
//! its sides over mapped memory are not safe to make.

mod broadcast;
mod latency;
mod segments;
mod sleeping;

pub use broadcast::{MappedBroadcast, MappedBroadcastReceiver, MappedBroadcastSender};
pub use latency::{MappedLatency, MappedLatencyReceiver, MappedLatencySender};
pub use sleeping::{MappedSleeping, MappedSleepingReceiver, MappedSleepingSender};

use crate::process::ProcessCast;

/// Adds every ring that runs across processes.
pub fn add_all(cast: &mut ProcessCast) {
    cast.add_queue::<MappedLatency>();
    cast.add_queue::<MappedBroadcast>();
    cast.add_sleeping::<MappedSleeping>();
}
