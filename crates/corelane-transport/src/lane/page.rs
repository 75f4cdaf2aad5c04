//! The page of a lane's receiver: what it writes, and the sender reads.
//!
//! ```text
//! word 0   head of the ring                                  a line
//! word 8   sleeps so far, odd while the receiver sleeps      a line
//! word 9   whether it listens to a bell meanwhile
//! ```

use std::os::fd::OwnedFd;

use corelane_shm::{
    OwnedSegment, PeerSegment, SegmentError, SegmentExpect, SegmentInfo, WordsRo, WordsRw,
};

const LINE_WORDS: usize = 8;
const WORDS: usize = 2 * LINE_WORDS;
/// Kind of the segment.
pub(super) const PAGE_KIND: u32 = 14;
/// "head  v1" as a number.
const LAYOUT_HASH: u64 = u64::from_le_bytes(*b"head  v1");
const LAYOUT_VERSION: u32 = 1;
/// The word that says whether the receiver sleeps.
pub(super) const SLEEP: usize = LINE_WORDS;
/// The word that says whether it waits for a ring.
pub(super) const LISTENS: usize = SLEEP + 1;

pub(super) fn create() -> Result<OwnedSegment, SegmentError> {
    let info = SegmentInfo {
        kind: PAGE_KIND,
        generation: crate::random::number(),
        layout_version: LAYOUT_VERSION,
        layout_hash: LAYOUT_HASH,
    };
    OwnedSegment::create("corelane-head", WORDS, info)
}

pub(super) fn open(fd: OwnedFd) -> Result<WordsRo, SegmentError> {
    let expect = SegmentExpect {
        kind: PAGE_KIND,
        layout_version: LAYOUT_VERSION,
        layout_hash: LAYOUT_HASH,
        min_words: WORDS,
        max_words: WORDS,
    };
    Ok(PeerSegment::open(fd, &expect)?.words().clone())
}

/// The line of the head, to be written.
pub(super) fn head_rw(page: &WordsRw) -> WordsRw {
    page.window(0, LINE_WORDS).expect("because the page has these words")
}

/// The line of the head, to be read.
pub(super) fn head_ro(page: &WordsRo) -> WordsRo {
    page.window(0, LINE_WORDS).expect("because the page was checked to have these words")
}
