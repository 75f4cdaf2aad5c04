//! A source of questions: asks agents, delivers again what a dead worker took with it, and gives
//! every answer out once.
//!
//! It keeps no payloads: the caller finds them by the key that it chose. It never blocks.

use std::collections::VecDeque;

use corelane_transport::{
    AgentId, Endpoint, Envelope, Flags, Message, ReceiveError, SendError, monotonic_ns,
};
use thiserror::Error;

use crate::ask::{Answer, AskCounters, AskError, AskTable, CorrelationId, OpenAsk};

/// Why the asker cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AskerError {
    /// Too many questions are open; nothing was asked.
    #[error(transparent)]
    Open(#[from] AskError),
    /// A question is too long for the lanes, or the node is broken.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The node is broken.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
}

impl AskerError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(cause) => cause.code(),
            Self::Send(cause) => cause.code(),
            Self::Receive(cause) => cause.code(),
        }
    }
}

/// An answer, given out once per question.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Key of the question.
    pub key: u64,
    /// Who was asked.
    pub receiver: AgentId,
    /// Time since the question was opened.
    pub waited_ns: u64,
    /// How often the question was delivered.
    pub deliveries: u32,
    /// The answer, or the text of the error.
    pub payload: Result<&'a [u8], &'a str>,
}

/// Asks under one address, over an endpoint of its own.
#[derive(Debug)]
pub struct Asker {
    me: AgentId,
    feature: u32,
    endpoint: Endpoint,
    asks: AskTable,
    unsent: VecDeque<OpenAsk>,
    message: Box<Message>,
}

impl Asker {
    /// Makes an asker of address `me`; its questions are of one feature, `open_max` at a time.
    pub fn new(me: AgentId, feature: u32, endpoint: Endpoint, open_max: u32) -> Self {
        let (asks, unsent) = (AskTable::new(open_max), VecDeque::new());
        Self { me, feature, endpoint, asks, unsent, message: Box::default() }
    }

    /// Opens a question; [`pump`](Self::pump) sends it.
    ///
    /// # Errors
    /// - [`AskerError::Open`]: too many are open.
    pub fn ask(&mut self, receiver: AgentId, timeout_ns: u64, key: u64) -> Result<(), AskerError> {
        let now = monotonic_ns();
        let deadline = now.saturating_add(timeout_ns);
        let id = self.asks.open(now, receiver.0, deadline, key)?;
        self.unsent.push_back(OpenAsk {
            id,
            receiver: receiver.0,
            opened_at_ns: now,
            deadline_ns: deadline,
            key,
            deliveries: 1,
        });
        Ok(())
    }

    /// Sends again, at the next pump, every open question to the chosen receivers; returns how
    /// many of them had been sent before. Call it once their new generation is attached.
    pub fn redeliver(&mut self, mut is_chosen: impl FnMut(AgentId) -> bool) -> usize {
        let unsent = self.unsent.len();
        self.unsent.retain(|ask| !is_chosen(AgentId(ask.receiver)));
        let never_sent = unsent - self.unsent.len();
        let again = self.asks.redeliver(monotonic_ns(), |receiver| is_chosen(AgentId(receiver)));
        let sent_before = again.len().saturating_sub(never_sent);
        self.unsent.extend(again);
        sent_before
    }

    /// Sends what the lanes take; true when something was sent.
    ///
    /// # Errors
    /// - [`AskerError::Send`]: a payload is too long, or the node is broken.
    pub fn pump<'p>(&mut self, payload_of: impl Fn(u64) -> &'p [u8]) -> Result<bool, AskerError> {
        let mut has_sent = false;
        while let Some(ask) = self.unsent.front() {
            let envelope = Envelope {
                correlation: ask.id.0,
                timestamp_ns: monotonic_ns(),
                sender: self.me,
                receiver: AgentId(ask.receiver),
                feature: self.feature,
                flags: Flags::ASK,
                ..Envelope::default()
            };
            match self.endpoint.send(&envelope, payload_of(ask.key)) {
                Ok(()) => has_sent = self.unsent.pop_front().is_some(),
                Err(SendError::Full { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.endpoint.flush();
        Ok(has_sent)
    }

    /// Takes the next first answer; what is no first answer is counted and passed over.
    ///
    /// # Errors
    /// - [`AskerError::Receive`]: the node is broken.
    pub fn answer(&mut self) -> Result<Option<Answered<'_>>, AskerError> {
        loop {
            match self.endpoint.receive(&mut self.message) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(ReceiveError::Malformed(_)) => continue,
                Err(error) => return Err(error.into()),
            }
            let Envelope { correlation, flags, sender, .. } = *self.message.envelope();
            let id = CorrelationId(correlation);
            // Routers let nobody send under another address: only who was asked can answer.
            let is_another = self.asks.get(id).is_some_and(|ask| ask.receiver != sender.0);
            if !flags.contains(Flags::REPLY) || is_another {
                continue;
            }
            let answer = self.asks.answered(id);
            let Answer::First { receiver, opened_at_ns, key, deliveries } = answer else {
                continue;
            };
            let payload = if flags.contains(Flags::ERROR) {
                Err(std::str::from_utf8(self.message.payload()).unwrap_or("error without a text"))
            } else {
                Ok(self.message.payload())
            };
            let waited_ns = monotonic_ns().saturating_sub(opened_at_ns);
            let receiver = AgentId(receiver);
            return Ok(Some(Answered { key, receiver, waited_ns, deliveries, payload }));
        }
    }

    /// Closes the questions whose time is up and returns their keys.
    pub fn expire(&mut self) -> Vec<u64> {
        let expired = self.asks.expire(monotonic_ns());
        if !expired.is_empty() {
            self.unsent.retain(|ask| expired.iter().all(|gone| gone.id != ask.id));
        }
        expired.iter().map(|ask| ask.key).collect()
    }

    /// Questions without an answer.
    pub fn open_count(&self) -> u32 {
        self.asks.open_count()
    }

    /// Who was asked, once per open question, in no order.
    pub fn open_receivers(&self) -> impl Iterator<Item = AgentId> {
        self.asks.open_asks().map(|ask| AgentId(ask.receiver))
    }

    /// What happened so far.
    pub fn counters(&self) -> AskCounters {
        self.asks.counters()
    }

    /// The endpoint, to sleep on.
    pub fn endpoint(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }
}
