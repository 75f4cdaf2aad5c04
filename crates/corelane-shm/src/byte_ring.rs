//! The `throughput` ring of `corelane-ring` over a sealed segment: its bytes belong to one process.
//!
//! The producer's segment holds the tail and the bytes; the consumer publishes its head in words of
//! its own. Records are read in place, so the consumer has to trust the producer
//! ([`Trusted`]). The segment is made here and its words are given to nobody else: that is what
//! makes the sides safe to have. A tap reads along by copies of words, and trusts nobody.
//!
//! ```text
//! words 0..512   tail (P10) in word 0, a page of its own      written by the producer
//!                a word for those above in word 8
//!                intent (P60) in word 16
//! then           capacity bytes                                written by the producer
//! ```

use std::os::fd::{BorrowedFd, OwnedFd};

use corelane_ring::tap::{Start, ThroughputTap};
use corelane_ring::throughput::{CAPACITY_BYTES_MAX, CAPACITY_BYTES_MIN, CURSOR_WORDS, SetupError};
use corelane_ring::throughput::{ReadSide, WriteSide};
use thiserror::Error;

use crate::slab::Trusted;
use crate::{
    OwnedSegment, PeerSegment, SegmentError, SegmentExpect, SegmentInfo, WordsRo, WordsRw,
};

/// Words before the bytes: a page.
const BYTES_FIRST: usize = 512;
/// The first of the words that the ring leaves alone.
const SPARE: usize = CURSOR_WORDS;
/// The first of the words of the intent.
const INTENT: usize = 2 * CURSOR_WORDS;
/// Kind of the segment.
pub const BYTE_RING_KIND: u32 = 12;
const LAYOUT_VERSION: u32 = 1;
/// "throughp" as a number: there is one layout.
const LAYOUT_HASH: u64 = u64::from_le_bytes(*b"throughp");

/// Why a ring over a segment cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ByteRingError {
    /// The segment was refused.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The ring was refused.
    #[error(transparent)]
    Ring(#[from] SetupError),
}

impl ByteRingError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Segment(cause) => cause.code(),
            Self::Ring(cause) => cause.code(),
        }
    }
}

/// The producer's bytes before its consumer's head is known.
#[derive(Debug)]
pub struct ByteRing {
    segment: OwnedSegment,
    capacity_bytes: usize,
}

impl ByteRing {
    /// Makes the segment of a ring of `capacity_bytes`, a power of two.
    ///
    /// # Errors
    /// - [`ByteRingError`]: the capacity is not possible, or the system gives no memory.
    pub fn create(capacity_bytes: usize, generation: u64) -> Result<Self, ByteRingError> {
        check(capacity_bytes)?;
        let info = SegmentInfo {
            kind: BYTE_RING_KIND,
            generation,
            layout_version: LAYOUT_VERSION,
            layout_hash: LAYOUT_HASH,
        };
        let words = BYTES_FIRST + capacity_bytes / 8;
        Ok(Self { segment: OwnedSegment::create("corelane-lane", words, info)?, capacity_bytes })
    }

    /// The sealed descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.segment.fd()
    }

    /// The word whose low half changes with every record that is published, to sleep on.
    pub fn tail(&self) -> WordsRo {
        self.tail_words().read_only()
    }

    /// Words of the producer that the ring leaves alone.
    pub fn spare(&self) -> WordsRw {
        self.segment.words().window(SPARE, CURSOR_WORDS).expect("because the page is there")
    }

    fn tail_words(&self) -> WordsRw {
        self.segment.words().window(0, CURSOR_WORDS).expect("because the page of the tail is there")
    }

    /// The producer's side, whose consumer publishes its head in `head`, which must be zero.
    ///
    /// # Errors
    /// - [`ByteRingError::Ring`]: there are too few words.
    pub fn into_side(self, head: WordsRo) -> Result<WriteSide<WordsRw, WordsRo>, ByteRingError> {
        let tail = self.tail_words();
        let intent = self.segment.words().window(INTENT, CURSOR_WORDS);
        let intent = intent.expect("because the page is there");
        let (base, keep) = self.segment.words().raw().base();
        let base = base.map_addr(|base| base.saturating_add(BYTES_FIRST * 8));
        // SAFETY: the bytes are mapped for as long as `keep` lives (SM-6), zeroed, and writable for
        // this process alone (SM-1). Their words never leave this value, so that nobody else in
        // this process has them; a `ByteRingReader` reads by a mapping of its own, and so does the
        // tap that is made of one, which throws away what it copied meanwhile. The tail is stored
        // by the side made here alone.
        let side = unsafe { WriteSide::new(base, self.capacity_bytes, keep, tail, head)? };
        Ok(side.with_intent(intent)?)
    }
}

/// The consumer's mapping of a ring.
#[derive(Debug)]
pub struct ByteRingReader {
    words: WordsRo,
    capacity_bytes: usize,
}

impl ByteRingReader {
    /// Checks and maps the segment of a ring of `capacity_bytes`.
    ///
    /// # Errors
    /// - [`ByteRingError`]: it is not what was told.
    pub fn open(fd: OwnedFd, capacity_bytes: usize) -> Result<Self, ByteRingError> {
        check(capacity_bytes)?;
        let words = BYTES_FIRST + capacity_bytes / 8;
        let expect = SegmentExpect {
            kind: BYTE_RING_KIND,
            layout_version: LAYOUT_VERSION,
            layout_hash: LAYOUT_HASH,
            min_words: words,
            max_words: words,
        };
        Ok(Self { words: PeerSegment::open(fd, &expect)?.words().clone(), capacity_bytes })
    }

    /// The word whose low half changes with every record that is published, to sleep on.
    pub fn tail(&self) -> WordsRo {
        self.words.window(0, CURSOR_WORDS).expect("because the page of the tail is there")
    }

    /// Words of the producer that the ring leaves alone.
    pub fn spare(&self) -> WordsRo {
        self.words.window(SPARE, CURSOR_WORDS).expect("because the page is there")
    }

    /// The consumer's side, which publishes its head in `head`, which must be zero.
    ///
    /// # Errors
    /// - [`ByteRingError::Ring`]: there are too few words.
    pub fn into_side(
        self,
        head: WordsRw,
        _: Trusted,
    ) -> Result<ReadSide<WordsRo, WordsRw>, ByteRingError> {
        let tail = self.tail();
        let (base, keep) = self.words.raw().base();
        let base = base.map_addr(|base| base.saturating_add(BYTES_FIRST * 8));
        // SAFETY: the bytes are mapped for as long as `keep` lives (SM-6) and never fault (SM-2);
        // that the producer keeps to the protocol is what `Trusted` says.
        let side = unsafe { ReadSide::new(base, self.capacity_bytes, keep, tail, head)? };
        Ok(side)
    }
}

impl ByteRingReader {
    /// A tap, which reads along beside the consumer: by copies, so that it trusts nobody.
    ///
    /// # Errors
    /// - [`ByteRingError::Ring`]: there are too few words.
    pub fn into_tap(self, start: Start) -> Result<ThroughputTap<WordsRo>, ByteRingError> {
        let window = |first, len| {
            self.words.window(first, len).expect("because the segment was checked for it")
        };
        let bytes = window(BYTES_FIRST, self.capacity_bytes / 8);
        let intent = window(INTENT, CURSOR_WORDS);
        Ok(ThroughputTap::new(bytes, self.tail(), intent, start)?)
    }
}

fn check(capacity_bytes: usize) -> Result<(), ByteRingError> {
    let is_size = (CAPACITY_BYTES_MIN..=CAPACITY_BYTES_MAX).contains(&capacity_bytes);
    if is_size && capacity_bytes.is_power_of_two() {
        return Ok(());
    }
    Err(SetupError::Capacity { asked: capacity_bytes }.into())
}

#[cfg(test)]
mod tests {
    use corelane_ring::tap::TapError;
    use corelane_ring::throughput::{Consumer, Producer};

    use super::*;

    #[test]
    fn records_of_any_size_go_through_two_mappings() {
        let ring = ByteRing::create(1 << 12, 1).unwrap();
        let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
        let head = OwnedSegment::create("corelane-test-head", CURSOR_WORDS, info).unwrap();
        let fd = ring.fd().try_clone_to_owned().unwrap();
        let reader = ByteRingReader::open(fd, 1 << 12).unwrap();
        let mut producer = Producer::new(ring.into_side(head.words().read_only()).unwrap());
        let side = reader.into_side(head.into_words(), Trusted::of_a_test()).unwrap();
        let mut consumer = Consumer::new(side);
        for round in 0..200_usize {
            let payload = vec![round as u8; round * 7 % 1500];
            producer.try_send(&payload).unwrap();
            let record = consumer.try_recv().unwrap().expect("because it was sent");
            assert_eq!(record.bytes(), &payload[..]);
            record.consume();
        }
    }

    /// A ring of 4,096 bytes with both of its ends, and its descriptor for taps.
    fn tapped() -> (Producer<WordsRw, WordsRo>, Consumer<WordsRo, WordsRw>, OwnedFd) {
        let ring = ByteRing::create(1 << 12, 1).unwrap();
        let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
        let head = OwnedSegment::create("corelane-test-head", CURSOR_WORDS, info).unwrap();
        let fd = ring.fd().try_clone_to_owned().unwrap();
        let reader = ByteRingReader::open(fd.try_clone().unwrap(), 1 << 12).unwrap();
        let side = reader.into_side(head.words().clone(), Trusted::of_a_test()).unwrap();
        let producer = Producer::new(ring.into_side(head.words().read_only()).unwrap());
        (producer, Consumer::new(side), fd)
    }

    fn tap(fd: &OwnedFd, start: Start) -> ThroughputTap<WordsRo> {
        let reader = ByteRingReader::open(fd.try_clone().unwrap(), 1 << 12).unwrap();
        reader.into_tap(start).unwrap()
    }

    fn payload(round: usize) -> Vec<u8> {
        vec![round as u8; round * 7 % 1500]
    }

    #[test]
    fn a_tap_reads_what_the_consumer_reads_and_holds_nobody_back() {
        let (mut producer, mut consumer, fd) = tapped();
        let (mut first, mut record) = (tap(&fd, Start::First), Vec::new());
        for round in 0..200 {
            producer.try_send(&payload(round)).unwrap();
            let taken = consumer.try_recv().unwrap().expect("because it was sent");
            assert_eq!(taken.bytes(), payload(round));
            taken.consume();
            assert_eq!(first.try_read(&mut record), Ok(true));
            assert_eq!(record, payload(round));
        }
        assert_eq!(first.try_read(&mut record), Ok(false));
        // One that comes late begins with the next record.
        let mut late = tap(&fd, Start::Tail);
        assert_eq!((late.position(), late.try_read(&mut record)), (first.position(), Ok(false)));
        producer.try_send(b"next").unwrap();
        assert_eq!((late.try_read(&mut record), &record[..]), (Ok(true), &b"next"[..]));
    }

    #[test]
    fn a_tap_that_was_overrun_goes_on_at_the_tail_and_counts_every_byte() {
        let (mut producer, mut consumer, fd) = tapped();
        let (mut tap, mut record) = (tap(&fd, Start::First), Vec::new());
        let (mut read, mut missed) = (0, 0);
        for round in 0..2_000_usize {
            producer.try_send(&payload(round)).unwrap();
            consumer.try_recv().unwrap().expect("because it was sent").consume();
            if round % 9 == 0 {
                let before = tap.position();
                match tap.try_read(&mut record) {
                    Ok(is_read) => assert!(is_read && !record.is_empty() | (round % 1500 == 0)),
                    Err(TapError::Overrun { missed: bytes }) => missed += bytes,
                    Err(error) => panic!("{error}"),
                }
                read += u64::from(tap.position() != before);
            }
        }
        assert!(read > 100 && missed > 100_000, "{read} {missed}");
        assert_eq!(tap.position() + tap.skip().unwrap(), producer.committed_bytes());
    }

    #[test]
    fn capacities_and_segments_that_do_not_fit_are_refused() {
        for bytes in [0, 63, 1000, 2 << 30] {
            assert_eq!(ByteRing::create(bytes, 1).unwrap_err().code(), "CL-0221");
        }
        let ring = ByteRing::create(4096, 1).unwrap();
        let fd = ring.fd().try_clone_to_owned().unwrap();
        assert_eq!(ByteRingReader::open(fd, 8192).unwrap_err().code(), "CL-0313");
    }
}
