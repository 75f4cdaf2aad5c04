//! The two segments of an attachment: made by one side, opened read-only by the other.

use std::os::fd::OwnedFd;

use corelane_shm::{OwnedSegment, PeerSegment, SegmentError, SegmentExpect, SegmentInfo};
use corelane_transport::{Endpoint, LAYOUT_HASH, LAYOUT_VERSION, LaneShape, Port, PortError};

/// Whose segment it is; part of the header, so that the two are never mixed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client = 1,
    Node = 2,
}

/// Size of a fabric's lanes and the number of its routers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) shape: LaneShape,
    pub(crate) routers: usize,
}

impl Plan {
    /// Creates and seals this side's segment.
    pub(crate) fn create(&self, side: Side, generation: u64) -> Result<OwnedSegment, SegmentError> {
        let info = SegmentInfo {
            kind: side as u32,
            generation,
            layout_version: LAYOUT_VERSION,
            layout_hash: LAYOUT_HASH,
        };
        let name = match side {
            Side::Client => "corelane-client",
            Side::Node => "corelane-node",
        };
        OwnedSegment::create(name, self.shape.segment_words(self.routers), info)
    }

    /// Checks and maps the other side's segment.
    pub(crate) fn open(&self, side: Side, fd: OwnedFd) -> Result<PeerSegment, SegmentError> {
        let words = self.shape.segment_words(self.routers);
        let expect = SegmentExpect {
            kind: side as u32,
            layout_version: LAYOUT_VERSION,
            layout_hash: LAYOUT_HASH,
            min_words: words,
            max_words: words,
        };
        PeerSegment::open(fd, &expect)
    }

    /// The client's end of an attachment.
    pub(crate) fn endpoint(
        &self,
        own: OwnedSegment,
        node: &PeerSegment,
    ) -> Result<Endpoint, PortError> {
        Endpoint::new(&own.into_words(), node.words(), self.shape, self.routers)
    }

    /// The routers' ends of an attachment, one port for each.
    pub(crate) fn ports(
        &self,
        own: OwnedSegment,
        client: &PeerSegment,
    ) -> Result<Vec<Port>, PortError> {
        let own = own.into_words();
        let port = |section| Port::new(&own, client.words(), self.shape, section);
        (0..self.routers).map(port).collect()
    }
}
