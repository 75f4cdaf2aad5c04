//! Bells that a peer hands over: only what can be rung is taken, and ringing never blocks.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use corelane_ring::broadcast::LogShape;
use corelane_shm::OwnedSegment;
use corelane_transport::Participant;
use corelane_transport::exchange::Role;
use corelane_transport::exchange::message::{PROTOCOL, ToSink, ToSource, Want};
use corelane_transport::lane::LaneKind;
use corelane_transport::topic::PublishOptions;

use crate::stranger::{Link, Stranger, segment};
use crate::{PATIENCE, folder};

/// Words before the group of the log; the first says who sleeps, the second who listens.
const HEADER_WORDS: usize = 8;

/// A subscriber by hand that has joined.
fn subscriber_by_hand(stranger: &Stranger) -> (Link, OwnedSegment) {
    let link = stranger.link(Role::Subscriber, "a");
    let words = (HEADER_WORDS + LogShape::group_words(1)).next_multiple_of(8);
    let page = segment(13, b"seats v1", words);
    let want = Want { protocol: PROTOCOL, seats: 1, holds: 0, is_reliable: false, is_fenced: true };
    link.tell(&ToSource::Want(want), &[page.fd()]);
    assert!(matches!(link.offer(), ToSink::Log(_)));
    assert_eq!(link.offer(), ToSink::Ready {});
    link.tell(&ToSource::Joined {}, &[]);
    (link, page)
}

#[test]
fn a_subscriber_with_a_bell_that_cannot_be_is_cut_off() {
    let bell = || OwnedFd::from(UnixDatagram::pair().unwrap().0);
    let bad: [(&str, usize, Vec<OwnedFd>); 4] = [
        ("of a seat that it has not", 1, vec![bell()]),
        ("two of them", 0, vec![bell(), bell()]),
        ("a file", 0, vec![File::open("/dev/null").unwrap().into()]),
        ("a stream", 0, vec![UnixStream::pair().unwrap().0.into()]),
    ];
    for (what, seat, fds) in bad {
        let (_folder, path) = folder();
        let participant = Participant::open(&path).unwrap();
        let publisher = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
        let (link, _page) = subscriber_by_hand(&Stranger::join(&path));
        assert!(publisher.wait_for_subscribers(1, PATIENCE));
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        link.tell(&ToSource::Bell { seat }, &fds);
        assert!(link.is_cut(), "{what}");
        assert!(publisher.why_cut().is_some_and(|why| why.contains("bell")), "{what}");
    }
}

#[test]
fn a_bell_that_is_full_or_gone_stops_no_publisher() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let mut publisher = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
    let (link, page) = subscriber_by_hand(&Stranger::join(&path));
    assert!(publisher.wait_for_subscribers(1, PATIENCE));
    // A socket that blocks, and that nobody reads.
    let (heard, rung) = UnixDatagram::pair().unwrap();
    link.tell(&ToSource::Bell { seat: 0 }, &[rung.as_fd()]);
    heard.recv(&mut [0; 8]).expect("because it rings when the bell is known");
    let fall_asleep = |time: u64| {
        page.words().store_relaxed(1, 1);
        page.words().store_release(0, time << 32 | 1);
    };
    for time in 1..5_000 {
        fall_asleep(time);
        publisher.publish(b"x").unwrap();
    }
    assert_eq!(publisher.counts().wakes, 4_999);
    heard.recv(&mut [0; 8]).expect("because it was rung");
    drop(heard);
    fall_asleep(5_000);
    publisher.publish(b"x").unwrap();
    // It may take its bell back.
    link.tell(&ToSource::Bell { seat: 0 }, &[]);
    assert_eq!(publisher.why_cut(), None);
}

#[test]
fn a_receiver_with_a_bell_that_cannot_be_is_cut_off() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let kind = LaneKind::Latency { slots: 4, slot_lines: 1 };
    let sender = participant.lane_sender("a", kind).unwrap();
    let bells: [(usize, OwnedFd); 2] =
        [(0, File::open("/dev/null").unwrap().into()), (1, UnixDatagram::pair().unwrap().0.into())];
    for (seat, bell) in bells {
        let link = Stranger::join(&path).link(Role::Receiver, "a");
        let page = segment(14, b"head  v1", 16);
        let want =
            Want { protocol: PROTOCOL, seats: 0, holds: 0, is_reliable: true, is_fenced: true };
        link.tell(&ToSource::Want(want), &[page.fd()]);
        assert!(matches!(link.offer(), ToSink::Lane(_)));
        link.tell(&ToSource::Joined {}, &[]);
        assert!(sender.wait_for_receiver(PATIENCE));
        link.tell(&ToSource::Bell { seat }, &[bell.as_fd()]);
        assert!(link.is_cut());
    }
}
