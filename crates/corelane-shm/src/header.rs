//! The header page of a segment: its words, and what a peer checks before it maps one.
//!
//! Pure: it neither maps memory nor calls the system.
//!
//! ```text
//! word  0        8           16           24                    32           40        48
//!       | magic  | format lo | generation | layout version lo   | layout     | payload | payload |
//!       |        | kind   hi |            | creator's pid    hi | hash       | offset  | words   |
//!       56: reserved, zero; the rest of the page is zero; the payload starts on the next page
//! ```
//! Offsets are in bytes, words are 64 bits in the machine's byte order: a segment never leaves it.

use crate::SegmentError;

/// First word of every segment: "CORELANE" in memory on a little-endian machine.
pub const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"CORELANE");

/// Version of the header page itself; the payload's layout has its own version and hash.
pub const SEGMENT_FORMAT: u32 = 1;

/// Words in the header; the page behind them is zero.
pub const HEADER_WORDS: usize = 8;

/// Largest payload of one segment: 1 TiB.
pub const SEGMENT_WORDS_MAX: usize = 1 << 37;

const _: () = assert!(HEADER_WORDS * 8 == 64, "the header is one cache line");
const _: () = assert!(SEGMENT_WORDS_MAX.checked_mul(16).is_some(), "sizes in bytes never overflow");

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// What the payload is for; numbers are given out by the layer above.
    pub kind: u32,
    /// Which life of its creator it belongs to; a restart is a new generation.
    pub generation: u64,
    /// Version of the payload's layout.
    pub layout_version: u32,
    /// Hash over the payload's layout.
    pub layout_hash: u64,
}

/// What a peer demands of a segment before it maps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentExpect {
    /// The kind it must have.
    pub kind: u32,
    /// The layout version it must have.
    pub layout_version: u32,
    /// The layout hash it must have.
    pub layout_hash: u64,
    /// Smallest payload accepted.
    pub min_words: usize,
    /// Largest payload accepted.
    pub max_words: usize,
}

/// What the kernel says about the file of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileShape {
    /// Its size.
    pub bytes: u64,
    /// Size of a normal page.
    pub page_bytes: usize,
    /// Size of the huge pages of which it may be, a multiple of a normal page.
    pub huge_page_bytes: usize,
}

/// What [`PeerSegment::open`](crate::PeerSegment::open) checks of a header before it maps the
/// segment, over a copy of its words: what it says about itself, and the words of its payload.
///
/// # Errors
///
/// The refusals of [`PeerSegment::open`](crate::PeerSegment::open) that concern the header.
///
/// # Panics
///
/// When the page sizes of `file` are zero.
pub fn check_header(
    words: &[u64; HEADER_WORDS],
    expect: &SegmentExpect,
    file: &FileShape,
) -> Result<(SegmentInfo, usize), SegmentError> {
    let header = Header::decode(words)?;
    let payload_words = header.validate(expect, file)?;
    Ok((header.info, payload_words))
}

/// The header's fields, decoded from a copy (SM-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) info: SegmentInfo,
    pub(crate) creator_pid: u32,
    pub(crate) payload_offset: u64,
    pub(crate) payload_words: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u64; HEADER_WORDS] {
        [
            SEGMENT_MAGIC,
            join(SEGMENT_FORMAT, self.info.kind),
            self.info.generation,
            join(self.info.layout_version, self.creator_pid),
            self.info.layout_hash,
            self.payload_offset,
            self.payload_words,
            0,
        ]
    }

    /// Decodes a copy of the header words, refusing what is no segment of this format.
    pub(crate) fn decode(words: &[u64; HEADER_WORDS]) -> Result<Self, SegmentError> {
        let [magic, format_kind, generation, version_pid, layout_hash, offset, payload_words, _] =
            *words;
        if magic != SEGMENT_MAGIC {
            return Err(SegmentError::Magic { found: magic });
        }
        let (format, kind) = split(format_kind);
        if format != SEGMENT_FORMAT {
            return Err(SegmentError::Format { found: format, expected: SEGMENT_FORMAT });
        }
        let (layout_version, creator_pid) = split(version_pid);
        Ok(Self {
            info: SegmentInfo { kind, generation, layout_version, layout_hash },
            creator_pid,
            payload_offset: offset,
            payload_words,
        })
    }

    /// Checks the fields against what the peer expects and what the file really is; returns the
    /// payload's length in words.
    pub(crate) fn validate(
        &self,
        expect: &SegmentExpect,
        file: &FileShape,
    ) -> Result<usize, SegmentError> {
        let SegmentInfo { kind, layout_version, layout_hash, .. } = self.info;
        if kind != expect.kind {
            return Err(SegmentError::Kind { found: kind, expected: expect.kind });
        }
        if layout_version != expect.layout_version {
            let expected = expect.layout_version;
            return Err(SegmentError::LayoutVersion { found: layout_version, expected });
        }
        if layout_hash != expect.layout_hash {
            let expected = expect.layout_hash;
            return Err(SegmentError::LayoutHash { found: layout_hash, expected });
        }
        let FileShape { bytes: file_bytes, page_bytes, huge_page_bytes } = *file;
        if self.payload_offset != page_bytes as u64 {
            let (found, expected) = (self.payload_offset, page_bytes as u64);
            return Err(SegmentError::PayloadOffset { found, expected });
        }
        let (min, max) = (expect.min_words, expect.max_words.min(SEGMENT_WORDS_MAX));
        let payload_words = usize::try_from(self.payload_words)
            .ok()
            .filter(|words| (min..=max).contains(words))
            .ok_or(SegmentError::PayloadSize { words: self.payload_words, min, max })?;
        let header_bytes = segment_bytes(payload_words, page_bytes);
        let huge_bytes = header_bytes.next_multiple_of(huge_page_bytes) as u64;
        let header_bytes = header_bytes as u64;
        if header_bytes != file_bytes && huge_bytes != file_bytes {
            return Err(SegmentError::SizeMismatch { header_bytes, file_bytes });
        }
        Ok(payload_words)
    }
}

/// File size of a segment, before it is rounded up to huge pages: the header page and the payload
/// in whole pages. `payload_words` is at
/// most [`SEGMENT_WORDS_MAX`], so nothing overflows.
pub(crate) fn segment_bytes(payload_words: usize, page_bytes: usize) -> usize {
    page_bytes + (payload_words * 8).next_multiple_of(page_bytes)
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn split(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}
