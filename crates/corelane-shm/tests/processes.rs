//! What must hold between two real processes: words, wakes, descriptors, death.
//!
//! Every test runs twice: as itself, and as the peer process that it starts. The checks of segments
//! against malformed files are in `segments.rs`.

mod peer;

use std::path::Path;
use std::time::Duration;

use corelane_shm::fdpass::{ChannelError, ListenError, Listener, PeerCredentials, connect};
use corelane_shm::futex::{WaitOutcome, Waiter, wait_any, wake};
use corelane_shm::process::{ExitReason, Signal};
use corelane_shm::{OwnedSegment, PeerSegment, SegmentError, SegmentExpect, SegmentInfo};
use rustix::fs::{SealFlags, fcntl_add_seals, ftruncate};
use rustix::io::{Errno, pwrite};

const WORDS: usize = 1024;
const INFO: SegmentInfo =
    SegmentInfo { kind: 3, generation: 11, layout_version: 1, layout_hash: 0xabcd };
const EXPECT: SegmentExpect = SegmentExpect {
    kind: 3,
    layout_version: 1,
    layout_hash: 0xabcd,
    min_words: WORDS,
    max_words: WORDS,
};

#[test]
fn a_wake_crosses_processes_on_a_read_only_mapping() {
    if let Some(channel) = peer::channel_to_parent() {
        let mut fds = channel.recv(None).unwrap().fds;
        let second = PeerSegment::open(fds.pop().unwrap(), &EXPECT).unwrap();
        let first = PeerSegment::open(fds.pop().unwrap(), &EXPECT).unwrap();
        let waiters = [
            Waiter { words: first.words(), index: 0, expected: 0 },
            Waiter { words: second.words(), index: 9, expected: 0 },
        ];
        assert_eq!(wait_any(&waiters, None).unwrap(), WaitOutcome::Woken);
        channel.send(b"woken", &[], None).unwrap();
        channel.recv(None).unwrap();
        assert_eq!(wait_any(&waiters, None).unwrap(), WaitOutcome::ValueChanged);
        assert_eq!(second.words().load_acquire(9), 1);
        assert_eq!(second.words().load_relaxed(10), 77);
        return;
    }
    let peer = peer::start("a_wake_crosses_processes_on_a_read_only_mapping");
    let first = OwnedSegment::create("corelane-test-wake", WORDS, INFO).unwrap();
    let second = OwnedSegment::create("corelane-test-wake", WORDS, INFO).unwrap();
    peer.channel.send(b"segments", &[first.fd(), second.fd()], None).unwrap();
    // The words stay unchanged, so that only a real sleeper in the peer can be woken.
    while wake(second.words(), 9).unwrap() == 0 {
        assert!(!peer.pidfd.wait_exit(Some(Duration::ZERO)).unwrap(), "the peer died");
        std::thread::yield_now();
    }
    assert_eq!(peer.channel.recv(None).unwrap().bytes, b"woken");
    second.words().store_relaxed(10, 77);
    second.words().store_release(9, 1);
    peer.channel.send(b"changed", &[], None).unwrap();
    assert_eq!(peer.join(), ExitReason::Code(0));
}

#[test]
fn a_peer_can_neither_write_nor_resize_nor_unseal() {
    if let Some(channel) = peer::channel_to_parent() {
        let fd = channel.recv(None).unwrap().fds.pop().unwrap();
        assert_eq!(pwrite(&fd, b"x", 0), Err(Errno::PERM));
        assert_eq!(ftruncate(&fd, 0), Err(Errno::PERM));
        assert_eq!(ftruncate(&fd, 1 << 20), Err(Errno::PERM));
        assert_eq!(fcntl_add_seals(&fd, SealFlags::WRITE), Err(Errno::PERM));
        let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        assert_eq!(rustix::fs::fallocate(&fd, punch, 0, 4096), Err(Errno::PERM));
        return;
    }
    let peer = peer::start("a_peer_can_neither_write_nor_resize_nor_unseal");
    let owned = OwnedSegment::create("corelane-test-seal", WORDS, INFO).unwrap();
    owned.words().store_release(0, 42);
    peer.channel.send(b"segment", &[owned.fd()], None).unwrap();
    assert_eq!(peer.join(), ExitReason::Code(0));
    assert_eq!(owned.words().load_acquire(0), 42);
}

#[test]
fn words_outlive_the_killed_process_that_wrote_them() {
    if let Some(channel) = peer::channel_to_parent() {
        let owned = OwnedSegment::create("corelane-test-kill", WORDS, INFO).unwrap();
        owned.words().write(0, &[1, 2, 3]);
        owned.words().store_release(WORDS - 1, 4);
        channel.send(b"segment", &[owned.fd()], None).unwrap();
        // Not on the channel, so that the parent's packet stays unread.
        let waiter = Waiter { words: owned.words(), index: 5, expected: 0 };
        let outcome = wait_any(&[waiter], None);
        panic!("the parent kills this process while it waits, yet {outcome:?}");
    }
    let peer = peer::start("words_outlive_the_killed_process_that_wrote_them");
    let packet = peer.channel.recv(None).unwrap();
    let fd = packet.fds.into_iter().next().unwrap();
    let segment = PeerSegment::open(fd, &EXPECT).unwrap();
    // Unread by the peer when it dies: the reset that follows must not hide the end of file.
    peer.channel.send(b"never read", &[], None).unwrap();
    peer.pidfd.kill(Signal::KILL).unwrap();
    assert_eq!(peer.join(), ExitReason::Signal(9));
    assert!(matches!(peer.channel.recv(None), Err(ChannelError::Closed)));
    assert!(matches!(peer.channel.send(b"late", &[], None), Err(ChannelError::Closed)));
    assert_eq!(segment.info(), INFO);
    assert_eq!(segment.claimed_creator_pid(), peer.pid);
    let mut words = [0; 3];
    segment.words().read(0, &mut words);
    assert_eq!(words, [1, 2, 3]);
    assert_eq!(segment.words().load_acquire(WORDS - 1), 4);
}

#[test]
fn a_client_is_known_by_its_credentials_and_pidfd() {
    if let Some(channel) = peer::channel_to_parent() {
        let path = String::from_utf8(channel.recv(None).unwrap().bytes).unwrap();
        let client = connect(Path::new(&path)).unwrap();
        let _ = client.recv(None);
        panic!("the parent kills this process while it waits");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.sock");
    let listener = Listener::bind(&path).unwrap();
    let peer = peer::start("a_client_is_known_by_its_credentials_and_pidfd");
    peer.channel.send(path.to_str().unwrap().as_bytes(), &[], None).unwrap();
    let client = listener.accept(None).unwrap();
    let expected = PeerCredentials {
        pid: peer.pid,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    };
    assert_eq!(client.peer_credentials().unwrap(), expected);
    let pidfd = match client.peer_pidfd() {
        Err(corelane_shm::process::ProcessError::NotSupported { call }) => {
            println!("skipped: this kernel has no {call}");
            return;
        }
        pidfd => pidfd.unwrap(),
    };
    assert!(!pidfd.wait_exit(Some(Duration::ZERO)).unwrap());
    pidfd.kill(Signal::KILL).unwrap();
    assert!(pidfd.wait_exit(None).unwrap());
    assert_eq!(peer.join(), ExitReason::Signal(9));
    assert!(matches!(client.recv(None), Err(ChannelError::Closed)));
}

#[test]
fn the_socket_of_a_dead_process_is_taken_over() {
    if let Some(channel) = peer::channel_to_parent() {
        let path = String::from_utf8(channel.recv(None).unwrap().bytes).unwrap();
        let _listener = Listener::bind(Path::new(&path)).unwrap();
        channel.send(b"bound", &[], None).unwrap();
        let _ = channel.recv(None);
        panic!("the parent kills this process while it waits");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.sock");
    let peer = peer::start("the_socket_of_a_dead_process_is_taken_over");
    peer.channel.send(path.to_str().unwrap().as_bytes(), &[], None).unwrap();
    assert_eq!(peer.channel.recv(None).unwrap().bytes, b"bound");
    assert!(matches!(Listener::bind(&path), Err(ListenError::Live { .. })));

    peer.pidfd.kill(Signal::KILL).unwrap();
    assert_eq!(peer.join(), ExitReason::Signal(9));
    assert!(path.exists(), "a killed process leaves its socket");
    assert!(matches!(connect(&path), Err(ListenError::Stale { .. })));
    let listener = Listener::bind(&path).unwrap();
    assert!(connect(&path).is_ok());
    drop(listener);
    assert!(!path.exists(), "a listener removes its socket");
}

#[test]
fn a_segment_that_its_creator_did_not_seal_is_refused() {
    if let Some(channel) = peer::channel_to_parent() {
        let flags = rustix::fs::MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create("corelane-test-open", flags).unwrap();
        ftruncate(&fd, 1 << 16).unwrap();
        fcntl_add_seals(&fd, SealFlags::SHRINK).unwrap();
        channel.send(b"segment", &[std::os::fd::AsFd::as_fd(&fd)], None).unwrap();
        return;
    }
    let peer = peer::start("a_segment_that_its_creator_did_not_seal_is_refused");
    let fd = peer.channel.recv(None).unwrap().fds.pop().unwrap();
    let refused = PeerSegment::open(fd, &EXPECT).unwrap_err();
    let SegmentError::Unsealed { missing } = &refused else { panic!("{refused}") };
    assert_eq!(missing, "SEAL|GROW|FUTURE_WRITE");
    assert_eq!(peer.join(), ExitReason::Code(0));
}

#[test]
fn a_descriptor_that_is_no_process_is_refused_by_the_system() {
    let file = std::os::fd::OwnedFd::from(tempfile::tempfile().unwrap());
    let refused = corelane_shm::process::PidFd::from_owned(file).kill(Signal::TERM).unwrap_err();
    assert_eq!(refused.code(), "CL-0344", "{refused}");
}
