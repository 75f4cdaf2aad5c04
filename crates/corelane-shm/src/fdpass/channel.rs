//! One end of a connection: packets of bytes and descriptors, and who is at the other end.
//!
//! Every call may park up to its timeout; none raises SIGPIPE.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    recvmsg, sendmsg, shutdown, socketpair,
};

use super::{ChannelError, PACKET_BYTES_MAX, PACKET_FDS_MAX};
use crate::deadline::Deadline;
use crate::ffi;
use crate::poll::poll_until;
use crate::process::{PidFd, ProcessError};

const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(PACKET_FDS_MAX));

/// What [`Channel::recv`] gives.
#[derive(Debug)]
pub struct Packet {
    /// The bytes, at least one.
    pub bytes: Vec<u8>,
    /// The descriptors, close-on-exec, in the order they were sent.
    pub fds: Vec<OwnedFd>,
}

/// The process that made the other end, as it was at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Process id; 0 when it has none in this pid namespace.
    pub pid: u32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// One end of a connection between two processes; an end of [`pair`] can also be a child's stdin.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// Two ends connected to each other, without a path.
///
/// # Errors
///
/// - [`ChannelError::Os`] when the system refuses, for want of descriptors.
pub fn pair() -> Result<(Channel, Channel), ChannelError> {
    let (one, other) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(ChannelError::os("socketpair"))?;
    Ok((Channel::from(one), Channel::from(other)))
}

impl Channel {
    /// Sends one packet, waiting up to `timeout` for room (`None` for ever, zero not at all).
    ///
    /// The descriptors are duplicated; the caller keeps its own.
    ///
    /// # Errors
    ///
    /// - [`ChannelError::PacketSize`], [`ChannelError::FdCount`] when it is over the limits;
    ///   an empty packet would look like the end of file.
    /// - [`ChannelError::Closed`] when the peer is gone.
    /// - [`ChannelError::TimedOut`] when the peer did not make room; nothing was sent.
    /// - [`ChannelError::Os`] when the system refuses.
    pub fn send(
        &self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        timeout: Option<Duration>,
    ) -> Result<(), ChannelError> {
        if !(1..=PACKET_BYTES_MAX).contains(&bytes.len()) {
            return Err(ChannelError::PacketSize { bytes: bytes.len(), limit: PACKET_BYTES_MAX });
        }
        if fds.len() > PACKET_FDS_MAX {
            return Err(ChannelError::FdCount { fds: fds.len(), limit: PACKET_FDS_MAX });
        }
        let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            let pushed = ancillary.push(SendAncillaryMessage::ScmRights(fds));
            assert!(pushed, "the ancillary buffer is sized for PACKET_FDS_MAX descriptors");
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let deadline = Deadline::after(timeout);
        loop {
            let sent = retry_on_intr(|| {
                sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut ancillary, flags)
            });
            match sent {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN) => self.wait_for(PollFlags::OUT, deadline)?,
                // A reset is told once: the peer died before it had read everything.
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(errno) => return Err(ChannelError::os("sendmsg")(errno)),
            }
        }
    }

    /// Receives one packet, waiting up to `timeout` (`None` for ever, zero not at all).
    ///
    /// What a peer sent before it died is still received.
    ///
    /// # Errors
    ///
    /// - [`ChannelError::Closed`] at the end of file.
    /// - [`ChannelError::TimedOut`] when nothing arrived.
    /// - [`ChannelError::Truncated`] when the packet was over the limits; its descriptors are
    ///   closed.
    /// - [`ChannelError::Os`] when the system refuses.
    pub fn recv(&self, timeout: Option<Duration>) -> Result<Packet, ChannelError> {
        let deadline = Deadline::after(timeout);
        loop {
            match self.try_recv() {
                // A reset is told once and before the packets that are left: look again.
                Ok(Err(Errno::INTR | Errno::CONNRESET)) => {}
                Ok(Err(Errno::AGAIN)) => self.wait_for(PollFlags::IN, deadline)?,
                Ok(Err(errno)) => return Err(ChannelError::os("recvmsg")(errno)),
                Ok(Ok(packet)) => return Ok(packet),
                Err(refused) => return Err(refused),
            }
        }
    }

    /// Ends the connection for both sides, also for a thread that waits in [`recv`](Self::recv):
    /// it receives what has arrived, then [`ChannelError::Closed`].
    pub fn shutdown(&self) {
        // An end that was closed by the peer is what was asked for.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }

    /// Who made the other end.
    ///
    /// # Errors
    ///
    /// - [`ChannelError::Os`] when the system refuses.
    pub fn peer_credentials(&self) -> Result<PeerCredentials, ChannelError> {
        let peer = ffi::peer_credentials(self.as_fd())
            .map_err(ChannelError::os("getsockopt(SO_PEERCRED)"))?;
        Ok(PeerCredentials { pid: peer.pid.cast_unsigned(), uid: peer.uid, gid: peer.gid })
    }

    /// A pidfd of the process that made the other end: never another one that got its id later.
    ///
    /// # Errors
    ///
    /// - [`ProcessError::NotSupported`] on kernels before 6.5.
    /// - [`ProcessError::Gone`] when the process was reaped already (some kernels still answer).
    /// - [`ProcessError::Os`] when the system refuses.
    pub fn peer_pidfd(&self) -> Result<PidFd, ProcessError> {
        ffi::peer_pidfd(self.as_fd())
            .map(PidFd::from_owned)
            .map_err(|errno| ProcessError::from_errno("getsockopt(SO_PEERPIDFD)", errno))
    }

    /// One look at the socket. The inner result is the call's; a packet that broke the limits has
    /// its descriptors closed as `fds` and the ancillary buffer drop.
    fn try_recv(&self) -> Result<Result<Packet, Errno>, ChannelError> {
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = match recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
        ) {
            Ok(received) => received,
            Err(errno) => return Ok(Err(errno)),
        };
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if received.bytes == 0 {
            return Err(ChannelError::Closed);
        }
        let is_cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
        // The buffer's alignment can leave room for a descriptor or two beyond the limit.
        if is_cut || fds.len() > PACKET_FDS_MAX {
            let (bytes_limit, fds_limit) = (PACKET_BYTES_MAX, PACKET_FDS_MAX);
            return Err(ChannelError::Truncated { bytes_limit, fds_limit });
        }
        bytes.truncate(received.bytes);
        bytes.shrink_to_fit();
        Ok(Ok(Packet { bytes, fds }))
    }

    fn wait_for(&self, events: PollFlags, deadline: Deadline) -> Result<(), ChannelError> {
        let mut entries = [PollFd::new(&self.socket, events)];
        match poll_until(&mut entries, deadline).map_err(ChannelError::os("poll"))? {
            true => Ok(()),
            false => Err(ChannelError::TimedOut),
        }
    }
}

/// Takes a `SOCK_SEQPACKET` Unix socket that came from elsewhere, as a child's stdin does.
impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Self {
        Self { socket }
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.socket
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
