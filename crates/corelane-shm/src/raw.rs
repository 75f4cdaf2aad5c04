//! The mapping of a segment and the words in it: all unsafe memory access of this crate.
//!
//! It does not decide who may write: [`crate::words`] wraps it. Invariants: see the crate's page.

use std::ffi::c_void;
use std::os::fd::BorrowedFd;
use std::ptr::{NonNull, null_mut};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use rustix::param::page_size;
use rustix::process::{Pid, getpid};

use crate::SegmentError;

/// What a mapping allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Loads only: a peer's segment.
    ReadOnly,
    /// Loads and stores: the creator's own segment, before it is sealed.
    ReadWrite,
}

/// When the pages of a new mapping come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Before it is returned, as far as the file has them.
    Now,
    /// With [`Mapping::populate`] or the first access.
    Later,
}

/// A whole file mapped between two guard pages, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Start of the reserved addresses: at least a guard page, the file, at least a guard page.
    reserved: NonNull<c_void>,
    reserved_bytes: usize,
    /// Where the file begins within them.
    file_offset: usize,
    file_bytes: usize,
    access: Access,
    process: Pid,
}

// SAFETY: SM-4: shared access is by atomic words, or by bytes that their accessor answers for;
// addresses are the same for all threads of the process; unmapping happens once, in drop, when no
// words are left (SM-6).
unsafe impl Send for Mapping {}
// SAFETY: as for Send: `&Mapping` gives out nothing by itself.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `file_bytes` (whole pages, at least one) of `fd`, with its pages present.
    ///
    /// The caller has made sure of SM-2: the file is that long and stays so.
    #[cfg(test)]
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        file_bytes: usize,
        access: Access,
    ) -> Result<Self, SegmentError> {
        Self::aligned(fd, file_bytes, access, page_size(), Presence::Now)
    }

    /// Maps the first `file_bytes` (whole pages of the file, at least one) of `fd`, at a multiple
    /// of `align_bytes` (a multiple of a page).
    ///
    /// The caller has made sure of SM-2: the file is that long and stays so.
    pub(crate) fn aligned(
        fd: BorrowedFd<'_>,
        file_bytes: usize,
        access: Access,
        align_bytes: usize,
        presence: Presence,
    ) -> Result<Self, SegmentError> {
        let page = page_size();
        // Wherever it begins, a multiple lies behind the first page and before the last one.
        let reserved_bytes = file_bytes + align_bytes + page;
        // SAFETY: no address is asked for, so no memory in use is touched; the kernel picks a free
        // range of this length, and nothing can be accessed in it yet.
        let reserved = unsafe {
            mmap_anonymous(
                null_mut(),
                reserved_bytes,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }
        .map_err(SegmentError::os("mmap"))?;
        let reserved =
            NonNull::new(reserved).expect("mmap never returns null because it is mapped");
        let start = reserved.addr().get();
        let file_offset = (start + page).next_multiple_of(align_bytes) - start;
        let process = getpid();
        let mapping = Self { reserved, reserved_bytes, file_offset, file_bytes, access, process };

        let protection = match access {
            Access::ReadOnly => ProtFlags::READ,
            Access::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
        };
        let populate = match presence {
            Presence::Now => MapFlags::POPULATE,
            Presence::Later => MapFlags::empty(),
        };
        // SAFETY: FIXED replaces a part of the range reserved above, which nobody else knows yet:
        // it starts a page in or later and ends a page before the end or earlier. On failure
        // `mapping` unmaps it.
        unsafe {
            mmap(
                mapping.file_start(),
                file_bytes,
                protection,
                MapFlags::SHARED | MapFlags::FIXED | populate,
                fd,
                0,
            )
        }
        .map_err(SegmentError::os("mmap"))?;
        // SAFETY: the range is this mapping, and DONTFORK changes nothing in this process.
        unsafe { madvise(reserved.as_ptr(), reserved_bytes, Advice::LinuxDontFork) }
            .map_err(SegmentError::os("madvise"))?;
        Ok(mapping)
    }

    /// Makes all pages present and writable; they hold zeros where nobody wrote.
    ///
    /// The caller maps it for writing. Needs Linux 5.14.
    pub(crate) fn populate(&self) -> Result<(), SegmentError> {
        // SAFETY: the range is this mapping, and its bytes stay as they are.
        unsafe { madvise(self.file_start(), self.file_bytes, Advice::LinuxPopulateWrite) }
            .map_err(SegmentError::os("madvise(MADV_POPULATE_WRITE)"))
    }

    /// Keeps its memory out of core dumps of this process.
    pub(crate) fn keep_out_of_dumps(&self) -> Result<(), SegmentError> {
        // SAFETY: the range is this mapping, and DONTDUMP changes nothing but core dumps.
        unsafe { madvise(self.reserved.as_ptr(), self.reserved_bytes, Advice::LinuxDontDump) }
            .map_err(SegmentError::os("madvise(MADV_DONTDUMP)"))
    }

    /// Where the file begins.
    pub(crate) fn file_start(&self) -> *mut c_void {
        self.reserved.as_ptr().wrapping_byte_add(self.file_offset)
    }

    /// How long it is.
    pub(crate) fn file_bytes(&self) -> usize {
        self.file_bytes
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // A forked child never had the mapping (SM-6): its addresses may hold something else.
        if getpid() != self.process {
            return;
        }
        // SAFETY: the range was reserved by this value and is unmapped only here; words that point
        // into it hold the Arc of this value (SM-6), so none is left.
        let unmapped = unsafe { munmap(self.reserved.as_ptr(), self.reserved_bytes) };
        debug_assert!(unmapped.is_ok(), "munmap of an own mapping failed: {unmapped:?}");
    }
}

/// A run of words in a mapping, which it keeps alive.
#[derive(Clone, Debug)]
pub(crate) struct RawWords {
    mapping: Arc<Mapping>,
    first: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: SM-4: `first` is used as `&[AtomicU64]`, which is Send and Sync, for copies, and for
// bytes whose accessor answers for it; the mapping behind it is Send and Sync and kept alive by the
// Arc (SM-6).
unsafe impl Send for RawWords {}
// SAFETY: as for Send.
unsafe impl Sync for RawWords {}

impl RawWords {
    /// All words of a mapping.
    pub(crate) fn whole(mapping: Mapping) -> Self {
        let first = NonNull::new(mapping.file_start().cast())
            .expect("the file lies behind a guard page because the mapping was made so");
        Self { first, len: mapping.file_bytes / 8, mapping: Arc::new(mapping) }
    }

    /// The words `first..first + len`, if there are as many.
    pub(crate) fn window(&self, first: usize, len: usize) -> Option<Self> {
        let start = self.atomics().get(first..first.checked_add(len)?)?.as_ptr();
        let first = NonNull::new(start.cast_mut())?;
        Some(Self { mapping: Arc::clone(&self.mapping), first, len })
    }

    /// The words as atomics. When the mapping is read-only (SM-3) they must only be loaded, and
    /// relaxed, because no other access is sure to work on read-only memory.
    #[inline]
    pub(crate) fn atomics(&self) -> &[AtomicU64] {
        // SAFETY: `first` and `len` name a part of the mapped file (`whole`, `window`), which stays
        // mapped while `self` holds the Arc (SM-6) and never faults (SM-2); page-aligned start plus
        // whole words keeps the alignment; other processes write by atomics, or what nobody reads
        // as words here (SM-4).
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }

    /// Copies the words from `first` on, each as it was at some moment, in no order.
    ///
    /// # Panics
    ///
    /// When they reach out of bounds.
    #[inline(always)]
    pub(crate) fn read(&self, first: usize, out: &mut [u64]) {
        let source = &self.atomics()[first..][..out.len()];
        let (pairs_out, last_out) = out.as_chunks_mut::<2>();
        let (pairs, last) = source.as_chunks::<2>();
        for (out, pair) in pairs_out.iter_mut().zip(pairs) {
            *out = load_pair(pair);
        }
        for (out, word) in last_out.iter_mut().zip(last) {
            *out = word.load(Ordering::Relaxed);
        }
    }

    /// Has the processor fetch a word's line to write it.
    #[inline(always)]
    pub(crate) fn write_soon(&self, index: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if let Some(word) = self.atomics().get(index) {
            // SAFETY: a hint, which neither faults nor changes anything; processors without it do
            // nothing. The word is there all the same.
            unsafe {
                std::arch::asm!(
                    "prefetchw [{word}]",
                    word = in(reg) word,
                    options(nostack, preserves_flags, readonly)
                );
            }
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = index;
    }

    /// Copies the bytes from `first` on, while a peer may write them: what is torn is garbage, and
    /// nothing else happens. Whoever needs to know whether it is looks at a generation afterwards.
    ///
    /// # Panics
    ///
    /// When they reach out of bounds.
    pub(crate) fn copy_out(&self, first: usize, out: &mut [u8]) {
        let end = first.checked_add(out.len());
        assert!(end.is_some_and(|end| end <= self.len * 8), "bytes beyond the words");
        let source = self.first.as_ptr().cast::<u8>().wrapping_add(first);
        // SAFETY: the range is in bounds by the check above, mapped while `self` lives (SM-6), and
        // reading it never faults (SM-2); `out` is this process's own.
        unsafe { copy_opaque(source, out.as_mut_ptr(), out.len()) }
    }

    /// The bytes from `first` on as plain memory, `None` when they reach out of bounds.
    ///
    /// # Safety
    ///
    /// Nobody, in this process or another, writes them while the slice lives.
    pub(crate) unsafe fn bytes(&self, first: usize, len: usize) -> Option<&[u8]> {
        let end = first.checked_add(len)?;
        let source = self.first.as_ptr().cast::<u8>().wrapping_add(first);
        // SAFETY: in bounds by the check, mapped while `self` lives (SM-6), never faulting (SM-2);
        // that nobody writes is the caller's promise.
        (end <= self.len * 8).then(|| unsafe { slice::from_raw_parts(source, len) })
    }

    /// The same, to be written.
    ///
    /// # Safety
    ///
    /// Nobody else in this process accesses them while the slice lives; what other processes read
    /// meanwhile they throw away. The mapping is writable.
    #[expect(clippy::mut_from_ref, reason = "the caller promises that the bytes are its own")]
    pub(crate) unsafe fn bytes_mut(&self, first: usize, len: usize) -> Option<&mut [u8]> {
        debug_assert_eq!(self.access(), Access::ReadWrite);
        let end = first.checked_add(len)?;
        let target = self.first.as_ptr().cast::<u8>().wrapping_add(first);
        // SAFETY: as in `bytes`; that nobody else accesses them is the caller's promise.
        (end <= self.len * 8).then(|| unsafe { slice::from_raw_parts_mut(target, len) })
    }

    /// Where the words begin, and what keeps them mapped.
    pub(crate) fn base(&self) -> (NonNull<u8>, Arc<Mapping>) {
        (self.first.cast(), Arc::clone(&self.mapping))
    }

    /// The low 32 bits of a word, for the kernel's futex calls. Rust code must not access it: it
    /// accesses the word as 64 bits (SM-4).
    ///
    /// # Panics
    ///
    /// When `index` is out of bounds.
    pub(crate) fn futex_half(&self, index: usize) -> &AtomicU32 {
        const LOW_HALF: usize = if cfg!(target_endian = "little") { 0 } else { 1 };
        let word: *mut u64 = self.atomics()[index].as_ptr();
        // SAFETY: both halves lie in the word, which is in bounds by the index above and lives as
        // long as `self` (SM-6); four bytes are aligned; it is not accessed by Rust code (SM-4).
        unsafe { AtomicU32::from_ptr(word.cast::<u32>().add(LOW_HALF)) }
    }

    pub(crate) fn access(&self) -> Access {
        self.mapping.access
    }
}

/// Two words by one load: what is stored in wide pieces, as a whole record mostly is, can be loaded
/// in wide pieces at once, where it would have to wait for narrow stores to leave the core.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline(always)]
fn load_pair(pair: &[AtomicU64; 2]) -> [u64; 2] {
    let words: std::arch::x86_64::__m128i;
    // SAFETY: the reference says that both words may be read, and the compiler does not look
    // through the instruction, so that it may not matter to it who writes them meanwhile (SM-4).
    unsafe {
        std::arch::asm!(
            "movdqu {words}, [{pair}]",
            words = lateout(xmm_reg) words,
            pair = in(reg) pair,
            options(nostack, preserves_flags, readonly)
        );
    }
    // SAFETY: both are sixteen bytes, any of which are a value.
    unsafe { std::mem::transmute::<std::arch::x86_64::__m128i, [u64; 2]>(words) }
}

/// Two words, each as it was at some moment.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline(always)]
fn load_pair([first, second]: &[AtomicU64; 2]) -> [u64; 2] {
    [first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)]
}

/// Copies memory that others may write meanwhile, in a way that the compiler does not look through.
///
/// # Safety
///
/// `source` may be read and `target` written for `len` bytes; `target` is not shared.
#[cfg(target_arch = "x86_64")]
unsafe fn copy_opaque(source: *const u8, target: *mut u8, len: usize) {
    // SAFETY: the instruction reads and writes just the ranges that the caller answers for, and
    // the direction flag is clear on entry, as the ABI demands.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") source => _,
            inout("rdi") target => _,
            options(nostack, preserves_flags)
        );
    }
}

/// The same by volatile accesses, which the compiler neither merges nor repeats.
///
/// # Safety
///
/// As above.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn copy_opaque(source: *const u8, target: *mut u8, len: usize) {
    const WORD: usize = size_of::<u64>();
    let mut done = 0;
    if source.addr().is_multiple_of(WORD) && target.addr().is_multiple_of(WORD) {
        while len - done >= WORD {
            // SAFETY: in bounds by the loop's condition; both are aligned, as was just looked at.
            unsafe {
                let word = source.wrapping_add(done).cast::<u64>().read_volatile();
                target.wrapping_add(done).cast::<u64>().write(word);
            }
            done += WORD;
        }
    }
    while done < len {
        // SAFETY: in bounds by the loop's condition.
        unsafe { target.wrapping_add(done).write(source.wrapping_add(done).read_volatile()) };
        done += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::io::Errno;
    use rustix::mm::{MprotectFlags, mprotect};

    use super::*;
    use crate::{OwnedSegment, SegmentInfo};

    const INFO: SegmentInfo =
        SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };

    #[test]
    fn a_sealed_segment_cannot_be_mapped_writable() {
        let owned = OwnedSegment::create("corelane-test-raw", 8, INFO).unwrap();
        let bytes = 2 * page_size();
        let refused = Mapping::new(owned.fd(), bytes, Access::ReadWrite).unwrap_err();
        let SegmentError::Os { call: "mmap", source } = refused else { panic!("{refused:?}") };
        assert_eq!(source.raw_os_error(), Some(Errno::PERM.raw_os_error()));

        let read_only = Mapping::new(owned.fd(), bytes, Access::ReadOnly).unwrap();
        // SAFETY: the range is the mapping just made; the call is expected to change nothing.
        let upgrade = unsafe {
            let write = MprotectFlags::READ | MprotectFlags::WRITE;
            mprotect(read_only.file_start(), bytes, write)
        };
        assert_eq!(upgrade, Err(Errno::ACCESS));
    }

    #[test]
    fn guard_pages_lie_on_both_sides() {
        let file = tempfile::tempfile().unwrap();
        let page = page_size();
        file.set_len(3 * page as u64).unwrap();
        let mapping = Mapping::new(file.as_fd(), 3 * page, Access::ReadOnly).unwrap();
        let start = mapping.file_start().addr();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let permissions = |address: usize| {
            maps.lines().find_map(|line| {
                let (range, rest) = line.split_once(' ')?;
                let (from, to) = range.split_once('-')?;
                let from = usize::from_str_radix(from, 16).ok()?;
                let to = usize::from_str_radix(to, 16).ok()?;
                (from..to).contains(&address).then(|| rest[..4].to_owned())
            })
        };
        assert_eq!(permissions(start - 1).as_deref(), Some("---p"));
        assert_eq!(permissions(start).as_deref(), Some("r--s"));
        assert_eq!(permissions(start + 3 * page - 1).as_deref(), Some("r--s"));
        assert_eq!(permissions(start + 3 * page).as_deref(), Some("---p"));
    }

    #[test]
    fn words_are_read_in_any_number_from_anywhere() {
        let words = OwnedSegment::create("corelane-test-raw", 9, INFO).unwrap().words().clone();
        (0..9).for_each(|index| words.store_relaxed(index, index as u64 + 1));
        for first in 0..9 {
            for count in 0..=9 - first {
                let mut out = [0; 9];
                words.read(first, &mut out[..count]);
                let expected: [u64; 9] =
                    std::array::from_fn(
                        |index| {
                            if index < count { (first + index) as u64 + 1 } else { 0 }
                        },
                    );
                assert_eq!(out, expected, "{count} from {first}");
            }
        }
        // A hint beyond the words is none.
        (0..100).for_each(|index| words.write_soon(index));
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn words_beyond_the_last_are_not_read() {
        let words = OwnedSegment::create("corelane-test-raw", 9, INFO).unwrap().words().clone();
        words.read(words.len() - 1, &mut [0; 2]);
    }

    #[test]
    fn the_futex_half_is_the_low_half() {
        let words = OwnedSegment::create("corelane-test-raw", 8, INFO).unwrap().words().clone();
        words.store_relaxed(2, 0x1111_2222_3333_4444);
        // Two sizes of access do not mix in one program; the kernel's view is asked instead.
        let outcome = crate::futex::wait_any(
            &[crate::futex::Waiter { words: &words, index: 2, expected: 0x3333_4444 }],
            Some(std::time::Duration::ZERO),
        );
        assert_eq!(outcome.unwrap(), crate::futex::WaitOutcome::TimedOut);
    }
}
