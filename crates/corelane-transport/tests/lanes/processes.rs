//! The same lanes between two processes: this binary is started again as the client.

use std::{os::fd::OwnedFd, time::Duration};

use corelane_shm::process::{ExitReason, Signal};
use corelane_transport::{Endpoint, LaneShape, Message, Port, Priority, sleep};

use super::{envelope, pairing, peer, take};

const SLOTS: usize = 8;
const ROUNDS: u64 = 1_000;
const HOUR: Duration = Duration::from_secs(3600);

fn shape() -> LaneShape {
    LaneShape::new(SLOTS, 2).expect("because the shape is valid")
}

/// In the client: hands its segment over, takes the node's.
fn attach(channel: &corelane_shm::fdpass::Channel) -> Endpoint {
    let words = shape().segment_words(1);
    let own = pairing::create("corelane-client", words);
    channel.send(b"lanes", &[own.fd()], None).expect("because the parent listens");
    let node = receive_fd(channel);
    let (own, peer) = (own.into_words(), pairing::open(node, words));
    pairing::endpoint(&pairing::Side { own, peer }, shape(), 1)
}

/// In the node: the reverse.
fn serve(channel: &corelane_shm::fdpass::Channel) -> Port {
    let words = shape().segment_words(1);
    let own = pairing::create("corelane-node", words);
    channel.send(b"lanes", &[own.fd()], None).expect("because the peer listens");
    let client = receive_fd(channel);
    let (own, peer) = (own.into_words(), pairing::open(client, words));
    pairing::port(&pairing::Side { own, peer }, shape(), 0)
}

fn receive_fd(channel: &corelane_shm::fdpass::Channel) -> OwnedFd {
    let packet = channel.recv(None).expect("because the other side sends its lanes first");
    let [fd] = <[OwnedFd; 1]>::try_from(packet.fds).expect("because a segment is one descriptor");
    fd
}

fn payload(number: u64) -> Vec<u8> {
    (0..number % 81).map(|index| (index ^ number) as u8).collect()
}

/// Every message is checked in the other process and comes back under another priority; both
/// sides sleep when there is nothing to do.
#[test]
fn messages_cross_processes_and_come_back() {
    if let Some(channel) = peer::channel_to_parent() {
        let mut endpoint = attach(&channel);
        let mut message = Message::default();
        for number in 0..ROUNDS {
            while !endpoint.receive(&mut message).expect("because the node is honest") {
                endpoint.sleep(None, HOUR).expect("because the kernel can wait");
            }
            assert_eq!(message.envelope(), &envelope(number, Priority::High));
            assert_eq!(message.payload(), payload(number));
            let answer = envelope(number, Priority::Low);
            while endpoint.send(&answer, message.payload()).is_err() {
                endpoint.flush();
                std::thread::yield_now();
            }
        }
        endpoint.flush();
        channel.recv(None).expect_err("because the parent closes the channel at the end");
        return;
    }
    let mut peer = peer::start("processes::messages_cross_processes_and_come_back");
    let mut port = serve(&peer.channel);
    let (mut sent, mut answered) = (0, 0);
    while answered < ROUNDS {
        while sent < ROUNDS && port.send(&envelope(sent, Priority::High), &payload(sent)).is_ok() {
            sent += 1;
        }
        port.flush();
        match take(&mut port, Priority::Low) {
            Some((envelope, bytes)) => {
                assert_eq!((envelope.correlation, bytes), (answered, payload(answered)));
                answered += 1;
            }
            // tidy: sleep because it ends with the bell, not with time
            None => sleep(&mut [&mut port], None, HOUR).expect("because the kernel can wait"),
        }
    }
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", peer.pid));
    let maps = maps.expect("because the peer waits for the end of the channel");
    let is_mapped = |permissions: &str, name: &str| {
        maps.lines().any(|line| line.contains(permissions) && line.contains(name))
    };
    assert!(is_mapped("rw-s", "corelane-client") && is_mapped("r--s", "corelane-node"));
    assert!(!is_mapped("rw-s", "corelane-node"), "nobody writes another one's segment");
    hang_up(&mut peer);
    assert_eq!(peer.join(), ExitReason::Code(0));
}

/// What a client committed before it was killed can still be read.
#[test]
fn what_a_killed_client_committed_is_still_there() {
    if let Some(channel) = peer::channel_to_parent() {
        let mut endpoint = attach(&channel);
        for number in 0..5 {
            let envelope = envelope(number, Priority::Normal);
            endpoint.send(&envelope, &payload(number)).expect("because there is room");
        }
        channel.send(b"committed", &[], None).expect("because the parent listens");
        let _ = channel.recv(None);
        panic!("the parent kills this process while it waits");
    }
    let peer = peer::start("processes::what_a_killed_client_committed_is_still_there");
    let mut port = serve(&peer.channel);
    port.send(&envelope(9, Priority::Normal), b"never read").expect("because there is room");
    assert_eq!(peer.channel.recv(None).expect("because it commits").bytes, b"committed");
    peer.pidfd.kill(Signal::KILL).expect("because it is a child");
    assert_eq!(peer.join(), ExitReason::Signal(9));
    for number in 0..5 {
        let expected = (envelope(number, Priority::Normal), payload(number));
        assert_eq!(take(&mut port, Priority::Normal), Some(expected));
    }
    assert_eq!(take(&mut port, Priority::Normal), None);
    // Waking and counting work without the peer.
    port.flush();
    assert_eq!(port.undelivered(), 1);
}

fn hang_up(peer: &mut peer::Peer) {
    let (unused, _) = corelane_shm::fdpass::pair().expect("because descriptors are left");
    peer.channel = unused;
}
