//! The rings of `corelane-ring`, one adapter a file.

mod broadcast;
mod fan_in;
mod mpmc;
mod mpsc;
mod sharing;
mod sleeping;
mod spsc;
mod throughput;
mod word_ring;

pub use broadcast::{Broadcast, BroadcastReceiver, BroadcastSender};
pub use fan_in::{FanIn, FanInReceiver, FanInSender};
pub use mpmc::{Mpmc, MpmcReceiver, MpmcSender};
pub use mpsc::{Mpsc, MpscReceiver, MpscSender};
pub use sharing::{Sharing, SharingReceiver, SharingSender};
pub use sleeping::{SpscEventFd, SpscFutex, SpscSleepingReceiver, SpscSleepingSender};
pub use spsc::{Spsc, SpscReceiver, SpscSender};
pub use throughput::{Throughput, ThroughputReceiver, ThroughputSender};
pub use word_ring::{WordReceiver, WordRing, WordSender};

use crate::suite::Suite;

/// Adds every ring that has a row for the suite's options.
pub fn add_all(suite: &mut Suite) {
    suite.add_queue::<Spsc>();
    suite.add_queue::<WordRing>();
    suite.add_queue::<FanIn>();
    suite.add_queue::<Mpsc>();
    suite.add_queue::<Sharing>();
    suite.add_queue::<Mpmc>();
    suite.add_queue::<Broadcast>();
    suite.add_fanout::<Broadcast>();
    suite.add_bulk::<Throughput>();
    suite.add_sleeping::<SpscFutex>();
    suite.add_sleeping::<SpscEventFd>();
}
