//! What an event loop waits by: a descriptor that becomes readable when it is worth to look.
//!
//! Whoever receives owns a doorbell, and gives each sender an end to ring, a socket of its own, so
//! that one that misuses its end harms no other. It rings only when the other side said that it
//! listens, and then with one system call, which never blocks. A ring says nothing but "look".

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use async_io::Async;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair, sockopt,
};
use thiserror::Error;

/// Rings that are heard of one end before others have their turn: a flood is answered by looks.
const RINGS_MAX: usize = 64;
/// Ends that are looked at by one call.
const EVENTS: usize = 32;

/// A descriptor to wait by could not be had.
#[derive(Debug, Error)]
#[error(
    "no descriptor to wait by: {call} failed: {source}: raise `ulimit -n`, or wait without one"
)]
pub struct BellError {
    /// The system call.
    call: &'static str,
    /// What the kernel said.
    source: std::io::Error,
}

impl BellError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0480"
    }

    fn os(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self { call, source: errno.into() }
    }
}

/// The end that rings.
#[derive(Debug)]
pub(crate) struct Ringer(OwnedFd);

/// What a peer sent is no bell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoBell;

impl Ringer {
    /// Takes the end that came with a packet, or none.
    pub(crate) fn of_packet(fds: Vec<OwnedFd>) -> Result<Option<Self>, NoBell> {
        let mut fds = fds.into_iter();
        match (fds.next(), fds.next()) {
            (None, _) => Ok(None),
            (Some(fd), None) => Self::of_peer(fd).map(Some).ok_or(NoBell),
            (Some(_), Some(_)) => Err(NoBell),
        }
    }

    /// Takes the end that a peer sent, if it is what it has to be: nothing else is written to.
    pub(crate) fn of_peer(socket: OwnedFd) -> Option<Self> {
        let is_datagram = sockopt::socket_type(&socket) == Ok(SocketType::DGRAM);
        let is_unix = sockopt::socket_domain(&socket) == Ok(AddressFamily::UNIX);
        (is_datagram && is_unix).then_some(Self(socket))
    }

    /// Rings. A bell that was not heard yet, or whose owner is gone, is left alone.
    pub(crate) fn ring(&self) {
        // Not by a flag of the socket, which its maker could change back at any time.
        let _ = send(&self.0, &[0], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
}

/// Makes an end that hears and one that rings it.
fn pair() -> Result<(OwnedFd, OwnedFd), BellError> {
    socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(BellError::os("socketpair"))
}

/// The ends that hear, and the one descriptor that tells of them all.
#[derive(Debug)]
pub(crate) struct Doorbell {
    poll: Async<OwnedFd>,
    own: OwnedFd,
    ringer: Arc<Ringer>,
    /// By whom they are rung.
    ends: BTreeMap<u64, OwnedFd>,
}

impl Doorbell {
    pub(crate) fn new() -> Result<Self, BellError> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC);
        let poll = poll.map_err(BellError::os("epoll_create1"))?;
        let (own, ringer) = pair()?;
        watch(&poll, &own)?;
        let poll = Async::new_nonblocking(poll)
            .map_err(|source| BellError { call: "registration", source })?;
        Ok(Self { poll, own, ringer: Arc::new(Ringer(ringer)), ends: BTreeMap::new() })
    }

    /// The end that this process rings itself.
    pub(crate) fn ringer(&self) -> &Arc<Ringer> {
        &self.ringer
    }

    /// Makes the end that `who` is to ring, unless it was made before.
    pub(crate) fn end_for(&mut self, who: u64) -> Result<Option<OwnedFd>, BellError> {
        if self.ends.contains_key(&who) {
            return Ok(None);
        }
        let (heard, rung) = pair()?;
        watch(self.poll.get_ref(), &heard)?;
        self.ends.insert(who, heard);
        Ok(Some(rung))
    }

    /// Forgets who is not there any more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(u64) -> bool) {
        self.ends.retain(|&who, _| is_there(who));
    }

    /// Forgets one, whose end did not arrive.
    pub(crate) fn forget(&mut self, who: u64) {
        self.ends.remove(&who);
    }

    /// Takes the rings so far: readable is from here on what rings again.
    pub(crate) fn silence(&self) -> Result<(), BellError> {
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; EVENTS];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let count = epoll::wait(self.poll.get_ref(), &mut events, Some(&now));
        let count = count.or_else(|errno| if errno == Errno::INTR { Ok(0) } else { Err(errno) });
        let count = count.map_err(BellError::os("epoll_wait"))?;
        for event in &events[..count] {
            let mut ends = std::iter::once(&self.own).chain(self.ends.values());
            if let Some(end) = ends.find(|end| key(end) == event.data.u64()) {
                for _ in 0..RINGS_MAX {
                    if recv(end, &mut [0; 8], RecvFlags::DONTWAIT).is_err() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until somebody rings, or has rung.
    pub(crate) async fn rung(&self) -> Result<(), BellError> {
        self.poll.readable().await.map_err(|source| BellError { call: "wait", source })
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.get_ref().as_fd()
    }
}

/// What an end is called in the events.
fn key(end: &OwnedFd) -> u64 {
    end.as_raw_fd().cast_unsigned().into()
}

fn watch(poll: &OwnedFd, end: &OwnedFd) -> Result<(), BellError> {
    epoll::add(poll, end, epoll::EventData::new_u64(key(end)), epoll::EventFlags::IN)
        .map_err(BellError::os("epoll_ctl"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    fn is_readable(doorbell: &Doorbell) -> bool {
        let mut fds = [PollFd::new(doorbell, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn it_is_readable_from_a_ring_until_it_is_silenced() {
        let mut doorbell = Doorbell::new().unwrap();
        let peer = Ringer::of_peer(doorbell.end_for(7).unwrap().unwrap()).unwrap();
        assert!(doorbell.end_for(7).unwrap().is_none(), "it has its end");
        for ringer in [&**doorbell.ringer(), &peer] {
            assert!(!is_readable(&doorbell));
            ringer.ring();
            ringer.ring();
            assert!(is_readable(&doorbell));
            async_io::block_on(doorbell.rung()).unwrap();
            doorbell.silence().unwrap();
        }
        assert!(!is_readable(&doorbell));
    }

    #[test]
    fn a_ring_never_blocks_and_outlives_whoever_heard_it() {
        let mut doorbell = Doorbell::new().unwrap();
        let peer = Ringer::of_peer(doorbell.end_for(7).unwrap().unwrap()).unwrap();
        // More than its buffer holds, on a socket that would block.
        (0..10_000).for_each(|_| peer.ring());
        assert!(is_readable(&doorbell));
        doorbell.keep(|who| who != 7);
        assert!(!is_readable(&doorbell), "what nobody may ring is not heard");
        peer.ring();
        let again = Ringer::of_peer(doorbell.end_for(7).unwrap().unwrap()).unwrap();
        doorbell.forget(7);
        drop(doorbell);
        again.ring();
    }

    #[test]
    fn only_a_socket_that_can_be_rung_is_taken_from_a_peer() {
        let (stream, _other) = UnixStream::pair().unwrap();
        assert!(Ringer::of_peer(stream.into()).is_none());
        assert!(Ringer::of_peer(tempfile::tempfile().unwrap().into()).is_none());
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(Ringer::of_peer(udp.into()).is_none());
    }
}
