//! Unix sockets that keep packet boundaries and carry descriptors between processes.
//!
//! A [`Listener`] owns a path; [`connect`] and [`Listener::accept`] give a [`Channel`], [`pair`]
//! gives two without a path. What it does not do: it knows no message format, resends nothing, and
//! starts no thread.

mod channel;
mod error;
mod listener;

pub use channel::{Channel, Packet, PeerCredentials, pair};
pub use error::{ChannelError, ListenError};
pub use listener::{Listener, connect};

/// Most bytes in one packet.
pub const PACKET_BYTES_MAX: usize = 64 * 1024;

/// Most descriptors in one packet.
pub const PACKET_FDS_MAX: usize = 16;

/// Connections that may wait to be accepted.
pub const BACKLOG: i32 = 64;

/// How long [`connect`] waits for room in a full backlog, in seconds.
pub const CONNECT_SECONDS_MAX: u64 = 5;
