//! Huge pages, NUMA nodes and core dumps: what was asked for, what was got, and what the kernel
//! says about the mappings. Whatever a segment is made of, it is as safe as every other.

use std::fs::read_to_string;

use corelane_testkit::process::{Call, forbidding};
use rustix::fs::{FallocateFlags, fallocate, fstat, ftruncate};

use super::*;
use crate::{OwnedSegment, PeerOptions, PeerSegment, SegmentExpect, SegmentInfo, WordsRo};

const INFO: SegmentInfo =
    SegmentInfo { kind: 2, generation: 5, layout_version: 3, layout_hash: 0x1234 };
const EXPECT: SegmentExpect = SegmentExpect {
    kind: 2,
    layout_version: 3,
    layout_hash: 0x1234,
    min_words: 1,
    max_words: 1 << 20,
};
/// More than one huge page of 2 MiB and no multiple of one.
const LARGE_WORDS: usize = 3 << 17;

fn create(words: usize, options: &SegmentOptions) -> Result<OwnedSegment, SegmentError> {
    OwnedSegment::create_with("corelane-test-placement", words, INFO, options)
}

fn huge(huge_pages: HugePages) -> SegmentOptions {
    SegmentOptions { huge_pages, ..SegmentOptions::default() }
}

fn open(owned: &OwnedSegment, options: &PeerOptions) -> PeerSegment {
    PeerSegment::open_with(owned.fd().try_clone_to_owned().unwrap(), &EXPECT, options).unwrap()
}

/// The mapping that holds an address, as `/proc/self/smaps` tells it.
struct Smap {
    start: usize,
    end: usize,
    head: String,
    lines: Vec<String>,
}

impl Smap {
    fn of_words(words: &WordsRo) -> Self {
        Self::at(address(words)).expect("the words are mapped")
    }

    fn at(address: usize) -> Option<Self> {
        let text = read_to_string("/proc/self/smaps").unwrap();
        let mut found: Option<Self> = None;
        for line in text.lines() {
            let first = line.split(' ').next().unwrap_or_default();
            let range = first.split_once('-').and_then(|(start, end)| {
                let number = |text| usize::from_str_radix(text, 16).ok();
                Some((number(start)?, number(end)?))
            });
            match (range, &mut found) {
                (Some(_), Some(_)) => break,
                (Some((start, end)), none) if (start..end).contains(&address) => {
                    *none = Some(Self { start, end, head: line.to_owned(), lines: vec![] });
                }
                (None, Some(found)) => found.lines.push(line.to_owned()),
                _ => {}
            }
        }
        found
    }

    fn value(&self, name: &str) -> &str {
        let line = self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim()
    }

    fn kib(&self, name: &str) -> usize {
        self.value(name).trim_end_matches(" kB").parse().unwrap_or(0)
    }

    fn has_flag(&self, flag: &str) -> bool {
        self.value("VmFlags").split(' ').any(|word| word == flag)
    }

    /// Bytes that are mapped by huge pages, of either kind.
    fn huge_bytes(&self) -> usize {
        let joined = self.kib("ShmemPmdMapped") + self.kib("FilePmdMapped");
        let set_aside = self.kib("Shared_Hugetlb") + self.kib("Private_Hugetlb");
        (joined + set_aside) * 1024
    }
}

fn address(words: &WordsRo) -> usize {
    words.raw().atomics().as_ptr().addr()
}

/// SM-1 to SM-3 of a segment, whatever its pages are: it neither shrinks nor grows, gets no holes,
/// and cannot be mapped writable; all of its blocks are there; closed pages lie on both sides.
fn assert_safe(owned: &OwnedSegment, peer: &PeerSegment) {
    let fd = owned.fd();
    let stat = fstat(fd).unwrap();
    let bytes = stat.st_size as u64;
    assert_eq!(stat.st_blocks as u64 * 512, bytes, "as many blocks as bytes");
    assert_eq!(ftruncate(fd, 0), Err(Errno::PERM));
    assert_eq!(ftruncate(fd, 2 * bytes), Err(Errno::PERM));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(fallocate(fd, hole, 0, bytes), Err(Errno::PERM));
    let writable = Mapping::aligned(
        fd,
        stat.st_size as usize,
        Access::ReadWrite,
        huge_page_bytes(),
        Presence::Later,
    );
    let Err(SegmentError::Os { call: "mmap", source }) = writable else { panic!("{writable:?}") };
    assert_eq!(source.raw_os_error(), Some(Errno::PERM.raw_os_error()));

    for words in [owned.words().read_only(), peer.words().clone()] {
        let map = Smap::of_words(&words);
        assert_eq!((map.end - map.start) as u64, bytes, "{}", map.head);
        assert_eq!(map.start, address(&words) - page_size());
        for outside in [map.start - 1, map.end] {
            let guard = Smap::at(outside).expect("a closed page is there");
            assert!(guard.head.contains("---p"), "{}", guard.head);
        }
        assert!(map.has_flag("dc"), "a forked child has none of it: {}", map.value("VmFlags"));
    }
    let len = owned.words().len();
    for index in [0, len / 2, len - 1] {
        assert_eq!(peer.words().load_acquire(index), 0);
        owned.words().store_release(index, index as u64 + 1);
        assert_eq!(peer.words().load_acquire(index), index as u64 + 1);
    }
}

/// Whether the pages are huge, with what the kernel says about both mappings; says why not.
fn are_huge(owned: &OwnedSegment, peer: &PeerSegment) -> bool {
    let page_bytes = match &owned.placement().pages {
        Pages::Hugetlb { page_bytes } | Pages::Collapsed { page_bytes } => *page_bytes,
        other => {
            println!("skipped: huge pages: {other:?}");
            return false;
        }
    };
    let bytes = fstat(owned.fd()).unwrap().st_size as usize;
    assert!(bytes.is_multiple_of(page_bytes), "{bytes} of {page_bytes}");
    for words in [owned.words().read_only(), peer.words().clone()] {
        let map = Smap::of_words(&words);
        assert_eq!(map.huge_bytes(), bytes, "{}\n{:#?}", map.head, map.lines);
        assert!(map.start.is_multiple_of(page_bytes), "{}", map.head);
    }
    true
}

#[test]
fn nothing_is_asked_for_by_default() {
    let owned = OwnedSegment::create("corelane-test-placement", LARGE_WORDS, INFO).unwrap();
    assert_eq!(owned.placement().pages, Pages::Normal { why_not_huge: None });
    assert_eq!((owned.placement().node, owned.placement().is_dumped), (None, true));
    let peer = open(&owned, &PeerOptions::default());
    let bytes = page_size() + (LARGE_WORDS * 8).next_multiple_of(page_size());
    assert_eq!(fstat(owned.fd()).unwrap().st_size as usize, bytes);
    assert!(!Smap::of_words(owned.words()).has_flag("dd"));
    assert!(!Smap::of_words(peer.words()).has_flag("dd"));
    assert_safe(&owned, &peer);
}

#[test]
fn memory_that_is_not_dumped_is_marked_so_on_both_sides() {
    let options = SegmentOptions { is_dumped: false, ..SegmentOptions::default() };
    let owned = create(512, &options).unwrap();
    assert!(!owned.placement().is_dumped);
    let peer = open(&owned, &PeerOptions { is_dumped: false });
    let open_peer = open(&owned, &PeerOptions::default());
    assert!(Smap::of_words(owned.words()).has_flag("dd"));
    assert!(Smap::of_words(peer.words()).has_flag("dd"));
    assert!(!Smap::of_words(open_peer.words()).has_flag("dd"));
    assert_safe(&owned, &peer);
}

#[test]
fn huge_pages_are_got_or_the_reason_is_told() {
    let owned = create(LARGE_WORDS, &huge(HugePages::Prefer)).unwrap();
    let peer = open(&owned, &PeerOptions::default());
    if are_huge(&owned, &peer) {
        let required = create(LARGE_WORDS, &huge(HugePages::Require)).unwrap();
        assert!(are_huge(&required, &open(&required, &PeerOptions::default())));
    }
    assert_safe(&owned, &peer);
}

#[test]
fn pages_that_are_set_aside_are_used_first() {
    let owned = create(LARGE_WORDS, &huge(HugePages::Prefer)).unwrap();
    match &owned.placement().pages {
        Pages::Hugetlb { page_bytes } => {
            let kernel = Smap::of_words(owned.words()).kib("KernelPageSize") * 1024;
            assert_eq!(kernel, *page_bytes);
            let undumped = SegmentOptions { is_dumped: false, ..huge(HugePages::Prefer) };
            let owned = create(LARGE_WORDS, &undumped).unwrap();
            assert!(Smap::of_words(owned.words()).has_flag("dd"));
        }
        other => println!("skipped: no huge pages are set aside here: {other:?}"),
    }
}

#[test]
fn normal_pages_are_joined_where_none_are_set_aside() {
    let make = || create(LARGE_WORDS, &huge(HugePages::Prefer)).unwrap();
    match forbidding(Call::HugetlbMemory, make) {
        Err(reason) => println!("skipped: no seccomp filter can be set here: {reason}"),
        Ok(owned) => {
            let peer = open(&owned, &PeerOptions::default());
            if are_huge(&owned, &peer) {
                assert!(matches!(owned.placement().pages, Pages::Collapsed { .. }));
            }
            assert_safe(&owned, &peer);
        }
    }
}

#[test]
fn small_segments_are_huge_only_where_that_is_required() {
    let owned = create(512, &huge(HugePages::Prefer)).unwrap();
    let Pages::Normal { why_not_huge: Some(NotHuge::Small { bytes, page_bytes }) } =
        owned.placement().pages
    else {
        panic!("{:?}", owned.placement());
    };
    assert_eq!(bytes, 2 * page_size());
    match create(512, &huge(HugePages::Require)) {
        Ok(owned) => {
            let peer = open(&owned, &PeerOptions::default());
            assert!(are_huge(&owned, &peer));
            assert_eq!(fstat(owned.fd()).unwrap().st_size as usize, page_bytes);
            assert_safe(&owned, &peer);
        }
        Err(error) => println!("skipped: {error}"),
    }
}

#[test]
fn huge_pages_that_cannot_be_had_are_an_error_with_a_remedy_or_a_reason() {
    let make = || {
        let required = create(LARGE_WORDS, &huge(HugePages::Require));
        (required, create(LARGE_WORDS, &huge(HugePages::Prefer)))
    };
    match forbidding(Call::HugePages, make) {
        Err(reason) => println!("skipped: no seccomp filter can be set here: {reason}"),
        Ok((required, preferred)) => {
            let error = required.unwrap_err();
            assert!(matches!(error, SegmentError::HugePages { .. }), "{error}");
            assert_eq!(error.code(), "CL-0316");
            let text = error.to_string();
            assert!(text.contains("set aside: memfd_create: "), "{text}");
            assert!(text.contains("joined: madvise(MADV_COLLAPSE): "), "{text}");
            assert!(text.contains("`sysctl vm.nr_hugepages=2`"), "{text}");

            let owned = preferred.unwrap();
            let reason = &owned.placement().pages;
            let is_told = |reason: &NotHuge| matches!(reason, NotHuge::Refused { .. });
            assert!(
                matches!(reason, Pages::Normal { why_not_huge: Some(why) } if is_told(why)),
                "{reason:?}"
            );
            assert_safe(&owned, &open(&owned, &PeerOptions::default()));
        }
    }
}

/// The nodes that have memory, from a list such as `0-1,3`; none where the kernel tells none.
fn nodes() -> Vec<u32> {
    let list = read_to_string("/sys/devices/system/node/has_memory").unwrap_or_default();
    let ranges = list.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// A count of huge pages of one node.
fn huge_pages_of_node(node: u32, what: &str) -> usize {
    let kib = huge_page_bytes() / 1024;
    let folder = format!("/sys/devices/system/node/node{node}/hugepages/hugepages-{kib}kB");
    let count = read_to_string(format!("{folder}/{what}")).unwrap_or_default();
    count.trim().parse().unwrap_or(0)
}

/// Whatever node the test runs on, each one is asked.
#[test]
fn memory_lies_on_the_node_that_was_asked_for() {
    /// More than all tests of this file need at once.
    const ENOUGH: usize = 32;
    let nodes = nodes();
    if nodes.is_empty() {
        println!("skipped: this kernel tells no NUMA nodes");
    }
    let wishes =
        nodes.iter().flat_map(|node| [(node, HugePages::Never), (node, HugePages::Prefer)]);
    for (&node, huge_pages) in wishes {
        let (free, all) =
            (huge_pages_of_node(node, "free_hugepages"), huge_pages_of_node(node, "nr_hugepages"));
        let options = SegmentOptions { numa_node: Some(node), huge_pages, is_dumped: true };
        let owned = match create(LARGE_WORDS, &options) {
            Err(error @ SegmentError::Node { .. }) => {
                println!("skipped: the policy is not allowed here: {error}");
                return;
            }
            owned => owned.unwrap(),
        };
        assert_safe(&owned, &open(&owned, &PeerOptions::default()));
        let told = owned.placement().node.expect("a node was asked for");
        assert_eq!(told.asked, node);
        if told.looked_at == 0 {
            println!("skipped: this kernel does not tell where pages lie");
            return;
        }
        let pages = fstat(owned.fd()).unwrap().st_size as usize / page_size();
        assert_eq!(told.looked_at, pages.min(1024));
        match &owned.placement().pages {
            // A node that has none of them is no error: it is told.
            Pages::Hugetlb { .. } if all == 0 => assert_eq!(told.elsewhere, told.looked_at),
            Pages::Hugetlb { .. } if free < ENOUGH => {
                println!("skipped: node={node} has few huge pages: {told:?}");
            }
            _ => assert!(told.is_all_there(), "{told:?}"),
        }
    }
}

#[test]
fn a_node_that_is_not_there_or_not_allowed_is_an_error() {
    let options = |node| SegmentOptions { numa_node: Some(node), ..SegmentOptions::default() };
    for huge_pages in [HugePages::Never, HugePages::Require] {
        for node in [1023, 1024, u32::MAX] {
            let error = create(LARGE_WORDS, &SegmentOptions { huge_pages, ..options(node) });
            let error = error.unwrap_err();
            assert!(matches!(error, SegmentError::Node { node: n, .. } if n == node), "{error}");
            assert_eq!(error.code(), "CL-0317");
        }
    }
    match forbidding(Call::NodePolicy, || create(512, &options(0))) {
        Ok(refused) => assert_eq!(refused.unwrap_err().code(), "CL-0317"),
        Err(reason) => println!("skipped: no seccomp filter can be set here: {reason}"),
    }
}
