//! What the kernel offers to wake a thread: pipe, Unix sockets, eventfd; eight bytes at a time.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::retry_on_intr,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
};

use crate::peer::{SleepingPeer, SleepingReceiver, SleepingSender};

/// Descriptors of both ends live as long as the pass, and eight bytes always go at once.
const BOTH_LIVE: &str = "because both ends are open and have room";

/// A pipe.
#[derive(Debug, Clone, Copy)]
pub struct Pipe;

/// A connected pair of Unix stream sockets.
#[derive(Debug, Clone, Copy)]
pub struct UnixPair;

/// A connected pair of Unix sockets that keep the borders of packets.
#[derive(Debug, Clone, Copy)]
pub struct SeqPacket;

/// An eventfd: its counter carries the number, because only one is under way.
#[derive(Debug, Clone, Copy)]
pub struct EventFd;

/// Writes to a file or stream.
#[derive(Debug)]
pub struct FileSender<F>(pub(crate) F);

/// Reads from a file or stream.
#[derive(Debug)]
pub struct FileReceiver<F>(pub(crate) F);

impl<F: Write + Send> SleepingSender for FileSender<F> {
    fn send(&mut self, number: u64) {
        self.0.write_all(&number.to_ne_bytes()).expect(BOTH_LIVE);
    }
}

impl<F: Read + Send> SleepingReceiver for FileReceiver<F> {
    fn recv(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact(&mut bytes).expect(BOTH_LIVE);
        u64::from_ne_bytes(bytes)
    }
}

impl SleepingPeer for Pipe {
    const NAME: &'static str = "pipe";
    type Sender = FileSender<io::PipeWriter>;
    type Receiver = FileReceiver<io::PipeReader>;

    fn open() -> (Self::Sender, Self::Receiver) {
        let (reader, writer) = io::pipe().expect("because two descriptors are free");
        (FileSender(writer), FileReceiver(reader))
    }
}

impl SleepingPeer for UnixPair {
    const NAME: &'static str = "unix stream";
    type Sender = FileSender<UnixStream>;
    type Receiver = FileReceiver<UnixStream>;

    fn open() -> (Self::Sender, Self::Receiver) {
        let (one, other) = UnixStream::pair().expect("because two descriptors are free");
        (FileSender(one), FileReceiver(other))
    }
}

/// Sends packets.
#[derive(Debug)]
pub struct SocketSender(pub(crate) OwnedFd);

/// Receives packets.
#[derive(Debug)]
pub struct SocketReceiver(pub(crate) OwnedFd);

impl SleepingSender for SocketSender {
    fn send(&mut self, number: u64) {
        let bytes = number.to_ne_bytes();
        let sent = retry_on_intr(|| send(&self.0, &bytes, SendFlags::empty())).expect(BOTH_LIVE);
        assert_eq!(sent, 8, "a packet goes whole");
    }
}

impl SleepingReceiver for SocketReceiver {
    fn recv(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let received = retry_on_intr(|| recv(&self.0, &mut bytes, RecvFlags::empty()));
        let received = received.expect(BOTH_LIVE);
        assert_eq!(received.0, 8, "a packet comes whole");
        u64::from_ne_bytes(bytes)
    }
}

impl SleepingPeer for SeqPacket {
    const NAME: &'static str = "unix seqpacket";
    type Sender = SocketSender;
    type Receiver = SocketReceiver;

    fn open() -> (Self::Sender, Self::Receiver) {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let pair = socketpair(family, kind, SocketFlags::CLOEXEC, None);
        let (one, other) = pair.expect("because two descriptors are free");
        (SocketSender(one), SocketReceiver(other))
    }
}

impl SleepingPeer for EventFd {
    const NAME: &'static str = "eventfd";
    type Sender = FileSender<File>;
    type Receiver = FileReceiver<File>;

    fn open() -> (Self::Sender, Self::Receiver) {
        let counter = eventfd(0, EventfdFlags::CLOEXEC).expect("because a descriptor is free");
        let counter = File::from(counter);
        let same = counter.try_clone().expect("because a descriptor is free");
        (FileSender(counter), FileReceiver(same))
    }
}
