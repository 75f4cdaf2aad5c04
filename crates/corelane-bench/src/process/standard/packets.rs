//! Messages over a Unix socket that keeps the borders of packets: a batch is a packet.

use std::os::fd::{AsFd, OwnedFd};

use bytemuck::Zeroable;
use rustix::{
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
};

use super::streams::without_waiting;
use crate::{
    fanout_peer::FanoutMessage,
    peer::{Payload, Receiver, Sender},
    process::{Meeting, Opened, ProcessPeer},
    standard::SeqPacket,
    workload::throughput::BATCH,
};

const BYTES: usize = FanoutMessage::BYTES;
const OPEN: &str = "because the other end stays until the pass is over";

/// Sends packets.
#[derive(Debug)]
pub struct PacketSender {
    socket: OwnedFd,
    batch: Vec<u8>,
}

/// Receives packets, and gives them out message by message.
#[derive(Debug)]
pub struct PacketReceiver {
    socket: OwnedFd,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl PacketSender {
    /// False when there is no room.
    fn send(&self, bytes: &[u8]) -> bool {
        match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Ok(_) => true,
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => false,
            Err(error) => panic!("{OPEN}: {error}"),
        }
    }
}

impl Sender<FanoutMessage> for PacketSender {
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        let words = message.into_words();
        self.send(bytemuck::bytes_of(&words)).then_some(()).ok_or(message)
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        self.batch.clear();
        for _ in 0..count {
            self.batch.extend_from_slice(bytemuck::bytes_of(&make().into_words()));
        }
        // Messages that were made must go.
        while !self.send(&self.batch) {
            std::thread::yield_now();
        }
        count
    }
}

impl PacketReceiver {
    /// Messages of the packet that is given out, after a look for the next one if there is none.
    fn ready(&mut self) -> usize {
        if self.start == self.end {
            match recv(&self.socket, self.bytes.as_mut_slice(), RecvFlags::empty()) {
                Ok((0, _)) => panic!("{OPEN}"),
                Ok((received, _)) => (self.start, self.end) = (0, received),
                Err(Errno::AGAIN | Errno::INTR) => {}
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

impl Receiver<FanoutMessage> for PacketReceiver {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        (self.ready() > 0).then(|| self.take())
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        let count = count.min(self.ready());
        (0..count).for_each(|_| take(&self.take()));
        count
    }
}

impl ProcessPeer for SeqPacket {
    const NAME: &'static str = "unix seqpacket";
    const HAS_BATCHES: bool = true;

    type Sender = PacketSender;
    type Receiver = PacketReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (socket, other) = socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        meeting.give(b"socket", &[other.as_fd()])?;
        without_waiting(&socket)?;
        Ok(PacketSender { socket, batch: Vec::new() })
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        let socket = meeting.take_fd_from(0)?;
        without_waiting(&socket)?;
        Ok(vec![PacketReceiver { socket, bytes: vec![0; BATCH * BYTES], start: 0, end: 0 }])
    }
}
