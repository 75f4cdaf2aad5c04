//! Channels and listeners within one process: packets, descriptors, limits, paths.
//!
//! What needs a second process (credentials, death, stale sockets) is in `processes.rs`.

use std::fs::{self, File};
use std::io::{IoSlice, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use corelane_shm::fdpass::{
    Channel, ChannelError, ListenError, Listener, PACKET_BYTES_MAX, PACKET_FDS_MAX, connect, pair,
};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn send_unchecked(channel: &Channel, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(fds)));
    sendmsg(channel, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::empty()).unwrap();
}

#[test]
fn packets_keep_their_boundaries_and_descriptors() {
    let (here, there) = pair().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"through the file").unwrap();
    let all = [file.as_fd(); PACKET_FDS_MAX];
    here.send(b"one", &[], None).unwrap();
    here.send(&[7; PACKET_BYTES_MAX], &all, None).unwrap();

    let first = there.recv(None).unwrap();
    assert_eq!((first.bytes.as_slice(), first.fds.len()), (b"one".as_slice(), 0));
    let second = there.recv(None).unwrap();
    assert_eq!(second.bytes, [7; PACKET_BYTES_MAX]);
    assert_eq!(second.fds.len(), PACKET_FDS_MAX);
    for fd in second.fds {
        assert!(fcntl_getfd(&fd).unwrap().contains(FdFlags::CLOEXEC));
        let (mut received, mut text) = (File::from(fd), String::new());
        received.rewind().unwrap();
        received.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through the file");
    }
}

#[test]
fn limits_hold_for_the_sender_and_the_receiver() {
    let (here, there) = pair().unwrap();
    let file = tempfile::tempfile().unwrap();
    let fds = [file.as_fd(); PACKET_FDS_MAX + 4];
    let over = [0; PACKET_BYTES_MAX + 1];
    let size = |result| matches!(result, Err(ChannelError::PacketSize { .. }));
    assert!(size(here.send(&[], &[], None)));
    assert!(size(here.send(&over, &[], None)));
    let refused = here.send(b"x", &fds[..PACKET_FDS_MAX + 1], None);
    assert!(matches!(refused, Err(ChannelError::FdCount { fds: 17, limit: 16 })));

    let cut = || matches!(there.recv(None), Err(ChannelError::Truncated { .. }));
    send_unchecked(&here, &over, &[]);
    assert!(cut());
    for count in PACKET_FDS_MAX + 1..=PACKET_FDS_MAX + 4 {
        send_unchecked(&here, b"x", &fds[..count]);
        assert!(cut(), "fds={count}");
    }
    here.send(b"still in step", &[], None).unwrap();
    assert_eq!(there.recv(None).unwrap().bytes, b"still in step");
}

#[test]
fn the_end_of_file_comes_after_the_last_packet() {
    let (here, there) = pair().unwrap();
    assert!(matches!(there.recv(NOW), Err(ChannelError::TimedOut)));
    there.send(b"never read", &[], None).unwrap();
    here.send(b"last words", &[], None).unwrap();
    drop(here);
    assert_eq!(there.recv(None).unwrap().bytes, b"last words");
    assert!(matches!(there.recv(None), Err(ChannelError::Closed)));
    assert!(matches!(there.recv(None), Err(ChannelError::Closed)));
    assert!(matches!(there.send(b"x", &[], None), Err(ChannelError::Closed)));

    let (hostile, there) = pair().unwrap();
    send(&hostile, b"", SendFlags::empty()).unwrap();
    assert!(matches!(there.recv(None), Err(ChannelError::Closed)));
}

#[test]
fn a_shutdown_ends_both_sides_after_what_has_arrived() {
    let (one, other) = pair().unwrap();
    one.send(b"last", &[], NOW).unwrap();
    one.shutdown();
    assert_eq!(other.recv(NOW).unwrap().bytes, b"last");
    for end in [&one, &other] {
        let received = end.recv(NOW);
        assert!(matches!(received, Err(ChannelError::Closed)), "{received:?}");
        let sent = end.send(b"more", &[], NOW);
        assert!(matches!(sent, Err(ChannelError::Closed)), "{sent:?}");
    }
}

#[test]
fn a_packet_of_64_kib_goes_through_whole() {
    let (one, other) = pair().unwrap();
    let bytes: Vec<u8> = (0..65_536_usize).map(|index| (index % 251) as u8).collect();
    one.send(&bytes, &[], NOW).unwrap();
    assert_eq!(other.recv(NOW).unwrap().bytes, bytes);
}

#[test]
fn a_peer_that_does_not_read_stops_the_sender_in_time() {
    let (here, there) = pair().unwrap();
    let packet = [1; PACKET_BYTES_MAX];
    let mut sent = 0;
    let stopped = loop {
        match here.send(&packet, &[], NOW) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(stopped, ChannelError::TimedOut));
    assert!(sent > 0);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| here.send(b"waits for room", &[], None));
        for _ in 0..sent {
            assert_eq!(there.recv(None).unwrap().bytes.len(), PACKET_BYTES_MAX);
        }
        assert_eq!(there.recv(None).unwrap().bytes, b"waits for room");
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn a_listener_owns_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.sock");
    assert!(matches!(connect(&path), Err(ListenError::Absent { .. })));
    let listener = Listener::bind(&path).unwrap();
    assert_eq!(listener.path(), path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(listener.accept(NOW), Err(ChannelError::TimedOut)));

    let client = connect(&path).unwrap();
    let server = listener.accept(None).unwrap();
    client.send(b"hello", &[], None).unwrap();
    assert_eq!(server.recv(None).unwrap().bytes, b"hello");

    let refused = Listener::bind(&path).unwrap_err();
    assert!(matches!(refused, ListenError::Live { .. }));
    let text = format!(
        "another process listens path={}; attach to it, stop it, or use another path",
        path.display()
    );
    assert_eq!(refused.to_string(), text);
    drop(listener);
    assert!(!path.exists());
    client.send(b"still connected", &[], None).unwrap();
}

#[test]
fn what_is_no_stale_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(Listener::bind(&file), Err(ListenError::NotASocket { .. })));
    // What cannot even be looked at is told, and not taken for free.
    let below = Listener::bind(file.join("node.sock"));
    assert!(matches!(below, Err(ListenError::Os { call: "lstat", .. })), "{below:?}");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(matches!(Listener::bind(&link), Err(ListenError::NotASocket { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");

    let stream = directory.path().join("stream");
    let _other = std::os::unix::net::UnixListener::bind(&stream).unwrap();
    assert!(matches!(Listener::bind(&stream), Err(ListenError::Os { call: "connect", .. })));
    assert!(stream.exists());

    let replaced = directory.path().join("replaced");
    let listener = Listener::bind(&replaced).unwrap();
    fs::remove_file(&replaced).unwrap();
    fs::write(&replaced, "somebody else's").unwrap();
    drop(listener);
    assert!(replaced.exists());
    let long = directory.path().join("n".repeat(200));
    assert!(matches!(Listener::bind(&long), Err(ListenError::PathLength { limit: 108, .. })));
    let absent = directory.path().join("absent/node.sock");
    assert!(matches!(Listener::bind(&absent), Err(ListenError::Os { .. })));
}

#[test]
fn binders_of_one_directory_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let turn = File::open(directory.path()).unwrap();
    turn.lock_shared().unwrap();
    let path = directory.path().join("node.sock");
    std::thread::scope(|scope| {
        let binder = scope.spawn(|| Listener::bind(&path));
        // The kernel's list of locks marks with an arrow who waits for one.
        let inode = format!(":{} ", turn.metadata().unwrap().ino());
        let waits = |line: &str| line.contains("->") && line.contains(&inode);
        while !fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
            assert!(!binder.is_finished(), "it did not wait for its turn");
            std::thread::yield_now();
        }
        turn.unlock().unwrap();
        assert!(binder.join().unwrap().is_ok());
    });
}

#[test]
fn of_many_binders_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.sock");
    // A stale socket, so that all of them try to take it over.
    drop(std::os::unix::net::UnixDatagram::bind(&path).unwrap());
    assert!(matches!(connect(&path), Err(ListenError::Stale { .. })));
    let bound: Vec<_> = std::thread::scope(|scope| {
        let binders: Vec<_> = (0..8).map(|_| scope.spawn(|| Listener::bind(&path))).collect();
        binders.into_iter().map(|binder| binder.join().unwrap()).collect()
    });
    assert_eq!(bound.iter().filter(|result| result.is_ok()).count(), 1);
    let live = |result: &&Result<Listener, _>| matches!(result, Err(ListenError::Live { .. }));
    assert_eq!(bound.iter().filter(live).count(), 7);
}

#[test]
fn a_descriptor_that_is_no_socket_is_refused_by_the_system() {
    let file = std::os::fd::OwnedFd::from(tempfile::tempfile().unwrap());
    let refused = Channel::from(file).send(b"x", &[], None).unwrap_err();
    assert!(matches!(refused, ChannelError::Os { call: "sendmsg", .. }), "{refused}");
    assert_eq!(refused.code(), "CL-0326");
}
