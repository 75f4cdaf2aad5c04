//! One pairing of a client and a router: per priority one lane out and one lane in, and the bell.
//!
//! Both sides use this same type over mirrored sections. It does not interpret what it carries.

use std::time::Duration;

use corelane_ring::{Bell, ClaimError, PeekError, Shape, ShapeError, Sleeper, latency};
use corelane_shm::{WordsRo, WordsRw, futex};
use thiserror::Error;

use crate::envelope::{Envelope, HEADER_BYTES, HEADER_WORDS, Priority};

const LINE_WORDS: usize = 8;
pub(crate) const SLEEP: usize = 0;
pub(crate) const BELL: usize = LINE_WORDS;
pub(crate) const CURSORS: usize = 2 * LINE_WORDS;
/// Words before the lanes of a section; 512 bytes, so that lanes start on a pair of lines.
pub(crate) const SECTION_HEADER_WORDS: usize = 8 * LINE_WORDS;

/// Most sections (routers) of one segment.
pub const SECTIONS_MAX: usize = 64;
/// Longest slot in cache lines.
const SLOT_LINES_MAX: usize = 64;
/// Words of the longest record, without the commit word.
pub const RECORD_WORDS_MAX: usize = SLOT_LINES_MAX * LINE_WORDS - 1;

/// Size of every lane of a fabric; part of what both sides agree on when they attach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneShape {
    ring: Shape,
}

/// Why lanes of this size cannot be made.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaneShapeError {
    /// The number of slots is not usable.
    #[error(transparent)]
    Ring(#[from] ShapeError),
    /// The size of a slot is not usable.
    #[error("slot_lines={0} is not from 1 to {SLOT_LINES_MAX}: choose a size in that range")]
    SlotLines(usize),
}

impl LaneShapeError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ring(cause) => cause.code(),
            Self::SlotLines(_) => "CL-0411",
        }
    }
}

impl LaneShape {
    /// Lanes of `slots` records (a power of two), each of `slot_lines` cache lines of 64 bytes.
    ///
    /// # Errors
    /// - [`LaneShapeError`]: out of range.
    pub fn new(slots: usize, slot_lines: usize) -> Result<Self, LaneShapeError> {
        if !(1..=SLOT_LINES_MAX).contains(&slot_lines) {
            return Err(LaneShapeError::SlotLines(slot_lines));
        }
        Ok(Self { ring: Shape::new(slots, slot_lines * LINE_WORDS)? })
    }

    /// Records per lane.
    pub fn slots(&self) -> usize {
        self.ring.slots()
    }

    /// Cache lines per slot.
    pub fn slot_lines(&self) -> usize {
        self.ring.payload_words() / LINE_WORDS + 1
    }

    /// Longest payload in bytes.
    pub fn payload_bytes_max(&self) -> usize {
        self.ring.payload_words() * 8 - HEADER_BYTES
    }

    pub(crate) fn ring(&self) -> Shape {
        self.ring
    }

    fn section_words(&self) -> usize {
        SECTION_HEADER_WORDS + Priority::COUNT * self.ring.data_words()
    }

    /// Words of a segment that pairs with `routers` routers.
    pub fn segment_words(&self, routers: usize) -> usize {
        routers * self.section_words()
    }
}

/// Why a port cannot be made or used any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PortError {
    /// A segment is too small for the lanes it should hold.
    #[error("segment does not hold section={section} of these lanes: {source}")]
    Section {
        /// Which section.
        section: usize,
        /// What did not fit.
        source: corelane_shm::WindowError,
    },
    /// A ring does not fit its window.
    #[error(transparent)]
    Ring(#[from] ShapeError),
}

impl PortError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Section { .. } => "CL-0412",
            Self::Ring(cause) => cause.code(),
        }
    }
}

/// A record that lies in a lane.
pub type Record<'a> = latency::Record<'a, WordsRo, WordsRw>;

/// One side of a pairing. Not shared between threads; sending it to another one is fine.
#[derive(Debug)]
pub struct Port {
    lanes_out: [latency::Producer<WordsRw, WordsRo>; Priority::COUNT],
    lanes_in: [latency::Consumer<WordsRo, WordsRw>; Priority::COUNT],
    sleeper: Sleeper<WordsRw>,
    bell: Bell<WordsRw, WordsRo>,
    peer: WordsRo,
    slots: usize,
    has_unrung: bool,
}

impl Port {
    /// Pairs section `section` of this side's own segment with the same section of the peer's.
    /// Both must be fresh.
    ///
    /// # Errors
    /// - [`PortError`]: the segments do not fit the shape.
    pub fn new(
        own: &WordsRw,
        peer: &WordsRo,
        shape: LaneShape,
        section: usize,
    ) -> Result<Self, PortError> {
        let (first, len) = (section * shape.section_words(), shape.section_words());
        let refuse = |source| PortError::Section { section, source };
        let own = own.window(first, len).map_err(refuse)?;
        let peer = peer.window(first, len).map_err(refuse)?;
        let lane_words = shape.ring.data_words();
        let lane_first = |lane: usize| SECTION_HEADER_WORDS + lane * lane_words;
        let cursor_first = |lane: usize| CURSORS + lane * latency::CURSOR_WORDS;
        let producer = |lane| -> Result<_, PortError> {
            let data = own.window(lane_first(lane), lane_words).map_err(refuse)?;
            let cursor = peer.window(cursor_first(lane), latency::CURSOR_WORDS).map_err(refuse)?;
            Ok(latency::Producer::new(shape.ring, data, cursor)?)
        };
        let consumer = |lane| -> Result<_, PortError> {
            let data = peer.window(lane_first(lane), lane_words).map_err(refuse)?;
            let cursor = own.window(cursor_first(lane), latency::CURSOR_WORDS).map_err(refuse)?;
            Ok(latency::Consumer::new(shape.ring, data, cursor)?)
        };
        Ok(Self {
            lanes_out: [producer(0)?, producer(1)?, producer(2)?],
            lanes_in: [consumer(0)?, consumer(1)?, consumer(2)?],
            sleeper: Sleeper::new(own.clone(), SLEEP),
            bell: Bell::new(own.clone(), BELL, peer.clone(), SLEEP),
            peer,
            slots: shape.slots(),
            has_unrung: false,
        })
    }

    /// Commits a message; [`flush`](Self::flush) wakes the peer.
    ///
    /// # Errors
    /// - [`ClaimError::Full`]: no slot is free; nothing changed.
    /// - [`ClaimError::CorruptHead`]: the peer wrote nonsense; give the port up.
    ///
    /// # Panics
    /// When the payload is longer than [`LaneShape::payload_bytes_max`].
    #[inline]
    pub fn send(&mut self, envelope: &Envelope, payload: &[u8]) -> Result<(), ClaimError> {
        let mut claim = self.lanes_out[envelope.priority as usize].claim()?;
        claim.write(0, &envelope.encode());
        claim.write_bytes(HEADER_WORDS, payload);
        claim.commit((HEADER_BYTES + payload.len()) as u32);
        self.has_unrung = true;
        Ok(())
    }

    /// Commits a record of `length` bytes as it was received elsewhere.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Panics
    /// When the record is longer than a slot: all lanes of a fabric have one shape.
    #[inline]
    pub fn forward(
        &mut self,
        priority: Priority,
        words: &[u64],
        length: u32,
    ) -> Result<(), ClaimError> {
        let mut claim = self.lanes_out[priority as usize].claim()?;
        claim.write(0, words);
        claim.commit(length);
        self.has_unrung = true;
        Ok(())
    }

    /// The next record of a priority, left in its lane until it is consumed.
    ///
    /// # Errors
    /// - [`PeekError::CorruptLength`]: the peer wrote nonsense; give the port up.
    #[inline]
    pub fn peek(&mut self, priority: Priority) -> Result<Option<Record<'_>>, PeekError> {
        self.lanes_in[priority as usize].peek()
    }

    /// Ends a batch: gives consumed slots back and wakes the peer if it sleeps.
    #[inline]
    pub fn flush(&mut self) {
        for lane in &mut self.lanes_in {
            lane.release();
        }
        if std::mem::take(&mut self.has_unrung) && self.bell.ring() {
            let (words, index) = self.bell.target();
            // The word is mapped and aligned; a receiver that is gone needs no wake.
            let _ = futex::wake(words, index);
        }
    }

    /// Records that each of its lanes holds at most.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Records sent that the peer is not known to have consumed: after its death, the upper bound
    /// of what it took with it.
    pub fn undelivered(&mut self) -> u64 {
        let pending = |lane: &mut latency::Producer<_, _>| lane.pending().unwrap_or(0);
        self.lanes_out.iter_mut().map(pending).sum()
    }

    fn has_record(&mut self) -> bool {
        // A corrupt lane counts as a record: the owner must wake up and find it.
        self.lanes_in.iter_mut().any(|lane| !matches!(lane.peek(), Ok(None)))
    }
}

/// Sleeps until a peer of one of `ports` rings, `also` changes, or `timeout` passes.
///
/// `also` is a word of this side, with the value it had when its owner last looked. Returns at
/// once when a record is waiting. Flush every port first. May park.
///
/// # Errors
/// - [`futex::FutexError`]: more than [`futex::WAITERS_MAX`] words, or the kernel refuses.
pub fn sleep(
    ports: &mut [&mut Port],
    also: Option<futex::Waiter<'_>>,
    timeout: Duration,
) -> Result<(), futex::FutexError> {
    let mut heard = Vec::with_capacity(ports.len());
    for port in ports.iter_mut() {
        heard.push(port.peer.load_acquire(BELL) as u32);
        port.sleeper.prepare();
    }
    let outcome = if ports.iter_mut().any(|port| port.has_record()) {
        Ok(())
    } else {
        let bells = ports.iter().zip(heard);
        let bells = bells.map(|(port, expected)| futex::Waiter {
            words: &port.peer,
            index: BELL,
            expected,
        });
        let waiters: Vec<_> = also.into_iter().chain(bells).collect();
        futex::wait_any(&waiters, Some(timeout)).map(|_| ())
    };
    for port in ports {
        port.sleeper.finish();
    }
    outcome
}

#[cfg(test)]
mod tests {
    use corelane_shm::{OwnedSegment, SegmentInfo};

    use super::*;

    #[test]
    fn shapes_and_segments_that_do_not_fit_are_refused() {
        for lines in [0, SLOT_LINES_MAX + 1] {
            assert_eq!(LaneShape::new(16, lines), Err(LaneShapeError::SlotLines(lines)));
        }
        assert_eq!(LaneShape::new(3, 1).unwrap_err().code(), "CL-0211");
        let shape = LaneShape::new(16, 1).unwrap();
        let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
        let words = shape.segment_words(1);
        let own = OwnedSegment::create("corelane-test-port", words, info).unwrap().into_words();
        let port = Port::new(&own, &own, shape, 1);
        assert!(matches!(port, Err(PortError::Section { section: 1, .. })), "{port:?}");
    }
}
