//! Why a segment could not be created or was refused.
//!
//! Word access beyond a segment is not here: see [`WindowError`](crate::WindowError).

use std::io;

use rustix::io::Errno;

use crate::placement::NotHuge;

/// Why a segment could not be created, or a peer's segment was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The payload asked for is empty or too large.
    #[error("segment size is not possible words={words} min=1 limit={limit}; ask for another size")]
    Size {
        /// Payload asked for.
        words: usize,
        /// Largest payload.
        limit: usize,
    },
    /// The system refused a call.
    #[error("{call} failed for a segment; see the cause: give more memory, or raise `ulimit -n`")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The call is not allowed or not known here.
    #[error(
        "{call} is not allowed here, and lanes are memory files made by it; allow it in the \
         seccomp profile of this container or service, or run on Linux 5.1 or later"
    )]
    Forbidden {
        /// The call that is.
        call: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Huge pages are required, and the system gives none.
    #[error(
        "no huge pages for a segment bytes={bytes}: {reason}: set them aside with \
         `sysctl vm.nr_hugepages={pages}` and what others use, run Linux 6.1 or later, or prefer \
         them instead"
    )]
    HugePages {
        /// Size of the segment in whole huge pages.
        bytes: usize,
        /// How many of them it needs.
        pages: usize,
        /// What the system said.
        reason: NotHuge,
    },
    /// Memory cannot be asked for from this NUMA node.
    #[error(
        "memory of numa node={node} cannot be asked for: it is not there or not allowed here: name \
         one of /sys/devices/system/node/has_memory, or none"
    )]
    Node {
        /// The node that was asked for.
        node: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The descriptor is no memfd, so it cannot carry seals.
    #[error("descriptor is not a sealable memory file; the peer must hand over a sealed memfd")]
    NotAMemfd,
    /// The memfd lacks seals, so its creator could still pull it away or let others write.
    #[error("segment lacks seals missing={missing}; its creator must seal before handing over")]
    Unsealed {
        /// Names of the missing seals, joined by `|`.
        missing: String,
    },
    /// The file is too short to hold a header page.
    #[error("segment is truncated file_bytes={file_bytes} needed={needed}; ask for a new one")]
    Truncated {
        /// Size of the file.
        file_bytes: u64,
        /// Smallest size of a segment.
        needed: u64,
    },
    /// The file has holes, so reading it could take memory or fault.
    #[error(
        "segment has holes allocated_bytes={allocated_bytes} file_bytes={file_bytes}; \
         its creator must allocate all of it"
    )]
    Sparse {
        /// Bytes that have memory behind them.
        allocated_bytes: u64,
        /// Size of the file.
        file_bytes: u64,
    },
    /// The first word is not the magic number.
    #[error("memory file is not a corelane segment magic={found:#018x}; hand over a segment")]
    Magic {
        /// The word found.
        found: u64,
    },
    /// The header page has another format.
    #[error(
        "segment format differs found={found} expected={expected}; \
         run both processes with the same major version"
    )]
    Format {
        /// Format of the peer.
        found: u32,
        /// Format of this build.
        expected: u32,
    },
    /// The segment is for something else.
    #[error("segment kind differs found={found} expected={expected}; hand over the right segment")]
    Kind {
        /// Kind of the segment.
        found: u32,
        /// Kind that was expected.
        expected: u32,
    },
    /// The payload has another layout version.
    #[error(
        "layout version differs found={found} expected={expected}; \
         run both processes with the same major version"
    )]
    LayoutVersion {
        /// Version of the peer.
        found: u32,
        /// Version that was expected.
        expected: u32,
    },
    /// The layout version is the same, yet the layout is another.
    #[error(
        "layout hash differs found={found:#018x} expected={expected:#018x}; \
         the two builds lay memory out differently, rebuild both from one version"
    )]
    LayoutHash {
        /// Hash of the peer.
        found: u64,
        /// Hash that was expected.
        expected: u64,
    },
    /// The payload does not start on the page after the header.
    #[error("payload offset differs found={found} expected={expected}; refuse this peer")]
    PayloadOffset {
        /// Offset in the header, in bytes.
        found: u64,
        /// Offset that was expected: one page.
        expected: u64,
    },
    /// The payload is smaller or larger than accepted.
    #[error("payload size is out of bounds words={words} min={min} max={max}; agree on a size")]
    PayloadSize {
        /// Payload in the header, in words.
        words: u64,
        /// Smallest payload accepted.
        min: usize,
        /// Largest payload accepted.
        max: usize,
    },
    /// The header describes another size than the file has.
    #[error(
        "header lies about the size header_bytes={header_bytes} file_bytes={file_bytes}; \
         refuse this peer"
    )]
    SizeMismatch {
        /// File size that follows from the header.
        header_bytes: u64,
        /// Size of the file.
        file_bytes: u64,
    },
}

impl SegmentError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Size { .. } => "CL-0301",
            Self::Os { .. } => "CL-0302",
            Self::Forbidden { .. } => "CL-0315",
            Self::HugePages { .. } => "CL-0316",
            Self::Node { .. } => "CL-0317",
            Self::NotAMemfd => "CL-0303",
            Self::Unsealed { .. } => "CL-0304",
            Self::Truncated { .. } => "CL-0305",
            Self::Sparse { .. } => "CL-0306",
            Self::Magic { .. } => "CL-0307",
            Self::Format { .. } => "CL-0308",
            Self::Kind { .. } => "CL-0309",
            Self::LayoutVersion { .. } => "CL-0310",
            Self::LayoutHash { .. } => "CL-0311",
            Self::PayloadOffset { .. } => "CL-0312",
            Self::PayloadSize { .. } => "CL-0313",
            Self::SizeMismatch { .. } => "CL-0314",
        }
    }
}

impl SegmentError {
    /// For `map_err`: names the call that failed.
    pub(crate) fn os(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::Os { call, source: errno.into() }
    }

    /// For `map_err` of the call that everything begins with: a sandbox is told apart.
    pub(crate) fn os_or_forbidden(call: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| match errno {
            // A seccomp filter answers what its author chose; these are the usual choices.
            Errno::PERM | Errno::NOSYS | Errno::ACCESS => {
                Self::Forbidden { call, source: errno.into() }
            }
            errno => Self::Os { call, source: errno.into() },
        }
    }
}
