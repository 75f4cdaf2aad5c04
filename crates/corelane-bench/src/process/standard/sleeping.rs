//! The same four, eight bytes at a time, by calls that sleep.
//!
//! The ends are those of one process; a descriptor goes from one process to the other.

use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::net::UnixStream},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
};

use crate::{
    process::{Meeting, Opened, ProcessSleepingPeer},
    standard::{
        EventFd, FileReceiver, FileSender, Pipe, SeqPacket, SocketReceiver, SocketSender, UnixPair,
    },
};

impl ProcessSleepingPeer for Pipe {
    const NAME: &'static str = "pipe";
    type Sender = FileSender<io::PipeWriter>;
    type Receiver = FileReceiver<File>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let (reader, writer) = io::pipe()?;
        meeting.give(b"pipe", &[reader.as_fd()])?;
        Ok(FileSender(writer))
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        Ok(FileReceiver(meeting.take_fd_from(0)?.into()))
    }
}

impl ProcessSleepingPeer for UnixPair {
    const NAME: &'static str = "unix stream";
    type Sender = FileSender<UnixStream>;
    type Receiver = FileReceiver<UnixStream>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let (one, other) = UnixStream::pair()?;
        meeting.give(b"socket", &[other.as_fd()])?;
        Ok(FileSender(one))
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        Ok(FileReceiver(meeting.take_fd_from(0)?.into()))
    }
}

impl ProcessSleepingPeer for SeqPacket {
    const NAME: &'static str = "unix seqpacket";
    type Sender = SocketSender;
    type Receiver = SocketReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (one, other) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        meeting.give(b"socket", &[other.as_fd()])?;
        Ok(SocketSender(one))
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        Ok(SocketReceiver(meeting.take_fd_from(0)?))
    }
}

impl ProcessSleepingPeer for EventFd {
    const NAME: &'static str = "eventfd";
    type Sender = FileSender<File>;
    type Receiver = FileReceiver<File>;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let counter = eventfd(0, EventfdFlags::CLOEXEC)?;
        meeting.give(b"counter", &[counter.as_fd()])?;
        Ok(FileSender(File::from(counter)))
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        Ok(FileReceiver(meeting.take_fd_from(0)?.into()))
    }
}
