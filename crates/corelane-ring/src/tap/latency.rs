//! The tap of a `latency` ring.

use super::intent::{is_intact, load, step};
use super::{Start, TapError, copy};
use crate::latency::commit_word;
use crate::shape::{Shape, ShapeError};
use crate::storage::ReadWords;

/// Reads along on a `latency` ring. Wait-free; it allocates only for a longer record than before.
#[derive(Debug)]
pub struct LatencyTap<D> {
    shape: Shape,
    data: D,
    intent: D,
    position: u64,
}

impl<D: ReadWords> LatencyTap<D> {
    /// Makes a tap of a ring of this shape, whose producer publishes its intent in `intent`.
    ///
    /// # Errors
    /// - [`ShapeError::StorageTooSmall`]: a storage does not fit the shape.
    pub fn new(shape: Shape, data: D, intent: D, start: Start) -> Result<Self, ShapeError> {
        shape.check("data", data.len(), shape.data_words())?;
        shape.check("intent", intent.len(), 1)?;
        let mut tap = Self { shape, data, intent, position: 0 };
        if start == Start::Tail {
            // An intent that cannot be is told by the first read.
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
        let start = self.shape.slot_start(self.position);
        // C61: pairs with P1. Read once, then only the copy is used.
        let commit = self.data.load_acquire(start);
        let is_due = commit as u32 == commit_word(self.position, 0) as u32;
        let length = (commit >> 32) as usize;
        let bytes_max = self.shape.payload_words() * 8;
        if is_due {
            record.resize(length.min(bytes_max), 0);
            copy(&self.data, start + 1, record);
        }
        if !is_intact(&self.intent, self.position, self.shape.slots() as u64)? {
            return Err(self.settle()?);
        }
        if is_due && length > bytes_max {
            let (what, found) = ("length", length as u64);
            return Err(TapError::Corrupt { what, found, position: self.position });
        }
        self.position += u64::from(is_due);
        Ok(is_due)
    }

    /// Leaves what there is unread, and returns how many records that were.
    ///
    /// # Errors
    /// - [`TapError::Corrupt`]: the producer wrote nonsense.
    pub fn skip(&mut self) -> Result<u64, TapError> {
        let tail = self.tail()?.max(self.position);
        let missed = tail - self.position;
        self.position = tail;
        Ok(missed)
    }

    /// Position of the next record: those before were read or missed.
    pub fn position(&self) -> u64 {
        self.position
    }

    #[cold]
    fn settle(&mut self) -> Result<TapError, TapError> {
        Ok(TapError::Overrun { missed: self.skip()? })
    }

    /// A position that was the tail a moment ago, or lies just before it.
    ///
    /// The intent was raised when the tail stood a step before it, and whatever was published since
    /// then has its commit word.
    fn tail(&self) -> Result<u64, TapError> {
        let step = step(self.shape.slots() as u64);
        let intent = load(&self.intent, self.position)?;
        let is_there = |position: &u64| {
            let commit = self.data.load_relaxed(self.shape.slot_start(*position));
            commit as u32 == commit_word(*position, 0) as u32
        };
        let raised_at = intent.saturating_sub(step);
        Ok((raised_at..intent).take_while(is_there).last().map_or(raised_at, |last| last + 1))
    }
}
