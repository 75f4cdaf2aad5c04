//! The framing of records: where a payload lies, where the next record begins, what a header says.
//!
//! Pure arithmetic on positions, which count bytes and never wrap.

/// Smallest ring: four records of a word.
pub const CAPACITY_BYTES_MIN: usize = 64;
/// Largest ring; a length then fits 32 bits with room to spare.
pub const CAPACITY_BYTES_MAX: usize = 1 << 30;
/// Payloads of at least so many bytes begin on a cache line.
pub const ALIGNED_BYTES_MIN: usize = 64;
/// What such a payload, and the memory of a ring, is aligned to.
pub const ALIGNMENT: usize = 64;

/// Bytes of a header, and what records are aligned to.
pub(crate) const HEADER_BYTES: u64 = 8;

/// The payload follows its header.
const KIND_CLOSE: u64 = 1;
/// The payload begins on the next cache line.
const KIND_ALIGNED: u64 = 2;
const KIND_PADDING: u64 = 3;

/// Most payload bytes of one record in a ring of this capacity, a power of two: with header and gap
/// it takes at most half of that, so that it fits once the consumer has released everything,
/// wherever the tail stands.
pub const fn payload_bytes_max(capacity_bytes: usize) -> usize {
    let half = capacity_bytes / 2;
    match half < ALIGNMENT + ALIGNED_BYTES_MIN {
        // No payload that would be aligned.
        true => half - HEADER_BYTES as usize,
        false => half - ALIGNMENT,
    }
}

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Position of the header.
    pub(crate) start: u64,
    /// Position of the payload.
    pub(crate) payload: u64,
    /// Payload bytes.
    pub(crate) length: u32,
}

impl Place {
    /// The place of a payload of `length` bytes whose header lies at `start`.
    #[inline(always)]
    pub(crate) const fn new(start: u64, length: usize) -> Self {
        let payload = match length >= ALIGNED_BYTES_MIN {
            true => Self::aligned(start),
            false => start + HEADER_BYTES,
        };
        Self { start, payload, length: length as u32 }
    }

    #[inline(always)]
    const fn aligned(start: u64) -> u64 {
        (start + HEADER_BYTES).next_multiple_of(ALIGNMENT as u64)
    }

    /// Where the next record begins.
    #[inline(always)]
    pub(crate) const fn end(&self) -> u64 {
        (self.payload + self.length as u64).next_multiple_of(HEADER_BYTES)
    }

    /// Header, gap, payload and what aligns the next record.
    #[inline(always)]
    pub(crate) const fn bytes(&self) -> u64 {
        self.end() - self.start
    }

    /// The header of this record.
    #[inline(always)]
    pub(crate) const fn header(&self) -> u64 {
        let is_close = self.payload == self.start + HEADER_BYTES;
        self.length as u64 | if is_close { KIND_CLOSE } else { KIND_ALIGNED } << 32
    }
}

/// The header of a padding record that fills `bytes` bytes, itself included.
#[inline(always)]
pub(crate) const fn padding(bytes: u64) -> u64 {
    (bytes - HEADER_BYTES) | KIND_PADDING << 32
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    Record(Place),
    Padding,
}

/// Reads the header at `start`, behind which the memory has `to_end` bytes, itself included, and
/// the producer has published `ready`. None when it cannot be true (RB-6, RB-11).
#[inline(always)]
pub(crate) fn parse(start: u64, header: u64, ready: u64, to_end: u64) -> Option<Frame> {
    let (length, kind) = (header as u32, header >> 32);
    // A branch and not a select: where the payload begins is then predicted, and its first lines
    // are fetched together with the header instead of after it.
    let payload = match kind {
        KIND_CLOSE => start + HEADER_BYTES,
        KIND_ALIGNED => Place::aligned(start),
        _ => return parse_padding(header, ready, to_end),
    };
    let place = Place { start, payload, length };
    let bytes = place.bytes();
    (bytes <= ready && bytes <= to_end).then_some(Frame::Record(place))
}

#[cold]
#[inline(never)]
fn parse_padding(header: u64, ready: u64, to_end: u64) -> Option<Frame> {
    (header == padding(to_end) && to_end <= ready).then_some(Frame::Padding)
}
