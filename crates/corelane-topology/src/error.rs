//! The error families of this crate: reading, pinning, measuring.

use crate::CpuSet;
use std::io;
use std::path::PathBuf;

/// Why a topology could not be read. Absent files are no error; content that lies is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// A file holds something else than its format allows.
    #[error(
        "topology file is not readable, repair or remove it: path={} text={text:?} reason={reason}",
        path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What it holds, cut to a readable length.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// The affinity of the calling thread could not be read.
    #[error("affinity of the thread is not readable, give the allowed cpus explicitly: {source}")]
    Affinity {
        /// The kernel's answer.
        source: io::Error,
    },
}

impl TopologyError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Content { .. } => "CL-0101",
            Self::Affinity { .. } => "CL-0102",
        }
    }
}

/// Why a thread was not pinned. Its affinity is then what it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The set of CPUs was empty.
    #[error("no cpu to pin to, name at least one")]
    Empty,
    /// The CPU number is above what the affinity call of this build can express.
    #[error("cpu number cannot be pinned, choose a lower one: cpu={cpu} limit={limit}")]
    AboveLimit {
        /// The CPU asked for.
        cpu: usize,
        /// The first number that cannot be expressed.
        limit: usize,
    },
    /// The kernel granted less than was asked: CPUs are offline or outside the cpuset.
    #[error(
        "cpus are offline or outside the cpuset, choose others: asked={asked} granted={granted}"
    )]
    NotAllowed {
        /// The CPUs asked for.
        asked: CpuSet,
        /// The CPUs the kernel would have given.
        granted: CpuSet,
    },
    /// The kernel refused the call for another reason.
    #[error(
        "kernel refused the affinity call, check seccomp and capabilities: asked={asked} {source}"
    )]
    Refused {
        /// The CPUs asked for.
        asked: CpuSet,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl PinError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "CL-0111",
            Self::AboveLimit { .. } => "CL-0112",
            Self::NotAllowed { .. } => "CL-0113",
            Self::Refused { .. } => "CL-0114",
        }
    }
}

/// Why a latency could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The topology was recorded elsewhere.
    #[error("latency not measured, the topology is not of this machine: read it from the root /")]
    NotLive,
    /// One of the two threads could not be pinned.
    #[error("latency not measured, a thread could not be pinned: {0}")]
    Pin(#[from] PinError),
    /// The system gave no thread to measure with.
    #[error("latency not measured, raise the limit of threads: {0}")]
    Thread(#[source] io::Error),
}

impl MeasureError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotLive => "CL-0121",
            Self::Pin(cause) => cause.code(),
            Self::Thread(_) => "CL-0122",
        }
    }
}
