//! What a segment holds, and that every malformed one is refused with its own reason.
//!
//! Files are forged word by word from the byte picture of the header, so a change of the layout
//! fails here. All in one process; see `processes.rs` for two.

use std::os::fd::OwnedFd;

use corelane_shm::{
    FileShape, HEADER_WORDS, OwnedSegment, PeerSegment, SEGMENT_FORMAT, SEGMENT_MAGIC,
    SEGMENT_WORDS_MAX, SegmentError, SegmentExpect, SegmentInfo, WindowError, check_header,
};
use corelane_testkit::process::{Call, forbidding};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, memfd_create};
use rustix::io::pwrite;
use rustix::param::page_size;

const INFO: SegmentInfo =
    SegmentInfo { kind: 2, generation: 5, layout_version: 3, layout_hash: 0x1234 };
const EXPECT: SegmentExpect =
    SegmentExpect { kind: 2, layout_version: 3, layout_hash: 0x1234, min_words: 1, max_words: 512 };

fn good_header() -> [u64; HEADER_WORDS] {
    let format_and_kind = 2 << 32 | u64::from(SEGMENT_FORMAT);
    let version_and_pid = 99 << 32 | 3;
    [SEGMENT_MAGIC, format_and_kind, 5, version_and_pid, 0x1234, page_size() as u64, 100, 0]
}

/// A fully sealed and allocated memfd of `pages` pages that starts with `header`.
fn forge(header: [u64; HEADER_WORDS], pages: usize) -> OwnedFd {
    let fd = memfd_create("corelane-test-forged", MemfdFlags::ALLOW_SEALING).unwrap();
    let bytes: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
    assert_eq!(pwrite(&fd, &bytes, 0).unwrap(), bytes.len());
    fallocate(&fd, FallocateFlags::empty(), 0, (pages * page_size()) as u64).unwrap();
    seal(&fd);
    fd
}

fn seal(fd: &OwnedFd) {
    let size = SealFlags::SHRINK | SealFlags::GROW;
    fcntl_add_seals(fd, size | SealFlags::FUTURE_WRITE | SealFlags::SEAL).unwrap();
}

fn refusal(header: [u64; HEADER_WORDS]) -> SegmentError {
    PeerSegment::open(forge(header, 2), &EXPECT).expect_err("a forged segment is refused")
}

#[test]
fn a_segment_says_what_it_was_made_with() {
    let owned = OwnedSegment::create("corelane-test-info", 100, INFO).unwrap();
    assert_eq!((owned.info(), owned.words().len()), (INFO, 100));
    assert!((0..100).all(|index| owned.words().load_relaxed(index) == 0));

    let peer = PeerSegment::open(owned.fd().try_clone_to_owned().unwrap(), &EXPECT).unwrap();
    assert_eq!((peer.info(), peer.words().len()), (INFO, 100));
    assert_eq!(peer.claimed_creator_pid(), std::process::id());
    assert_eq!(owned.words().as_atomics().as_ptr().addr() % page_size(), 0);
}

#[test]
fn a_forged_header_that_tells_the_truth_is_accepted() {
    let peer = PeerSegment::open(forge(good_header(), 2), &EXPECT).unwrap();
    assert_eq!(peer.info(), INFO);
    assert_eq!(peer.claimed_creator_pid(), 99);
    assert_eq!(peer.words().len(), 100);
}

#[test]
fn each_wrong_field_has_its_own_refusal() {
    let with = |index: usize, value: u64| {
        let mut header = good_header();
        header[index] = value;
        refusal(header)
    };
    let page = page_size() as u64;
    assert!(matches!(with(0, 1), SegmentError::Magic { found: 1 }));
    assert!(matches!(with(1, 2 << 32 | 9), SegmentError::Format { found: 9, expected: 1 }));
    assert!(matches!(with(1, 7 << 32 | 1), SegmentError::Kind { found: 7, expected: 2 }));
    let version = with(3, 99 << 32 | 4);
    assert!(matches!(version, SegmentError::LayoutVersion { found: 4, expected: 3 }));
    assert!(matches!(with(4, 0x4321), SegmentError::LayoutHash { found: 0x4321, .. }));
    for offset in [0, 8, page - 8, page + 8, 2 * page, u64::MAX] {
        let refused = with(5, offset);
        assert!(matches!(refused, SegmentError::PayloadOffset { found, .. } if found == offset));
    }
    for words in [0, 513, 1 << 40, u64::MAX] {
        let refused = with(6, words);
        assert!(
            matches!(refused, SegmentError::PayloadSize { words: found, .. } if found == words)
        );
    }
}

#[test]
fn a_header_that_lies_about_the_size_is_refused() {
    for (words, pages) in [(512_u64, 3), (100, 3), (100, 1)] {
        let mut header = good_header();
        header[6] = words;
        let refused = PeerSegment::open(forge(header, pages), &EXPECT).unwrap_err();
        assert!(matches!(refused, SegmentError::SizeMismatch { .. }), "{refused}");
    }
    let mut greedy = good_header();
    greedy[6] = 1 << 20;
    let expect = SegmentExpect { max_words: usize::MAX, ..EXPECT };
    let refused = PeerSegment::open(forge(greedy, 2), &expect).unwrap_err();
    assert!(matches!(refused, SegmentError::SizeMismatch { .. }), "{refused}");
}

#[test]
fn a_size_in_whole_huge_pages_fits_and_no_other() {
    let (page_bytes, huge_page_bytes) = (page_size(), 8 * page_size());
    let check = |pages: u64| {
        let bytes = pages * page_bytes as u64;
        check_header(&good_header(), &EXPECT, &FileShape { bytes, page_bytes, huge_page_bytes })
    };
    for pages in [2, 8] {
        assert_eq!(check(pages).unwrap(), (INFO, 100), "pages={pages}");
    }
    for pages in [0, 1, 3, 7, 9, 16] {
        let refused = check(pages).unwrap_err();
        assert!(matches!(refused, SegmentError::SizeMismatch { .. }), "pages={pages}: {refused}");
    }
}

#[test]
fn a_file_that_is_not_safe_to_map_is_refused() {
    let plain = OwnedFd::from(tempfile::tempfile().unwrap());
    assert!(matches!(PeerSegment::open(plain, &EXPECT), Err(SegmentError::NotAMemfd)));

    let unsealable = memfd_create("corelane-test-plain", MemfdFlags::CLOEXEC).unwrap();
    let refused = PeerSegment::open(unsealable, &EXPECT).unwrap_err();
    let SegmentError::Unsealed { missing } = refused else { panic!("{refused}") };
    assert_eq!(missing, "SHRINK|GROW|FUTURE_WRITE");

    for bytes in [0, 8, page_size() as u64 - 1] {
        let short = memfd_create("corelane-test-short", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&short, bytes).unwrap();
        seal(&short);
        let refused = PeerSegment::open(short, &EXPECT).unwrap_err();
        assert!(
            matches!(refused, SegmentError::Truncated { file_bytes, .. } if file_bytes == bytes)
        );
    }

    let sparse = memfd_create("corelane-test-sparse", MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&sparse, 2 * page_size() as u64).unwrap();
    seal(&sparse);
    let refused = PeerSegment::open(sparse, &EXPECT).unwrap_err();
    assert!(matches!(refused, SegmentError::Sparse { allocated_bytes: 0, .. }), "{refused}");
}

#[test]
fn refusals_read_well() {
    let mut header = good_header();
    header[3] = 99 << 32 | 4;
    assert_eq!(
        refusal(header).to_string(),
        "layout version differs found=4 expected=3; \
         run both processes with the same major version"
    );
    let refused = OwnedSegment::create("corelane-test-size", 0, INFO).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "segment size is not possible words=0 min=1 limit=137438953472; ask for another size"
    );
}

#[test]
fn impossible_segments_are_refused() {
    for words in [0, SEGMENT_WORDS_MAX + 1, usize::MAX] {
        let refused = OwnedSegment::create("corelane-test-size", words, INFO).unwrap_err();
        assert!(matches!(refused, SegmentError::Size { words: found, .. } if found == words));
    }
    let long_name = "n".repeat(250);
    let refused = OwnedSegment::create(&long_name, 1, INFO).unwrap_err();
    assert!(matches!(refused, SegmentError::Os { call: "memfd_create", .. }));
}

#[test]
fn windows_are_bounds_checked_and_keep_the_memory() {
    let owned = OwnedSegment::create("corelane-test-window", 512, INFO).unwrap();
    let peer = PeerSegment::open(owned.fd().try_clone_to_owned().unwrap(), &EXPECT).unwrap();
    let (words, seen) = (owned.words().window(510, 2).unwrap(), peer.words().clone());
    assert_eq!(
        words.window(1, 2).unwrap_err().to_string(),
        "window is out of bounds first=1 len=2 available=2; ask for fewer words"
    );
    for (first, len) in [(513, 0), (512, 1), (usize::MAX, 2), (2, usize::MAX)] {
        let WindowError { first: found, available: 512, .. } = seen.window(first, len).unwrap_err()
        else {
            panic!("the window tells how many words there are");
        };
        assert_eq!(found, first);
    }
    assert!(seen.window(512, 0).unwrap().is_empty());
    drop(owned);
    drop(peer);
    words.write(0, &[7, 8]);
    words.read_only().window(0, 1).unwrap();
    let mut read = [0; 3];
    seen.read(509, &mut read);
    assert_eq!(read, [0, 7, 8]);
    let index_panics = |index: usize| {
        let seen = seen.clone();
        std::panic::catch_unwind(move || seen.load_relaxed(index)).is_err()
    };
    assert!(index_panics(512) && index_panics(usize::MAX));
}

#[test]
fn threads_see_what_a_release_published() {
    let owned = OwnedSegment::create("corelane-test-order", 512, INFO).unwrap();
    let fd = owned.fd().try_clone_to_owned().unwrap();
    let peer = PeerSegment::open(fd, &EXPECT).unwrap();
    const ROUNDS: u64 = 10_000;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                owned.words().store_relaxed(round as usize % 500 + 1, round);
                owned.words().store_release(0, round);
            }
        });
        let mut seen = 0;
        while seen < ROUNDS {
            let published = peer.words().load_acquire(0);
            assert!(published >= seen);
            let payload = peer.words().load_relaxed(published as usize % 500 + 1);
            assert!(published == 0 || payload >= published);
            seen = published;
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_forbidden_memory_file_is_told_apart() {
    let make = || OwnedSegment::create("corelane-test-forbidden", 512, INFO);
    match forbidding(Call::MemfdCreate, make) {
        Ok(Err(error @ SegmentError::Forbidden { call: "memfd_create", .. })) => {
            assert_eq!(error.code(), "CL-0315");
            assert!(error.to_string().contains("allow it in the seccomp profile"), "{error}");
        }
        Ok(other) => panic!("a memory file was made: {other:?}"),
        Err(reason) => println!("skipped: no seccomp filter can be set here: {reason}"),
    }
}
