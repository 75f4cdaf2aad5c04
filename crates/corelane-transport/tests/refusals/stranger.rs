//! A participant that speaks the protocol by hand. It follows no rule by itself.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use corelane_shm::fdpass::{self, Channel, Packet};
use corelane_shm::{OwnedSegment, SegmentInfo};
use corelane_transport::exchange::Role;
use corelane_transport::exchange::message::{
    PROTOCOL, Registration, ToExchange, ToParticipant, ToSink, ToSource, Want, decode, encode,
};
use serde::Serialize;

use crate::PATIENCE;

/// Its connection to the exchange.
pub(crate) struct Stranger {
    channel: Channel,
}

impl Stranger {
    /// Connects and says hello.
    pub(crate) fn join(path: &Path) -> Self {
        let stranger = Self { channel: fdpass::connect(path).unwrap() };
        stranger.tell(&ToExchange::Hello { protocol: PROTOCOL });
        let answer = stranger.hear();
        assert!(matches!(answer, ToParticipant::Welcome { .. }), "{answer:?}");
        stranger
    }

    pub(crate) fn tell(&self, message: &ToExchange) {
        self.channel.send(&encode(message), &[], Some(PATIENCE)).unwrap();
    }

    /// Sends bytes that are no message of this library's making.
    pub(crate) fn say(&self, packet: &[u8]) {
        self.channel.send(packet, &[], Some(PATIENCE)).unwrap();
    }

    fn hear_packet(&self) -> (ToParticipant, Vec<OwnedFd>) {
        let Packet { bytes, fds } = self.channel.recv(Some(PATIENCE)).unwrap();
        (decode(&bytes).expect("because the exchange sends messages"), fds)
    }

    pub(crate) fn hear(&self) -> ToParticipant {
        self.hear_packet().0
    }

    /// Brings an end, and returns its link to the one other end that is there.
    pub(crate) fn link(&self, role: Role, name: &str) -> Link {
        self.link_as(7, role, name)
    }

    /// The same for an end of another number.
    pub(crate) fn link_as(&self, end: u64, role: Role, name: &str) -> Link {
        let name = name.into();
        let end = Registration { end, role, name, tag: None, linked: Vec::new() };
        self.tell(&ToExchange::Register(end));
        loop {
            let (message, mut fds) = self.hear_packet();
            if let ToParticipant::Link { peer, .. } = message {
                let channel = fds.pop().expect("because a link has a socket").into();
                return Link { channel, peer };
            }
        }
    }
}

/// A link to another end.
pub(crate) struct Link {
    channel: Channel,
    /// Number of the other end.
    pub(crate) peer: u64,
}

impl Link {
    pub(crate) fn tell(&self, message: &impl Serialize, fds: &[BorrowedFd<'_>]) {
        self.channel.send(&encode(message), fds, Some(PATIENCE)).unwrap();
    }

    fn hear(&self) -> Packet {
        self.channel.recv(Some(PATIENCE)).unwrap()
    }

    /// What the subscribing or receiving end wants, first of all.
    pub(crate) fn want(&self) -> Want {
        match decode(&self.hear().bytes) {
            Some(ToSource::Want(want)) => want,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the first word of a tap.
    pub(crate) fn tap(&self) {
        let first = decode(&self.hear().bytes);
        assert_eq!(first, Some(ToSource::Tap { protocol: PROTOCOL }));
    }

    /// What the publishing or sending end offers.
    pub(crate) fn offer(&self) -> ToSink {
        decode(&self.hear().bytes).expect("because it is a message")
    }

    /// Waits until the other end has joined.
    pub(crate) fn joined(&self) {
        assert_eq!(decode(&self.hear().bytes), Some(ToSource::Joined {}));
    }

    /// Waits until the other end has cut this link off.
    pub(crate) fn is_cut(&self) -> bool {
        while self.channel.recv(Some(PATIENCE)).is_ok() {}
        true
    }
}

/// A sealed segment as an end of a link hands it over.
pub(crate) fn segment(kind: u32, layout: &[u8; 8], words: usize) -> OwnedSegment {
    let layout_hash = u64::from_le_bytes(*layout);
    let info = SegmentInfo { kind, generation: 1, layout_version: 1, layout_hash };
    OwnedSegment::create("corelane-test-stranger", words, info).unwrap()
}
