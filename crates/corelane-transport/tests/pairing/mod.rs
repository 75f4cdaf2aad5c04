//! A client and the node in one process, each with its own sealed segment and the other's read-only
//! mapping of it: the same two segments that the handshake exchanges between processes.
//!
//! It is shared by the tests of the crates that stand on lanes. It carries no descriptor anywhere.

use corelane_shm::{OwnedSegment, PeerSegment, SegmentExpect, SegmentInfo, WordsRo, WordsRw};
use corelane_transport::{Endpoint, LAYOUT_HASH, LAYOUT_VERSION, LaneShape, Port};

/// What one of the two can touch.
pub(crate) struct Side {
    /// Its own segment.
    pub(crate) own: WordsRw,
    /// The other's.
    pub(crate) peer: WordsRo,
}

pub(crate) fn create(name: &str, words: usize) -> OwnedSegment {
    let (layout_version, layout_hash) = (LAYOUT_VERSION, LAYOUT_HASH);
    let info = SegmentInfo { kind: 1, generation: 1, layout_version, layout_hash };
    OwnedSegment::create(name, words, info).expect("because there is memory")
}

pub(crate) fn open(fd: std::os::fd::OwnedFd, words: usize) -> WordsRo {
    let (layout_version, layout_hash) = (LAYOUT_VERSION, LAYOUT_HASH);
    let (min_words, max_words) = (words, words);
    let expect = SegmentExpect { kind: 1, layout_version, layout_hash, min_words, max_words };
    let segment = PeerSegment::open(fd, &expect).expect("because it was sealed by its creator");
    segment.words().clone()
}

/// Both sides of an attachment over `routers` routers: the client's and the node's.
pub(crate) fn sides(shape: LaneShape, routers: usize) -> (Side, Side) {
    let words = shape.segment_words(routers);
    let (client, node) = (create("corelane-client", words), create("corelane-node", words));
    let peer = |segment: &OwnedSegment| {
        let fd = segment.fd().try_clone_to_owned().expect("because descriptors are left");
        open(fd, words)
    };
    let (client_ro, node_ro) = (peer(&client), peer(&node));
    let client = Side { own: client.into_words(), peer: node_ro };
    (client, Side { own: node.into_words(), peer: client_ro })
}

/// The client's end of an attachment.
pub(crate) fn endpoint(client: &Side, shape: LaneShape, routers: usize) -> Endpoint {
    Endpoint::new(&client.own, &client.peer, shape, routers).expect("because it fits")
}

/// The end of one of the routers.
pub(crate) fn port(node: &Side, shape: LaneShape, router: usize) -> Port {
    Port::new(&node.own, &node.peer, shape, router).expect("because it fits")
}
