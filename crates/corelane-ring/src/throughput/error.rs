//! What the ends of a `throughput` ring can answer.

use thiserror::Error;

use super::CURSOR_WORDS;
use super::frame::{CAPACITY_BYTES_MAX, CAPACITY_BYTES_MIN};

/// Why a ring cannot be made.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetupError {
    /// The capacity is not usable.
    #[error(
        "capacity_bytes={asked} is not a power of two from {CAPACITY_BYTES_MIN} to \
         {CAPACITY_BYTES_MAX}: choose one that is"
    )]
    Capacity {
        /// What was asked for.
        asked: usize,
    },
    /// The memory begins within a cache line.
    #[error("memory does not begin at a multiple of {alignment} bytes: align it")]
    Misaligned {
        /// What its address must be a multiple of.
        alignment: usize,
    },
    /// The words of an index are fewer than a cache line.
    #[error("{what} has {found} words where the ring needs {CURSOR_WORDS}: give it that many")]
    TooFewWords {
        /// Which words.
        what: &'static str,
        /// Words there are.
        found: usize,
    },
}

impl SetupError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Capacity { .. } => "CL-0221",
            Self::Misaligned { .. } => "CL-0222",
            Self::TooFewWords { .. } => "CL-0223",
        }
    }
}

/// Why no room was claimed; nothing changed.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimError {
    /// There is not enough room in one piece now.
    #[error("ring is full: capacity_bytes={capacity_bytes}: wait for the consumer, or send less")]
    Full {
        /// Capacity in bytes.
        capacity_bytes: usize,
    },
    /// No record of this ring can be that long.
    #[error("record of {length} bytes exceeds {max}: split it, or make the ring larger")]
    TooLong {
        /// Payload bytes asked for.
        length: usize,
        /// Most payload bytes of a record.
        max: usize,
    },
    /// There is not enough room, and the consumer is gone.
    #[error("the consumer of the ring is gone: the record cannot arrive")]
    Closed,
    /// The consumer published a head that cannot be true (RB-5); the lane must be given up.
    #[error("consumer published head={head} outside {low}..={high}: detach this peer")]
    CorruptHead {
        /// What was read.
        head: u64,
        /// Lowest possible head.
        low: u64,
        /// Highest possible head.
        high: u64,
    },
}

impl ClaimError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "CL-0224",
            Self::TooLong { .. } => "CL-0225",
            Self::Closed => "CL-0226",
            Self::CorruptHead { .. } => "CL-0227",
        }
    }
}

/// Why the next record cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The producer is gone and every record was received.
    #[error("ring is empty and the producer is gone")]
    Closed,
    /// The producer published a tail that cannot be true (RB-12); the lane must be given up.
    #[error("producer published tail={tail}, which is no word in {low}..={high}: detach this peer")]
    CorruptTail {
        /// What was read.
        tail: u64,
        /// Lowest possible tail.
        low: u64,
        /// Highest possible tail.
        high: u64,
    },
    /// The producer published a header that cannot be true (RB-6); the lane must be given up.
    #[error("record at position={position} has the header {header:#018x}: detach this peer")]
    CorruptHeader {
        /// Position of the record.
        position: u64,
        /// What was read.
        header: u64,
    },
}

impl ReadError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed => "CL-0228",
            Self::CorruptTail { .. } => "CL-0229",
            Self::CorruptHeader { .. } => "CL-0230",
        }
    }
}
