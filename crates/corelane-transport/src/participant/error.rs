//! Why a participant could not do what was asked.

use std::io;

use corelane_shm::fdpass::{ChannelError, ListenError};
use thiserror::Error;

use crate::exchange::{ExchangeError, Refusal, TypeTag};
use crate::schema::Schema;

/// Why a participant could not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ParticipantError {
    /// There is no exchange.
    #[error(transparent)]
    Connect(#[from] ListenError),
    /// None could be opened.
    #[error(transparent)]
    Open(#[from] ExchangeError),
    /// The socket failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The exchange belongs to somebody else.
    #[error("exchange runs as uid={exchange}, this process as uid={own}: use one of your own")]
    OtherUser {
        /// User of the exchange.
        exchange: u32,
        /// User of this process.
        own: u32,
    },
    /// The exchange turned this participant away.
    #[error("exchange refused this participant: {reason}")]
    Rejected {
        /// What it said.
        reason: String,
    },
    /// The exchange did not answer.
    #[error("exchange did not answer within {seconds} s: it is stopped or too busy, try again")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The end was not taken.
    #[error("`{name}` was refused: {}", explain(refusal, differences))]
    Refused {
        /// Name of the topic or lane.
        name: String,
        /// Why.
        refusal: Refusal,
        /// How the types differ, if they do and both are known.
        differences: Vec<String>,
    },
    /// The exchange is of a version that does not know what was asked.
    #[error("exchange speaks version={found}, this needs {needed}: update the exchange's process")]
    Older {
        /// Version that it speaks.
        found: u32,
        /// Version that is needed.
        needed: u32,
    },
    /// The system refused the thread.
    #[error("thread of the participant could not be started: {0}: raise `ulimit -u`")]
    Thread(io::Error),
}

impl ParticipantError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect(cause) => cause.code(),
            Self::Open(cause) => cause.code(),
            Self::Channel(cause) => cause.code(),
            Self::OtherUser { .. } => "CL-0442",
            Self::Rejected { .. } => "CL-0443",
            Self::Silent { .. } => "CL-0444",
            Self::Refused { refusal, .. } => match refusal {
                Refusal::Name { .. } => "CL-0445",
                Refusal::Type { .. } => "CL-0446",
                Refusal::Form { .. } => "CL-0447",
                Refusal::Taken { .. } => "CL-0448",
                Refusal::TooMany { .. } | Refusal::Number | Refusal::Other => "CL-0449",
                Refusal::Schema { .. } => "CL-0440",
                Refusal::Taps { .. } => "CL-0469",
            },
            Self::Older { .. } => "CL-0468",
            Self::Thread(_) => "CL-0450",
        }
    }
}

fn explain(refusal: &Refusal, differences: &[String]) -> String {
    match refusal {
        Refusal::Name { limit } => format!("a name has 1 to {limit} bytes: choose such a one"),
        Refusal::Type { found } => {
            let told = match differences {
                [] => format!("hash={}", found.hash),
                differences => differences.join("; "),
            };
            format!("its messages are of another type ({told}): use the same definition")
        }
        Refusal::Form { is_lane: true } => {
            "it is a lane, not a topic: use another name, or send and receive".into()
        }
        Refusal::Form { is_lane: false } => {
            "it is a topic, not a lane: use another name, or publish and subscribe".into()
        }
        Refusal::Taken { role } => {
            format!("it has its one {role:?} already: wait for its end, or use a topic")
        }
        Refusal::TooMany { limit } => format!("the exchange has all {limit} ends: end some"),
        Refusal::Taps { limit } => format!("the lane has all {limit} taps: end some"),
        Refusal::Number => "another end has its number: make it again".into(),
        Refusal::Schema { limit } => {
            format!("its schema takes more than {limit} bytes: use fewer or shorter field names")
        }
        Refusal::Other => "for a reason that this version does not know: update it".into(),
    }
}

/// How the own type differs from the one that the others have.
pub(super) fn differences(own: Option<&TypeTag>, refusal: &Refusal) -> Vec<String> {
    let schema = |tag: &TypeTag| serde_json::from_value::<Schema>(tag.schema.clone()).ok();
    let (Some(own), Refusal::Type { found }) = (own, refusal) else { return Vec::new() };
    match (schema(own), schema(found)) {
        (Some(own), Some(found)) => own.differences(&found),
        _ => Vec::new(),
    }
}
