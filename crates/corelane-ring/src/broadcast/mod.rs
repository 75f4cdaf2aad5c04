//! Broadcast: a shared log with one publisher and many subscribers; one write for all.
//!
//! A record is written once, whoever reads it. *Reliable* subscribers own a cursor each, which
//! holds the publisher back; *lossy* ones hold nobody back, notice when they were overrun, and are
//! told how much they missed. Anybody may join and leave at any time, at the tail or at the oldest
//! record that is still there.
//!
//! There are two layers. [`channel`] makes the typed ends for one process, which wait. The ends
//! over words ([`WordPublisher`], [`WordSubscriber`]) run over any storage, also a mapped one.
//! Neither orders several publishers, resizes, or keeps what was overwritten.
//!
//! # Who holds whom back
//!
//! | subscriber | the publisher laps it | what it is told |
//! |---|---|---|
//! | reliable, [`LagPolicy::Wait`] | never: the publisher is full | nothing |
//! | reliable, [`LagPolicy::Demote`] | once it lags by `lag_max` | [`TryRecvError::Demoted`], then it is lossy |
//! | reliable, [`LagPolicy::Evict`] | once it lags by `lag_max` | [`TryRecvError::Evicted`] |
//! | lossy | always | [`TryRecvError::Lagged`] with the size of the gap |
//!
//! # Memory picture
//!
//! The publisher writes the *data*, each subscriber its own cursor word and nothing else. Cursors
//! of a trusted group lie packed in one storage; a group of one may lie in a page of its own.
//!
//! ```text
//! data    word 0: tail, with its highest bit set at the end      a pair of lines
//!         word 16: intent | floor | a word for those above      a pair of lines
//!         word 32..: gates, one word per seat                   padded to a pair of lines
//!                    verdict << 8 | generation
//!         then the records, without headers: 64 bytes are exactly one aligned line
//!
//! group   word 0: joins                                         a line
//!         word 8..: cursors, eight on a line
//!                   generation << 56 | (position + 1), or no position when the seat is free
//! ```
//!
//! The publisher writes positions below *intent* only. It raises it by a quarter of a lap at a
//! time, so that sending stores to the record and the tail alone, and a lossy subscriber reads a
//! line that it has. The price: of the oldest lap up to a quarter counts as overrun before it is.
//! The cursors are looked at when the cached minimum does not suffice, or when somebody joined. Who
//! tries again in vain pays for one load: the publisher looks at the cursor that it ran into, and a
//! subscriber at the tail. Threads that share a CPU do so all the time.
//!
//! What records refer to may be gone before they are: below the *floor* nobody joins any more
//! ([`WordPublisher::retire`]).
//!
//! A generation tells the owners of a seat apart, so that a verdict never hits the next one.
//!
//! # Orders
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | P20 | `WordPublisher::publish` | Release store of the tail, after the records | C21 |
//! | P22 | `WordPublisher::close` | Release store of the tail with its end, after the records | C21 |
//! | C21 | `look_again`, `refresh`, `is_closed` | Acquire load of the tail | P20, P22 |
//! | P23 | `WordPublisher::refresh_changed` | SeqCst fence after the intent, before the look for joins and before any record below it is written; in `retire` the same after the floor | C22, C23, C28 |
//! | C22 | `join_reliable` | SeqCst fence after cursor and joins, before the look at the intent | P23 |
//! | C23 | `is_intact` | Acquire fence after the copy, before intent or gate are looked at | P23, P24 |
//! | P24 | `WordPublisher::scan` | Release fence after a verdict, before its room is written | C23 |
//! | C20 | `WordSubscriber::release` | Release store of the cursor, after the records were read | P25 |
//! | P25 | `WordPublisher::scan` | Acquire fence after the cursors, before their room is written | C20 |
//! | C26 | `join_reliable` | Release store of the joins, after the cursor | P27 |
//! | P27 | `Group::has_joined` | Acquire load of the joins, before the cursors | C26 |
//! | C28 | whoever implements [`Arrivals`] | SeqCst fence after the news, before the joiner is let in | P23 |
//! | C27 | `Shared::listener_leaves` | Release decrement of the listeners | P26 |
//! | P26 | `Shared::is_deserted` | Acquire load of the listeners | C27 |
//!
//! Why a joiner is never overrun (RB-22): it stores its cursor, counts its join, and then looks at
//! the intent (C22). The publisher raises the intent and then looks for joins (P23). Either its
//! fence came first, and the joiner begins above everything that this intent endangers; or the
//! joiner's did, and the publisher counts the join and looks at the cursor before it goes on.
//!
//! # Invariants
//!
//! RB-3 and RB-20 to RB-24 in `docs/INVARIANTS.md`.
//!
//! # Example
//!
//! ```
//! # #[cfg(not(loom))] {
//! use corelane_ring::{Spin, broadcast};
//! use corelane_ring::broadcast::{Start, TryRecvError};
//!
//! let (mut publisher, subscribers) = broadcast::channel::<[u64; 8], _>(1024, 16, Spin)?;
//! let mut first = subscribers.reliable(Start::Tail)?;
//! let mut second = subscribers.lossy(Start::Tail);
//!
//! let mut claim = publisher.claim(2)?;
//! claim.put([1; 8]);
//! claim.put([2; 8]);
//! claim.commit();
//!
//! assert_eq!(first.recv(), Ok([1; 8]));
//! let mut sum = 0;
//! assert_eq!(second.drain(usize::MAX, |message| sum += message[7]), Ok(2));
//! assert_eq!(sum, 3);
//!
//! let mut late = subscribers.reliable(Start::Oldest)?;
//! assert_eq!(late.recv(), Ok([1; 8]));
//! drop(publisher);
//! assert_eq!(late.recv(), Ok([2; 8]));
//! assert_eq!(late.recv(), Err(TryRecvError::Closed));
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arrivals;
mod gating;
mod publisher;
#[cfg_attr(loom, path = "loom_raw.rs")]
mod raw;
mod receiver;
mod shape;
mod subscriber;
mod typed;

#[cfg(all(test, loom))]
mod loom_arrivals;
#[cfg(all(test, loom))]
mod loom_models;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, not(loom)))]
mod tests_arrivals;
#[cfg(all(test, not(loom)))]
mod tests_waiting;
#[cfg(all(test, not(loom)))]
mod tests_words;

pub use arrivals::{Arrivals, Change, NoArrivals};
pub use publisher::{ClaimError, LagPolicy, PublisherCounts, WordClaim, WordPublisher};
pub use receiver::Subscriber;
pub use shape::{
    LogError, LogShape, POSITION_MAX, RECORD_WORDS_MAX, SLOTS_MAX, SPARE, SUBSCRIBERS_MAX, TAIL,
};
pub use subscriber::{Seat, Start, TryRecvError, WordSubscriber};
pub use typed::{Claim, Ends, Publisher, Subscribers, channel, channel_with};
