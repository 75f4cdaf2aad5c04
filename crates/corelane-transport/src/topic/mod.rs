//! Topics: any number of publishers and subscribers, in any processes, over shared logs.
//!
//! Each publisher has a log of its own ([`corelane_ring::broadcast`]), in a segment that it alone
//! writes, and a slab for large payloads. A message is written once, whoever reads it. Each
//! process that subscribes has a page with the cursors and holds of its subscribers, which
//! publishers read. Both are handed over by a link, a socket between the two that the exchange
//! made; when a process dies its links end, its page is not looked at any more, and what it had
//! committed is still received. A message makes no system call while nobody sleeps.
//!
//! ```text
//! publisher                                           subscribers of one process
//! +-----------------------------+   read     +-----------------------------------+
//! | log: tail, intent, records  | ---------> | cursor, cursor, ...   (reliable)  |
//! | slab: extents of chunks     |            | holds                             |
//! +-----------------------------+   <------- | sleepers                          |
//!                                     read   +-----------------------------------+
//! ```
//!
//! What is published after [`publish`](crate::Participant::publish_bytes) returned reaches every
//! subscriber that was there before, and what is published after
//! [`subscribe`](crate::Participant::subscribe_bytes) returned reaches that subscriber, unless the
//! other side did not answer within a second.
//!
//! A large payload can lie in a segment that is just being handed over. A subscriber that looks
//! before it arrived finds nothing yet; one that waits is woken when it is there.
//!
//! | end | order | when there is no room | progress |
//! |---|---|---|---|
//! | publisher | its own messages, for each subscriber | refused, or waits when asked to | wait-free |
//! | reliable subscriber | each publisher's messages in order, once | holds publishers back | wait-free |
//! | lossy subscriber | the same, with gaps that are counted | holds nobody back | wait-free |

mod bytes;
mod connection;
mod error;
mod group;
mod hub;
mod listening;
mod options;
mod publisher;
mod record;
mod roster;
mod subscriber;
mod typed;
mod waiting;

pub use bytes::{BytesPublisher, BytesSubscriber, Loan, Sample};
pub use corelane_ring::broadcast::{LagPolicy, Start};
pub use error::{PublishError, ReceiveError, TopicError};
pub use group::SEATS_MAX as SIBLINGS_MAX;
pub use hub::PUBLISHERS_MAX;
pub use options::{PublishOptions, SubscribeOptions};
pub use publisher::TopicCounts;
pub use record::INLINE_BYTES_MAX;
pub use roster::LinkCounts;
pub use subscriber::Origin;
pub use typed::{Publisher, Subscriber, TypedLoan, TypedSample};

pub(crate) use publisher::LINK_PATIENCE;

use crate::exchange::TypeTag;
use crate::participant::Participant;
use crate::schema::{Message, Schema};

/// What ends tell each other about the type of their messages.
fn tag_of(schema: &Schema) -> TypeTag {
    let value = serde_json::to_value(schema).expect("because a schema has text for every key");
    TypeTag { hash: format!("{:016x}", schema.hash()), schema: value }
}

/// The type of messages of bytes.
fn bytes_tag() -> TypeTag {
    tag_of(&Schema::bytes("bytes").expect("because the name is a short one"))
}

impl Participant {
    /// Makes a publisher of messages of type `T` on the topic `name`.
    ///
    /// # Errors
    /// - [`TopicError`]: the exchange refuses, because of another type for one, or the system is
    ///   short of something.
    pub fn publish<T: Message>(
        &self,
        name: &str,
        options: &PublishOptions,
    ) -> Result<Publisher<T>, TopicError> {
        Publisher::new(self, name, options)
    }

    /// Makes a subscriber to the topic `name`, whose messages are of type `T`.
    ///
    /// # Errors
    /// - [`TopicError`]: as for [`publish`](Self::publish).
    pub fn subscribe<T: Message>(
        &self,
        name: &str,
        options: SubscribeOptions,
    ) -> Result<Subscriber<T>, TopicError> {
        Subscriber::new(self, name, options)
    }

    /// Makes a publisher of bytes on the topic `name`.
    ///
    /// # Errors
    /// - [`TopicError`]: the exchange refuses, or the system is short of something.
    pub fn publish_bytes(
        &self,
        name: &str,
        options: &PublishOptions,
    ) -> Result<BytesPublisher, TopicError> {
        BytesPublisher::new(self, name, options)
    }

    /// Makes a subscriber to the topic `name`, whose messages are bytes.
    ///
    /// # Errors
    /// - [`TopicError`]: the exchange refuses, or the system is short of something.
    pub fn subscribe_bytes(
        &self,
        name: &str,
        options: SubscribeOptions,
    ) -> Result<BytesSubscriber, TopicError> {
        BytesSubscriber::new(self, name, false, options)
    }

    /// Makes a subscriber to the topic `name`, whatever the type of its messages: for tools.
    ///
    /// # Errors
    /// - [`TopicError`]: the exchange refuses, or the system is short of something.
    pub fn subscribe_any(
        &self,
        name: &str,
        options: SubscribeOptions,
    ) -> Result<BytesSubscriber, TopicError> {
        BytesSubscriber::new(self, name, true, options)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_listening;
#[cfg(test)]
mod tests_waking;
