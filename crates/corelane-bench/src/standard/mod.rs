//! What every machine has: the peers that need nothing but the standard library and the kernel.

mod channel;
mod descriptors;
mod each;
mod parking;

pub use channel::{StdChannel, StdReceiver, StdSender};
pub use descriptors::{
    EventFd, FileReceiver, FileSender, Pipe, SeqPacket, SocketReceiver, SocketSender, UnixPair,
};
pub use each::{StdEach, StdEachSender};
pub use parking::{Parking, ParkingEnd};
