//! What an agent is, and what it can do while it handles a message.
//!
//! An agent is a state machine that runs to completion for each message. It never blocks: sending
//! queues a message when the lane is full, up to a limit.

use std::{collections::VecDeque, fmt};

use corelane_transport::{
    AgentId, Endpoint, Envelope, Flags, Message, Priority, SendError, monotonic_ns,
};
use serde_json::Value;
use thiserror::Error;

/// Messages of one priority that a worker queues while its lanes are full, before `tell` and `ask`
/// refuse.
///
/// Replies are not refused: there are at most as many as questions that others may have open.
pub const QUEUED_MAX: usize = 65_536;

/// Anything that takes messages and answers.
pub trait Agent {
    /// Handles one message. A panic here is caught: the agent is given up, its worker goes on.
    fn on_message(&mut self, cx: &mut Context<'_>, message: &Message);

    /// Handles a command that the node sent to the whole worker.
    fn on_command(&mut self, _cx: &mut Context<'_>, _command: &Command) {}
}

/// A command from the node, or a report to it: a name and a body that the two agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// What it is about.
    pub name: String,
    /// The rest.
    pub body: Value,
}

/// Why a message was not accepted; nothing was sent.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TellError {
    /// The lanes are full and so is the queue behind them.
    #[error("{QUEUED_MAX} messages wait for full lanes: slow down, or add routers")]
    Full,
    /// The payload is longer than a lane carries.
    #[error("payload has {bytes} bytes, the lanes carry {max}: use larger slots or split it")]
    TooLong {
        /// Bytes of the payload.
        bytes: usize,
        /// Most bytes of a payload.
        max: usize,
    },
    /// There is no question to reply to.
    #[error("the message at hand is not a question: only an ask can be replied to")]
    NotAsked,
}

impl TellError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full => "CL-0611",
            Self::TooLong { .. } => "CL-0612",
            Self::NotAsked => "CL-0613",
        }
    }
}

/// What an agent can do while it handles a message.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) me: AgentId,
    pub(crate) asked: Option<Envelope>,
    pub(crate) now_ns: u64,
    pub(crate) outbox: &'a mut Outbox,
}

impl Context<'_> {
    /// The agent's own address.
    pub fn me(&self) -> AgentId {
        self.me
    }

    /// Nanoseconds of the machine's monotonic clock, read after the message at hand had arrived.
    ///
    /// A worker reads the clock once for a batch of messages; they are stamped with this time.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Sends a message and does not wait for anything.
    ///
    /// # Errors
    /// - [`TellError::Full`], [`TellError::TooLong`].
    pub fn tell(
        &mut self,
        receiver: AgentId,
        feature: u32,
        priority: Priority,
        payload: &[u8],
    ) -> Result<(), TellError> {
        let envelope = Envelope { receiver, feature, priority, ..self.envelope() };
        self.outbox.send(&envelope, payload, false)
    }

    /// Asks a question of normal priority; its answer arrives as a message with the returned
    /// correlation id and [`Flags::REPLY`].
    ///
    /// # Errors
    /// - [`TellError::Full`], [`TellError::TooLong`].
    #[inline]
    pub fn ask(
        &mut self,
        receiver: AgentId,
        feature: u32,
        payload: &[u8],
    ) -> Result<u64, TellError> {
        self.outbox.asked += 1;
        let (correlation, flags) = (self.outbox.asked, Flags::ASK);
        let envelope = Envelope { receiver, feature, correlation, flags, ..self.envelope() };
        self.outbox.send(&envelope, payload, false)?;
        Ok(correlation)
    }

    /// Answers the question at hand.
    ///
    /// # Errors
    /// - [`TellError::NotAsked`]: the message at hand is no question, or was answered already.
    /// - [`TellError::TooLong`].
    #[inline]
    pub fn reply(&mut self, payload: &[u8]) -> Result<(), TellError> {
        self.answer(Flags::REPLY, payload)
    }

    /// Answers the question at hand with an error text, cut to what the lanes carry.
    ///
    /// # Errors
    /// - [`TellError::NotAsked`]: the message at hand is no question, or was answered already.
    pub fn reply_error(&mut self, text: &str) -> Result<(), TellError> {
        let max = self.outbox.endpoint.shape().payload_bytes_max();
        let text = &text[..text.floor_char_boundary(max)];
        self.answer(Flags::REPLY | Flags::ERROR, text.as_bytes())
    }

    /// Reports to the node, over the control channel.
    pub fn report(&mut self, name: &str, body: Value) {
        (self.outbox.reporter)(Command { name: name.to_owned(), body });
    }

    fn answer(&mut self, flags: Flags, payload: &[u8]) -> Result<(), TellError> {
        let asked = self.asked.ok_or(TellError::NotAsked)?;
        let receiver = asked.sender;
        let envelope = Envelope { receiver, flags, sender: self.me, ..asked };
        let envelope = Envelope { timestamp_ns: self.now_ns, ..envelope };
        self.outbox.send(&envelope, payload, true)?;
        self.asked = None;
        Ok(())
    }

    fn envelope(&self) -> Envelope {
        Envelope { sender: self.me, timestamp_ns: self.now_ns, ..Envelope::default() }
    }
}

/// Takes what agents report to the node.
pub type Reporter = Box<dyn FnMut(Command) + Send>;

/// The way out of a worker: its lanes, and a queue behind each priority while they are full.
pub(crate) struct Outbox {
    pub(crate) endpoint: Endpoint,
    queued: [VecDeque<(Envelope, Box<[u8]>)>; Priority::COUNT],
    asked: u64,
    reporter: Reporter,
    broken: Option<SendError>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Outbox {
    pub(crate) fn new(endpoint: Endpoint, reporter: Reporter) -> Self {
        // From the clock, so that a late answer to an earlier generation finds no question here.
        let asked = monotonic_ns();
        Self { endpoint, queued: Default::default(), asked, reporter, broken: None }
    }

    /// Whether messages wait for room in the lanes.
    pub(crate) fn has_queued(&self) -> bool {
        self.queued.iter().any(|queue| !queue.is_empty())
    }

    /// Sends, or queues behind what already waits so that the order holds.
    #[inline]
    fn send(
        &mut self,
        envelope: &Envelope,
        payload: &[u8],
        is_reply: bool,
    ) -> Result<(), TellError> {
        // WK-2: checked here, for what is queued is never refused later.
        let (bytes, max) = (payload.len(), self.endpoint.shape().payload_bytes_max());
        if bytes > max {
            return Err(TellError::TooLong { bytes, max });
        }
        let queue = &mut self.queued[envelope.priority as usize];
        if queue.is_empty() {
            match self.endpoint.send(envelope, payload) {
                Ok(()) => return Ok(()),
                Err(SendError::Full { .. }) => {}
                Err(broken) => self.broken = Some(broken),
            }
        } else if queue.len() >= QUEUED_MAX && !is_reply {
            return Err(TellError::Full);
        }
        queue.push_back((*envelope, payload.into()));
        Ok(())
    }

    /// Moves queued messages on; true when something moved.
    ///
    /// # Errors
    /// - [`SendError::Peer`]: the node is broken.
    pub(crate) fn flush(&mut self) -> Result<bool, SendError> {
        let mut has_moved = false;
        for queue in &mut self.queued {
            while let Some((envelope, payload)) = queue.front() {
                match self.endpoint.send(envelope, payload) {
                    Ok(()) => has_moved = queue.pop_front().is_some(),
                    Err(SendError::Full { .. }) => break,
                    Err(broken) => return Err(broken),
                }
            }
        }
        self.endpoint.flush();
        self.broken.take().map_or(Ok(has_moved), Err)
    }
}
