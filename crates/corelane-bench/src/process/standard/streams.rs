//! Messages over a stream of bytes: a pipe, a Unix stream socket.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::fd::{AsFd, OwnedFd},
    os::unix::net::UnixStream,
    thread,
};

use bytemuck::Zeroable;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::{
    fanout_peer::FanoutMessage,
    peer::{Payload, Receiver, Sender},
    process::{Meeting, Opened, ProcessPeer},
    standard::{Pipe, UnixPair},
};

/// What a reader asks for at once: as much as a pipe holds.
const BUFFER_BYTES: usize = 64 << 10;
const BYTES: usize = FanoutMessage::BYTES;
const OPEN: &str = "because the other end stays until the pass is over";

/// Writes messages.
#[derive(Debug)]
pub struct StreamSender {
    file: File,
    batch: Vec<u8>,
}

/// Reads as much as there is, and gives it out message by message.
#[derive(Debug)]
pub struct StreamReceiver {
    file: File,
    bytes: Vec<u8>,
    /// The part of the buffer that was read and not given out.
    start: usize,
    end: usize,
}

/// Makes calls return at once where they would wait.
pub(super) fn without_waiting(fd: impl AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(&fd)?;
    Ok(fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?)
}

impl StreamSender {
    fn new(fd: OwnedFd) -> Opened<Self> {
        without_waiting(&fd)?;
        Ok(Self { file: File::from(fd), batch: Vec::new() })
    }

    /// Writes some of the bytes, or none when there is no room.
    fn write(file: &mut File, bytes: &[u8]) -> usize {
        match file.write(bytes) {
            Ok(written) => written,
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) =>
            {
                0
            }
            Err(error) => panic!("{OPEN}: {error}"),
        }
    }

    /// Writes all of the bytes: what has begun must be ended.
    fn write_rest(file: &mut File, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match Self::write(file, bytes) {
                0 => thread::yield_now(),
                written => bytes = &bytes[written..],
            }
        }
    }
}

impl Sender<FanoutMessage> for StreamSender {
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        let words = message.into_words();
        let bytes = bytemuck::bytes_of(&words);
        match Self::write(&mut self.file, bytes) {
            0 => Err(message),
            written => {
                Self::write_rest(&mut self.file, &bytes[written..]);
                Ok(())
            }
        }
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        self.batch.clear();
        for _ in 0..count {
            self.batch.extend_from_slice(bytemuck::bytes_of(&make().into_words()));
        }
        // Messages that were made must go.
        Self::write_rest(&mut self.file, &self.batch);
        count
    }
}

impl StreamReceiver {
    fn new(fd: OwnedFd) -> Opened<Self> {
        without_waiting(&fd)?;
        let (file, bytes) = (File::from(fd), vec![0; BUFFER_BYTES]);
        Ok(Self { file, bytes, start: 0, end: 0 })
    }

    /// Whole messages that are in the buffer, after a read if there is none.
    fn ready(&mut self) -> usize {
        if self.end - self.start < BYTES {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            match self.file.read(&mut self.bytes[self.end..]) {
                Ok(0) => panic!("{OPEN}"),
                Ok(read) => self.end += read,
                Err(error)
                    if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {}
                Err(error) => panic!("{OPEN}: {error}"),
            }
        }
        (self.end - self.start) / BYTES
    }

    fn take(&mut self) -> FanoutMessage {
        let mut words = <FanoutMessage as Payload>::Words::zeroed();
        let bytes = &self.bytes[self.start..self.start + BYTES];
        bytemuck::bytes_of_mut(&mut words).copy_from_slice(bytes);
        self.start += BYTES;
        FanoutMessage::from_words(words)
    }
}

impl Receiver<FanoutMessage> for StreamReceiver {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        (self.ready() > 0).then(|| self.take())
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        let count = count.min(self.ready());
        (0..count).for_each(|_| take(&self.take()));
        count
    }
}

impl ProcessPeer for Pipe {
    const NAME: &'static str = "pipe";
    const HAS_BATCHES: bool = true;

    type Sender = StreamSender;
    type Receiver = StreamReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let (reader, writer) = io::pipe()?;
        meeting.give(b"pipe", &[reader.as_fd()])?;
        StreamSender::new(writer.into())
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        Ok(vec![StreamReceiver::new(meeting.take_fd_from(0)?)?])
    }
}

impl ProcessPeer for UnixPair {
    const NAME: &'static str = "unix stream";
    const HAS_BATCHES: bool = true;

    type Sender = StreamSender;
    type Receiver = StreamReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let (one, other) = UnixStream::pair()?;
        meeting.give(b"socket", &[other.as_fd()])?;
        StreamSender::new(one.into())
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        Ok(vec![StreamReceiver::new(meeting.take_fd_from(0)?)?])
    }
}
