//! Why a topic could not be published on, or subscribed to, or why a message did not go through.

use corelane_ring::broadcast::LogError;
use corelane_shm::SegmentError;
use corelane_shm::futex::FutexError;
use corelane_shm::slab::{LoanError, ReadError};
use thiserror::Error;

use crate::doorbell::BellError;
use crate::participant::ParticipantError;

/// Why a publisher or subscriber could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The exchange could not be asked, or refused.
    #[error(transparent)]
    Participant(#[from] ParticipantError),
    /// The log cannot be as it was asked for.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system gave no memory or no descriptor.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The group of subscribers cannot be as it was asked for.
    #[error(
        "group of {siblings} siblings with {holds} holds each is not possible: choose 1 to \
         {siblings_max} siblings and at most {holds_max} holds"
    )]
    Group {
        /// Subscribers asked for.
        siblings: usize,
        /// Holds asked for.
        holds: usize,
        /// Most subscribers.
        siblings_max: usize,
        /// Most holds.
        holds_max: usize,
    },
    /// Every sibling that was asked for is there already.
    #[error("all {max} siblings are in use: drop one, or ask for more when subscribing")]
    NoSibling {
        /// How many there may be.
        max: usize,
    },
}

impl TopicError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Participant(cause) => cause.code(),
            Self::Log(cause) => cause.code(),
            Self::Segment(cause) => cause.code(),
            Self::Group { .. } => "CL-0451",
            Self::NoSibling { .. } => "CL-0452",
        }
    }
}

/// Why a message was not published.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A reliable subscriber holds the room back; nothing was published.
    #[error("log is full: slots={slots}: a reliable subscriber lags; wait, or make it lossy")]
    Full {
        /// Records that the log holds.
        slots: usize,
    },
    /// The same, until the time given was over.
    #[error("log stayed full for {waited_ms} ms: slots={slots}: a reliable subscriber is stuck")]
    TimedOut {
        /// Records that the log holds.
        slots: usize,
        /// How long it was waited.
        waited_ms: u64,
    },
    /// No chunk could be had for a large payload.
    #[error(transparent)]
    Loan(#[from] LoanError),
    /// The extent could not be handed to the subscribers.
    #[error("extent of the slab could not be handed over: {0}: raise `ulimit -n`")]
    Announce(std::io::Error),
    /// The kernel refuses to wait.
    #[error(transparent)]
    Sleep(#[from] FutexError),
}

impl PublishError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "CL-0453",
            Self::TimedOut { .. } => "CL-0454",
            Self::Loan(cause) => cause.code(),
            Self::Announce(_) => "CL-0455",
            Self::Sleep(cause) => cause.code(),
        }
    }

    /// Whether the same will work once subscribers have read on.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Loan(LoanError::Exhausted { .. }))
    }
}

/// Why no message was received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// A publisher overran this lossy subscriber, which goes on behind the gap.
    #[error("publisher={publisher:016x} overran the subscriber: missed={missed}: read more often")]
    Lagged {
        /// Which publisher.
        publisher: u64,
        /// Messages that were not received.
        missed: u64,
    },
    /// This subscriber lagged too far behind a publisher and is lossy there from here on.
    #[error("subscriber lagged too far behind publisher={publisher:016x} and is lossy there now")]
    Demoted {
        /// Which publisher.
        publisher: u64,
    },
    /// This subscriber lagged too far behind a publisher and hears nothing of it any more.
    #[error("subscriber lagged too far behind publisher={publisher:016x} and was evicted there")]
    Evicted {
        /// Which publisher.
        publisher: u64,
    },
    /// A publisher wrote what cannot be; it was cut off.
    #[error("publisher={publisher:016x} is broken and was cut off: {reason}")]
    Corrupt {
        /// Which publisher.
        publisher: u64,
        /// What was found.
        reason: String,
    },
    /// A publisher turned this subscriber away.
    #[error("publisher={publisher:016x} turned the subscriber away: {reason}")]
    TurnedAway {
        /// Which publisher.
        publisher: u64,
        /// What it said.
        reason: String,
    },
    /// A payload cannot be held or copied now.
    #[error(transparent)]
    Payload(ReadError),
    /// The kernel refuses to wait.
    #[error(transparent)]
    Sleep(#[from] FutexError),
    /// There is no descriptor to wait by.
    #[error(transparent)]
    Bell(#[from] BellError),
}

impl ReceiveError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Lagged { .. } => "CL-0456",
            Self::Demoted { .. } => "CL-0457",
            Self::Evicted { .. } => "CL-0458",
            Self::Corrupt { .. } => "CL-0459",
            Self::TurnedAway { .. } => "CL-0460",
            Self::Payload(cause) => cause.code(),
            Self::Sleep(cause) => cause.code(),
            Self::Bell(cause) => cause.code(),
        }
    }
}
