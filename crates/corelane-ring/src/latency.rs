//! The `latency` SPSC ring: fixed slots, the commit word in the record's own cache line.
//!
//! A record of up to seven payload words moves with a single line transfer. There is no shared
//! index on the way of a message: the consumer looks at the slot itself, the producer looks at the
//! consumer's head once a lap. It neither blocks nor allocates, and drops nothing.
//!
//! It knows neither types nor waiting nor batches: a record is committed by itself. Whoever waits
//! sleeps by a [`Bell`](crate::Bell) beside the ring.
//!
//! # Memory picture
//!
//! The two ends share nothing that both of them write. The *data* words belong to the producer, the
//! *cursor* line to the consumer; each may lie in a segment that the other end can only read.
//!
//! ```text
//! data   (written by the producer)      cursor (written by the consumer)
//! +--------+--------+---  -+--------+   +------+-----------+
//! | slot 0 | slot 1 | ...  | slot n |   | head | (padding) |
//! +--------+--------+---  -+--------+   +------+-----------+
//!   word 0: commit = length << 32 | (sequence + 1) as u32
//!   word 1..: payload
//! ```
//!
//! # Orders
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | P1 | `Claim::commit` | Release store of the commit word, after the payload | C1 |
//! | C1 | `Consumer::peek` | Acquire load of the commit word, before the payload | P1 |
//! | C2 | `Consumer::release` | Release store of the head, after the payload was read | P2 |
//! | P2 | `Producer::refresh_head` | Acquire load of the head, before a slot is written again | C2 |
//!
//! # Example
//!
//! ```
//! # #[cfg(not(loom))] {
//! use corelane_ring::{HeapWords, Shape, latency};
//!
//! let shape = Shape::new(8, 16)?;
//! let data = HeapWords::new(shape.data_words());
//! let cursor = HeapWords::new(latency::CURSOR_WORDS);
//! let mut producer = latency::Producer::new(shape, data.clone(), cursor.clone())?;
//! let mut consumer = latency::Consumer::new(shape, data, cursor)?;
//!
//! let mut claim = producer.claim()?;
//! claim.write(0, &[7, 42]);
//! claim.commit(16);
//!
//! let record = consumer.peek()?.expect("because a record was committed above");
//! assert_eq!((record.length_bytes(), record.word(1)), (16, 42));
//! record.consume();
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use thiserror::Error;

use crate::{
    shape::{Shape, ShapeError},
    storage::{ReadWords, WriteWords},
    tap::Intent,
};

/// Words of the consumer's cursor storage: one cache line, of which the head is word 0.
pub const CURSOR_WORDS: usize = 8;
const HEAD: usize = 0;

/// Why no slot could be claimed.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimError {
    /// Every slot holds a record that was not released yet.
    #[error("ring is full: capacity={slots}: wait for the consumer, or send less")]
    Full {
        /// Capacity in records.
        slots: usize,
    },
    /// The consumer published a head that cannot be true (RB-5); the lane must be given up.
    #[error("consumer published head={head} outside {low}..={high}: detach this peer")]
    CorruptHead {
        /// What was read.
        head: u64,
        /// Lowest possible head.
        low: u64,
        /// Highest possible head.
        high: u64,
    },
}

impl ClaimError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "CL-0241",
            Self::CorruptHead { .. } => "CL-0242",
        }
    }
}

/// Why the next record cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeekError {
    /// The producer committed a length that no slot can hold (RB-6); the lane must be given up.
    #[error("record at position={position} claims {length} bytes of at most {max}: detach it")]
    CorruptLength {
        /// Position of the record.
        position: u64,
        /// Length read.
        length: u32,
        /// Longest possible.
        max: usize,
    },
}

impl PeekError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CorruptLength { .. } => "CL-0243",
        }
    }
}

/// The commit word of the record at `position`: never equal to the one a lap before (RB-2).
#[inline]
pub(crate) const fn commit_word(position: u64, length: u32) -> u64 {
    (length as u64) << 32 | position.wrapping_add(1) as u32 as u64
}

/// The sending end. Wait-free; one per ring.
#[derive(Debug)]
pub struct Producer<D, C> {
    shape: Shape,
    data: D,
    cursor: C,
    tail: u64,
    head_cached: u64,
    /// Slots before this position may be written: they are free, and the intent was told.
    limit: u64,
    intent: Intent<D>,
}

impl<D: WriteWords, C: ReadWords> Producer<D, C> {
    /// Makes the producer of a fresh ring: both storages must be zeroed.
    ///
    /// # Errors
    /// - [`ShapeError::StorageTooSmall`]: a storage does not fit the shape.
    pub fn new(shape: Shape, data: D, cursor: C) -> Result<Self, ShapeError> {
        shape.check("data", data.len(), shape.data_words())?;
        shape.check("cursor", cursor.len(), CURSOR_WORDS)?;
        let (limit, intent) = (shape.slots() as u64, Intent::untold());
        Ok(Self { shape, data, cursor, tail: 0, head_cached: 0, limit, intent })
    }

    /// Publishes its intent from here on, so that a [`LatencyTap`](crate::tap::LatencyTap) can read
    /// along. The storage must be zeroed, and nothing be committed yet.
    ///
    /// # Errors
    /// - [`ShapeError::StorageTooSmall`]: the storage has no word.
    ///
    /// # Panics
    /// When something was committed.
    pub fn with_intent(mut self, words: D) -> Result<Self, ShapeError> {
        self.shape.check("intent", words.len(), 1)?;
        assert_eq!(self.tail, 0, "the intent is told from the first record on");
        self.intent = Intent::told(words, self.shape.slots() as u64);
        self.limit = 0;
        Ok(self)
    }

    /// Claims the next slot; dropping the claim without a commit gives it back (RB-3).
    ///
    /// # Errors
    /// - [`ClaimError::Full`]: no slot is free; nothing changed.
    /// - [`ClaimError::CorruptHead`]: the peer wrote nonsense.
    #[inline]
    pub fn claim(&mut self) -> Result<Claim<'_, D, C>, ClaimError> {
        if self.tail == self.limit {
            self.raise_limit()?;
        }
        let start = self.shape.slot_start(self.tail);
        Ok(Claim { ring: self, start })
    }

    /// Records committed so far.
    pub fn committed(&self) -> u64 {
        self.tail
    }

    /// Records that the consumer is not known to have released.
    ///
    /// # Errors
    /// - [`ClaimError::CorruptHead`]: the peer wrote nonsense.
    pub fn pending(&mut self) -> Result<u64, ClaimError> {
        self.refresh_head()?;
        Ok(self.tail - self.head_cached)
    }

    /// Allows itself at least one more slot, if it can. The intent is told only for slots that are
    /// free: a full ring overruns no tap.
    #[cold]
    #[inline(never)]
    fn raise_limit(&mut self) -> Result<(), ClaimError> {
        let slots = self.shape.slots();
        if self.tail - self.head_cached == slots as u64 {
            self.refresh_head()?;
            if self.tail - self.head_cached == slots as u64 {
                return Err(ClaimError::Full { slots });
            }
        }
        self.intent.raise(self.tail, self.tail + 1);
        self.limit = self.intent.end().min(self.head_cached + slots as u64);
        Ok(())
    }

    fn refresh_head(&mut self) -> Result<(), ClaimError> {
        // P2: pairs with C2; what the consumer read from a released slot was read before this.
        let head = self.cursor.load_acquire(HEAD);
        let (low, high) = (self.head_cached, self.tail);
        if !(low..=high).contains(&head) {
            return Err(ClaimError::CorruptHead { head, low, high });
        }
        self.head_cached = head;
        Ok(())
    }
}

/// A slot that its producer may write until it is committed or dropped.
#[derive(Debug)]
pub struct Claim<'a, D, C> {
    ring: &'a mut Producer<D, C>,
    start: usize,
}

impl<D: WriteWords, C: ReadWords> Claim<'_, D, C> {
    /// Writes payload words from payload word `first` on.
    ///
    /// # Panics
    /// When the words do not fit the slot: the caller knows the ring's shape.
    #[inline]
    pub fn write(&mut self, first: usize, words: &[u64]) {
        assert!(first + words.len() <= self.ring.shape.payload_words(), "payload exceeds the slot");
        self.ring.data.write(self.start + 1 + first, words);
    }

    /// Writes payload bytes from payload word `first` on, padding the last word with zeros.
    ///
    /// # Panics
    /// When the bytes do not fit the slot: the caller knows the ring's shape.
    #[inline]
    pub fn write_bytes(&mut self, first: usize, bytes: &[u8]) {
        let words = bytes.len().div_ceil(8);
        assert!(first + words <= self.ring.shape.payload_words(), "payload exceeds the slot");
        let (chunks, rest) = bytes.as_chunks::<8>();
        let start = self.start + 1 + first;
        for (offset, chunk) in chunks.iter().enumerate() {
            self.ring.data.store_relaxed(start + offset, u64::from_le_bytes(*chunk));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.ring.data.store_relaxed(start + chunks.len(), u64::from_le_bytes(last));
        }
    }

    /// Publishes the record with `length` payload bytes.
    ///
    /// # Panics
    /// When `length` is more than the slot holds.
    #[inline]
    pub fn commit(self, length: u32) {
        assert!(length as usize <= self.ring.shape.payload_words() * 8, "length exceeds the slot");
        // P1: pairs with C1; the payload words are visible to whoever sees this word.
        self.ring.data.store_release(self.start, commit_word(self.ring.tail, length));
        self.ring.tail += 1;
    }
}

/// The receiving end. Wait-free; one per ring.
#[derive(Debug)]
pub struct Consumer<D, C> {
    shape: Shape,
    data: D,
    cursor: C,
    head: u64,
    head_published: u64,
    release_lag_max: u64,
}

impl<D: ReadWords, C: WriteWords> Consumer<D, C> {
    /// Makes the consumer of a fresh ring: both storages must be zeroed.
    ///
    /// # Errors
    /// - [`ShapeError::StorageTooSmall`]: a storage does not fit the shape.
    pub fn new(shape: Shape, data: D, cursor: C) -> Result<Self, ShapeError> {
        shape.check("data", data.len(), shape.data_words())?;
        shape.check("cursor", cursor.len(), CURSOR_WORDS)?;
        let release_lag_max = (shape.slots() / 4).max(1) as u64;
        Ok(Self { shape, data, cursor, head: 0, head_published: 0, release_lag_max })
    }

    /// Looks at the next record; it stays in the ring until [`Record::consume`].
    ///
    /// # Errors
    /// - [`PeekError::CorruptLength`]: the peer wrote nonsense.
    #[inline]
    pub fn peek(&mut self) -> Result<Option<Record<'_, D, C>>, PeekError> {
        let start = self.shape.slot_start(self.head);
        // C1: pairs with P1. Read once, then only the copy is used (RB-6).
        let commit = self.data.load_acquire(start);
        if commit as u32 != commit_word(self.head, 0) as u32 {
            return Ok(None);
        }
        let length = (commit >> 32) as u32;
        let max = self.shape.payload_words() * 8;
        if length as usize > max {
            return Err(PeekError::CorruptLength { position: self.head, length, max });
        }
        Ok(Some(Record { ring: self, start, length }))
    }

    /// Gives consumed slots back to the producer now.
    ///
    /// Consuming does so by itself every quarter of a lap; call this before waiting.
    #[inline]
    pub fn release(&mut self) {
        if self.head_published != self.head {
            // C2: pairs with P2; the payload of every slot before `head` was read before this.
            self.cursor.store_release(HEAD, self.head);
            self.head_published = self.head;
        }
    }

    /// Records consumed so far.
    pub fn consumed(&self) -> u64 {
        self.head
    }

    /// Records given back to the producer so far.
    #[inline]
    pub fn released(&self) -> u64 {
        self.head_published
    }
}

/// A committed record; reading it copies words, because a peer may still be able to write them.
#[derive(Debug)]
pub struct Record<'a, D, C> {
    ring: &'a mut Consumer<D, C>,
    start: usize,
    length: u32,
}

impl<D: ReadWords, C: WriteWords> Record<'_, D, C> {
    /// Payload bytes, at most what a slot holds.
    #[inline]
    pub fn length_bytes(&self) -> u32 {
        self.length
    }

    /// One payload word.
    ///
    /// # Panics
    /// When `index` lies beyond the slot.
    #[inline]
    pub fn word(&self, index: usize) -> u64 {
        assert!(index < self.ring.shape.payload_words(), "index beyond the slot");
        self.ring.data.load_relaxed(self.start + 1 + index)
    }

    /// Copies payload words from payload word `first` on.
    ///
    /// # Panics
    /// When the range lies beyond the slot.
    #[inline]
    pub fn read(&self, first: usize, out: &mut [u64]) {
        assert!(first + out.len() <= self.ring.shape.payload_words(), "range beyond the slot");
        self.ring.data.read(self.start + 1 + first, out);
    }

    /// Takes the record out of the ring.
    #[inline]
    pub fn consume(self) {
        self.ring.head += 1;
        if self.ring.head - self.ring.head_published >= self.ring.release_lag_max {
            self.ring.release();
        }
    }
}
