//! What sending and receiving over the typed rings can answer.

use thiserror::Error;

/// Why a message was not sent; it comes back.
#[derive(Error, PartialEq, Eq, Clone, Copy)]
#[non_exhaustive]
pub enum TrySendError<T> {
    /// No slot is free; nothing changed.
    #[error("ring is full: wait for the receiver, or send less")]
    Full(T),
    /// Every receiver is gone.
    #[error("every receiver of the ring is gone: the message cannot arrive")]
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full(_) => "CL-0201",
            Self::Closed(_) => "CL-0202",
        }
    }
}

impl<T> TrySendError<T> {
    /// The message that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

/// Why a waiting send gave up: every receiver is gone. The message comes back.
#[derive(Error, PartialEq, Eq, Clone, Copy)]
#[error("every receiver of the ring is gone: the message cannot arrive")]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0203"
    }
}

/// Why nothing was received.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[non_exhaustive]
pub enum TryRecvError {
    /// No message is there now.
    #[error("ring is empty")]
    Empty,
    /// Every sender is gone and every message was received.
    #[error("ring is empty and every sender is gone")]
    Closed,
}

impl TryRecvError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "CL-0204",
            Self::Closed => "CL-0205",
        }
    }
}

/// Why a waiting receive gave up: every sender is gone and every message was received.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("ring is empty and every sender is gone")]
pub struct RecvError;

impl RecvError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0206"
    }
}

/// No ring can have this capacity.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
#[error("capacity={asked} is not from 1 to {max}: choose one in that range")]
pub struct CapacityError {
    /// What was asked for.
    pub asked: usize,
    /// Most records of a ring.
    pub max: usize,
}

impl CapacityError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0207"
    }
}

// Messages need not be printable.
impl<T> core::fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> core::fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SendError(..)")
    }
}
