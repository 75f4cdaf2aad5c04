//! Broadcast: a shared log with one publisher and many subscribers; one write for all.
mod gating;
#[cfg(all(test, loom))]
mod loom_models;
mod publisher;
pub mod shape;
mod subscriber;
#[cfg(all(test, not(loom)))]
mod tests;
mod typed;

pub use publisher::{ClaimError, LagPolicy, PublisherCounts, WordClaim, WordPublisher};
pub use shape::{LogError, LogShape};
pub use subscriber::{Seat, Start, TryRecvError, WordSubscriber};
pub use typed::{Claim, Publisher, Subscriber, Subscribers, channel, channel_with};
