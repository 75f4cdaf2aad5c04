//! A client's end of the socket that says whatever a test wants: JSON without the crate's types.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use corelane_shm::{
    OwnedSegment, SegmentInfo,
    fdpass::{Channel, ChannelError, Packet, connect},
};
use corelane_transport::{LAYOUT_HASH, LAYOUT_VERSION, LaneShape};
use serde_json::{Value, json};

/// Longer than any node takes to answer; a test that waits this long fails.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

pub(crate) struct Connection(pub(crate) Channel);

impl Connection {
    pub(crate) fn open(socket: &Path) -> Self {
        Self(connect(socket).expect("the node listens"))
    }

    pub(crate) fn send(&self, message: &Value) {
        self.send_with(message, &[]);
    }

    pub(crate) fn send_with(&self, message: &Value, fds: &[BorrowedFd<'_>]) {
        self.0.send(message.to_string().as_bytes(), fds, PATIENCE).expect("the node reads");
    }

    /// The next message, and the descriptors that came with it.
    pub(crate) fn receive(&self) -> (Value, Vec<OwnedFd>) {
        let Packet { bytes, fds } = self.0.recv(PATIENCE).expect("the node answers");
        (serde_json::from_slice(&bytes).expect("the node speaks JSON"), fds)
    }

    /// The refusal that comes next, as one text; the node closes after it.
    pub(crate) fn refusal(&self) -> String {
        let (message, fds) = self.receive();
        assert_eq!((&message["type"], fds.len()), (&json!("refused"), 0), "{message}");
        self.assert_closed();
        let field = |name: &str| message[name].as_str().expect("it is a text").to_owned();
        format!("{}: {}: {}", field("code"), field("reason"), field("remedy"))
    }

    pub(crate) fn assert_closed(&self) {
        let next = self.0.recv(PATIENCE);
        assert!(matches!(next, Err(ChannelError::Closed)), "{next:?}");
    }

    /// Says hello as an expected client; the welcome and the node's segment.
    pub(crate) fn be_welcomed(&self) -> (Value, OwnedFd) {
        self.send(&hello());
        let (welcome, mut fds) = self.receive();
        assert_eq!((&welcome["type"], fds.len()), (&json!("welcome"), 1), "{welcome}");
        (welcome, fds.remove(0))
    }
}

/// What a client of this build says first.
pub(crate) fn hello() -> Value {
    json!({
        "type": "hello", "protocol": 1, "product": "raw",
        "layout_version": LAYOUT_VERSION, "layout_hash": format!("{LAYOUT_HASH:016x}"),
    })
}

/// Words of the segment that a welcome asks for.
pub(crate) fn words_for(welcome: &Value) -> usize {
    let number = |name: &str| welcome[name].as_u64().expect("it is a number") as usize;
    let shape = LaneShape::new(number("lane_slots"), number("slot_lines"));
    shape.expect("the node offers lanes that can be made").segment_words(number("routers"))
}

/// A client's sealed segment (kind 1), or one that is of no use.
pub(crate) fn segment(kind: u32, words: usize) -> OwnedSegment {
    let (layout_version, layout_hash) = (LAYOUT_VERSION, LAYOUT_HASH);
    let info = SegmentInfo { kind, generation: 1, layout_version, layout_hash };
    OwnedSegment::create("corelane-client", words, info).expect("there is memory")
}
