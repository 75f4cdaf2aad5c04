//! Of what pages the memory of a segment is and where it lies: what may be asked for, and what was
//! got.
//!
//! It only says so; `make` does it.

use std::fmt;

use rustix::param::page_size;

/// How the memory of a new segment should be; the defaults ask for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Whether its pages should be huge.
    pub huge_pages: HugePages,
    /// The NUMA node that its pages should lie on. They go elsewhere when that node is full, so
    /// that a wish does not end the process; [`Placement::node`] tells.
    pub numa_node: Option<u32>,
    /// Whether a core dump of this process holds the memory.
    pub is_dumped: bool,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self { huge_pages: HugePages::Never, numa_node: None, is_dumped: true }
    }
}

/// Whether a segment is made of huge pages, usually of 2 MiB. Its size is then rounded up to a
/// multiple of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HugePages {
    /// Normal pages.
    #[default]
    Never,
    /// Huge pages if the system gives them and the segment is at least as large as one of them.
    Prefer,
    /// Huge pages, or an error.
    Require,
}

/// How the mapping of a peer's segment should be; the defaults ask for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerOptions {
    /// Whether a core dump of this process holds the memory.
    pub is_dumped: bool,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self { is_dumped: true }
    }
}

/// What was got when a segment was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The kind of its pages.
    pub pages: Pages,
    /// Where they lie, when a node was asked for.
    pub node: Option<NodePlacement>,
    /// Whether a core dump of this process holds the memory.
    pub is_dumped: bool,
}

/// The pages of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pages {
    /// Of the usual size.
    Normal {
        /// Why they are not huge, when that was preferred.
        why_not_huge: Option<NotHuge>,
    },
    /// Huge pages that the administrator set aside (`vm.nr_hugepages`). They are never swapped.
    Hugetlb {
        /// Size of a page.
        page_bytes: usize,
    },
    /// Normal pages that the kernel joined into huge ones. It may split them again under pressure.
    Collapsed {
        /// Size of a page.
        page_bytes: usize,
    },
}

/// Why there are no huge pages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotHuge {
    /// The segment is smaller than one of them.
    Small {
        /// Size of the segment.
        bytes: usize,
        /// Size of a huge page.
        page_bytes: usize,
    },
    /// The system gave none, in neither way.
    Refused {
        /// What it said to huge pages that are set aside.
        hugetlb: String,
        /// What it said to joining normal ones.
        collapse: String,
    },
}

impl fmt::Display for NotHuge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Small { bytes, page_bytes } => {
                write!(f, "segment of bytes={bytes} is smaller than page_bytes={page_bytes}")
            }
            Self::Refused { hugetlb, collapse } => {
                write!(f, "set aside: {hugetlb}; joined: {collapse}")
            }
        }
    }
}

/// Where the pages of a segment were when it was made; the kernel was asked about a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePlacement {
    /// The node that was asked for.
    pub asked: u32,
    /// Pages that were looked at, spread over the segment; none where the kernel does not tell.
    pub looked_at: usize,
    /// How many of these lie elsewhere.
    pub elsewhere: usize,
}

impl NodePlacement {
    /// Whether every page that was looked at lies on the node.
    pub fn is_all_there(&self) -> bool {
        self.looked_at > 0 && self.elsewhere == 0
    }
}

/// What one entry of the second-lowest page table covers, which is a huge page of this machine:
/// 2 MiB where pages have 4 KiB.
pub(crate) fn huge_page_bytes() -> usize {
    const ENTRY_BYTES: usize = 8;
    page_size() * (page_size() / ENTRY_BYTES)
}
