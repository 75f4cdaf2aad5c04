//! Why a packet was not moved, and why a path was not bound or connected.
//!
//! Errors about processes behind a socket are [`ProcessError`](crate::process::ProcessError).

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

/// Why a packet was not sent or received, or a connection not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// End of file: the other end is closed, or its process is gone.
    #[error("peer closed the channel; connect again")]
    Closed,
    /// Nothing arrived, or the peer took nothing, in the time given.
    #[error("channel timed out; the peer may be busy or stopped, try again")]
    TimedOut,
    /// The packet to send is empty or too large.
    #[error("packet size is not possible bytes={bytes} min=1 limit={limit}; split the message")]
    PacketSize {
        /// Bytes given.
        bytes: usize,
        /// Most bytes in one packet.
        limit: usize,
    },
    /// The packet to send carries too many descriptors.
    #[error("packet carries too many descriptors fds={fds} limit={limit}; send several packets")]
    FdCount {
        /// Descriptors given.
        fds: usize,
        /// Most descriptors in one packet.
        limit: usize,
    },
    /// The packet received is over the limits, or this process has no room for its descriptors;
    /// those that arrived are closed and the packet is lost.
    #[error(
        "packet was cut off bytes_limit={bytes_limit} fds_limit={fds_limit}; \
         close this peer, or raise the limit of open files"
    )]
    Truncated {
        /// Most bytes in one packet.
        bytes_limit: usize,
        /// Most descriptors in one packet.
        fds_limit: usize,
    },
    /// The system refused a call.
    #[error("{call} failed on a channel; see the cause")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ChannelError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed => "CL-0321",
            Self::TimedOut => "CL-0322",
            Self::PacketSize { .. } => "CL-0323",
            Self::FdCount { .. } => "CL-0324",
            Self::Truncated { .. } => "CL-0325",
            Self::Os { .. } => "CL-0326",
        }
    }
}

impl ChannelError {
    /// For `map_err`: names the call that failed.
    pub(crate) fn os(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Os { call, source: errno.into() }
    }
}

/// Why a path was not bound or connected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// A living process listens on the path.
    #[error("another process listens path={path}; attach to it, stop it, or use another path")]
    Live {
        /// The path.
        path: PathBuf,
    },
    /// Something else than a socket has the path; it is left alone.
    #[error("path is taken and is no socket path={path}; remove it or use another path")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Nothing has the path.
    #[error("no socket at path={path}; start the node, or check the path")]
    Absent {
        /// The path.
        path: PathBuf,
    },
    /// The socket is there and nobody listens: its process is dead.
    #[error("nobody listens at path={path}; the process that made it is dead, start it again")]
    Stale {
        /// The path.
        path: PathBuf,
    },
    /// The listener lives and does not accept.
    #[error("listener is busy path={path} waited_seconds={waited_seconds}; try again later")]
    Busy {
        /// The path.
        path: PathBuf,
        /// How long this process waited.
        waited_seconds: u64,
    },
    /// The system cannot hold such a path in a socket address.
    #[error("path is too long for a socket path={path} limit_bytes={limit}; use a shorter one")]
    PathLength {
        /// The path.
        path: PathBuf,
        /// Most bytes of a path.
        limit: usize,
    },
    /// The system refused a call.
    #[error("{call} failed path={path}; see the cause")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Live { .. } => "CL-0331",
            Self::NotASocket { .. } => "CL-0332",
            Self::Absent { .. } => "CL-0333",
            Self::Stale { .. } => "CL-0334",
            Self::Busy { .. } => "CL-0335",
            Self::PathLength { .. } => "CL-0336",
            Self::Os { .. } => "CL-0337",
        }
    }
}
