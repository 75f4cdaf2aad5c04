//! A hostile publisher: its log and its extents.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use corelane_ring::broadcast::{LogShape, TAIL};
use corelane_shm::fdpass::{self, Channel};
use corelane_shm::slab::EXTENT_KIND;
use corelane_shm::{OwnedSegment, SegmentInfo, WordsRw};
use corelane_transport::Participant;
use corelane_transport::exchange::Role;
use corelane_transport::exchange::message::{
    LogOffer, PROTOCOL, Registration, ToExchange, ToParticipant, ToSink, ToSource, decode, encode,
};
use corelane_transport::topic::{
    BytesPublisher, BytesSubscriber, PublishOptions, ReceiveError, SubscribeOptions,
};
use fastrand::Rng;

use crate::fields::{Coverage, Field, mutate_one};

pub(crate) const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));
const SLOTS: usize = 16;
const SEATS: usize = 8;
/// A record of bytes: meta and fifteen words.
const RECORD_WORDS: usize = 16;
const CHUNKS: usize = 4;
const CHUNK_BYTES: usize = 1_024;
/// Words of an extent before its chunks: a page.
const EXTENT_HEADER: usize = 512;

/// A connection to the exchange that speaks by hand.
pub(crate) struct ByHand {
    pub(crate) exchange: Channel,
}

impl ByHand {
    pub(crate) fn join(place: &std::path::Path) -> Self {
        let exchange = fdpass::connect(place).unwrap();
        exchange.send(&encode(&ToExchange::Hello { protocol: PROTOCOL }), &[], PATIENCE).unwrap();
        let hand = Self { exchange };
        assert_eq!(hand.next().0, ToParticipant::Welcome { protocol: PROTOCOL });
        hand
    }

    pub(crate) fn next(&self) -> (ToParticipant, Vec<std::os::fd::OwnedFd>) {
        let packet = self.exchange.recv(PATIENCE).unwrap();
        (decode(&packet.bytes).expect("because the exchange is an honest one"), packet.fds)
    }

    /// Brings an end, and waits for its first link.
    pub(crate) fn link(&self, end: u64, role: Role, name: &str) -> Channel {
        let mut links = self.links(end, role, name, 1);
        links.pop().expect("because it was waited for")
    }

    /// Brings an end, and waits for so many links.
    pub(crate) fn links(&self, end: u64, role: Role, name: &str, count: usize) -> Vec<Channel> {
        let mut links = Vec::new();
        let registration =
            Registration { end, role, name: name.into(), tag: None, linked: Vec::new() };
        let message = encode(&ToExchange::Register(registration));
        self.exchange.send(&message, &[], PATIENCE).unwrap();
        loop {
            match self.next() {
                (ToParticipant::Link { .. }, mut fds) => {
                    links.push(Channel::from(fds.pop().expect("because a link has a socket")));
                    if links.len() == count {
                        return links;
                    }
                }
                // The end of the one before was not heard of yet.
                (ToParticipant::Refused { .. }, _) => {
                    self.exchange.send(&message, &[], PATIENCE).unwrap();
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn segment(words: usize, kind: u32, hash: u64) -> OwnedSegment {
    let info = SegmentInfo { kind, generation: 1, layout_version: 1, layout_hash: hash };
    OwnedSegment::create("corelane-test-evil", words, info).unwrap()
}

/// A publisher that keeps to the handshake and to nothing else.
pub(crate) struct Evil {
    _hand: ByHand,
    link: Channel,
    log: WordsRw,
    pub(crate) fields: Vec<Field>,
}

impl Evil {
    pub(crate) fn link(place: &std::path::Path, end: u64) -> Self {
        let hand = ByHand::join(place);
        let link = hand.link(end, Role::Publisher, "a");
        let want = link.recv(PATIENCE).unwrap();
        let Some(ToSource::Want(want)) = decode(&want.bytes) else { panic!("{want:?}") };
        let shape = LogShape::new(SLOTS, RECORD_WORDS, SEATS).unwrap();
        let log = segment(shape.data_words(), 10, u64::from_le_bytes(*b"log   v1"));
        let words = EXTENT_HEADER + CHUNKS * CHUNK_BYTES / 8;
        let extent = segment(words, EXTENT_KIND, CHUNK_BYTES as u64);
        let offer = LogOffer {
            slots: SLOTS,
            record_words: RECORD_WORDS,
            seats_max: SEATS,
            first_seat: 0,
            has_time: false,
            has_hash: false,
            message_bytes: None,
        };
        assert_eq!(want.seats, 1);
        link.send(&encode(&ToSink::Log(offer)), &[log.fd()], PATIENCE).unwrap();
        let told = ToSink::Extent { number: 0, chunk_bytes: CHUNK_BYTES, chunks: CHUNKS };
        link.send(&encode(&told), &[extent.fd()], PATIENCE).unwrap();
        link.send(&encode(&ToSink::Ready {}), &[], PATIENCE).unwrap();
        // Whether it joined, or was cut off already.
        let _ = link.recv(PATIENCE);
        let (log, extent) = (log.into_words(), extent.into_words());
        let records = shape.data_words() - SLOTS * RECORD_WORDS;
        let mut fields = vec![
            Field::new("tail", &log, TAIL, 1),
            Field::new("intent", &log, 16, 1),
            Field::new("floor", &log, 17, 1),
            Field::new("room", &log, 18, 1),
            Field::new("gates", &log, 32, SEATS),
            Field::new("generations", &extent, 0, CHUNKS),
            Field::new("chunks", &extent, EXTENT_HEADER, CHUNKS * CHUNK_BYTES / 8),
        ];
        let names = ["meta", "place", "length", "generation"];
        for (offset, name) in names.into_iter().enumerate() {
            for slot in 0..SLOTS {
                let first = records + slot * RECORD_WORDS + offset;
                fields.push(Field::new(name, &log, first, 1));
            }
        }
        // The words that there is one of are as likely as the others.
        for _ in 0..8 {
            fields.extend_from_within(..7);
        }
        Self { _hand: hand, link, log, fields }
    }

    /// Publishes whatever the slots hold, so that there is something to read.
    pub(crate) fn advance(&self, rng: &mut Rng) {
        let tail = self.log.load_relaxed(TAIL) & !(1 << 63);
        if rng.u8(..4) != 0 {
            // Behind a plausible header of either kind.
            let slot = tail as usize % SLOTS;
            let first = self.log.len() - (SLOTS - slot) * RECORD_WORDS;
            let meta = if rng.bool() { 1 << 32 } else { rng.u64(..130) };
            self.log.write(first, &[meta, rng.u64(..5), rng.u64(..1_100), rng.u64(..3)]);
        }
        self.log.store_release(TAIL, tail.wrapping_add(1) & !(1 << 63));
    }

    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.link.recv(Some(Duration::ZERO)), Err(fdpass::ChannelError::Closed))
    }
}

/// A good publisher and a good subscriber of the same topic, and the subscriber that is attacked.
struct Scene {
    _folder: tempfile::TempDir,
    place: std::path::PathBuf,
    _participant: Participant,
    good: BytesPublisher,
    sent: u64,
    victim: BytesSubscriber,
    received: u64,
    outcomes: Coverage,
}

impl Scene {
    fn new(is_reliable: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("exchange");
        let participant = Participant::open(&place).unwrap();
        let options = match is_reliable {
            true => SubscribeOptions::RELIABLE,
            false => SubscribeOptions::LOSSY,
        };
        let good = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
        let victim = participant.subscribe_bytes("a", options).unwrap();
        let (sent, received) = (0, 0);
        let outcomes = Coverage::default();
        Self {
            _folder: folder,
            place,
            _participant: participant,
            good,
            sent,
            victim,
            received,
            outcomes,
        }
    }

    fn say(&mut self) {
        self.good.publish(&self.sent.to_le_bytes()).unwrap();
        self.sent += 1;
    }

    /// What the victim does with what it finds; what the good publisher said comes in order.
    fn hear(&mut self) {
        let good = self.good.number();
        let outcome = match self.victim.try_receive() {
            Ok(Some(sample)) if sample.origin.publisher == good => {
                assert_eq!(*sample, self.received.to_le_bytes());
                self.received += 1;
                "good"
            }
            Ok(Some(sample)) => {
                assert!(sample.len() <= CHUNK_BYTES, "longer than anything there is");
                "garbage"
            }
            Ok(None) => "nothing",
            Err(ReceiveError::Lagged { publisher, .. }) => {
                assert_ne!(publisher, good);
                "lagged"
            }
            Err(error) => {
                assert_ne!(error.code(), "CL-0460", "{error}");
                error.code()
            }
        };
        self.outcomes.count(outcome);
    }

    /// What the good publisher said last is received whatever the hostile one did.
    fn settle(&mut self) {
        let mut looks = 0;
        while self.received < self.sent {
            self.hear();
            looks += 1;
            assert!(looks < 10_000_000, "the victim loops: {}", self.outcomes);
        }
        println!("hostile outcomes: {}", self.outcomes);
    }
}

/// One thing after the other, so that a failure repeats.
pub(crate) fn run(is_reliable: bool, mutations: u64, rng: &mut Rng, coverage: &mut Coverage) {
    let mut scene = Scene::new(is_reliable);
    let mut end = 100;
    let mut evil = Evil::link(&scene.place, end);
    while coverage.total() < mutations {
        for _ in 0..rng.u8(1..4) {
            mutate_one(&evil.fields, rng, coverage);
        }
        evil.advance(rng);
        if rng.u8(..16) == 0 {
            scene.say();
        }
        for _ in 0..rng.u8(1..4) {
            scene.hear();
        }
        // One that was cut off, or got stuck by its own words, comes again.
        if rng.u16(..200) == 0 || evil.is_cut() {
            end += 1;
            evil = Evil::link(&scene.place, end);
        }
        if scene.sent - scene.received > 500 {
            scene.settle();
        }
    }
    scene.settle();
}

/// Both at the same time, so that what is read twice is seen to be.
pub(crate) fn run_meanwhile(mutations: u64, rng: &mut Rng, coverage: &mut Coverage) {
    let mut scene = Scene::new(false);
    let mut end = 100;
    while coverage.total() < mutations {
        end += 1;
        let evil = Evil::link(&scene.place, end);
        let is_over = Arc::new(AtomicBool::new(false));
        let (mut own, mut counted) = (Rng::with_seed(rng.u64(..)), Coverage::default());
        let stop = is_over.clone();
        let attacker = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                mutate_one(&evil.fields, &mut own, &mut counted);
                if own.bool() {
                    evil.advance(&mut own);
                }
            }
            counted
        });
        for _ in 0..2_000 {
            scene.hear();
            if rng.u8(..16) == 0 {
                scene.say();
            }
        }
        is_over.store(true, Ordering::Relaxed);
        coverage.merge(attacker.join().unwrap());
        scene.settle();
    }
}
