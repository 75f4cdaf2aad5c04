//! Creating a segment as its one writer, and opening one that a peer handed over.
//!
//! It does not carry descriptors between processes: see [`fdpass`](crate::fdpass).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs};
use rustix::io::{Errno, pread, retry_on_intr};
use rustix::param::page_size;

use crate::header::{
    FileShape, HEADER_WORDS, Header, SEGMENT_WORDS_MAX, SegmentExpect, SegmentInfo, segment_bytes,
};
use crate::make::{Made, make};
use crate::placement::{PeerOptions, Placement, SegmentOptions, huge_page_bytes};
use crate::raw::{Access, Mapping, Presence, RawWords};
use crate::{SegmentError, WordsRo, WordsRw};

const SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);

/// A block of `st_blocks` is 512 bytes whatever the file system.
const STAT_BLOCK_BYTES: u64 = 512;

/// The `f_type` of files made of huge pages that are set aside.
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;

/// A segment of this process: written here, read-only for everybody else (SM-1).
#[derive(Debug)]
pub struct OwnedSegment {
    words: WordsRw,
    fd: OwnedFd,
    info: SegmentInfo,
    placement: Placement,
}

impl OwnedSegment {
    /// Creates, maps and seals a segment of `payload_words` zeroed words.
    ///
    /// `name` (up to 249 bytes) is what `/proc/PID/maps` shows; it names no file. All memory is
    /// allocated and mapped before this returns, so that later accesses neither fault nor fail.
    ///
    /// # Errors
    ///
    /// - [`SegmentError::Size`] when `payload_words` is zero or above [`SEGMENT_WORDS_MAX`].
    /// - [`SegmentError::Forbidden`] when a seccomp filter or an old kernel knows no memory files.
    /// - [`SegmentError::Os`] when the system refuses: no memory, no descriptors, a name that is
    ///   too long.
    pub fn create(
        name: &str,
        payload_words: usize,
        info: SegmentInfo,
    ) -> Result<Self, SegmentError> {
        Self::create_with(name, payload_words, info, &SegmentOptions::default())
    }

    /// The same with a say in the memory: huge pages, its NUMA node, and whether core dumps hold
    /// it. [`placement`](Self::placement) tells what was got.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and
    /// - [`SegmentError::HugePages`] when huge pages are required and there are none.
    /// - [`SegmentError::Node`] when the node is not there or not allowed.
    pub fn create_with(
        name: &str,
        payload_words: usize,
        info: SegmentInfo,
        options: &SegmentOptions,
    ) -> Result<Self, SegmentError> {
        if !(1..=SEGMENT_WORDS_MAX).contains(&payload_words) {
            return Err(SegmentError::Size { words: payload_words, limit: SEGMENT_WORDS_MAX });
        }
        let page_bytes = page_size();
        let needed_bytes = segment_bytes(payload_words, page_bytes);
        let Made { fd, mapping, placement } = make(name, needed_bytes, options)?;
        let all = WordsRw::new(RawWords::whole(mapping));
        let header = Header {
            info,
            creator_pid: std::process::id(),
            payload_offset: page_bytes as u64,
            payload_words: payload_words as u64,
        };
        all.write(0, &header.encode());
        fcntl_add_seals(&fd, SEALS).map_err(SegmentError::os("fcntl(F_ADD_SEALS)"))?;

        let words = all
            .window(page_bytes / 8, payload_words)
            .expect("the payload is mapped because the file was sized for it");
        Ok(Self { words, fd, info, placement })
    }

    /// Of what pages it is and where they lie.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The payload.
    pub fn words(&self) -> &WordsRw {
        &self.words
    }

    /// What the header says.
    pub fn info(&self) -> SegmentInfo {
        self.info
    }

    /// The sealed descriptor, to be handed over; whoever holds it can only read.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Gives up the descriptor once it was handed over; the words keep the memory.
    pub fn into_words(self) -> WordsRw {
        self.words
    }
}

/// A segment that a peer writes and this process reads (SM-3).
#[derive(Debug)]
pub struct PeerSegment {
    words: WordsRo,
    header: Header,
}

impl PeerSegment {
    /// Checks a descriptor that a peer handed over and maps it read-only.
    ///
    /// Seals come first (SM-2), then the header, copied once and validated against the file and
    /// `expect` (SM-5). The descriptor is closed either way; the mapping does not need it.
    ///
    /// # Errors
    ///
    /// - [`SegmentError::NotAMemfd`], [`SegmentError::Unsealed`], [`SegmentError::Truncated`],
    ///   [`SegmentError::Sparse`] when the file is not safe to map.
    /// - [`SegmentError::Magic`], [`SegmentError::Format`], [`SegmentError::Kind`],
    ///   [`SegmentError::LayoutVersion`], [`SegmentError::LayoutHash`] when it is another thing
    ///   than expected.
    /// - [`SegmentError::PayloadOffset`], [`SegmentError::PayloadSize`],
    ///   [`SegmentError::SizeMismatch`] when the header does not fit the file or `expect`.
    /// - [`SegmentError::Os`] when the system refuses a call.
    pub fn open(fd: OwnedFd, expect: &SegmentExpect) -> Result<Self, SegmentError> {
        Self::open_with(fd, expect, &PeerOptions::default())
    }

    /// The same with a say in the mapping.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(
        fd: OwnedFd,
        expect: &SegmentExpect,
        options: &PeerOptions,
    ) -> Result<Self, SegmentError> {
        let page_bytes = page_size();
        check_seals(&fd)?;
        let bytes = check_allocated(&fd, page_bytes as u64)?;
        let shape = FileShape { bytes, page_bytes, huge_page_bytes: huge_pages_of(&fd)? };
        let header = Header::decode(&read_header(&fd)?)?;
        let payload_words = header.validate(expect, &shape)?;

        // The header fits the file, so that the size fits this machine.
        let file_bytes = bytes as usize;
        let is_huge = file_bytes.is_multiple_of(shape.huge_page_bytes);
        let align_bytes = if is_huge { shape.huge_page_bytes } else { page_bytes };
        let (access, presence) = (Access::ReadOnly, Presence::Now);
        let mapping = Mapping::aligned(fd.as_fd(), file_bytes, access, align_bytes, presence)?;
        if !options.is_dumped {
            mapping.keep_out_of_dumps()?;
        }
        let words = WordsRo::new(RawWords::whole(mapping))
            .window(page_bytes / 8, payload_words)
            .expect("the payload is mapped because the header fits the file");
        Ok(Self { words, header })
    }

    /// The payload.
    pub fn words(&self) -> &WordsRo {
        &self.words
    }

    /// What the header said when it was opened.
    pub fn info(&self) -> SegmentInfo {
        self.header.info
    }

    /// The creator's process id as it wrote it: for people to read, never to be acted upon.
    pub fn claimed_creator_pid(&self) -> u32 {
        self.header.creator_pid
    }
}

fn check_seals(fd: &OwnedFd) -> Result<(), SegmentError> {
    let present = match fcntl_get_seals(fd) {
        Err(Errno::INVAL) => return Err(SegmentError::NotAMemfd),
        seals => seals.map_err(SegmentError::os("fcntl(F_GET_SEALS)"))?,
    };
    let missing: Vec<&str> = (SEALS - present).iter_names().map(|(name, _)| name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(SegmentError::Unsealed { missing: missing.join("|") })
}

/// Size of the file, once it is sure that all of it is there (SM-2). The seals were checked before,
/// so that neither can change any more.
fn check_allocated(fd: &OwnedFd, page_bytes: u64) -> Result<u64, SegmentError> {
    let stat = fstat(fd).map_err(SegmentError::os("fstat"))?;
    let file_bytes = stat.st_size as u64;
    if file_bytes < page_bytes {
        return Err(SegmentError::Truncated { file_bytes, needed: page_bytes });
    }
    let allocated_bytes = (stat.st_blocks as u64).saturating_mul(STAT_BLOCK_BYTES);
    if allocated_bytes < file_bytes {
        return Err(SegmentError::Sparse { allocated_bytes, file_bytes });
    }
    Ok(file_bytes)
}

/// Size of the huge pages of which the file may be: the kernel says it of pages set aside.
fn huge_pages_of(fd: &OwnedFd) -> Result<usize, SegmentError> {
    let system = fstatfs(fd).map_err(SegmentError::os("fstatfs"))?;
    let is_hugetlb = system.f_type as u64 == HUGETLBFS_MAGIC;
    Ok(if is_hugetlb { system.f_bsize as usize } else { huge_page_bytes() })
}

fn read_header(fd: &OwnedFd) -> Result<[u64; HEADER_WORDS], SegmentError> {
    let mut bytes = [0; HEADER_WORDS * 8];
    let count = retry_on_intr(|| pread(fd, &mut bytes, 0)).map_err(SegmentError::os("pread"))?;
    if count != bytes.len() {
        let (file_bytes, needed) = (count as u64, bytes.len() as u64);
        return Err(SegmentError::Truncated { file_bytes, needed });
    }
    let (words, _) = bytes.as_chunks::<8>();
    Ok(std::array::from_fn(|index| u64::from_ne_bytes(words[index])))
}
