//! Making the memory file of a segment and its writable mapping, placed as asked.
//!
//! It writes no header and sets no seals.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, fstat, ftruncate, memfd_create};
use rustix::io::{Errno, retry_on_intr};
use rustix::param::page_size;

use crate::placement::{
    HugePages, NodePlacement, NotHuge, Pages, Placement, SegmentOptions, huge_page_bytes,
};
use crate::raw::{Access, Mapping, Presence};
use crate::{SegmentError, ffi};

/// Pages whose node is asked for: enough to see a part that is elsewhere, and one system call.
const NODE_SAMPLES_MAX: usize = 1024;

/// A file of zeros, all of it there (SM-2), and its mapping.
pub(crate) struct Made {
    pub(crate) fd: OwnedFd,
    pub(crate) mapping: Mapping,
    pub(crate) placement: Placement,
}

/// Makes a file of at least `needed_bytes`, which are whole pages.
pub(crate) fn make(
    name: &str,
    needed_bytes: usize,
    options: &SegmentOptions,
) -> Result<Made, SegmentError> {
    let page_bytes = huge_page_bytes();
    let (fd, mapping, pages) = match options.huge_pages {
        HugePages::Never => {
            let (fd, mapping) = plain(name, needed_bytes, page_size(), options)?;
            (fd, mapping, Pages::Normal { why_not_huge: None })
        }
        HugePages::Prefer if needed_bytes < page_bytes => {
            let (fd, mapping) = plain(name, needed_bytes, page_size(), options)?;
            let why_not_huge = Some(NotHuge::Small { bytes: needed_bytes, page_bytes });
            (fd, mapping, Pages::Normal { why_not_huge })
        }
        HugePages::Prefer | HugePages::Require => huge(name, needed_bytes, options)?,
    };
    if !options.is_dumped {
        mapping.keep_out_of_dumps()?;
    }
    let node = options.numa_node.map(|asked| look_up(&mapping, asked));
    Ok(Made { fd, mapping, placement: Placement { pages, node, is_dumped: options.is_dumped } })
}

/// A file of normal pages whose mapping begins at a multiple of `align_bytes`.
fn plain(
    name: &str,
    file_bytes: usize,
    align_bytes: usize,
    options: &SegmentOptions,
) -> Result<(OwnedFd, Mapping), SegmentError> {
    let fd = create_memfd(name, MemfdFlags::empty())?;
    retry_on_intr(|| ftruncate(&fd, file_bytes as u64)).map_err(SegmentError::os("ftruncate"))?;
    let map = |presence| {
        Mapping::aligned(fd.as_fd(), file_bytes, Access::ReadWrite, align_bytes, presence)
    };
    if let Some(node) = options.numa_node {
        // The wish belongs to the file, and `fallocate` below follows it.
        prefer_node(&map(Presence::Later)?, node)?;
    }
    retry_on_intr(|| fallocate(&fd, FallocateFlags::empty(), 0, file_bytes as u64))
        .map_err(SegmentError::os("fallocate"))?;
    let mapping = map(Presence::Now)?;
    Ok((fd, mapping))
}

/// Huge pages that are set aside, else normal ones that are joined, else what the options allow.
fn huge(
    name: &str,
    needed_bytes: usize,
    options: &SegmentOptions,
) -> Result<(OwnedFd, Mapping, Pages), SegmentError> {
    let hugetlb = match set_aside(name, needed_bytes, options) {
        Ok((fd, mapping, page_bytes)) => return Ok((fd, mapping, Pages::Hugetlb { page_bytes })),
        Err(Refusal::Here(reason)) => reason,
        Err(Refusal::Anywhere(error)) => return Err(error),
    };
    let page_bytes = huge_page_bytes();
    let file_bytes = needed_bytes.next_multiple_of(page_bytes);
    let (fd, mapping) = plain(name, file_bytes, page_bytes, options)?;
    let collapse = match ffi::collapse(mapping.file_start(), file_bytes) {
        Ok(()) => return Ok((fd, mapping, Pages::Collapsed { page_bytes })),
        Err(errno) => format!("madvise(MADV_COLLAPSE): {errno}"),
    };
    let not_huge = NotHuge::Refused { hugetlb, collapse };
    if options.huge_pages == HugePages::Require {
        let pages = file_bytes / page_bytes;
        return Err(SegmentError::HugePages { bytes: file_bytes, pages, reason: not_huge });
    }
    Ok((fd, mapping, Pages::Normal { why_not_huge: Some(not_huge) }))
}

/// A file of huge pages that the administrator set aside, and their size.
fn set_aside(
    name: &str,
    needed_bytes: usize,
    options: &SegmentOptions,
) -> Result<(OwnedFd, Mapping, usize), Refusal> {
    let fd = create_memfd(name, MemfdFlags::HUGETLB)?;
    let page_bytes = fstat(&fd).map_err(SegmentError::os("fstat"))?.st_blksize as usize;
    if page_bytes > huge_page_bytes().max(needed_bytes) {
        // Pages of 1 GiB, say: one of them for a small segment would waste nearly all of it.
        let reason = NotHuge::Small { bytes: needed_bytes, page_bytes };
        return Err(Refusal::Here(reason.to_string()));
    }
    let file_bytes = needed_bytes.next_multiple_of(page_bytes);
    retry_on_intr(|| ftruncate(&fd, file_bytes as u64)).map_err(SegmentError::os("ftruncate"))?;
    // Mapping reserves the pages, so that there are enough of them from here on.
    let mapping =
        Mapping::aligned(fd.as_fd(), file_bytes, Access::ReadWrite, page_bytes, Presence::Later)?;
    if let Some(node) = options.numa_node {
        // Here the wish belongs to the mapping, so that the pages must come through it.
        prefer_node(&mapping, node)?;
    }
    mapping.populate()?;
    Ok((fd, mapping, page_bytes))
}

fn create_memfd(name: &str, more: MemfdFlags) -> Result<OwnedFd, SegmentError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | more;
    // Kernels before 6.3 do not know NOEXEC_SEAL; some later ones are set up to demand it.
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(name, flags),
        created => created,
    }
    .map_err(SegmentError::os_or_forbidden("memfd_create"))
}

fn prefer_node(mapping: &Mapping, node: u32) -> Result<(), SegmentError> {
    ffi::prefer_node(mapping.file_start(), mapping.file_bytes(), node)
        .map_err(|errno| SegmentError::Node { node, source: errno.into() })
}

fn look_up(mapping: &Mapping, asked: u32) -> NodePlacement {
    let pages = mapping.file_bytes() / page_size();
    let samples = pages.min(NODE_SAMPLES_MAX);
    // The first and the last page are among them.
    let page_of = |sample: usize| sample * (pages - 1) / (samples - 1).max(1);
    let address = |sample| mapping.file_start().wrapping_byte_add(page_of(sample) * page_size());
    let addresses: Vec<_> = (0..samples).map(address).collect();
    let nodes = ffi::nodes_of(&addresses).unwrap_or_default();
    let elsewhere = nodes.iter().filter(|&&node| u32::try_from(node) != Ok(asked)).count();
    NodePlacement { asked, looked_at: nodes.len(), elsewhere }
}

/// Why huge pages that are set aside are not used.
enum Refusal {
    /// What the system said; other pages may be had.
    Here(String),
    /// Other pages are not to be had either.
    Anywhere(SegmentError),
}

impl From<SegmentError> for Refusal {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Os { call, source } | SegmentError::Forbidden { call, source } => {
                Self::Here(format!("{call}: {source}"))
            }
            error => Self::Anywhere(error),
        }
    }
}

#[cfg(test)]
mod tests;
