//! Creating a segment as its one writer, and opening one that a peer handed over.
//!
//! It does not carry descriptors between processes: see [`fdpass`](crate::fdpass).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals, fstat,
    ftruncate, memfd_create,
};
use rustix::io::{Errno, pread, retry_on_intr};
use rustix::param::page_size;

use crate::header::{
    HEADER_WORDS, Header, SEGMENT_WORDS_MAX, SegmentExpect, SegmentInfo, segment_bytes,
};
use crate::raw::{Access, Mapping, RawWords};
use crate::{SegmentError, WordsRo, WordsRw};

const SEALS: SealFlags =
    SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::FUTURE_WRITE).union(SealFlags::SEAL);

/// A block of `st_blocks` is 512 bytes whatever the file system.
const STAT_BLOCK_BYTES: u64 = 512;

/// A segment of this process: written here, read-only for everybody else (SM-1).
#[derive(Debug)]
pub struct OwnedSegment {
    words: WordsRw,
    fd: OwnedFd,
    info: SegmentInfo,
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
        if !(1..=SEGMENT_WORDS_MAX).contains(&payload_words) {
            return Err(SegmentError::Size { words: payload_words, limit: SEGMENT_WORDS_MAX });
        }
        let page_bytes = page_size();
        let file_bytes = segment_bytes(payload_words, page_bytes);
        let fd = create_memfd(name)?;
        retry_on_intr(|| ftruncate(&fd, file_bytes as u64))
            .map_err(SegmentError::os("ftruncate"))?;
        retry_on_intr(|| fallocate(&fd, FallocateFlags::empty(), 0, file_bytes as u64))
            .map_err(SegmentError::os("fallocate"))?;

        let mapping = Mapping::new(fd.as_fd(), file_bytes, Access::ReadWrite)?;
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
        Ok(Self { words, fd, info })
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
        let page_bytes = page_size();
        check_seals(&fd)?;
        let file_bytes = check_allocated(&fd, page_bytes as u64)?;
        let header = Header::decode(&read_header(&fd)?)?;
        let payload_words = header.validate(expect, file_bytes, page_bytes)?;

        let mapped_bytes = segment_bytes(payload_words, page_bytes);
        let mapping = Mapping::new(fd.as_fd(), mapped_bytes, Access::ReadOnly)?;
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

fn create_memfd(name: &str) -> Result<OwnedFd, SegmentError> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know NOEXEC_SEAL; some later ones are set up to demand it.
    match memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => memfd_create(name, flags),
        created => created,
    }
    .map_err(SegmentError::os_or_forbidden("memfd_create"))
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
