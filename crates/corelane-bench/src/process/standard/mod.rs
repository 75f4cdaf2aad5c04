//! What the kernel offers between processes: pipe, Unix sockets, eventfd.
//!
//! Messages go by calls that do not wait, so that an end with a CPU of its own spins as it does
//! with any other queue; numbers between ends that sleep go by calls that do.

mod packets;
mod sleeping;
mod streams;

pub use packets::{PacketReceiver, PacketSender};
pub use streams::{StreamReceiver, StreamSender};

use crate::{
    process::ProcessCast,
    standard::{EventFd, Pipe, SeqPacket, UnixPair},
};

/// Adds all of them.
pub fn add_all(cast: &mut ProcessCast) {
    cast.add_queue::<Pipe>();
    cast.add_queue::<UnixPair>();
    cast.add_queue::<SeqPacket>();
    cast.add_sleeping::<Pipe>();
    cast.add_sleeping::<UnixPair>();
    cast.add_sleeping::<SeqPacket>();
    cast.add_sleeping::<EventFd>();
}
