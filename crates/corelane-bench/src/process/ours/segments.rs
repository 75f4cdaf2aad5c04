//! Segments of the ends: made by the one that writes, opened by the other one.

use std::os::fd::OwnedFd;

use corelane_shm::{OwnedSegment, PeerSegment, SegmentExpect, SegmentInfo, WordsRo};

use crate::process::Opened;

const KIND: u32 = 0xbe;
const LAYOUT_VERSION: u32 = 1;
const LAYOUT_HASH: u64 = 0x636f_7265_6c61_6e65;

/// A segment of this end, zeroed.
pub(in crate::process) fn create(name: &str, words: usize) -> Opened<OwnedSegment> {
    let (layout_version, layout_hash) = (LAYOUT_VERSION, LAYOUT_HASH);
    let info = SegmentInfo { kind: KIND, generation: 1, layout_version, layout_hash };
    Ok(OwnedSegment::create(name, words, info)?)
}

/// A segment of the other end.
pub(in crate::process) fn open(fd: OwnedFd, words: usize) -> Opened<WordsRo> {
    let expect = SegmentExpect {
        kind: KIND,
        layout_version: LAYOUT_VERSION,
        layout_hash: LAYOUT_HASH,
        min_words: words,
        max_words: words,
    };
    Ok(PeerSegment::open(fd, &expect)?.words().clone())
}
