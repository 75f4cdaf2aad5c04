//! Lock-free rings over words that somebody else provides.
//!
//! A ring carries records from one pinned end to another without a system call, a lock or an
//! allocation. This crate holds the algorithms alone: it runs over the [`storage`] traits, so the
//! same code works on a heap buffer, on a shared-memory segment and under the loom model checker.
//!
//! What it does not do: it never blocks (the ends decide how to wait), never resizes, keeps no
//! order across producers, and knows no operating system.
//!
//! # Which ring when
//!
//! | ring | producers | consumers | when full | progress |
//! |---|---|---|---|---|
//! | [`latency`] | 1 | 1 | [`ClaimError::Full`], nothing is dropped | wait-free on both ends |
//!
//! # Memory picture of the `latency` ring
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
//! | P2 | `Producer::claim` | Acquire load of the head, before a slot is written again | C2 |
//! | B1 | `Bell::ring` | SeqCst fence between the commits and the load of the sleep word | S1 |
//! | S1 | `Sleeper::prepare` | SeqCst fence between the sleep word's store and the last look | B1 |
//! | P3 | `spsc::Producer::publish` | Release store of the tail, after the messages | C3 |
//! | C3 | `spsc::Consumer::refresh` | Acquire load of the tail, before the messages | P3 |
//! | C4 | `spsc::Consumer::release` | Release store of the head, after the messages were taken | P4 |
//! | P4 | `spsc::Producer::refresh` | Acquire load of the head, before a slot is filled again | C4 |
//! | C5 | `spsc::Consumer`'s drop | Release store of its end, after its last release | P5 |
//! | P5 | `spsc::Producer::is_closed` | Acquire load of the consumer's end | C5 |
//! | P6 | `spsc::Producer`'s drop | Release store of its end, after its last message | C6 |
//! | C6 | `spsc::Consumer::is_closed` | Acquire load of the producer's end, before a last look | P6 |
//! | E1 | `Wait::fence_waker` | fence between publishing and the look for who is announced | E2 |
//! | E2 | `Wait::fence_sleeper` | fence between the announcement and the last look | E1 |
//! | E3 | the event's wake | Release change of the epoch, after publishing | E4 |
//! | E4 | `SleepWord::load` | Acquire load of the epoch, before a look | E3 |
//!
//! # Invariants
//!
//! RB-1 to RB-8 in `docs/INVARIANTS.md`; the code quotes them where they are used.
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

pub mod bell;
mod error;
pub mod latency;
mod line;
mod raw;
mod shape;
pub mod spsc;
pub mod storage;
mod sync;
pub mod wait;

pub use bell::{Bell, Sleeper};
pub use error::{CapacityError, RecvError, SendError, TryRecvError, TrySendError};
pub use latency::{ClaimError, PeekError};
pub use shape::{Shape, ShapeError};
pub use storage::{HeapWords, ReadWords, WriteWords};
pub use wait::{Clock, SleepWord, Spin, Wait};

#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, loom))]
mod loom_spsc;
#[cfg(all(test, loom))]
mod loom_wait;
#[cfg(all(test, not(loom)))]
mod tests;
