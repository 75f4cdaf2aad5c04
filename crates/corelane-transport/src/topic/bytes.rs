//! Publishing and subscribing messages of bytes, of any length up to 1 GiB.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use corelane_shm::slab::{Chunk, Held};

use crate::doorbell::BellError;
use crate::participant::Participant;

use super::error::{PublishError, ReceiveError, TopicError};
use super::options::{PublishOptions, SubscribeOptions};
use super::publisher::{RawPublisher, TopicCounts};
use super::subscriber::{Origin, Payload, RawSubscriber};

/// The publishing end of a topic of bytes.
///
/// Wait-free but where it says that it waits; it allocates only for large payloads, when its slab
/// grows. Payloads of more than [`PublishOptions::inline_bytes`] are written once, into the slab,
/// whatever the number of subscribers.
#[derive(Debug)]
pub struct BytesPublisher {
    raw: RawPublisher,
}

/// A place for a large payload, to be filled and published. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "nothing is published before `publish_loan`"]
pub struct Loan {
    pub(super) chunk: Chunk,
}

impl Loan {
    /// Shortens the payload.
    ///
    /// # Panics
    /// When it would grow.
    pub fn truncate(&mut self, bytes: usize) {
        self.chunk.truncate(bytes);
    }
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.chunk
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.chunk
    }
}

impl BytesPublisher {
    pub(super) fn new(
        participant: &Participant,
        name: &str,
        options: &PublishOptions,
    ) -> Result<Self, TopicError> {
        let raw = RawPublisher::new(participant, name, super::bytes_tag(), None, options)?;
        Ok(Self { raw })
    }

    /// Publishes a payload; it is visible to every subscriber on return.
    ///
    /// # Errors
    /// - [`PublishError`]: there is no room, for the record or for a large payload.
    #[inline]
    pub fn publish(&mut self, payload: &[u8]) -> Result<(), PublishError> {
        if payload.len() <= self.raw.layout().inline_bytes {
            return self.raw.put_inline(payload);
        }
        let mut loan = self.loan(payload.len())?;
        loan.copy_from_slice(payload);
        self.publish_loan(loan).map_err(|(_, error)| error)
    }

    /// The same, which waits for room until `timeout` has passed. May park.
    ///
    /// # Errors
    /// - [`PublishError::TimedOut`], or what else [`publish`](Self::publish) says.
    pub fn publish_within(
        &mut self,
        payload: &[u8],
        timeout: Duration,
    ) -> Result<(), PublishError> {
        let inline_bytes = self.raw.layout().inline_bytes;
        self.raw.publish_within(timeout, |raw| {
            if payload.len() <= inline_bytes {
                return raw.put_inline(payload);
            }
            let mut chunk = raw.lend(payload.len())?;
            chunk.copy_from_slice(payload);
            raw.put_chunk(chunk).map_err(|(_, error)| error)
        })
    }

    /// Lends a place for a payload of `bytes`, to be written where subscribers will read it. It
    /// holds what was there before.
    ///
    /// # Errors
    /// - [`PublishError::Loan`]: it is too long, or the slab is in use and may not grow.
    pub fn loan(&mut self, bytes: usize) -> Result<Loan, PublishError> {
        self.raw.lend(bytes).map(|chunk| Loan { chunk })
    }

    /// Publishes a payload that was filled in place.
    ///
    /// # Errors
    /// - The loan and a [`PublishError`]: the log has no room; nothing was published.
    pub fn publish_loan(&mut self, loan: Loan) -> Result<(), (Loan, PublishError)> {
        self.raw.put_chunk(loan.chunk).map_err(|(chunk, error)| (Loan { chunk }, error))
    }

    /// Waits until `count` processes' groups of subscribers are linked; false after `timeout`.
    pub fn wait_for_subscribers(&self, count: usize, timeout: Duration) -> bool {
        self.raw.wait_for_links(count, timeout)
    }

    /// Number of this publisher, as subscribers see it in [`Origin`].
    pub fn number(&self) -> u64 {
        self.raw.number()
    }

    /// What was counted so far.
    pub fn counts(&mut self) -> TopicCounts {
        self.raw.counts()
    }

    /// Why the last link was cut off, if one was.
    pub fn why_cut(&self) -> Option<String> {
        self.raw.why_cut()
    }
}

/// A message, with its payload where it lies.
pub struct Sample<'a> {
    /// Where it came from.
    pub origin: Origin,
    payload: SamplePayload<'a>,
}

enum SamplePayload<'a> {
    Buffered(&'a [u8]),
    Held(Held),
}

impl fmt::Debug for Sample<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Sample");
        debug.field("origin", &self.origin).field("bytes", &self.len()).finish()
    }
}

impl Deref for Sample<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.payload {
            SamplePayload::Buffered(bytes) => bytes,
            SamplePayload::Held(held) => held,
        }
    }
}

impl Sample<'_> {
    /// Whether the payload is read where its publisher wrote it.
    pub fn is_in_place(&self) -> bool {
        matches!(self.payload, SamplePayload::Held(_))
    }

    /// The payload apart from its subscriber, if it is read in place; the sample otherwise.
    ///
    /// # Errors
    /// - The sample: its payload was copied into a buffer of the subscriber.
    pub fn into_held(self) -> Result<Held, Self> {
        match self.payload {
            SamplePayload::Held(held) => Ok(held),
            SamplePayload::Buffered(_) => Err(self),
        }
    }
}

/// The subscribing end of a topic, for messages as bytes, whatever their type.
///
/// It holds no publisher back unless it is reliable, and never allocates for small messages.
#[derive(Debug)]
pub struct BytesSubscriber {
    raw: RawSubscriber,
    tag: Option<crate::exchange::TypeTag>,
}

impl BytesSubscriber {
    pub(super) fn new(
        participant: &Participant,
        name: &str,
        is_any_type: bool,
        options: SubscribeOptions,
    ) -> Result<Self, TopicError> {
        let tag = (!is_any_type).then(super::bytes_tag);
        let message_bytes = (!is_any_type).then_some(None);
        let (raw, tag) = RawSubscriber::new(participant, name, tag, message_bytes, options)?;
        Ok(Self { raw, tag })
    }

    /// Receives the next message, if there is one.
    ///
    /// # Errors
    /// - [`ReceiveError`]: something else is to be told; the next call goes on behind it.
    pub fn try_receive(&mut self) -> Result<Option<Sample<'_>>, ReceiveError> {
        Ok(self.raw.receive()?.map(|received| self.sample(received)))
    }

    fn sample(&self, (origin, payload): (Origin, Payload)) -> Sample<'_> {
        let payload = match payload {
            Payload::Inline { first, bytes } => {
                SamplePayload::Buffered(&bytemuck::cast_slice(&self.raw.record[first..])[..bytes])
            }
            Payload::Held(held) => SamplePayload::Held(held),
            Payload::Copied => SamplePayload::Buffered(&self.raw.copied),
        };
        Sample { origin, payload }
    }

    /// Receives the next message, waiting for it until `timeout` has passed. May park.
    ///
    /// # Errors
    /// - [`ReceiveError`]: as for [`try_receive`](Self::try_receive).
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Sample<'_>>, ReceiveError> {
        Ok(self.raw.receive_within(timeout)?.map(|received| self.sample(received)))
    }

    /// Waits until a message may be there, or `timeout` has passed; false in the latter case. May
    /// park.
    ///
    /// # Errors
    /// - [`ReceiveError::Sleep`]: the kernel refuses to wait.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, ReceiveError> {
        self.raw.wait(timeout)
    }

    /// Receives the next message, waiting for it without a thread. Of a future that is dropped no
    /// message is lost. Works on any executor.
    ///
    /// # Errors
    /// - [`ReceiveError`]: as for [`try_receive`](Self::try_receive) and [`arm`](Self::arm).
    pub async fn receive_async(&mut self) -> Result<Sample<'_>, ReceiveError> {
        loop {
            if let Some(received) = self.raw.receive()? {
                return Ok(self.sample(received));
            }
            self.raw.ready().await?;
        }
    }

    /// A descriptor for an event loop (`poll`, `epoll`, an async runtime). It becomes readable when
    /// a message may be there, after [`arm`](Self::arm) said that there was none; for reading, it
    /// is of no use.
    ///
    /// # Errors
    /// - [`BellError`]: the process has no descriptor left.
    pub fn event_fd(&mut self) -> Result<BorrowedFd<'_>, BellError> {
        self.raw.event_fd()
    }

    /// Has [`event_fd`](Self::event_fd) become readable once there is something to receive or to be
    /// told. False when there is already: receive first, then arm again. Publishers pay with a
    /// system call for the first message after this, so call it before waiting and not for each
    /// message.
    ///
    /// # Errors
    /// - [`ReceiveError::Bell`]: the process has no descriptor left.
    /// - [`ReceiveError::Corrupt`]: a publisher's process does not take what it is told.
    pub fn arm(&mut self) -> Result<bool, ReceiveError> {
        self.raw.arm()
    }

    /// Another subscriber with a cursor of its own, over the same links: its page and what was
    /// handed over are shared ([`SubscribeOptions::siblings`]).
    ///
    /// # Errors
    /// - [`TopicError::NoSibling`]: there are as many as were asked for.
    pub fn sibling(&self) -> Result<Self, TopicError> {
        Ok(Self { raw: self.raw.sibling()?, tag: self.tag.clone() })
    }

    /// Publishers that are linked.
    pub fn publishers(&self) -> usize {
        self.raw.publishers()
    }

    /// Messages received so far.
    pub fn received(&self) -> u64 {
        self.raw.received()
    }

    /// Messages missed so far.
    pub fn missed(&self) -> u64 {
        self.raw.missed()
    }

    /// The type of the messages, if any end had told it when this subscriber came.
    pub fn tag(&self) -> Option<&crate::exchange::TypeTag> {
        self.tag.as_ref()
    }
}
