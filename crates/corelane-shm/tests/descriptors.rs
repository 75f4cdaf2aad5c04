//! That nothing leaks a descriptor or a mapping, on success or refusal.
//!
//! One test alone in its process, because it counts what the process has.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use corelane_shm::fdpass::{ChannelError, Listener, connect, pair};
use corelane_shm::process::PidFd;
use corelane_shm::{OwnedSegment, PeerSegment, SegmentError, SegmentExpect, SegmentInfo};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

const NAME: &str = "corelane-test-leak";

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains(NAME)).count()
}

fn one_round(directory: &std::path::Path) {
    let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
    let expect =
        SegmentExpect { kind: 1, layout_version: 1, layout_hash: 1, min_words: 1, max_words: 64 };
    let owned = OwnedSegment::create(NAME, 64, info).unwrap();
    let (here, there) = pair().unwrap();
    here.send(b"segment", &[owned.fd(), owned.fd()], None).unwrap();
    let mut fds = there.recv(None).unwrap().fds;
    let peer = PeerSegment::open(fds.pop().unwrap(), &expect).unwrap();
    let wrong_kind = SegmentExpect { kind: 2, ..expect };
    let refused = PeerSegment::open(fds.pop().unwrap(), &wrong_kind);
    assert!(matches!(refused, Err(SegmentError::Kind { .. })));
    assert_eq!(mappings(), 2);
    let plain = OwnedFd::from(tempfile::tempfile().unwrap());
    assert!(matches!(PeerSegment::open(plain, &expect), Err(SegmentError::NotAMemfd)));

    let many = [owned.fd(); 40];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(40))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&many)));
    sendmsg(&here, &[IoSlice::new(b"x")], &mut ancillary, SendFlags::empty()).unwrap();
    assert!(matches!(there.recv(None), Err(ChannelError::Truncated { .. })));

    here.send(b"never received", &[owned.fd()], None).unwrap();
    assert!(matches!(here.recv(Some(Duration::ZERO)), Err(ChannelError::TimedOut)));

    let path = directory.join("node.sock");
    let listener = Listener::bind(&path).unwrap();
    assert!(Listener::bind(&path).is_err());
    let client = connect(&path).unwrap();
    let server = listener.accept(None).unwrap();
    let _ = server.peer_pidfd();
    let own = PidFd::open(std::process::id()).unwrap();
    assert!(!own.wait_exit(Some(Duration::ZERO)).unwrap());

    let words = owned.into_words();
    let window = peer.words().window(0, 1).unwrap();
    drop((peer, client, own.as_fd()));
    assert_eq!(window.load_acquire(0), 0);
    assert_eq!(mappings(), 2, "words keep their mappings");
    drop((words, window));
    assert_eq!(mappings(), 0, "the last words unmap");
}

#[test]
fn rounds_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let before = descriptors();
    for _ in 0..3 {
        one_round(directory.path());
        assert_eq!(descriptors(), before);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
