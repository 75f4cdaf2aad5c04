//! Measures queues beside each other: workloads, passes, statistics, reports.
//!
//! It knows no queue but those given as a [`Peer`], so that ours and the rivals run through the
//! very same code.
#![forbid(unsafe_code)]

mod peer;

pub use peer::{Delivery, Message, Peer, Receiver, Sender, SleepingPeer, SleepingReceiver, SleepingSender};
