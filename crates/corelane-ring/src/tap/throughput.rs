//! The tap of a `throughput` ring.

use super::intent::is_intact;
use super::{Start, TapError, copy};
use crate::storage::ReadWords;
use crate::throughput::frame::{
    CAPACITY_BYTES_MAX, CAPACITY_BYTES_MIN, Frame, Place, parse, payload_bytes_max,
};
use crate::throughput::{CURSOR_WORDS, SetupError};

/// Word of the tail's storage.
const TAIL: usize = 0;
/// Tails beyond are none: no ring lives that long.
const POSITION_MAX: u64 = 1 << 62;

/// Reads along on a `throughput` ring. Wait-free; it allocates only for a longer record than
/// before.
///
/// The ring's bytes are words here, each of which is loaded once: the producer need not be trusted.
#[derive(Debug)]
pub struct ThroughputTap<D> {
    bytes: D,
    capacity: u64,
    tail: D,
    intent: D,
    position: u64,
}

impl<D: ReadWords> ThroughputTap<D> {
    /// Makes a tap of the ring of these bytes, whose producer publishes its tail in `tail` and its
    /// intent in `intent`.
    ///
    /// # Errors
    /// - [`SetupError`]: the words are too few, or of a number that is no capacity of a ring.
    pub fn new(bytes: D, tail: D, intent: D, start: Start) -> Result<Self, SetupError> {
        let capacity = bytes.len() * 8;
        let is_size = (CAPACITY_BYTES_MIN..=CAPACITY_BYTES_MAX).contains(&capacity);
        if !is_size || !capacity.is_power_of_two() {
            return Err(SetupError::Capacity { asked: capacity });
        }
        for (what, found) in [("tail", tail.len()), ("intent", intent.len())] {
            if found < CURSOR_WORDS {
                return Err(SetupError::TooFewWords { what, found });
            }
        }
        let mut tap = Self { bytes, capacity: capacity as u64, tail, intent, position: 0 };
        if start == Start::Tail {
            // A tail that cannot be is told by the first read.
            tap.position = tap.tail().unwrap_or(0);
        }
        Ok(tap)
    }

    /// Copies the next record into `record`, whose content it replaces; false when there is none.
    ///
    /// # Errors
    /// - [`TapError::Overrun`]: records were missed; the next call goes on behind them.
    /// - [`TapError::Corrupt`]: the producer wrote nonsense.
    #[inline]
    pub fn try_read(&mut self, record: &mut Vec<u8>) -> Result<bool, TapError> {
        let tail = self.tail()?;
        // Twice at most: padding leads to the start of the memory, where there is none.
        while self.position != tail {
            let position = self.position;
            // The intent is at least the tail.
            if tail - position > self.capacity {
                return Err(self.settle(tail));
            }
            let offset = position & (self.capacity - 1);
            let header = self.bytes.load_relaxed(offset as usize / 8);
            if !is_intact(&self.intent, position, self.capacity)? {
                return Err(self.settle(self.tail()?));
            }
            match parse(position, header, tail - position, self.capacity - offset) {
                Some(Frame::Padding) => self.position += self.capacity - offset,
                Some(Frame::Record(place)) if self.is_possible(place) => {
                    return self.copy(place, record);
                }
                _ => return Err(TapError::Corrupt { what: "header", found: header, position }),
            }
        }
        Ok(false)
    }

    /// Leaves what there is unread, and returns how many bytes that were.
    ///
    /// # Errors
    /// - [`TapError::Corrupt`]: the producer wrote nonsense.
    pub fn skip(&mut self) -> Result<u64, TapError> {
        let tail = self.tail()?;
        let missed = tail - self.position;
        self.position = tail;
        Ok(missed)
    }

    /// Position of the next record: bytes before were read or missed.
    pub fn position(&self) -> u64 {
        self.position
    }

    fn is_possible(&self, place: Place) -> bool {
        place.length as usize <= payload_bytes_max(self.capacity as usize)
    }

    fn copy(&mut self, place: Place, record: &mut Vec<u8>) -> Result<bool, TapError> {
        let first = (place.payload & (self.capacity - 1)) as usize / 8;
        record.resize(place.length as usize, 0);
        copy(&self.bytes, first, record);
        if !is_intact(&self.intent, place.start, self.capacity)? {
            return Err(self.settle(self.tail()?));
        }
        self.position = place.end();
        Ok(true)
    }

    #[cold]
    fn settle(&mut self, tail: u64) -> TapError {
        let missed = tail - self.position;
        self.position = tail;
        TapError::Overrun { missed }
    }

    /// The tail, which is the boundary of a record and not behind the tap.
    #[inline]
    fn tail(&self) -> Result<u64, TapError> {
        let position = self.position;
        // C61: pairs with P10. Read once, then only the copy is used.
        let found = self.tail.load_acquire(TAIL);
        match (position..=POSITION_MAX).contains(&found) && found.is_multiple_of(8) {
            true => Ok(found),
            false => Err(TapError::Corrupt { what: "tail", found, position }),
        }
    }
}
