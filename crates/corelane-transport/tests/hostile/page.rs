//! Hostile subscribers, and hostile ends of lanes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use corelane_shm::WordsRw;
use corelane_shm::fdpass::{Channel, ChannelError};
use corelane_transport::Participant;
use corelane_transport::exchange::Role;
use corelane_transport::exchange::message::{LaneOffer, ToSink, ToSource, Want, decode, encode};
use corelane_transport::lane::{LaneError, LaneKind, LaneOptions, LaneReceiveError, LaneSendError};
use corelane_transport::topic::{
    BytesPublisher, BytesSubscriber, LagPolicy, PublishError, PublishOptions, SubscribeOptions,
};
use fastrand::Rng;

use crate::fields::{Coverage, Field, mutate_one};
use crate::log::{ByHand, PATIENCE, segment};

const SEATS: usize = 4;
const HOLDS: usize = 8;
/// Slots of a hostile sender's lane, and the lines of each.
const SLOTS: usize = 8;
const LINES: usize = 2;
/// Its name; a topic has another.
pub(crate) const LANE: &str = "lane";
/// Sleepers, then joins and cursors, padded to a line.
const GROUP_HEADER: usize = 24;

/// A group that keeps to the handshake and to nothing else.
struct EvilGroup {
    _hand: ByHand,
    link: Channel,
    fields: Vec<Field>,
}

impl EvilGroup {
    fn link(place: &Path, end: u64, is_fenced: bool) -> Self {
        let hand = ByHand::join(place);
        let link = hand.link(end, Role::Subscriber, "a");
        let words = GROUP_HEADER + SEATS * HOLDS;
        let group = segment(words, 13, u64::from_le_bytes(*b"seats v1"));
        let want = Want { protocol: 1, seats: SEATS, holds: HOLDS, is_reliable: true, is_fenced };
        let want = encode(&ToSource::Want(want));
        link.send(&want, &[group.fd()], PATIENCE).unwrap();
        let answer = link.recv(PATIENCE).unwrap();
        assert!(matches!(decode(&answer.bytes), Some(ToSink::Log(_))), "{answer:?}");
        let words = group.into_words();
        let fields = vec![
            Field::new("sleepers", &words, 0, 1),
            Field::new("joins", &words, 8, 1),
            Field::new("cursors", &words, 16, SEATS),
            Field::new("holds", &words, GROUP_HEADER, SEATS * HOLDS),
        ];
        Self { _hand: hand, link, fields }
    }
}

/// A publisher that is attacked, and a good subscriber that loses nothing by it.
struct Scene {
    _folder: tempfile::TempDir,
    place: std::path::PathBuf,
    _participant: Participant,
    victim: BytesPublisher,
    good: BytesSubscriber,
    next: u64,
}

fn payload(index: u64) -> Vec<u8> {
    vec![index as u8; (index * 97 % 3_000) as usize]
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("exchange");
        let participant = Participant::open(&place).unwrap();
        // A reliable subscriber that stands still is dismissed: that is what the policy is for.
        let options = PublishOptions {
            slots: 32,
            subscribers_max: 16,
            lag: LagPolicy::Evict { lag_max: 32 },
            slab_bytes_max: 8 << 20,
            ..PublishOptions::default()
        };
        let victim = participant.publish_bytes("a", &options).unwrap();
        let good = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
        Self { _folder: folder, place, _participant: participant, victim, good, next: 0 }
    }

    fn go_on(&mut self) {
        match self.victim.publish(&payload(self.next)) {
            Ok(()) => {
                let sample = self.good.receive(PATIENCE.unwrap()).unwrap();
                let sample = sample.expect("because it was published");
                assert_eq!(
                    (sample.origin.sequence, &*sample),
                    (self.next, &payload(self.next)[..])
                );
                self.next += 1;
            }
            // What the hostile one claims to hold is held; that is bounded by what it can name.
            Err(PublishError::Full { .. } | PublishError::Loan(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn run_group(mutations: u64, rng: &mut Rng, coverage: &mut Coverage) {
    let mut scene = Scene::new();
    let mut end = 100;
    let mut evil = EvilGroup::link(&scene.place, end, true);
    while coverage.total() < mutations {
        for _ in 0..rng.u8(1..4) {
            mutate_one(&evil.fields, rng, coverage);
        }
        for _ in 0..rng.u8(1..4) {
            scene.go_on();
        }
        if rng.u16(..500) == 0 {
            end += 1;
            evil = EvilGroup::link(&scene.place, end, rng.bool());
        }
    }
    drop(evil);
    while scene.victim.counts().links.linked > 1 {
        thread::yield_now();
    }
    // Whatever it held is free once it is gone.
    let before = scene.next;
    for _ in 0..200 {
        scene.go_on();
    }
    assert_eq!(scene.next, before + 200, "nobody holds the publisher back any more");
    let slab = scene.victim.counts().slab;
    assert!(slab.bytes <= 8 << 20, "{slab:?}");
}

pub(crate) fn run_group_meanwhile(mutations: u64, rng: &mut Rng, coverage: &mut Coverage) {
    let mut scene = Scene::new();
    let mut end = 100;
    while coverage.total() < mutations {
        end += 1;
        let evil = EvilGroup::link(&scene.place, end, rng.bool());
        let is_over = Arc::new(AtomicBool::new(false));
        let (mut own, mut counted) = (Rng::with_seed(rng.u64(..)), Coverage::default());
        let stop = is_over.clone();
        let attacker = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                mutate_one(&evil.fields, &mut own, &mut counted);
            }
            drop(evil.link);
            counted
        });
        (0..500).for_each(|_| scene.go_on());
        is_over.store(true, Ordering::Relaxed);
        coverage.merge(attacker.join().unwrap());
    }
    assert!(scene.next > 0);
}

/// An end of a lane, once the exchange has heard that the one before is gone.
fn when_free<T: std::fmt::Debug>(end: impl Fn() -> Result<T, LaneError>) -> T {
    loop {
        match end() {
            Err(error) => assert_eq!(error.code(), "CL-0448", "{error}"),
            end => return end.expect("because an error was looked at above"),
        }
    }
}

/// A lane of a sender that keeps to the handshake, with its receiver and its tap, and to nothing
/// else.
pub(crate) struct EvilLane {
    hand: ByHand,
    links: (Channel, Channel),
    words: WordsRw,
    pub(crate) fields: Vec<Field>,
}

impl EvilLane {
    pub(crate) fn link(place: &Path, end: u64, is_new: bool) -> Self {
        let hand = ByHand::join(place);
        let (receiver, tap) = receiver_and_tap(hand.links(end, Role::Sender, LANE, 2));
        let words = 16 + SLOTS * LINES * 8;
        let segment = segment(words, 15, u64::from_le_bytes(*b"slots v1"));
        let lane = LaneOffer::Latency { slots: SLOTS, slot_lines: LINES };
        receiver.send(&encode(&ToSink::Lane(lane)), &[segment.fd()], PATIENCE).unwrap();
        let _ = receiver.recv(PATIENCE);
        let tapped = encode(&ToSink::Tapped { lane, is_new });
        tap.send(&tapped, &[segment.fd()], PATIENCE).unwrap();
        tap.send(&encode(&ToSink::Ready {}), &[], PATIENCE).unwrap();
        let words = segment.into_words();
        let mut fields = vec![
            Field::new("bell", &words, 0, 1),
            Field::new("intent", &words, 1, 1),
            Field::new("room wanted", &words, 8, 1),
        ];
        for slot in 0..SLOTS {
            let first = 16 + slot * LINES * 8;
            fields.push(Field::new("commit words", &words, first, 1));
            fields.push(Field::new("slots", &words, first + 1, LINES * 8 - 1));
        }
        for _ in 0..4 {
            fields.extend_from_within(..3);
        }
        Self { hand, links: (receiver, tap), words, fields }
    }

    /// A commit that is due behind so many records, with a length that may be possible.
    pub(crate) fn commit(&self, before: u64, rng: &mut Rng) {
        let first = 16 + (before as usize % SLOTS) * LINES * 8;
        self.words.store_release(first, rng.u64(..130) << 32 | (before + 1) & 0xffff_ffff);
    }

    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.links.0.recv(Some(Duration::ZERO)), Err(ChannelError::Closed))
    }
}

pub(crate) fn run_sender(mutations: u64, rng: &mut Rng, coverage: &mut Coverage) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("exchange");
    let participant = Participant::open(&place).unwrap();
    let mut victim = participant.lane_receiver(LANE, LaneOptions::default()).unwrap();
    let mut tap = participant.lane_tap(LANE).unwrap();
    let (mut end, mut received, mut cut, mut tap_cut) = (100, 0, 0, 0);
    while coverage.total() < mutations {
        end += 1;
        let evil = EvilLane::link(&place, end, rng.bool());
        assert!(tap.wait_for_sender(PATIENCE.unwrap()));
        let mut read = Vec::new();
        for round in 0..2_000_u64 {
            mutate_one(&evil.fields, rng, coverage);
            if rng.bool() {
                // An intent that may be possible, so that the tap goes on.
                evil.words.store_release(1, received + rng.u64(..4));
            }
            if rng.u8(..3) == 0 {
                evil.commit(received, rng);
            }
            match tap.try_receive(&mut read) {
                Ok(_) => assert!(read.len() <= (LINES * 8 - 1) * 8),
                Err(LaneReceiveError::Corrupt { .. }) => tap_cut += 1,
                Err(error) => panic!("{error}"),
            }
            match victim.drain(4, |record| assert!(record.len() <= (LINES * 8 - 1) * 8)) {
                Ok(count) => received += count as u64,
                Err(LaneReceiveError::Corrupt { .. }) => {
                    cut += 1;
                    break;
                }
                Err(error) => panic!("{error}"),
            }
            assert!(round < 2_000);
        }
        drop((evil.hand, evil.links));
        received = 0;
        while victim.is_connected() || tap.is_connected() {
            thread::yield_now();
        }
        let mut rest = Vec::new();
        while matches!(victim.try_receive(&mut rest), Ok(true)) {}
    }
    assert!(cut > 0 && tap_cut > 0, "not one was cut off: {cut} {tap_cut}");
    // An honest sender finds a receiver that works.
    let mut sender = when_free(|| participant.lane_sender(LANE, LaneKind::LATENCY));
    while sender.taps() == 0 {
        thread::yield_now();
    }
    sender.send_within(b"good", PATIENCE.unwrap()).unwrap();
    let mut record = Vec::new();
    loop {
        match victim.receive(&mut record, PATIENCE.unwrap()) {
            Ok(is_received) => break assert!(is_received),
            Err(error) => println!("told late: {error}"),
        }
    }
    assert_eq!(record, b"good");
    loop {
        match tap.receive(&mut record, PATIENCE.unwrap()) {
            Ok(true) if record == b"good" => break,
            // What the hostile one left in its ring is read before.
            Ok(is_read) => assert!(is_read),
            Err(error) => println!("told late: {error}"),
        }
    }
}

/// The links of a sender to its receiver and to its tap, each known by its first word.
fn receiver_and_tap(links: Vec<Channel>) -> (Channel, Channel) {
    let is_tap = |link: &Channel| {
        let first = decode(&link.recv(PATIENCE).unwrap().bytes);
        matches!(first, Some(ToSource::Tap { .. }))
    };
    let (taps, mut receivers): (Vec<_>, Vec<_>) = links.into_iter().partition(is_tap);
    let [tap] = <[Channel; 1]>::try_from(taps).expect("because one of the two is a tap");
    (receivers.pop().expect("because the other one is a receiver"), tap)
}

pub(crate) fn run_receiver(mutations: u64, rng: &mut Rng, coverage: &mut Coverage) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("exchange");
    let participant = Participant::open(&place).unwrap();
    let kind = LaneKind::Latency { slots: 8, slot_lines: 2 };
    let mut victim = participant.lane_sender("a", kind).unwrap();
    let (mut end, mut cut) = (100, 0);
    while coverage.total() < mutations {
        end += 1;
        let hand = ByHand::join(&place);
        let link = hand.link(end, Role::Receiver, "a");
        let page = segment(16, 14, u64::from_le_bytes(*b"head  v1"));
        let want =
            Want { protocol: 1, seats: 0, holds: 0, is_reliable: true, is_fenced: rng.bool() };
        link.send(&encode(&ToSource::Want(want)), &[page.fd()], PATIENCE).unwrap();
        link.recv(PATIENCE).unwrap();
        link.send(&encode(&ToSource::Joined {}), &[], PATIENCE).unwrap();
        assert!(victim.wait_for_receiver(PATIENCE.unwrap()));
        let words: WordsRw = page.into_words();
        let fields = [Field::new("head", &words, 0, 1), Field::new("sleep word", &words, 8, 1)];
        let mut sent = 0;
        for _ in 0..200 {
            if rng.bool() {
                // A head that may be possible, so that there is room to go on.
                words.store_release(0, sent);
            }
            mutate_one(&fields, rng, coverage);
            let count = match victim.send_many([&[1; 100][..], &[2; 20]]) {
                Ok(count) => count as u64,
                Err(LaneSendError::Full { .. }) => 0,
                Err(LaneSendError::Corrupt { .. } | LaneSendError::NotConnected) => {
                    cut += 1;
                    break;
                }
                Err(error) => panic!("{error}"),
            };
            sent += count;
            let _ = victim.send_within(&[3; 10], Duration::from_micros(rng.u64(..3)));
        }
        drop((hand, link));
        while victim.is_connected() {
            thread::yield_now();
        }
    }
    assert!(cut > 0 && victim.why_cut().is_some(), "not one was cut off");
    let mut receiver = when_free(|| participant.lane_receiver("a", LaneOptions::default()));
    victim.send_within(b"good", PATIENCE.unwrap()).unwrap();
    let mut record = Vec::new();
    assert!(receiver.receive(&mut record, PATIENCE.unwrap()).unwrap());
    assert_eq!(record, b"good");
}
