//! Reading along on a `latency` or `throughput` ring: a tap, which its two ends do not notice.
//!
//! A ring of one producer and one consumer is written again as soon as the consumer has read on, so
//! that another reader cannot tell by the ring alone whether what it copied was whole. A producer
//! that publishes its *intent* makes that possible: a position below which it may be writing. A
//! [`LatencyTap`] or [`ThroughputTap`] copies a record and then looks at the intent. If that is at
//! most one lap ahead of the record, nobody wrote there meanwhile (RB-40).
//!
//! The intent is raised by a quarter of a lap at a time, before anything above the one before is
//! written. A record costs the producer a comparison that it makes anyway; the store and the fence
//! come four times a lap, with a tap and without. The price: of the oldest lap up to a quarter
//! counts as overrun before it is.
//!
//! What a tap does not do: it writes nothing, so nobody waits for it and nobody wakes it; it is
//! lossy. One that was overrun goes on at the tail and tells what it missed, in positions: records
//! of a `latency` ring, bytes of a `throughput` ring. Whatever it reads may be torn or a lie: it is
//! copied word by word and checked, and no trust in the producer is needed.
//!
//! # Memory picture
//!
//! ```text
//! intent (written by the producer)
//! +--------------------------------------+
//! | position below which it may write    |
//! +--------------------------------------+
//! ```
//!
//! The word needs no line of its own, only one that nobody looks at with every record.
//!
//! # Orders
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | P60 | `Intent::raise` | SeqCst fence after the intent, before anything below it is written | C60 |
//! | C60 | `is_intact` | Acquire fence after the copy, before the intent is looked at | P60 |
//! | P1, P10 | the ring | Release store of the commit word or the tail, after the record | C61 |
//! | C61 | `try_read` of both taps | Acquire load of the commit word or the tail, before the copy | P1, P10 |
//!
//! If a word of the copy was written a lap later, the fence of that lap's intent came before that
//! write, and the fence of the tap after its load: the tap sees that intent or a later one, which
//! is more than a lap ahead of what it copied. A Release fence would do for words. The bytes of a
//! `throughput` ring may be written by streaming stores, which only a full fence orders on x86.
//!
//! # Example
//!
//! ```
//! # #[cfg(not(loom))] {
//! use corelane_ring::{HeapWords, Shape, latency, tap};
//!
//! let shape = Shape::new(8, 16)?;
//! let data = HeapWords::new(shape.data_words());
//! let (cursor, intent) = (HeapWords::new(latency::CURSOR_WORDS), HeapWords::new(1));
//! let producer = latency::Producer::new(shape, data.clone(), cursor)?;
//! let mut producer = producer.with_intent(intent.clone())?;
//! let mut tap = tap::LatencyTap::new(shape, data, intent, tap::Start::Tail)?;
//!
//! let mut claim = producer.claim()?;
//! claim.write_bytes(0, b"read along");
//! claim.commit(10);
//!
//! let mut record = Vec::new();
//! assert!(tap.try_read(&mut record)?);
//! assert_eq!(record, b"read along");
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod intent;
mod latency;
mod throughput;

#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, not(loom)))]
mod tests;

use thiserror::Error;

use crate::storage::ReadWords;

pub(crate) use self::intent::Intent;
pub use self::latency::LatencyTap;
pub use self::throughput::ThroughputTap;

/// Words that are copied in one piece.
const PIECE_WORDS: usize = 64;

/// Copies the bytes of words from `first` on, each word once, whatever their producer does to them.
#[inline]
fn copy(words: &impl ReadWords, first: usize, out: &mut [u8]) {
    let mut piece = [0; PIECE_WORDS];
    for (index, bytes) in out.chunks_mut(PIECE_WORDS * 8).enumerate() {
        let piece = &mut piece[..bytes.len().div_ceil(8)];
        words.read(first + index * PIECE_WORDS, piece);
        bytes.copy_from_slice(&bytemuck::cast_slice(piece)[..bytes.len()]);
    }
}

/// Where a tap begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first record of the ring: for a ring that is made now.
    First,
    /// With the next record that is published.
    Tail,
}

/// Why a tap read no record, though one may be there.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TapError {
    /// The producer overran the tap, which goes on at the tail.
    #[error("producer overran the tap: missed={missed}: read more often")]
    Overrun {
        /// Records of a `latency` ring, or bytes of a `throughput` ring.
        missed: u64,
    },
    /// The producer wrote what cannot be; reading along is over.
    #[error("producer wrote {what}={found} at position={position}: leave this ring")]
    Corrupt {
        /// What cannot be.
        what: &'static str,
        /// What was read.
        found: u64,
        /// Where the tap stood.
        position: u64,
    },
}

impl TapError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Overrun { .. } => "CL-0244",
            Self::Corrupt { .. } => "CL-0245",
        }
    }
}
