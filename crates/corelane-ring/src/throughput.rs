//! The `throughput` SPSC ring: records of any size, framed in a ring of bytes.
//!
//! The producer writes a record in place and publishes its tail; the consumer reads the record in
//! place and publishes its head, a quarter of the ring at a time and when it finds nothing. Each
//! end keeps a copy of the other's index and looks at the shared one only when the copy says full
//! or empty. A record is visible to the consumer when `commit` returns. The ring neither blocks nor
//! allocates, and drops nothing; only `send`, `recv` and `claim_when_free` of a [`channel`] wait.
//!
//! What is absent: a consumer of a producer that it does not trust. Records are read as `&[u8]`, so
//! whoever may write the bytes must keep to the protocol ([`ReadSide::new`]). Indices and headers
//! are checked all the same, so that a peer's mistake ends in a typed error (RB-5, RB-6), but
//! reading by a copy that the compiler cannot look through is not there.
//!
//! # Memory picture
//!
//! ```text
//! tail (written by the producer)    head (written by the consumer)
//! bytes (written by the producer)
//! +--------+---------+--------+-------------+-----------------+---------+
//! | header | payload | header | gap payload | ...  free  ...  | padding |
//! +--------+---------+--------+-------------+-----------------+---------+
//! header: length: u32 | kind: u32      (8 bytes, aligned to 8)
//! ```
//!
//! A payload of [`ALIGNED_BYTES_MIN`] bytes or more begins on a cache line ([`ALIGNMENT`]), behind
//! a gap; the kind says so. A record never wraps: when it does not fit before
//! the end of the memory, a padding record fills the rest (RB-11).
//!
//! # Orders
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | P10 | `WriteSide::publish` | Release store of the tail, after header and payload | C10 |
//! | C10 | `ReadSide::refresh` | Acquire load of the tail, before header and payload | P10 |
//! | C11 | `ReadSide::release` | Release store of the head, after the records were read | P11 |
//! | P11 | `WriteSide::refresh` | Acquire load of the head, before bytes are written again | C11 |
//! | P12 | drop of a channel's producer | Release store: gone, after its last tail | C12 |
//! | C12 | `Consumer::is_closed` | Acquire load, before the last look at the tail | P12 |
//! | C13 | drop of a channel's consumer | Release store: gone | P13 |
//! | P13 | `Producer::is_closed` | Acquire load | C13 |
//!
//! # How large
//!
//! A record takes at most half of the capacity. A stream runs best when many records lie ahead, in
//! a ring about as large as a core's L2: a smaller one makes the ends wait for each other, a larger
//! one sends small records out to the L3 and back. Large records want room for at least four.
//!
//! # Example
//!
//! ```
//! # #[cfg(not(loom))] {
//! use corelane_ring::{Spin, throughput};
//!
//! let (mut producer, mut consumer) = throughput::channel(64 << 10, Spin)?;
//! let mut claim = producer.claim(4096)?;
//! claim.bytes_mut()[..5].copy_from_slice(b"hello");
//! claim.commit(5);
//!
//! let record = consumer.try_recv()?.expect("because a record was committed above");
//! assert_eq!(record.bytes(), b"hello");
//! record.consume();
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod channel;
mod consumer;
mod error;
pub(crate) mod frame;
mod producer;

#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, not(loom)))]
mod tests;

pub use self::channel::{
    ChannelConsumer, ChannelProducer, ConsumerLink, Peer, Polling, ProducerLink, channel,
};
pub use self::consumer::{Consumer, Drain, Record, View};
pub use self::error::{ClaimError, ReadError, SetupError};
pub use self::frame::{
    ALIGNED_BYTES_MIN, ALIGNMENT, CAPACITY_BYTES_MAX, CAPACITY_BYTES_MIN, payload_bytes_max,
};
pub use self::producer::{Batch, Claim, Producer};
pub use crate::raw_bytes::{HeapReadSide, HeapWriteSide, ReadSide, WriteSide};

/// Words that hold an end's index: one cache line, of which the index is word 0.
pub const CURSOR_WORDS: usize = 8;

/// The two sides of a ring on the heap, for ends without waiting.
///
/// # Errors
/// - [`SetupError::Capacity`]: not a power of two, or out of range.
pub fn heap(capacity_bytes: usize) -> Result<(HeapWriteSide, HeapReadSide), SetupError> {
    crate::raw_bytes::heap_sides(capacity_bytes)
}
