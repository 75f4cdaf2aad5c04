//! A process that dies at any instruction of a ring's operation leaves the other end whole.
//!
//! Both ends run over sealed segments in two processes: each owns one and reads the other's. The
//! child counts in a word of its own segment the calls that have returned.

mod broadcast;
mod lane;
mod latency;
mod links;
mod planted;
mod port;
mod random;
mod throughput;
mod topic;

use std::{fs, os::fd::OwnedFd};

use corelane_ring::{ReadWords, WriteWords};
use corelane_shm::{
    OwnedSegment, PeerSegment, SegmentExpect, SegmentInfo, WordsRo, WordsRw, fdpass::Channel,
};
use corelane_testkit::kill::{Verdict, check};

/// Words of the payload of every record.
const RECORD_WORDS: usize = 7;
/// Words that the child's segment has for itself, before those of the ring.
const OWN_WORDS: usize = 16 + 16 * RECORD_WORDS;
/// The calls that have returned in the child.
const RETURNED: usize = 0;
/// The records that the child has received, then the records themselves.
const RECEIVED: usize = 8;
const LOG: usize = 16;

const INFO: SegmentInfo =
    SegmentInfo { kind: 9, generation: 1, layout_version: 1, layout_hash: 0x6b11 };

fn record(position: u64) -> [u64; RECORD_WORDS] {
    std::array::from_fn(|index| {
        (position + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7 * index as u32)
    })
}

fn check_record(position: u64, found: &[u64]) -> Verdict {
    check(found == record(position), || format!("record {position} is torn: {found:x?}"))
}

/// Makes a segment for `words` behind those that a child has for itself, and hands it over.
fn hand_over(channel: &Channel, test: &str, words: usize) -> WordsRw {
    let name = format!("kill-{test}");
    let segment = OwnedSegment::create(&name, OWN_WORDS + words, INFO).expect("there is memory");
    channel.send(b"segment", &[segment.fd()], None).expect("the other side waits for it");
    segment.into_words()
}

/// The descriptor that the other side sends next.
fn receive_fd(channel: &Channel) -> OwnedFd {
    let packet = channel.recv(None).expect("the other side hands its segment over");
    let [fd] = <[OwnedFd; 1]>::try_from(packet.fds).expect("a segment is one descriptor");
    fd
}

/// The segment of the other side.
fn take_over(channel: &Channel, words: usize) -> WordsRo {
    let fd = receive_fd(channel);
    let (min_words, max_words) = (OWN_WORDS + words, OWN_WORDS + words);
    let SegmentInfo { kind, layout_version, layout_hash, .. } = INFO;
    let expect = SegmentExpect { kind, layout_version, layout_hash, min_words, max_words };
    PeerSegment::open(fd, &expect).expect("its creator sealed it").words().clone()
}

fn own(words: &WordsRo) -> WordsRo {
    words.window(0, OWN_WORDS).expect("every segment has them")
}

fn ring(words: &WordsRo) -> WordsRo {
    words.window(OWN_WORDS, words.len() - OWN_WORDS).expect("they follow the own ones")
}

fn ring_rw(words: &WordsRw) -> WordsRw {
    words.window(OWN_WORDS, words.len() - OWN_WORDS).expect("they follow the own ones")
}

/// In the child: one more record is received, as what happens outside of the ring.
fn log(own: &WordsRw, number: u64, record: &[u64]) {
    own.write(LOG + number as usize * RECORD_WORDS, record);
    own.store_release(RECEIVED, number + 1);
}

/// In the survivor: how many records the dead had received, each checked.
fn check_log(
    own: &WordsRo,
    mut check_record: impl FnMut(u64, &[u64]) -> Verdict,
) -> Result<u64, String> {
    let received = own.load_acquire(RECEIVED);
    for number in 0..received {
        let mut found = [0; RECORD_WORDS];
        own.read(LOG + number as usize * RECORD_WORDS, &mut found);
        check_record(number, &found)?;
    }
    Ok(received)
}

/// Nothing of a test's segments is open or mapped here any more.
fn assert_nothing_held(test: &str) {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let descriptors = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let name = format!("kill-{test} ");
    let mapped = maps.lines().filter(|line| format!("{line} ").contains(&name)).count();
    let open = links.filter(|link| format!("{} ", link.display()).contains(&name)).count();
    assert_eq!((mapped, open), (0, 0), "{test} left something");
}

/// A storage that publishes first and writes afterwards: the mistake that every test must find.
struct Hasty<W> {
    words: W,
    late: std::cell::RefCell<Vec<(usize, u64)>>,
}

impl<W> Hasty<W> {
    fn new(words: W) -> Self {
        Self { words, late: std::cell::RefCell::default() }
    }
}

impl<W: ReadWords> ReadWords for Hasty<W> {
    fn len(&self) -> usize {
        self.words.len()
    }

    fn load_relaxed(&self, index: usize) -> u64 {
        self.words.load_relaxed(index)
    }

    fn load_acquire(&self, index: usize) -> u64 {
        self.words.load_acquire(index)
    }
}

impl<W: WriteWords> WriteWords for Hasty<W> {
    fn store_relaxed(&self, index: usize, value: u64) {
        self.late.borrow_mut().push((index, value));
    }

    fn store_release(&self, index: usize, value: u64) {
        self.words.store_release(index, value);
        for (index, value) in self.late.borrow_mut().drain(..) {
            self.words.store_relaxed(index, value);
        }
    }
}
