//! Why a lane could not be made, or a record did not go through.

use corelane_ring::{ShapeError, throughput};
use corelane_shm::SegmentError;
use corelane_shm::futex::FutexError;
use thiserror::Error;

use crate::doorbell::BellError;
use crate::participant::ParticipantError;
use crate::port::LaneShapeError;

/// Why an end of a lane could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LaneError {
    /// The exchange could not be asked, or refused.
    #[error(transparent)]
    Participant(#[from] ParticipantError),
    /// The slots cannot be as they were asked for.
    #[error(transparent)]
    Slots(#[from] LaneShapeError),
    /// The ring cannot be as it was asked for.
    #[error(transparent)]
    Ring(#[from] throughput::SetupError),
    /// The system gave no memory or no descriptor.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

impl LaneError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Participant(cause) => cause.code(),
            Self::Slots(cause) => cause.code(),
            Self::Ring(cause) => cause.code(),
            Self::Segment(cause) => cause.code(),
        }
    }
}

impl From<ShapeError> for LaneError {
    fn from(cause: ShapeError) -> Self {
        Self::Slots(cause.into())
    }
}

/// Why a record was not sent. Nothing was sent.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LaneSendError {
    /// There is no receiver (any more).
    #[error("lane has no receiver: wait for one, or send later")]
    NotConnected,
    /// The receiver has not read enough.
    #[error("lane is full: capacity={capacity}: wait for the receiver, or send less")]
    Full {
        /// Records of a `latency` lane, or bytes of a `throughput` lane.
        capacity: usize,
    },
    /// No record of this lane is that long.
    #[error("record of {bytes} bytes is above the limit={limit} of this lane: split it")]
    TooLong {
        /// Its bytes.
        bytes: usize,
        /// Longest record.
        limit: usize,
    },
    /// The lane had no room, or no receiver, until the time given was over.
    #[error("lane had no room for {waited_ms} ms: its receiver is stuck, or there is none")]
    TimedOut {
        /// How long it was waited.
        waited_ms: u64,
    },
    /// The receiver wrote what cannot be; it was cut off.
    #[error("receiver is broken and was cut off: {reason}")]
    Corrupt {
        /// What was found.
        reason: String,
    },
    /// The kernel refuses to wait.
    #[error(transparent)]
    Sleep(#[from] FutexError),
}

impl LaneSendError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotConnected => "CL-0461",
            Self::Full { .. } => "CL-0462",
            Self::TooLong { .. } => "CL-0463",
            Self::TimedOut { .. } => "CL-0464",
            Self::Corrupt { .. } => "CL-0465",
            Self::Sleep(cause) => cause.code(),
        }
    }
}

/// Why no record was received.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LaneReceiveError {
    /// The sender wrote what cannot be; it was cut off.
    #[error("sender is broken and was cut off: {reason}")]
    Corrupt {
        /// What was found.
        reason: String,
    },
    /// The lane cannot be used by this receiver.
    #[error("lane cannot be received from: {reason}")]
    Unusable {
        /// Why.
        reason: String,
    },
    /// The kernel refuses to wait.
    #[error(transparent)]
    Sleep(#[from] FutexError),
    /// There is no descriptor to wait by.
    #[error(transparent)]
    Bell(#[from] BellError),
}

impl LaneReceiveError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "CL-0466",
            Self::Unusable { .. } => "CL-0467",
            Self::Sleep(cause) => cause.code(),
            Self::Bell(cause) => cause.code(),
        }
    }
}
