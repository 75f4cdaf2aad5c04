//! A client's side of the fabric: send to any agent, receive what is addressed to one's own.
//!
//! It chooses the router by the receiver, so that messages of one sender to one receiver keep
//! their order. It queues nothing: a full lane is the caller's to handle.

use std::time::Duration;

use corelane_ring::{ClaimError, PeekError};
use corelane_shm::{WordsRo, WordsRw, futex};
use thiserror::Error;

use crate::{
    envelope::{Envelope, HEADER_BYTES, HEADER_WORDS, Malformed, Priority, payload_of},
    port::{self, LaneShape, Port, PortError, RECORD_WORDS_MAX, SECTIONS_MAX},
};

/// Every how many messages the low priority goes first, so that it always moves; half a turn
/// later the normal one does, so that neither starves under a flood of high ones.
const LOW_TURN: u32 = 32;
const NORMAL_TURN: u32 = LOW_TURN / 2;

/// Why a message was not sent.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The lane to the router is full; nothing was sent.
    #[error("lane of priority={priority:?} is full: capacity={slots}: receive, then try again")]
    Full {
        /// Which lane.
        priority: Priority,
        /// Its capacity in records.
        slots: usize,
    },
    /// The payload is longer than a slot; nothing was sent.
    #[error("payload has {bytes} bytes, the lanes carry {max}: use larger slots or split it")]
    TooLong {
        /// Bytes of the payload.
        bytes: usize,
        /// Most bytes of a payload on these lanes.
        max: usize,
    },
    /// The router's side is broken.
    #[error("router's side is corrupt: {0}")]
    Peer(ClaimError),
}

impl SendError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "CL-0401",
            Self::TooLong { .. } => "CL-0402",
            Self::Peer(cause) => cause.code(),
        }
    }
}

/// What a received record was, if it was not a message.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The router's side is broken.
    #[error("router's side is corrupt: {0}")]
    Peer(#[from] PeekError),
    /// The record was no message; it was taken out of the lane.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl ReceiveError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Peer(cause) => cause.code(),
            Self::Malformed(cause) => cause.code(),
        }
    }
}

/// A received message: a copy that no peer can change any more. Reused from one to the next.
#[derive(Debug)]
pub struct Message {
    envelope: Envelope,
    words: [u64; RECORD_WORDS_MAX],
    payload_bytes: usize,
}

impl Default for Message {
    fn default() -> Self {
        Self { envelope: Envelope::default(), words: [0; RECORD_WORDS_MAX], payload_bytes: 0 }
    }
}

impl Message {
    /// Its header.
    #[inline]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Its payload.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        payload_of(&self.words[HEADER_WORDS..], self.payload_bytes)
    }
}

/// All lanes of one client.
#[derive(Debug)]
pub struct Endpoint {
    ports: Vec<Port>,
    shape: LaneShape,
    received: u32,
    next_port: usize,
    malformed: u64,
}

impl Endpoint {
    /// Pairs this client's own segment with the node's segment for it, over `routers` routers.
    ///
    /// # Errors
    /// - [`PortError`]: the segments do not fit the shape.
    ///
    /// # Panics
    /// When `routers` is 0 or more than [`SECTIONS_MAX`]: the handshake checks it.
    pub fn new(
        own: &WordsRw,
        peer: &WordsRo,
        shape: LaneShape,
        routers: usize,
    ) -> Result<Self, PortError> {
        assert!((1..=SECTIONS_MAX).contains(&routers), "routers are checked in the handshake");
        let ports = (0..routers).map(|router| Port::new(own, peer, shape, router));
        let ports = ports.collect::<Result<_, _>>()?;
        Ok(Self { ports, shape, received: 0, next_port: 0, malformed: 0 })
    }

    /// Size of this endpoint's lanes.
    pub fn shape(&self) -> LaneShape {
        self.shape
    }

    /// Commits a message to the lane of its priority; [`flush`](Self::flush) ends the batch.
    ///
    /// # Errors
    /// - [`SendError::Full`], [`SendError::TooLong`]: nothing was sent.
    /// - [`SendError::Peer`]: the node is broken; detach.
    #[inline]
    pub fn send(&mut self, envelope: &Envelope, payload: &[u8]) -> Result<(), SendError> {
        let max = self.shape.payload_bytes_max();
        if payload.len() > max {
            return Err(SendError::TooLong { bytes: payload.len(), max });
        }
        // One receiver, one router: so its messages from one sender keep their order.
        let router = envelope.receiver.0 as usize % self.ports.len();
        self.ports[router].send(envelope, payload).map_err(|error| match error {
            ClaimError::Full { slots } => SendError::Full { priority: envelope.priority, slots },
            other => SendError::Peer(other),
        })
    }

    /// Takes the next message, the most urgent first; false when there is none.
    ///
    /// # Errors
    /// - [`ReceiveError::Malformed`]: that one record was dropped; go on.
    /// - [`ReceiveError::Peer`]: the node is broken; detach.
    #[inline]
    pub fn receive(&mut self, message: &mut Message) -> Result<bool, ReceiveError> {
        let first = match self.received {
            LOW_TURN => Some(Priority::Low),
            NORMAL_TURN => Some(Priority::Normal),
            _ => None,
        };
        self.received %= LOW_TURN;
        for priority in first.into_iter().chain(Priority::ALL) {
            if self.receive_from(priority, message)? {
                // The low one of a turn does not count: turns keep their distance.
                let is_low_turn = (first, priority) == (Some(Priority::Low), Priority::Low);
                self.received += u32::from(!is_low_turn);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes up to `messages.len()` messages at once, the most urgent first, and returns how many.
    ///
    /// The copies of a batch overlap, which hides most of the time that a line takes from another
    /// core: prefer this to [`receive`](Self::receive) where messages come in numbers.
    ///
    /// Records that are no messages are passed over, and counted in
    /// [`malformed`](Self::malformed).
    ///
    /// # Errors
    /// - [`ReceiveError::Peer`]: the node is broken; detach.
    #[inline]
    pub fn receive_many(&mut self, messages: &mut [Message]) -> Result<usize, ReceiveError> {
        let mut count = 0;
        while count < messages.len() {
            match self.receive(&mut messages[count]) {
                Ok(true) => count += 1,
                Ok(false) => break,
                Err(ReceiveError::Malformed(_)) => self.malformed += 1,
                // It will still be broken at the next call.
                Err(_) if count > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }

    /// Records that [`receive_many`](Self::receive_many) passed over.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    #[inline]
    fn receive_from(
        &mut self,
        priority: Priority,
        message: &mut Message,
    ) -> Result<bool, ReceiveError> {
        let count = self.ports.len();
        for _ in 0..count {
            // Routers take turns, so that a busy one does not keep another one's lane full.
            let port = &mut self.ports[self.next_port];
            self.next_port = if self.next_port + 1 == count { 0 } else { self.next_port + 1 };
            let Some(record) = port.peek(priority)? else { continue };
            let length = record.length_bytes();
            record.read(0, &mut message.words[..(length as usize).div_ceil(8)]);
            record.consume();
            let header = message.words.first_chunk().expect("because a record has more words");
            message.envelope = Envelope::decode(header, length)?;
            message.payload_bytes = length as usize - HEADER_BYTES;
            return Ok(true);
        }
        Ok(false)
    }

    /// Ends a batch: gives slots back to the routers and wakes those that sleep.
    #[inline]
    pub fn flush(&mut self) {
        self.ports.iter_mut().for_each(Port::flush);
    }

    /// Sleeps until a router rings, the word `also` differs from what it expects, or
    /// `timeout` passes; returns at once when a message is waiting. May park.
    ///
    /// # Errors
    /// - [`futex::FutexError`]: the kernel refuses to wait.
    pub fn sleep(
        &mut self,
        also: Option<futex::Waiter<'_>>,
        timeout: Duration,
    ) -> Result<(), futex::FutexError> {
        self.flush();
        port::sleep(&mut self.ports.iter_mut().collect::<Vec<_>>(), also, timeout)
    }
}
