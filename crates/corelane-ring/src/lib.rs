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
//! - The same message for many: `broadcast`; one write serves all of them. Large payloads lie
//!   beside it, in memory that is used again by the handshake of [`holds`].
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
//! A message is visible when the call that sends it returns; nothing is held back. Batches are for
//! who has several: `send_many` and `recv_many` of every typed ring, `drain` or `recv_with`, a
//! `batch` of `throughput` records, and a *claim*, which is room that is filled and then committed
//! (`spsc`, `mpsc`, `mpmc`, `broadcast`). Each moves the shared indexes once for many messages. A
//! claim that is dropped publishes nothing. `latency` commits records one by one.
//!
//! # Orders
//!
//! Every order that code relies on has an id, which stands beside the code and in a table of its
//! module.
//!
//! | ids | table |
//! |---|---|
//! | P1 to C2 | [`latency`] |
//! | P3 to C6 | [`spsc`] |
//! | P10 to C13 | [`throughput`] |
//! | P20 to C28 | [`broadcast`] |
//! | P31 to C34 | `turns.rs`, for [`mpsc`] and [`mpmc`] |
//! | P41 to C43 | [`fan_in`] |
//! | P51 to C57 | [`sharing`] |
//! | E1 to E6 | [`wait`], for every typed ring |
//! | B1, S1, S2 | [`bell`], beside [`latency`] |
//! | H1 to H5 | [`holds`], beside [`broadcast`] |
//! | P60 to C61 | [`tap`], beside [`latency`] and [`throughput`] |
//!
//! # Invariants
//!
//! RB-1 to RB-8, RB-10 to RB-14, RB-20 to RB-24, RB-30, RB-40 and RB-50 in `docs/INVARIANTS.md`;
//! the code quotes them where they are used.
//!
//! # Example
//!
//! ```
//! # #[cfg(not(loom))] {
//! use corelane_ring::{Spin, TryRecvError, TrySendError, spsc};
//!
//! let (mut producer, mut consumer) = spsc::channel(4, Spin)?;
//! producer.try_send("one")?;
//! assert_eq!(consumer.try_recv(), Ok("one"));
//! assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
//!
//! let mut claim = producer.claim(4)?;
//! for message in ["two", "three", "four", "five"] {
//!     claim.put(message);
//! }
//! claim.commit();
//! assert_eq!(producer.try_send("six"), Err(TrySendError::Full("six")));
//! assert!(consumer.drain(64).eq(["two", "three", "four", "five"]));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod bell;
pub mod broadcast;
mod error;
pub mod fan_in;
pub mod holds;
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
pub mod tap;
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
#[cfg(all(test, not(loom)))]
mod tests_waiting;
