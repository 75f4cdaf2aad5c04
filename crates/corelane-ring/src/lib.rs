//! The fastest way between two threads: lock-free rings, one for each shape of traffic.
//!
//! # Which ring when
//!
//! | ring | from, to | carries | order | when full | progress |
//! |---|---|---|---|---|---|
//! | [`spsc`] | 1, 1 | any type | FIFO | `Full(T)` | wait-free |
//! | [`throughput`] | 1, 1 | bytes of any length | FIFO | `Full` | wait-free |
//! | [`latency`] | 1, 1 | words, fixed slots | FIFO | `Full` | wait-free |
//! | [`mpsc`] | n, 1 | any type | by claim | `Full(T)` | lock-free; a producer preempted in a claim holds up the consumer |
//! | [`fan_in`] | n, 1 | any type | per producer | `Full(T)` of its lane | wait-free; nobody holds up anybody |
//! | [`mpmc`] | n, m | any type | by claim | `Full(T)` | lock-free; an end preempted in a claim holds up the others at its slot |
//! | [`sharing`] | n, m | plain data | per producer | `Full(T)` of its lane | lock-free; nobody holds up anybody |
//! | [`broadcast`] | 1, each of n | plain data | FIFO | `Full(T)`, or the slow subscriber is demoted or evicted | wait-free |
//!
//! - Two threads in one process: `spsc`. It is the fastest for single messages and for batches.
//! - Question and answer, where the way there and back counts: `latency`. Signal and payload lie in
//!   one cache line, so that a small record moves with one transfer.
//! - Large or uneven payloads written and read in place: `throughput`.
//! - Many producers: `fan_in`, unless messages of different producers must keep the order in which
//!   they were sent: then `mpsc`. Many consumers that share the work: `sharing` for plain data,
//!   else `mpmc`. With more threads than cores `fan_in` and `sharing` are the ones.
//! - The same message for many: `broadcast`; one write serves all of them.
//!
//! `latency`, `throughput` and `broadcast` run over words and bytes that somebody else provides
//! (the [`storage`] traits): on the heap, in shared memory, or under the loom model checker.
//!
//! What this crate does not do: no ring resizes, none keeps an order across lanes, and it knows no
//! operating system. How an end waits is a [`Wait`] of the caller's; [`Spin`] is here, those that
//! yield, sleep on a futex or signal an eventfd are in `corelane-transport`.
//!
//! # Batches
//!
//! Each ring has both: one message at a time, visible when the call returns, and batches (claim n
//! and commit once, `send_many`, `drain`, `recv_many`), which move the shared indexes once. A claim
//! that is dropped publishes nothing.
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
pub mod broadcast;
mod error;
pub mod fan_in;
pub mod latency;
mod line;
pub mod mpmc;
pub mod mpsc;
mod patience;
mod producers;
mod raw;
mod raw_bytes;
mod shape;
pub mod sharing;
pub mod spsc;
pub mod storage;
mod sync;
pub mod throughput;
mod turns;
pub mod wait;
mod words;

pub use bell::{Bell, Sleeper};
pub use error::{CapacityError, RecvError, SendError, TryRecvError, TrySendError};
pub use latency::{ClaimError, PeekError};
pub use shape::{Shape, ShapeError};
pub use storage::{HeapWords, ReadWords, WriteWords};
pub use wait::{Clock, SleepWord, Spin, Wait};

#[cfg(test)]
mod ends;
#[cfg(all(test, loom))]
mod loom_lanes;
#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, loom))]
mod loom_spsc;
#[cfg(all(test, loom))]
mod loom_turns;
#[cfg(all(test, loom))]
mod loom_wait;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod tests_lanes;
#[cfg(all(test, not(loom)))]
mod tests_queues;
#[cfg(all(test, not(loom)))]
mod tests_review;
#[cfg(all(test, not(loom)))]
mod tests_shared;
#[cfg(all(test, not(loom)))]
mod tests_stress;
#[cfg(all(test, not(loom)))]
mod tests_turns;
