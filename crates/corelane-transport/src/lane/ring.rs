//! The two kinds of rings over segments, each as its sender and its receiver have it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use corelane_ring::throughput::{Consumer as BytesConsumer, Peer, Producer as BytesProducer};
use corelane_ring::{Shape, latency, throughput};
use corelane_shm::byte_ring::{ByteRing, ByteRingError, ByteRingReader};
use corelane_shm::futex::Waiter;
use corelane_shm::slab::Trusted;
use corelane_shm::{
    OwnedSegment, PeerSegment, SegmentError, SegmentExpect, SegmentInfo, WordsRo, WordsRw,
};

use crate::exchange::message::LaneOffer;
use crate::port::LaneShape;

use super::error::{LaneError, LaneReceiveError, LaneSendError};
use super::{LaneKind, page};

const LINE_WORDS: usize = 8;
/// Words before the slots of a `latency` lane: the bell and the intent, and whether room is wanted.
const HEADER_WORDS: usize = 2 * LINE_WORDS;
const BELL: usize = 0;
/// On the line of the bell, which nobody looks at while records move.
pub(super) const INTENT: usize = 1;
const ROOM: usize = LINE_WORDS;
const SLOTS_KIND: u32 = 15;
/// "slots v1" as a number.
const LAYOUT_HASH: u64 = u64::from_le_bytes(*b"slots v1");
const LAYOUT_VERSION: u32 = 1;

/// What the sender has of a ring.
#[derive(Debug)]
pub(super) enum SendRing {
    Latency {
        producer: latency::Producer<WordsRw, WordsRo>,
        words: WordsRw,
        /// Bytes of the longest record.
        limit: usize,
        /// Where a record is written before it goes into its slot.
        record: Vec<u64>,
    },
    Throughput {
        producer: BytesProducer<WordsRw, WordsRo>,
        tail: WordsRo,
        spare: WordsRw,
    },
}

/// What the receiver has of a ring.
#[derive(Debug)]
pub(super) enum ReceiveRing {
    Latency {
        consumer: latency::Consumer<WordsRo, WordsRw>,
        words: WordsRo,
        record: Vec<u64>,
    },
    Throughput {
        consumer: BytesConsumer<WordsRo, WordsRw, Released>,
        tail: WordsRo,
        spare: WordsRo,
    },
}

/// Notes that a consumer gave room back.
#[derive(Debug, Default)]
pub(super) struct Released(std::cell::Cell<bool>);

impl Peer for Released {
    fn notify(&self) {
        self.0.set(true);
    }

    fn is_gone(&self) -> bool {
        false
    }
}

/// A ring before its receiver's head is known, and the descriptor to hand over.
#[derive(Debug)]
pub(super) enum NewRing {
    Slots(OwnedSegment, LaneShape),
    Bytes(ByteRing),
}

impl LaneKind {
    /// Checks the kind.
    pub(super) fn check(self) -> Result<(), LaneError> {
        match self {
            Self::Latency { slots, slot_lines } => {
                LaneShape::new(slots, slot_lines)?;
            }
            Self::Throughput { capacity_bytes } => {
                let is_size = (throughput::CAPACITY_BYTES_MIN..=throughput::CAPACITY_BYTES_MAX)
                    .contains(&capacity_bytes);
                if !is_size || !capacity_bytes.is_power_of_two() {
                    return Err(throughput::SetupError::Capacity { asked: capacity_bytes }.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn offer(self) -> LaneOffer {
        match self {
            Self::Latency { slots, slot_lines } => LaneOffer::Latency { slots, slot_lines },
            Self::Throughput { capacity_bytes } => LaneOffer::Throughput { capacity_bytes },
        }
    }

    pub(super) fn create(self) -> Result<NewRing, String> {
        let generation = crate::random::number();
        match self {
            Self::Latency { slots, slot_lines } => {
                let shape = LaneShape::new(slots, slot_lines).map_err(|e| e.to_string())?;
                let info = SegmentInfo {
                    kind: SLOTS_KIND,
                    generation,
                    layout_version: LAYOUT_VERSION,
                    layout_hash: LAYOUT_HASH,
                };
                let words = HEADER_WORDS + shape.ring().data_words();
                let segment = OwnedSegment::create("corelane-lane", words, info);
                Ok(NewRing::Slots(segment.map_err(|e| e.to_string())?, shape))
            }
            Self::Throughput { capacity_bytes } => {
                let ring = ByteRing::create(capacity_bytes, generation);
                Ok(NewRing::Bytes(ring.map_err(|e: ByteRingError| e.to_string())?))
            }
        }
    }
}

impl AsFd for NewRing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Slots(segment, _) => segment.fd(),
            Self::Bytes(ring) => ring.fd(),
        }
    }
}

impl NewRing {
    /// The sender's ring, whose receiver has this page.
    pub(super) fn open(self, receiver: &WordsRo) -> Result<SendRing, String> {
        let head = page::head_ro(receiver);
        match self {
            Self::Slots(segment, shape) => {
                let words = segment.into_words();
                let ring = shape.ring();
                let data = words.window(HEADER_WORDS, ring.data_words());
                let data = data.expect("because the segment was made for it");
                let intent = words.window(INTENT, 1).expect("because the header has this word");
                let producer = latency::Producer::new(ring, data, head);
                let producer = producer.and_then(|producer| producer.with_intent(intent));
                let producer = producer.map_err(|e| e.to_string())?;
                let record = vec![0; ring.payload_words()];
                Ok(SendRing::Latency { producer, words, limit: record.len() * 8, record })
            }
            Self::Bytes(ring) => {
                let (tail, spare) = (ring.tail(), ring.spare());
                let side = ring.into_side(head).map_err(|e| e.to_string())?;
                Ok(SendRing::Throughput { producer: BytesProducer::new(side), tail, spare })
            }
        }
    }
}

impl SendRing {
    /// Sends a record.
    #[inline]
    pub(super) fn send(&mut self, record: &[u8]) -> Result<(), LaneSendError> {
        match self {
            Self::Latency { producer, limit, .. } => {
                if record.len() > *limit {
                    let (bytes, limit) = (record.len(), *limit);
                    return Err(LaneSendError::TooLong { bytes, limit });
                }
                let mut claim = producer.claim().map_err(of_claim)?;
                claim.write_bytes(0, record);
                claim.commit(record.len() as u32);
                Ok(())
            }
            Self::Throughput { producer, .. } => {
                producer.try_send(record).map_err(of_bytes)?;
                Ok(())
            }
        }
    }

    /// Sends records that are written once there is room, until there is none, and tells how many.
    #[inline]
    pub(super) fn send_with(
        &mut self,
        count: usize,
        bytes: usize,
        fill: &mut impl FnMut(&mut [u8]),
    ) -> (usize, Result<(), LaneSendError>) {
        match self {
            Self::Latency { producer, limit, record, .. } => {
                if bytes > *limit {
                    return (0, Err(LaneSendError::TooLong { bytes, limit: *limit }));
                }
                let words = &mut record[..bytes.div_ceil(8)];
                for sent in 0..count {
                    let mut claim = match producer.claim() {
                        Ok(claim) => claim,
                        Err(error) => return (sent, Err(of_claim(error))),
                    };
                    fill(&mut bytemuck::cast_slice_mut(words)[..bytes]);
                    claim.write(0, words);
                    claim.commit(bytes as u32);
                }
            }
            Self::Throughput { producer, .. } => {
                let mut batch = producer.batch();
                for sent in 0..count {
                    match batch.claim(bytes) {
                        Ok(mut claim) => {
                            fill(claim.bytes_mut());
                            claim.commit(bytes);
                        }
                        Err(error) => {
                            batch.commit();
                            return (sent, Err(of_bytes(error)));
                        }
                    }
                }
                batch.commit();
            }
        }
        (count, Ok(()))
    }

    /// Sends records until one does not fit, and tells how many.
    pub(super) fn send_many(
        &mut self,
        records: &mut dyn Iterator<Item = &[u8]>,
    ) -> (usize, Result<(), LaneSendError>) {
        let mut count = 0;
        match self {
            Self::Latency { .. } => {
                for record in records {
                    if let Err(error) = self.send(record) {
                        return (count, Err(error));
                    }
                    count += 1;
                }
            }
            Self::Throughput { producer, .. } => {
                let mut batch = producer.batch();
                for record in records {
                    if let Err(error) = batch.push(record) {
                        batch.commit();
                        return (count, Err(of_bytes(error)));
                    }
                    count += 1;
                }
                batch.commit();
            }
        }
        (count, Ok(()))
    }

    /// Changes the word that the receiver sleeps on, where publishing has not done so, and gives
    /// it.
    pub(super) fn ring_bell(&self) -> (&WordsRo, usize) {
        match self {
            Self::Latency { words, .. } => {
                words.store_release(BELL, words.load_relaxed(BELL).wrapping_add(1));
                (words, BELL)
            }
            Self::Throughput { tail, .. } => (tail, 0),
        }
    }

    /// Says whether the sender waits for room.
    pub(super) fn want_room(&self, is_wanted: bool) {
        let (words, index) = match self {
            Self::Latency { words, .. } => (words, ROOM),
            Self::Throughput { spare, .. } => (spare, 0),
        };
        words.store_relaxed(index, is_wanted.into());
    }

    /// Records that the receiver is not known to have received; of bytes, none are counted.
    pub(super) fn pending(&mut self) -> u64 {
        match self {
            Self::Latency { producer, .. } => producer.pending().unwrap_or(0),
            Self::Throughput { .. } => 0,
        }
    }
}

fn of_claim(error: latency::ClaimError) -> LaneSendError {
    match error {
        latency::ClaimError::Full { slots } => LaneSendError::Full { capacity: slots },
        error => LaneSendError::Corrupt { reason: error.to_string() },
    }
}

fn of_bytes(error: throughput::ClaimError) -> LaneSendError {
    match error {
        throughput::ClaimError::Full { capacity_bytes } => {
            LaneSendError::Full { capacity: capacity_bytes }
        }
        throughput::ClaimError::TooLong { length, max } => {
            LaneSendError::TooLong { bytes: length, limit: max }
        }
        error => LaneSendError::Corrupt { reason: error.to_string() },
    }
}

/// Checks and maps the segment of a `latency` lane: all of its words, its slots, and their shape.
pub(super) fn open_slots(
    slots: usize,
    slot_lines: usize,
    fd: OwnedFd,
) -> Result<(WordsRo, WordsRo, Shape), String> {
    let shape = LaneShape::new(slots, slot_lines).map_err(|e| e.to_string())?.ring();
    let count = HEADER_WORDS + shape.data_words();
    let expect = SegmentExpect {
        kind: SLOTS_KIND,
        layout_version: LAYOUT_VERSION,
        layout_hash: LAYOUT_HASH,
        min_words: count,
        max_words: count,
    };
    let segment = PeerSegment::open(fd, &expect).map_err(|e: SegmentError| e.to_string())?;
    let words = segment.words().clone();
    let data = words.window(HEADER_WORDS, shape.data_words());
    let data = data.expect("because the segment was checked for it");
    Ok((words, data, shape))
}

impl ReceiveRing {
    /// Checks and maps what a sender offers.
    pub(super) fn open(
        offer: LaneOffer,
        fd: OwnedFd,
        own: &WordsRw,
        trusted: Option<Trusted>,
    ) -> Result<Self, String> {
        let head = page::head_rw(own);
        match offer {
            LaneOffer::Latency { slots, slot_lines } => {
                let (words, data, shape) = open_slots(slots, slot_lines, fd)?;
                let consumer =
                    latency::Consumer::new(shape, data, head).map_err(|e| e.to_string())?;
                let record = vec![0; shape.payload_words()];
                Ok(Self::Latency { consumer, words, record })
            }
            LaneOffer::Throughput { capacity_bytes } => {
                let trusted = trusted.ok_or(
                    "a throughput lane is read in place: trust its sender, or use latency",
                )?;
                let reader = ByteRingReader::open(fd, capacity_bytes).map_err(|e| e.to_string())?;
                let (tail, spare) = (reader.tail(), reader.spare());
                let side = reader.into_side(head, trusted).map_err(|e| e.to_string())?;
                let consumer = BytesConsumer::with_peer(side, Released::default());
                Ok(Self::Throughput { consumer, tail, spare })
            }
        }
    }

    /// Hands up to `count` records to `take`, and tells how many there were, and whether room was
    /// given back.
    #[inline]
    pub(super) fn drain(
        &mut self,
        count: usize,
        take: &mut impl FnMut(&[u8]),
    ) -> Result<(usize, bool), LaneReceiveError> {
        let corrupt = |reason: String| LaneReceiveError::Corrupt { reason };
        let mut taken = 0;
        match self {
            Self::Latency { consumer, record: words, .. } => {
                let released = consumer.released();
                while taken < count {
                    let record = match consumer.peek() {
                        Ok(Some(record)) => record,
                        Ok(None) => break,
                        Err(error) => return Err(corrupt(error.to_string())),
                    };
                    let length = record.length_bytes() as usize;
                    let words = &mut words[..length.div_ceil(8)];
                    record.read(0, words);
                    record.consume();
                    take(&bytemuck::cast_slice(words)[..length]);
                    taken += 1;
                }
                Ok((taken, consumer.released() != released))
            }
            Self::Throughput { consumer, .. } => {
                let mut drain = consumer.drain(count);
                let result = loop {
                    match drain.take() {
                        Ok(Some(view)) => {
                            take(view.bytes());
                            taken += 1;
                        }
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(corrupt(error.to_string())),
                    }
                };
                drop(drain);
                result.map(|()| (taken, consumer.peer().0.take()))
            }
        }
    }

    /// Gives the room of what was read back; true when there was any.
    pub(super) fn release(&mut self) -> bool {
        match self {
            Self::Latency { consumer, .. } => {
                let released = consumer.released();
                consumer.release();
                consumer.released() != released
            }
            Self::Throughput { consumer, .. } => {
                consumer.release();
                consumer.peer().0.take()
            }
        }
    }

    /// Whether a record is there, or nonsense.
    pub(super) fn has_record(&mut self) -> bool {
        match self {
            Self::Latency { consumer, .. } => !matches!(consumer.peek(), Ok(None)),
            Self::Throughput { consumer, .. } => !matches!(consumer.try_recv(), Ok(None)),
        }
    }

    /// Whether the sender waits for room.
    pub(super) fn is_room_wanted(&self) -> bool {
        match self {
            Self::Latency { words, .. } => words.load_relaxed(ROOM) != 0,
            Self::Throughput { spare, .. } => spare.load_relaxed(0) != 0,
        }
    }

    /// What to sleep on until a record comes.
    pub(super) fn waiter(&self) -> Waiter<'_> {
        let (words, index) = match self {
            Self::Latency { words, .. } => (words, BELL),
            Self::Throughput { tail, .. } => (tail, 0),
        };
        Waiter { words, index, expected: words.load_acquire(index) as u32 }
    }
}
