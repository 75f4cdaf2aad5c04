//! Publishing and subscribing messages of one type.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::os::fd::BorrowedFd;
use std::slice::{from_mut, from_ref};
use std::time::{Duration, Instant};

use bytemuck::{bytes_of, bytes_of_mut, cast_slice, cast_slice_mut};
use corelane_shm::slab::{Chunk, Held};

use crate::doorbell::BellError;
use crate::participant::Participant;
use crate::schema::Message;

use super::error::{PublishError, ReceiveError, TopicError};
use super::options::{PublishOptions, SubscribeOptions};
use super::publisher::{RawPublisher, TopicCounts};
use super::subscriber::{Origin, Payload, RawSubscriber};
use super::tag_of;

/// Whether a message of this type is whole words, aligned as such: it is then a record as it lies.
const fn is_words<T>() -> bool {
    size_of::<T>() > 0
        && size_of::<T>().is_multiple_of(size_of::<u64>())
        && align_of::<T>() >= align_of::<u64>()
}

/// The publishing end of a topic of messages of type `T`.
///
/// Wait-free but where it says that it waits. Messages of up to
/// [`INLINE_BYTES_MAX`](super::INLINE_BYTES_MAX) bytes lie in their records, larger ones in a slab.
#[derive(Debug)]
pub struct Publisher<T> {
    raw: RawPublisher,
    is_plain: bool,
    of: PhantomData<fn(T)>,
}

impl<T: Message> Publisher<T> {
    pub(super) fn new(
        participant: &Participant,
        name: &str,
        options: &PublishOptions,
    ) -> Result<Self, TopicError> {
        let bytes = Some(size_of::<T>());
        let raw = RawPublisher::new(participant, name, tag_of(&T::schema()), bytes, options)?;
        let layout = raw.layout();
        let is_plain = is_words::<T>() && layout.header_words() == 0 && !layout.is_always_loaned();
        Ok(Self { raw, is_plain, of: PhantomData })
    }

    /// Publishes a message; it is visible to every subscriber on return.
    ///
    /// # Errors
    /// - [`PublishError`]: there is no room.
    #[inline]
    pub fn publish(&mut self, message: &T) -> Result<(), PublishError> {
        if is_words::<T>() && self.is_plain {
            return self.raw.put_record(cast_slice(from_ref(message)));
        }
        put_any(&mut self.raw, || *message)
    }

    /// Publishes as many of the messages as there is room for, and returns how many. Those that
    /// are whole words become visible together.
    ///
    /// # Errors
    /// - [`PublishError`]: not one of them was published.
    #[inline]
    pub fn publish_many(&mut self, messages: &[T]) -> Result<usize, PublishError> {
        let mut next = messages.iter();
        let next = || *next.next().expect("because no more are asked for than there are");
        self.publish_with(messages.len(), next)
    }

    /// Publishes `count` messages, or as many as there is room for, each made when its room is
    /// sure, and returns how many.
    ///
    /// # Errors
    /// - [`PublishError`]: not one of them was published, nor made.
    #[inline]
    pub fn publish_with(
        &mut self,
        count: usize,
        mut make: impl FnMut() -> T,
    ) -> Result<usize, PublishError> {
        let room = self.raw.room(count);
        if room == 0 && count > 0 {
            return Err(PublishError::Full { slots: self.raw.slots() });
        }
        if is_words::<T>() && self.is_plain {
            self.raw.put_records(room, |claim| {
                claim.put(cast_slice(from_ref(&make())));
            });
            return Ok(room);
        }
        for published in 0..room {
            match put_any(&mut self.raw, &mut make) {
                Ok(()) => {}
                Err(error) if published == 0 => return Err(error),
                Err(_) => return Ok(published),
            }
        }
        Ok(room)
    }

    /// Publishes a message, waiting for room until `timeout` has passed. May park.
    ///
    /// # Errors
    /// - [`PublishError::TimedOut`], or what else [`publish`](Self::publish) says.
    pub fn publish_within(&mut self, message: &T, timeout: Duration) -> Result<(), PublishError> {
        self.raw.publish_within(timeout, |raw| put_any(raw, || *message))
    }

    /// Lends a message in the slab, to be written where subscribers will read it; of a type that
    /// lies in its record, publish a value. It holds what was there before.
    ///
    /// # Errors
    /// - [`PublishError::Loan`]: the slab is in use and may not grow.
    pub fn loan(&mut self) -> Result<TypedLoan<T>, PublishError> {
        let chunk = self.raw.lend(size_of::<T>())?;
        Ok(TypedLoan { chunk, of: PhantomData })
    }

    /// Publishes a message that was written in place.
    ///
    /// # Errors
    /// - The loan and a [`PublishError`]: the log has no room; nothing was published.
    pub fn publish_loan(&mut self, loan: TypedLoan<T>) -> Result<(), (TypedLoan<T>, PublishError)> {
        let give_back = |chunk| TypedLoan { chunk, of: PhantomData };
        if self.raw.layout().is_always_loaned() {
            return self
                .raw
                .put_chunk(loan.chunk)
                .map_err(|(chunk, error)| (give_back(chunk), error));
        }
        self.publish(&loan).map_err(|error| (loan, error))
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

/// A message in the slab, to be written and published. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "nothing is published before `publish_loan`"]
pub struct TypedLoan<T> {
    chunk: Chunk,
    of: PhantomData<fn() -> T>,
}

impl<T: Message> Deref for TypedLoan<T> {
    type Target = T;

    fn deref(&self) -> &T {
        bytemuck::from_bytes(&self.chunk)
    }
}

impl<T: Message> DerefMut for TypedLoan<T> {
    fn deref_mut(&mut self) -> &mut T {
        bytemuck::from_bytes_mut(&mut self.chunk)
    }
}

/// A message that is read where its publisher wrote it.
pub struct TypedSample<T> {
    /// Where it came from.
    pub origin: Origin,
    held: Held,
    of: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for TypedSample<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedSample").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl<T: Message> Deref for TypedSample<T> {
    type Target = T;

    fn deref(&self) -> &T {
        bytemuck::from_bytes(&self.held)
    }
}

/// The subscribing end of a topic of messages of type `T`.
#[derive(Debug)]
pub struct Subscriber<T> {
    raw: RawSubscriber,
    of: PhantomData<fn() -> T>,
}

impl<T: Message> Subscriber<T> {
    pub(super) fn new(
        participant: &Participant,
        name: &str,
        options: SubscribeOptions,
    ) -> Result<Self, TopicError> {
        let (tag, bytes) = (Some(tag_of(&T::schema())), Some(Some(size_of::<T>())));
        let (raw, _) = RawSubscriber::new(participant, name, tag, bytes, options)?;
        Ok(Self { raw, of: PhantomData })
    }

    /// Receives the next message, if there is one.
    ///
    /// # Errors
    /// - [`ReceiveError`]: something else is to be told; the next call goes on behind it.
    #[inline]
    pub fn try_receive(&mut self) -> Result<Option<T>, ReceiveError> {
        let mut message = T::zeroed();
        match self.receive_into(&mut message) {
            Ok(true) => Ok(Some(message)),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same, into the caller's memory: true when there was a message. The fastest way to
    /// receive one by one.
    ///
    /// # Errors
    /// - [`ReceiveError`]: as for [`try_receive`](Self::try_receive).
    #[inline(always)]
    pub fn receive_into(&mut self, message: &mut T) -> Result<bool, ReceiveError> {
        if is_words::<T>() && self.raw.take_record(cast_slice_mut(from_mut(message))) {
            return Ok(true);
        }
        self.receive_next_into(message)
    }

    /// The same, after a look at the publishers.
    #[cold]
    #[inline(never)]
    fn receive_next_into(&mut self, message: &mut T) -> Result<bool, ReceiveError> {
        if is_words::<T>() {
            if self.raw.receive_record(cast_slice_mut(from_mut(message)))? {
                return Ok(true);
            }
            if !self.raw.has_next() {
                return Ok(false);
            }
        }
        let received = self.receive_any()?;
        let is_there = received.is_some();
        if let Some((_, received)) = received {
            *message = received;
        }
        Ok(is_there)
    }

    /// Receives as many messages as are there and fit, and returns how many.
    ///
    /// # Errors
    /// - [`ReceiveError`]: as for [`try_receive`](Self::try_receive); no message is lost by it.
    #[inline]
    pub fn receive_many(&mut self, messages: &mut [T]) -> Result<usize, ReceiveError> {
        if is_words::<T>() {
            let words = size_of::<T>() / size_of::<u64>();
            let records = cast_slice_mut::<T, u64>(messages).chunks_exact_mut(words.max(1));
            let count = self.raw.receive_records(records)?;
            if count > 0 || !self.raw.has_next() {
                return Ok(count);
            }
        }
        let mut count = 0;
        for message in messages {
            match self.receive_any() {
                Ok(Some((_, received))) => *message = received,
                Ok(None) => break,
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
            count += 1;
        }
        Ok(count)
    }

    /// Hands up to `count` messages to `take`, and returns how many there were.
    ///
    /// # Errors
    /// - [`ReceiveError`]: as for [`try_receive`](Self::try_receive); no message is lost by it.
    #[inline]
    pub fn drain(&mut self, count: usize, mut take: impl FnMut(&T)) -> Result<usize, ReceiveError> {
        let mut message = T::zeroed();
        if is_words::<T>() {
            let record = cast_slice_mut(from_mut(&mut message));
            let count = self.raw.drain_records(count, record, |record| {
                take(bytemuck::from_bytes(cast_slice(record)));
            })?;
            if count > 0 || !self.raw.has_next() {
                return Ok(count);
            }
        }
        for taken in 0..count {
            match self.receive_any() {
                Ok(Some((_, message))) => take(&message),
                Err(error) if taken == 0 => return Err(error),
                Ok(None) | Err(_) => return Ok(taken),
            }
        }
        Ok(count)
    }

    /// The same as [`try_receive`](Self::try_receive), and where the message came from.
    ///
    /// # Errors
    /// - [`ReceiveError`]: as for [`try_receive`](Self::try_receive).
    pub fn try_receive_from(&mut self) -> Result<Option<(Origin, T)>, ReceiveError> {
        self.receive_any()
    }

    fn receive_any(&mut self) -> Result<Option<(Origin, T)>, ReceiveError> {
        let Some((origin, payload)) = self.raw.receive()? else { return Ok(None) };
        let mut message = T::zeroed();
        let target = bytes_of_mut(&mut message);
        match &payload {
            Payload::Inline { first, bytes } => {
                target.copy_from_slice(&cast_slice(&self.raw.record[*first..])[..*bytes]);
            }
            // A publisher that is not of this library might refer to less than a message.
            Payload::Held(held) => fill(target, held),
            Payload::Copied => fill(target, &self.raw.copied),
        }
        Ok(Some((origin, message)))
    }

    /// Receives the next message where it lies, waiting for it until `timeout` has passed: of a
    /// type that lies in the slab, by a subscriber that trusts. May park.
    ///
    /// # Errors
    /// - [`ReceiveError`]: as for [`try_receive`](Self::try_receive).
    /// - Within: the message itself when it was copied, because of its size or for want of trust.
    pub fn receive_sample(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<Result<TypedSample<T>, T>>, ReceiveError> {
        let Some((origin, payload)) = self.raw.receive_within(timeout)? else { return Ok(None) };
        let mut message = T::zeroed();
        let target = bytes_of_mut(&mut message);
        match payload {
            Payload::Held(held) if held.len() == size_of::<T>() => {
                return Ok(Some(Ok(TypedSample { origin, held, of: PhantomData })));
            }
            Payload::Held(held) => fill(target, &held),
            Payload::Inline { first, bytes } => {
                target.copy_from_slice(&cast_slice(&self.raw.record[first..])[..bytes]);
            }
            Payload::Copied => fill(target, &self.raw.copied),
        }
        Ok(Some(Err(message)))
    }

    /// Receives the next message, waiting for it until `timeout` has passed. May park.
    ///
    /// # Errors
    /// - [`ReceiveError`]: as for [`try_receive`](Self::try_receive).
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<T>, ReceiveError> {
        let started = Instant::now();
        loop {
            if let Some(message) = self.try_receive()? {
                return Ok(Some(message));
            }
            if !self.raw.wait(timeout.saturating_sub(started.elapsed()))? {
                return Ok(None);
            }
        }
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
    pub async fn receive_async(&mut self) -> Result<T, ReceiveError> {
        loop {
            if let Some(message) = self.try_receive()? {
                return Ok(message);
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

    /// Another subscriber with a cursor of its own, over the same links.
    ///
    /// # Errors
    /// - [`TopicError::NoSibling`]: there are as many as were asked for.
    pub fn sibling(&self) -> Result<Self, TopicError> {
        Ok(Self { raw: self.raw.sibling()?, of: PhantomData })
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
}

/// Publishes a message by its layout, made once its place in the slab is sure if it has one there.
fn put_any<T: Message>(
    raw: &mut RawPublisher,
    make: impl FnOnce() -> T,
) -> Result<(), PublishError> {
    if !raw.layout().is_always_loaned() {
        return raw.put_inline(bytes_of(&make()));
    }
    let mut chunk = raw.lend(size_of::<T>())?;
    chunk.copy_from_slice(bytes_of(&make()));
    raw.put_chunk(chunk).map_err(|(_, error)| error)
}

/// Copies what there is; the rest stays zero.
fn fill(target: &mut [u8], source: &[u8]) {
    let bytes = target.len().min(source.len());
    target[..bytes].copy_from_slice(&source[..bytes]);
}
