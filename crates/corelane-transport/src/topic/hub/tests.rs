//! What a subscription makes of each packet of a publisher, with the other end of the link at hand.

use corelane_ring::broadcast::TAIL;
use corelane_shm::fdpass;
use corelane_shm::slab::Slab;
use corelane_shm::{OwnedSegment, SegmentInfo, SegmentOptions};

use super::*;

const NOW: Option<Duration> = Some(Duration::ZERO);
const OFFER: LogOffer = LogOffer {
    slots: 8,
    record_words: 4,
    seats_max: 5,
    first_seat: 1,
    has_time: false,
    has_hash: false,
    message_bytes: None,
};

/// A subscription of three seats with two holds each, none of them taken yet.
fn hub(is_reliable: bool, message_bytes: Option<Option<usize>>) -> Hub {
    let shape = GroupShape::new(3, 2).unwrap();
    let (barrier, bell) = (SharedBarrier::FENCED, News::new().unwrap());
    Hub::new(shape, is_reliable, Start::Tail, true, barrier, message_bytes, bell)
}

/// Links `peer`, whose end of the link is given back.
fn link(hub: &Hub, peer: u64) -> Channel {
    let (own, other) = fdpass::pair().unwrap();
    assert_eq!(hub.linked(peer, &Arc::new(own)), Verdict::Keep);
    other
}

fn log_of(words: usize) -> OwnedSegment {
    let info = SegmentInfo {
        kind: LOG_KIND,
        generation: 1,
        layout_version: LOG_LAYOUT_VERSION,
        layout_hash: LOG_LAYOUT_HASH,
    };
    OwnedSegment::create("corelane-test-log", words, info).unwrap()
}

fn log() -> OwnedSegment {
    log_of(LogShape::new(OFFER.slots, OFFER.record_words, OFFER.seats_max).unwrap().data_words())
}

fn packet(message: &ToSink, segment: Option<&OwnedSegment>) -> Packet {
    let fd = segment.map(|segment| segment.fd().try_clone_to_owned().unwrap());
    Packet { bytes: encode(message), fds: fd.into_iter().collect() }
}

fn tell(hub: &Hub, peer: u64, message: &ToSink, segment: Option<&OwnedSegment>) -> Verdict {
    hub.heard(peer, packet(message, segment))
}

/// A link over which everything came.
fn ready(hub: &Hub, peer: u64) -> (Channel, OwnedSegment) {
    let (channel, log) = (link(hub, peer), log());
    assert_eq!(tell(hub, peer, &ToSink::Log(OFFER), Some(&log)), Verdict::Keep);
    assert_eq!(tell(hub, peer, &ToSink::Ready {}, None), Verdict::Keep);
    (channel, log)
}

#[test]
fn a_link_is_a_publisher_once_everything_came_and_until_it_is_over() {
    let hub = hub(true, None);
    assert_eq!(hub.sit_down(), Some(0));
    let (versions, bells) = (hub.news.version(), hub.news.bell.now());
    let (channel, _log) = ready(&hub, 7);
    let want = Want { protocol: PROTOCOL, seats: 3, holds: 2, is_reliable: true, is_fenced: true };
    let asked = channel.recv(NOW).unwrap();
    assert_eq!((decode(&asked.bytes), asked.fds.len()), (Some(ToSource::Want(want)), 1));
    assert_eq!(decode(&channel.recv(NOW).unwrap().bytes), Some(ToSource::Joined {}));
    assert_eq!(
        (hub.publishers(), hub.news.version(), hub.news.bell.now()),
        (1, versions + 1, bells + 1)
    );
    let came = hub.take(0);
    let [connection] = &came[..] else { panic!("one publisher came: {came:?}") };
    assert_eq!((connection.link.peer, connection.link.is_over()), (7, false));
    assert!(hub.take(0).is_empty(), "it comes once");

    hub.unlinked(7);
    assert!(connection.link.is_over());
    assert_eq!((hub.publishers(), hub.news.version()), (0, versions + 2));
    assert_eq!(hub.take_refusal(), None);
}

#[test]
fn every_sibling_sits_at_every_publisher_at_a_seat_of_its_own() {
    let hub = hub(true, None);
    assert_eq!((hub.sit_down(), hub.sit_down()), (Some(0), Some(1)));
    let (channel, log) = ready(&hub, 7);
    let fd = channel.recv(NOW).unwrap().fds.remove(0);
    let page = hub.shape.open(fd).unwrap();
    assert_eq!((hub.sit_down(), hub.sit_down()), (Some(2), None), "there are three seats");
    log.words().store_release(TAIL, 1);
    let first_hold = page.len() - hub.shape.all_holds(&page).len();
    for seat in 0..3 {
        let connection = hub.take(seat).remove(0);
        let cursors = hub.shape.log_group(&page);
        let cursor = cursors.load_acquire(connection.cursor);
        assert_eq!(cursor, connection.cursors.load_acquire(connection.cursor));
        assert_ne!(cursor, 0, "the cursor of seat {seat} is where the publisher looks");
        assert_eq!(connection.cursor, cursors.len() - 3 + seat);
        assert_eq!(connection.holds.count(), 2);
        assert_eq!(page.load_acquire(first_hold + 2 * seat), 0);
    }
    hub.stand_up(1);
    assert!(hub.take(1).is_empty());
    assert_eq!(hub.sit_down(), Some(1), "a seat that is free is taken again");
    assert_eq!(hub.take(1).len(), 1);
}

#[test]
fn what_a_publisher_offers_is_held_against_what_can_be() {
    let words = log().words().len();
    #[rustfmt::skip]
    let cases = [
        (LogOffer { slots: 3, ..OFFER }, words, "power of two"),
        (LogOffer { record_words: 0, ..OFFER }, words, "record_words=0"),
        (LogOffer { seats_max: usize::MAX, ..OFFER }, words, "subscribers_max"),
        (LogOffer { record_words: 3, ..OFFER }, words, "impossible layout"),
        (LogOffer { message_bytes: Some(64), ..OFFER }, words, "impossible layout"),
        (LogOffer { message_bytes: Some(32), ..OFFER }, words, "another size"),
        (LogOffer { first_seat: 3, ..OFFER }, words, "seats do not exist"),
        (LogOffer { first_seat: usize::MAX, ..OFFER }, words, "seats do not exist"),
        (OFFER, words + 1, "out of bounds"),
        (OFFER, words - 1, "out of bounds"),
    ];
    for (offer, words, expected) in cases {
        let hub = hub(true, Some(None));
        let _channel = link(&hub, 7);
        assert_eq!(tell(&hub, 7, &ToSink::Log(offer), Some(&log_of(words))), Verdict::Cut);
        let (peer, reason) = hub.take_refusal().expect("because it was cut off");
        assert!(peer == 7 && reason.contains(expected), "{expected}: {reason}");
    }
    // The last seats are as good as the first, and a lossy subscription takes none.
    for (is_reliable, first_seat) in [(true, 0), (true, 2), (false, 5)] {
        let hub = hub(is_reliable, Some(None));
        let _channel = link(&hub, 7);
        let offer = LogOffer { first_seat, ..OFFER };
        assert_eq!(tell(&hub, 7, &ToSink::Log(offer), Some(&log())), Verdict::Keep, "{first_seat}");
    }
    let lossy = hub(false, None);
    let _channel = link(&lossy, 7);
    let offer = LogOffer { first_seat: 6, ..OFFER };
    assert_eq!(tell(&lossy, 7, &ToSink::Log(offer), Some(&log())), Verdict::Cut);
}

#[test]
fn a_packet_out_of_turn_cuts_the_link_and_a_later_one_does_not() {
    let lane = ToSink::Lane(crate::exchange::message::LaneOffer::Throughput { capacity_bytes: 64 });
    let extent = ToSink::Extent { number: 0, chunk_bytes: 512, chunks: 1 };
    let sorry = ToSink::Sorry { reason: "no room".into() };
    let before_ready = [
        (ToSink::Ready {}, "its log did not come"),
        (ToSink::Log(OFFER), "its segment is missing"),
        (extent.clone(), "its segment is missing"),
        (lane, "it sends on a lane"),
        (sorry, "no room"),
    ];
    for (message, expected) in before_ready {
        let hub = hub(true, None);
        let _channel = link(&hub, 7);
        assert_eq!(tell(&hub, 7, &message, None), Verdict::Cut, "{message:?}");
        assert_eq!(hub.take_refusal(), Some((7, expected.to_owned())));
        assert_eq!(hub.publishers(), 0);
    }
    let hub = hub(true, None);
    let (_channel, log) = ready(&hub, 7);
    let garbage = Packet { bytes: b"{}".to_vec(), fds: Vec::new() };
    assert_eq!(hub.heard(7, garbage), Verdict::Cut);
    assert_eq!(hub.take_refusal(), Some((7, "its packet is no message".to_owned())));
    for (message, expected) in
        [(ToSink::Log(OFFER), "its log came twice"), (ToSink::Ready {}, "it was ready twice")]
    {
        assert_eq!(tell(&hub, 7, &message, Some(&log)), Verdict::Cut);
        assert_eq!(hub.take_refusal(), Some((7, expected.to_owned())));
    }
    // Before it is ready too.
    let _channel = link(&hub, 8);
    assert_eq!(tell(&hub, 8, &ToSink::Log(OFFER), Some(&log)), Verdict::Keep);
    assert_eq!(tell(&hub, 8, &ToSink::Log(OFFER), Some(&log)), Verdict::Cut);
    assert_eq!(hub.take_refusal(), Some((8, "its log came twice".to_owned())));
    // What a later version says, and an extent of a link that is over, change nothing.
    let before = hub.news.version();
    assert_eq!(tell(&hub, 7, &ToSink::Unknown, None), Verdict::Keep);
    hub.unlinked(7);
    assert_eq!(tell(&hub, 7, &extent, Some(&log)), Verdict::Keep);
    assert_eq!((hub.news.version(), hub.take_refusal()), (before + 1, None));
}

#[test]
fn extents_come_before_and_after_everything_else_and_in_order() {
    let hub = hub(true, None);
    assert_eq!(hub.sit_down(), Some(0));
    let (_channel, log) = (link(&hub, 7), log());
    let mut slab = Slab::new(1 << 20, 1, SegmentOptions::default());
    let mut next = |number: Option<u32>| {
        let extent = slab.grow(600).unwrap();
        let message = ToSink::extent(number.unwrap_or(extent.number), extent.shape);
        let fds = vec![extent.fd.try_clone_to_owned().unwrap()];
        Packet { bytes: encode(&message), fds }
    };
    let versions = hub.news.version();
    assert_eq!(hub.heard(7, next(None)), Verdict::Keep);
    assert_eq!(hub.news.version(), versions + 1, "a subscriber that waits for it looks again");
    tell(&hub, 7, &ToSink::Log(OFFER), Some(&log));
    tell(&hub, 7, &ToSink::Ready {}, None);
    let connection = hub.take(0).remove(0);
    assert_eq!(connection.slab.extents(), 1);
    assert_eq!(hub.heard(7, next(None)), Verdict::Keep);
    assert_eq!(connection.link.slab().extents(), 2);
    assert_eq!(hub.heard(7, next(Some(1))), Verdict::Cut);
    assert!(hub.take_refusal().is_some_and(|(_, reason)| reason.contains("extent=2 was due")));
}

#[test]
fn a_wait_for_links_counts_those_that_came_and_those_that_are_over() {
    let hub = hub(false, None);
    let past = Instant::now();
    assert!(hub.wait_for(0, past) && !hub.wait_for(1, past));
    let _one = ready(&hub, 1);
    let _two = ready(&hub, 2);
    assert!(hub.wait_for(2, past) && !hub.wait_for(3, past));
    hub.unlinked(1);
    assert!(hub.wait_for(2, past) && !hub.wait_for(3, past), "one is there and one is over");
    let _three = link(&hub, 3);
    assert!(!hub.wait_for(3, past), "a link that is opened is not there yet");
    hub.unlinked(3);
    assert!(hub.wait_for(3, past) && !hub.wait_for(4, past));
}

#[test]
fn a_subscriber_hears_so_many_publishers_and_no_more() {
    // It sleeps on their tails, on its own word and on the bell: as much as a sleep may have.
    assert_eq!(PUBLISHERS_MAX, 128 - 2);
    let hub = hub(false, None);
    // Half of them ready and half of them on their way.
    let mut kept = Vec::new();
    for peer in 0..PUBLISHERS_MAX as u64 {
        if peer % 2 == 0 { kept.push(ready(&hub, peer).0) } else { kept.push(link(&hub, peer)) }
    }
    let (own, other) = fdpass::pair().unwrap();
    assert_eq!(hub.linked(1_000, &Arc::new(own)), Verdict::Cut);
    let (peer, reason) = hub.take_refusal().expect("because it was turned away");
    assert_eq!(
        (peer, reason),
        (1_000, format!("subscriber hears {PUBLISHERS_MAX} publishers already"))
    );
    assert!(other.recv(NOW).is_err(), "it is asked for nothing");
    hub.unlinked(3);
    drop(link(&hub, 1_001));
}

#[test]
fn a_link_that_is_cut_is_closed_for_the_publisher() {
    let hub = hub(true, None);
    assert_eq!(hub.sit_down(), Some(0));
    let (channel, _log) = ready(&hub, 7);
    let connection = hub.take(0).remove(0);
    connection.link.cut();
    assert!(
        channel.recv(NOW).is_ok() && channel.recv(NOW).is_ok(),
        "what was said before is there"
    );
    assert!(matches!(channel.recv(NOW), Err(fdpass::ChannelError::Closed)));
}
