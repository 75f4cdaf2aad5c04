//! Peers that are linked in order and then write what cannot be: they are cut off, with a reason.

use corelane_ring::broadcast::{LogShape, TAIL};
use corelane_shm::WordsRw;
use corelane_transport::exchange::message::{
    LaneOffer, LogOffer, PROTOCOL, Registration, ToExchange, ToParticipant, ToSink, ToSource, Want,
};
use corelane_transport::exchange::{Refusal, Role};
use corelane_transport::lane::{LaneKind, LaneOptions, LaneReceiveError, LaneSendError};
use corelane_transport::topic::{PublishOptions, ReceiveError, SubscribeOptions};
use corelane_transport::{Participant, ParticipantError};

use crate::stranger::{Link, Stranger, segment};
use crate::{PATIENCE, folder};

/// Words before the slots of a `latency` lane.
const LANE_HEADER_WORDS: usize = 16;

/// The subscriber's side of a publisher by hand, whose log has records of eight words.
fn publisher_by_hand(link: &Link) -> (LogShape, WordsRw) {
    link.want();
    let shape = LogShape::new(8, 8, 4).unwrap();
    let log = segment(10, b"log   v1", shape.data_words());
    let offer = LogOffer {
        slots: shape.slots(),
        record_words: shape.record_words(),
        seats_max: shape.subscribers_max(),
        first_seat: 0,
        has_time: false,
        has_hash: false,
        message_bytes: None,
    };
    link.tell(&ToSink::Log(offer), &[log.fd()]);
    link.tell(&ToSink::Ready {}, &[]);
    link.joined();
    (shape, log.into_words())
}

#[test]
fn a_publisher_that_writes_what_cannot_be_is_cut_off() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let mut subscriber = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    let stranger = Stranger::join(&path);
    let link = stranger.link(Role::Publisher, "a");
    let (shape, log) = publisher_by_hand(&link);
    // A record whose length is beyond the record.
    let first_record = shape.data_words() - shape.slots() * shape.record_words();
    log.store_relaxed(first_record, u64::from(u32::MAX));
    log.store_release(TAIL, 1);
    let told = subscriber.receive(PATIENCE).unwrap_err();
    assert!(matches!(told, ReceiveError::Corrupt { publisher: 7, .. }), "{told}");
    assert_eq!(told.code(), "CL-0459");
    assert!(link.is_cut());
    assert!(subscriber.try_receive().unwrap().is_none());
}

#[test]
fn a_receiver_that_writes_what_cannot_be_is_cut_off() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let kind = LaneKind::Latency { slots: 4, slot_lines: 1 };
    let mut sender = participant.lane_sender("a", kind).unwrap();
    let stranger = Stranger::join(&path);
    let link = stranger.link(Role::Receiver, "a");
    let page = segment(14, b"head  v1", 16);
    let want = Want { protocol: PROTOCOL, seats: 0, holds: 0, is_reliable: true, is_fenced: true };
    link.tell(&ToSource::Want(want), &[page.fd()]);
    assert!(matches!(link.offer(), ToSink::Lane(LaneOffer::Latency { slots: 4, .. })));
    link.tell(&ToSource::Joined {}, &[]);
    assert!(sender.wait_for_receiver(PATIENCE));
    // A head beyond everything that was sent.
    page.words().store_release(0, 1_000);
    let told = loop {
        if let Err(told) = sender.send(b"x") {
            break told;
        }
    };
    assert!(matches!(told, LaneSendError::Corrupt { .. }), "{told}");
    assert_eq!(told.code(), "CL-0465");
    assert!(link.is_cut());
    assert!(sender.why_cut().is_some_and(|why| why.contains("1000")));
}

#[test]
fn a_sender_that_writes_what_cannot_be_is_cut_off() {
    for is_later in [false, true] {
        let told = sender_that_writes_what_cannot_be(is_later);
        assert!(matches!(told, LaneReceiveError::Corrupt { .. }), "{told}");
        assert_eq!(told.code(), "CL-0466");
    }
}

#[test]
fn a_tap_cuts_a_sender_off_that_writes_what_cannot_be() {
    let lane = LaneOffer::Latency { slots: 4, slot_lines: 1 };
    // An intent, and a length of the first record.
    for (word, value) in [(1, u64::MAX), (LANE_HEADER_WORDS, 57 << 32 | 1)] {
        let (_folder, path) = folder();
        let participant = Participant::open(&path).unwrap();
        let mut tap = participant.lane_tap("a").unwrap();
        let stranger = Stranger::join(&path);
        let link = stranger.link(Role::Sender, "a");
        link.tap();
        let slots = segment(15, b"slots v1", LANE_HEADER_WORDS + 4 * 8);
        link.tell(&ToSink::Tapped { lane, is_new: true }, &[slots.fd()]);
        link.tell(&ToSink::Ready {}, &[]);
        assert!(tap.wait_for_sender(PATIENCE));
        slots.words().store_release(word, value);
        let told = tap.receive(&mut Vec::new(), PATIENCE).unwrap_err();
        assert!(matches!(told, LaneReceiveError::Corrupt { .. }), "{told}");
        assert!(link.is_cut());
        assert!(!tap.try_receive(&mut Vec::new()).unwrap());
    }
}

#[test]
fn a_tap_is_offered_a_lane_as_it_was_told_or_cuts_the_link() {
    let lane = LaneOffer::Latency { slots: 4, slot_lines: 1 };
    let slots = segment(15, b"slots v1", LANE_HEADER_WORDS + 4 * 8);
    let two = [slots.fd(), slots.fd()];
    let large = LaneOffer::Throughput { capacity_bytes: 1 << 30 };
    for (message, fds) in [
        (ToSink::Tapped { lane, is_new: true }, &two[..0]),
        (ToSink::Tapped { lane, is_new: true }, &two),
        (ToSink::Tapped { lane: large, is_new: true }, &two[..1]),
        (
            ToSink::Tapped { lane: LaneOffer::Latency { slots: 3, slot_lines: 1 }, is_new: false },
            &two[..1],
        ),
        (ToSink::Lane(lane), &two[..1]),
    ] {
        let (_folder, path) = folder();
        let participant = Participant::open(&path).unwrap();
        let mut tap = participant.lane_tap("a").unwrap();
        let stranger = Stranger::join(&path);
        let link = stranger.link(Role::Sender, "a");
        link.tap();
        link.tell(&message, fds);
        assert!(link.is_cut());
        let told = tap.receive(&mut Vec::new(), PATIENCE).unwrap_err();
        assert_eq!(told.code(), "CL-0467", "{told}");
    }
}

#[test]
fn a_tap_that_speaks_out_of_turn_is_cut_off_and_the_lane_goes_on() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let mut sender = participant.lane_sender("a", LaneKind::LATENCY).unwrap();
    let mut receiver = participant.lane_receiver("a", LaneOptions::default()).unwrap();
    let want = Want { protocol: PROTOCOL, seats: 0, holds: 0, is_reliable: true, is_fenced: true };
    let again = ToSource::Tap { protocol: PROTOCOL };
    for second in [ToSource::Want(want), again.clone()] {
        let stranger = Stranger::join(&path);
        let link = stranger.link(Role::Tap, "a");
        link.tell(&again, &[]);
        assert!(matches!(link.offer(), ToSink::Tapped { is_new: false, .. }));
        assert!(matches!(link.offer(), ToSink::Ready {}));
        link.tell(&ToSource::Joined {}, &[]);
        while sender.taps() == 0 {
            std::thread::yield_now();
        }
        link.tell(&second, &[]);
        assert!(link.is_cut());
        while sender.taps() > 0 {
            std::thread::yield_now();
        }
        sender.send_within(b"good", PATIENCE).unwrap();
        let mut record = Vec::new();
        assert!(receiver.receive(&mut record, PATIENCE).unwrap());
    }
    assert_eq!(sender.why_cut(), None);
}

/// Who brings ends without end, and takes them away again, keeps their links: a sender keeps a few
/// that say nothing, and ends the others.
#[test]
fn links_that_say_nothing_do_not_pile_up_at_a_sender() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let mut sender = participant.lane_sender("a", LaneKind::LATENCY).unwrap();
    let stranger = Stranger::join(&path);
    let mut links = Vec::new();
    for end in 1..=100 {
        links.push(stranger.link_as(end, Role::Tap, "a"));
        stranger.tell(&ToExchange::Withdraw { end });
    }
    // All but the last eighteen are ended, however long they say nothing.
    assert!(links.drain(..82).all(|link| link.is_cut()));
    let mut receiver = participant.lane_receiver("a", LaneOptions::default()).unwrap();
    sender.send_within(b"good", PATIENCE).unwrap();
    let mut record = Vec::new();
    assert!(receiver.receive(&mut record, PATIENCE).unwrap());
}

/// What the receiver is told; the sender's first or second record claims too many bytes.
fn sender_that_writes_what_cannot_be(is_later: bool) -> LaneReceiveError {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let mut receiver = participant.lane_receiver("a", LaneOptions::default()).unwrap();
    let stranger = Stranger::join(&path);
    let link = stranger.link(Role::Sender, "a");
    link.want();
    let slots = segment(15, b"slots v1", LANE_HEADER_WORDS + 4 * 8);
    let offer = LaneOffer::Latency { slots: 4, slot_lines: 1 };
    link.tell(&ToSink::Lane(offer), &[slots.fd()]);
    link.joined();
    let mut record = Vec::new();
    // It is cut off whichever record is the first that cannot be.
    if is_later {
        slots.words().store_release(LANE_HEADER_WORDS, 8 << 32 | 1);
        assert!(receiver.receive(&mut record, PATIENCE).unwrap());
        slots.words().store_release(LANE_HEADER_WORDS + 8, 57 << 32 | 2);
    } else {
        slots.words().store_release(LANE_HEADER_WORDS, 57 << 32 | 1);
    }
    let told = receiver.receive(&mut record, PATIENCE).unwrap_err();
    assert!(link.is_cut());
    assert!(!receiver.try_receive(&mut record).unwrap());
    told
}

#[test]
fn a_publisher_that_turns_away_is_heard_once() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let mut subscriber = participant.subscribe_bytes("a", SubscribeOptions::LOSSY).unwrap();
    let stranger = Stranger::join(&path);
    let link = stranger.link(Role::Publisher, "a");
    link.want();
    link.tell(&ToSink::Sorry { reason: "go away".into() }, &[]);
    assert!(link.is_cut());
    let told = subscriber.receive(PATIENCE).unwrap_err();
    assert!(matches!(told, ReceiveError::TurnedAway { publisher: 7, .. }), "{told}");
    assert!(subscriber.try_receive().unwrap().is_none());
}

#[test]
fn nobody_takes_the_place_of_another_end() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let mut publisher = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
    let mut subscriber = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    // A hostile publisher learns the subscriber's number, and brings an end of that number.
    let first = Stranger::join(&path);
    let link = first.link(Role::Publisher, "a");
    let second = Stranger::join(&path);
    let (role, name) = (Role::Subscriber, "a".into());
    let twice = Registration { end: link.peer, role, name, tag: None, linked: Vec::new() };
    second.tell(&ToExchange::Register(twice));
    let answer = second.hear();
    let is_refused = matches!(answer, ToParticipant::Refused { refusal: Refusal::Number, .. });
    assert!(is_refused, "{answer:?}");
    publisher.publish(b"for it alone").unwrap();
    // It may look in vain first, because the hostile publisher's link came.
    let sample = loop {
        if let Some(sample) = subscriber.receive(PATIENCE).unwrap() {
            break sample.to_vec();
        }
    };
    assert_eq!(sample, b"for it alone");
    assert_eq!(publisher.counts().links.cut, 0);
}

#[test]
fn a_schema_that_is_too_long_to_be_told_is_refused() {
    let (_folder, path) = folder();
    let participant = Participant::open(&path).unwrap();
    let stranger = Stranger::join(&path);
    // Each number has four bytes here and thirteen as it would be told.
    let schema = format!("[{}1]", "1e9,".repeat(6_000));
    let tag = format!(r#"{{"hash":"x","schema":{schema}}}"#);
    let asked =
        format!(r#"{{"type":"register","end":7,"role":"publisher","name":"a","tag":{tag}}}"#);
    stranger.say(asked.as_bytes());
    let answer = stranger.hear();
    let ToParticipant::Refused { refusal, .. } = answer else { panic!("{answer:?}") };
    let refused = ParticipantError::Refused { name: "a".into(), refusal, differences: Vec::new() };
    assert_eq!(refused.code(), "CL-0440", "{refused}");
    assert_eq!(participant.list().unwrap(), []);
}
