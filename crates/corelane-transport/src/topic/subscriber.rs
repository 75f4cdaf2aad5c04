//! The subscribing end of a topic, over words: what the typed ends and those for bytes have in
//! common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use corelane_ring::broadcast::TryRecvError;
use corelane_shm::WordsRw;
use corelane_shm::slab::{ChunkRef, HOLDS_MAX, Held, ReadError};
use xxhash_rust::xxh3::xxh3_64;

use crate::doorbell::Doorbell;
use crate::exchange::TypeTag;
use crate::exchange::message::Role;
use crate::news::News;
use crate::participant::{Participant, Registered};
use crate::strategy::SharedBarrier;

use super::connection::Connection;
use super::error::{ReceiveError, TopicError};
use super::group::{GroupShape, SEATS_MAX};
use super::hub::Hub;
use super::options::SubscribeOptions;
use super::publisher::LINK_PATIENCE;
use super::record::{Body, Parsed};

/// Records that are taken of one publisher before the next one's turn.
const TURN: u64 = 64;

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Number of the publisher, unlike that of any other one.
    pub publisher: u64,
    /// Number of the message among all of that publisher, from 0.
    pub sequence: u64,
    /// When it was published, in nanoseconds of the machine's monotonic clock, if the topic has
    /// times.
    pub time_ns: Option<u64>,
    /// Hash (xxh3) of the payload, which was checked, if the topic has hashes.
    pub hash: Option<u64>,
}

/// A payload, as it was received.
#[derive(Debug)]
pub(crate) enum Payload {
    /// It was in the record: words of the subscriber's buffer, from here on.
    Inline { first: usize, bytes: usize },
    /// It lies in the slab and is held.
    Held(Held),
    /// It was copied out of the slab, into the subscriber's buffer.
    Copied,
}

/// The subscribing end over words.
#[derive(Debug)]
pub(crate) struct RawSubscriber {
    pub(super) hub: Arc<Hub>,
    registered: Arc<Registered>,
    pub(super) seat: usize,
    pub(super) options: SubscribeOptions,
    pub(super) connections: Vec<Connection>,
    next: usize,
    /// Records that are known to be at the connection `at`, and are taken without a look at
    /// anything else.
    left: u64,
    at: usize,
    pub(super) version: u64,
    pub(crate) record: Vec<u64>,
    pub(crate) copied: Vec<u8>,
    missed: u64,
    received: u64,
    /// Made when somebody first waits by a descriptor.
    pub(super) doorbell: Option<Doorbell>,
    /// Groups where this subscriber has said that it listens.
    pub(super) armed: Vec<WordsRw>,
}

impl RawSubscriber {
    pub(crate) fn new(
        participant: &Participant,
        name: &str,
        tag: Option<TypeTag>,
        message_bytes: Option<Option<usize>>,
        options: SubscribeOptions,
    ) -> Result<(Self, Option<TypeTag>), TopicError> {
        let SubscribeOptions { siblings, holds, .. } = options;
        let shape = GroupShape::new(siblings, holds).ok_or(TopicError::Group {
            siblings,
            holds,
            siblings_max: SEATS_MAX,
            holds_max: HOLDS_MAX,
        })?;
        let barrier = SharedBarrier::register();
        let hub = Arc::new(Hub::new(
            shape,
            options.is_reliable,
            options.start,
            options.spins == 0 || !barrier.is_reached(),
            barrier,
            message_bytes,
            News::new()?,
        ));
        let seat = hub.sit_down().ok_or(TopicError::NoSibling { max: siblings })?;
        let (registered, tag, links) =
            participant.register(Role::Subscriber, name, tag, hub.clone())?;
        // Whatever is published by those that were there before is received from here on, unless
        // they do not answer.
        hub.wait_for(links as u64, Instant::now() + LINK_PATIENCE);
        let subscriber = Self {
            hub,
            registered: Arc::new(registered),
            seat,
            options,
            connections: Vec::new(),
            next: 0,
            left: 0,
            at: 0,
            version: 0,
            record: Vec::new(),
            copied: Vec::new(),
            missed: 0,
            received: 0,
            doorbell: None,
            armed: Vec::new(),
        };
        Ok((subscriber, tag))
    }

    /// Another subscriber with a cursor of its own, over the same links.
    pub(crate) fn sibling(&self) -> Result<Self, TopicError> {
        let none = TopicError::NoSibling { max: self.options.siblings };
        let seat = self.hub.sit_down().ok_or(none)?;
        Ok(Self {
            hub: self.hub.clone(),
            registered: self.registered.clone(),
            seat,
            options: self.options,
            connections: Vec::new(),
            next: 0,
            left: 0,
            at: 0,
            version: 0,
            record: Vec::new(),
            copied: Vec::new(),
            missed: 0,
            received: 0,
            doorbell: None,
            armed: Vec::new(),
        })
    }

    /// Publishers that are linked.
    pub(crate) fn publishers(&self) -> usize {
        self.hub.publishers()
    }

    /// Whether the last look found a record that was not taken.
    #[inline]
    pub(crate) fn has_next(&self) -> bool {
        self.connections.iter().any(|connection| connection.log.has_next())
    }

    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Takes in what the participant's thread has for this sibling, if there is something.
    #[inline]
    pub(super) fn hear_news(&mut self) -> Result<(), ReceiveError> {
        if self.hub.news.version() == self.version { Ok(()) } else { self.catch_up() }
    }

    #[cold]
    fn catch_up(&mut self) -> Result<(), ReceiveError> {
        let version = self.hub.news.version();
        self.connections.extend(self.hub.take(self.seat));
        if let Some((publisher, reason)) = self.hub.take_refusal() {
            // The version stays behind: there may be another one.
            return Err(ReceiveError::TurnedAway { publisher, reason });
        }
        self.version = version;
        Ok(())
    }

    /// The index of a connection with a record, if there is one; each has its turn.
    #[inline]
    fn find(&mut self) -> Result<Option<usize>, ReceiveError> {
        self.left = 0;
        self.hear_news()?;
        for _ in 0..self.connections.len() {
            let index = if self.next < self.connections.len() { self.next } else { 0 };
            self.next = index + 1;
            let connection = &mut self.connections[index];
            match connection.is_stalled() {
                Some(true) => continue,
                Some(false) => {
                    let reason = "it refers to a segment that it did not hand over";
                    return Err(self.cut(index, reason.into()));
                }
                None => {}
            }
            let released = connection.log.released();
            let looked = match connection.was_loaned {
                true => connection.log.look_now(),
                false => connection.log.look(),
            };
            match looked {
                Ok(_) => return Ok(Some(index)),
                Err(TryRecvError::Empty) if !connection.link.is_over() => {
                    connection.let_go(released);
                }
                Err(error) => self.settle(index, error)?,
            }
        }
        Ok(None)
    }

    /// What a look or a record that was not there means.
    #[cold]
    fn settle(&mut self, index: usize, error: TryRecvError) -> Result<(), ReceiveError> {
        self.left = 0;
        let connection = &mut self.connections[index];
        let publisher = connection.link.peer;
        match error {
            TryRecvError::Lagged { missed } => {
                self.missed = self.missed.saturating_add(missed);
                return Err(ReceiveError::Lagged { publisher, missed });
            }
            TryRecvError::Demoted => return Err(ReceiveError::Demoted { publisher }),
            // It ended in order, and may be gone before the word of it comes.
            TryRecvError::Closed if !connection.link.is_over() => return Ok(()),
            // What it committed before it died may have come after the look.
            TryRecvError::Empty if connection.log.look().is_ok() => return Ok(()),
            TryRecvError::Evicted => {
                self.connections.swap_remove(index);
                return Err(ReceiveError::Evicted { publisher });
            }
            _ => {}
        }
        self.connections.swap_remove(index);
        Ok(())
    }

    /// Receives records that are nothing but messages of one size, as many as are there, one after
    /// the other into `records`. None as well when the next record has a header: then
    /// [`receive`](Self::receive) it.
    #[inline]
    pub(crate) fn receive_records<'a>(
        &mut self,
        records: impl Iterator<Item = &'a mut [u64]>,
    ) -> Result<usize, ReceiveError> {
        let mut count = 0;
        for record in records {
            match self.receive_record(record) {
                Ok(true) => count += 1,
                // It is told by the next call: what came before counts.
                Err(error) if count == 0 => return Err(error),
                Ok(false) | Err(_) => break,
            }
        }
        Ok(count)
    }

    /// The same, `count` records at most, each into `record` and then to `take`.
    #[inline]
    pub(crate) fn drain_records(
        &mut self,
        count: usize,
        record: &mut [u64],
        mut take: impl FnMut(&[u64]),
    ) -> Result<usize, ReceiveError> {
        for taken in 0..count {
            match self.receive_record(record) {
                Ok(true) => take(record),
                Err(error) if taken == 0 => return Err(error),
                Ok(false) | Err(_) => return Ok(taken),
            }
        }
        Ok(count)
    }

    /// Receives one such record.
    #[inline(always)]
    pub(crate) fn receive_record(&mut self, record: &mut [u64]) -> Result<bool, ReceiveError> {
        if self.take_record(record) { Ok(true) } else { self.receive_first_record(record) }
    }

    /// Receives one such record, of the publisher whose turn it is, if it is known to be there.
    #[inline(always)]
    pub(crate) fn take_record(&mut self, record: &mut [u64]) -> bool {
        let is_taken = self.left > 0 && self.connections[self.at].log.take(record);
        if is_taken {
            self.left -= 1;
            self.received += 1;
        }
        is_taken
    }

    /// Receives one such record, of the next publisher that has one.
    #[cold]
    #[inline(never)]
    fn receive_first_record(&mut self, record: &mut [u64]) -> Result<bool, ReceiveError> {
        let Some(index) = self.find()? else { return Ok(false) };
        let connection = &mut self.connections[index];
        let layout = &connection.link.layout;
        if layout.header_words() != 0 || layout.is_always_loaned() {
            self.next = index;
            return Ok(false);
        }
        let released = connection.log.released();
        if let Err(error) = connection.log.try_recv(record) {
            return self.settle(index, error).map(|()| false);
        }
        connection.let_go(released);
        (self.at, self.left) = (index, connection.log.run().min(TURN));
        self.received += 1;
        Ok(true)
    }

    /// Receives the next message of any topic, if there is one.
    pub(crate) fn receive(&mut self) -> Result<Option<(Origin, Payload)>, ReceiveError> {
        loop {
            let Some(index) = self.find()? else { return Ok(None) };
            let mut record = std::mem::take(&mut self.record);
            record.resize(self.connections[index].link.layout.record_words(), 0);
            let sequence = self.connections[index].log.position();
            let received = self.receive_at(index, &mut record, sequence);
            self.record = record;
            match received {
                Ok(None) => {}
                received => return received,
            }
        }
    }

    fn receive_at(
        &mut self,
        index: usize,
        record: &mut [u64],
        sequence: u64,
    ) -> Result<Option<(Origin, Payload)>, ReceiveError> {
        let connection = &mut self.connections[index];
        let (layout, publisher) = (connection.link.layout, connection.link.peer);
        // A reliable subscriber holds a payload before it lets the record go; a lossy one is told
        // by the chunk's generation.
        let peeked = connection.log.peek(record);
        if let Err(error) = peeked {
            return self.settle(index, error).map(|()| None);
        }
        let Some(parsed) = layout.parse(record) else {
            return Err(self.cut(index, "its record cannot be".into()));
        };
        let Parsed { time_ns, hash, body } = parsed;
        let payload = match body {
            Body::Inline { first, bytes } => Payload::Inline { first, bytes },
            Body::Loaned(reference) => match self.fetch(index, reference) {
                Ok(payload) => payload,
                Err(ReadError::Overrun) => {
                    self.skip(index);
                    self.missed = self.missed.saturating_add(1);
                    return Err(ReceiveError::Lagged { publisher, missed: 1 });
                }
                Err(ReadError::NoExtent { .. }) => {
                    self.connections[index].stall();
                    return Ok(None);
                }
                Err(error) if error.is_corrupt() => return Err(self.cut(index, error.to_string())),
                Err(error) => return Err(ReceiveError::Payload(error)),
            },
        };
        let is_loaned = !matches!(payload, Payload::Inline { .. });
        let connection = &mut self.connections[index];
        connection.was_loaned = is_loaned;
        let released = connection.log.released();
        if let Err(error) = connection.log.skip() {
            return self.settle(index, error).map(|()| None);
        }
        if is_loaned {
            // Its chunk is wanted back sooner than the room of the record.
            connection.log.release();
        }
        connection.let_go(released);
        self.received += 1;
        if let Some(told) = hash {
            let found = match &payload {
                Payload::Inline { first, bytes } => {
                    xxh3_64(&bytemuck::cast_slice(&record[*first..])[..*bytes])
                }
                Payload::Held(held) => xxh3_64(held),
                Payload::Copied => xxh3_64(&self.copied),
            };
            if found != told {
                let reason = format!("hash of a payload is {found:016x}, not {told:016x}");
                return Err(self.cut(index, reason));
            }
        }
        Ok(Some((Origin { publisher, sequence, time_ns, hash }, payload)))
    }

    /// Holds or copies a payload in the slab.
    fn fetch(&mut self, index: usize, reference: ChunkRef) -> Result<Payload, ReadError> {
        let connection = &mut self.connections[index];
        if reference.extent as usize >= connection.slab.extents() {
            connection.slab = connection.link.slab();
        }
        match self.options.trusted {
            Some(trusted) => {
                connection.slab.hold(reference, &connection.holds, trusted).map(Payload::Held)
            }
            None => {
                let copied = connection.slab.copy_to_vec(reference, &mut self.copied);
                copied.map(|()| Payload::Copied)
            }
        }
    }

    fn skip(&mut self, index: usize) {
        // That it was overrun is known already.
        let _ = self.connections[index].log.skip();
    }

    /// Gives a publisher up that broke the rules.
    #[cold]
    fn cut(&mut self, index: usize, reason: String) -> ReceiveError {
        let connection = self.connections.swap_remove(index);
        connection.link.cut();
        ReceiveError::Corrupt { publisher: connection.link.peer, reason }
    }

    /// Receives the next message of any topic, waiting until `timeout` has passed. May park.
    pub(crate) fn receive_within(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<(Origin, Payload)>, ReceiveError> {
        let started = Instant::now();
        loop {
            if let Some(received) = self.receive()? {
                return Ok(Some(received));
            }
            if !self.wait(timeout.saturating_sub(started.elapsed()))? {
                return Ok(None);
            }
        }
    }
}

impl Drop for RawSubscriber {
    fn drop(&mut self) {
        self.stop_listening();
        self.connections.clear();
        self.hub.stand_up(self.seat);
    }
}
