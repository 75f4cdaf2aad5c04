//! Hostile words: at the exchange, and over links.

use corelane_shm::fdpass;
use corelane_transport::Participant;
use corelane_transport::exchange::message::{
    LaneOffer, LogOffer, Registration, ToExchange, ToSink, ToSource, TypeTag, Want, encode,
};
use corelane_transport::exchange::{Role, TAPS_MAX};
use corelane_transport::lane::LaneKind;
use corelane_transport::topic::{PublishOptions, SubscribeOptions};
use fastrand::Rng;

use crate::fields::Coverage;
use crate::log::{ByHand, PATIENCE, segment};

/// A packet that is one of the protocol's with some of its bytes changed, cut, or doubled; and what
/// it was made of.
fn packet(rng: &mut Rng) -> (&'static str, Vec<u8>) {
    let number = |rng: &mut Rng| match rng.u8(..4) {
        0 => u64::MAX,
        1 => 0,
        2 => rng.u64(..),
        _ => rng.u64(..200),
    };
    let size = |rng: &mut Rng| number(rng) as usize;
    let roles = [Role::Publisher, Role::Subscriber, Role::Sender, Role::Receiver, Role::Tap];
    let role = roles[rng.usize(..5)];
    let lane = |rng: &mut Rng| match rng.bool() {
        true => LaneOffer::Latency { slots: size(rng), slot_lines: size(rng) },
        false => LaneOffer::Throughput { capacity_bytes: size(rng) },
    };
    let (kind, mut bytes) = match rng.u8(..10) {
        0 => ("hello", encode(&ToExchange::Hello { protocol: number(rng) as u32 })),
        1 => {
            let tag = TypeTag { hash: "x".repeat(rng.usize(..50)), schema: "nonsense".into() };
            let name = ["a", "b", "", "topic"][rng.usize(..4)].to_owned();
            let linked = (0..rng.usize(..20)).map(|_| rng.u64(..200)).collect();
            let tag = rng.bool().then_some(tag);
            let end = number(rng);
            let asked = Registration { end, role, name, tag, linked };
            ("register", encode(&ToExchange::Register(asked)))
        }
        2 => ("withdraw", encode(&ToExchange::Withdraw { end: number(rng) })),
        3 => {
            let (seats, holds) = (size(rng), size(rng));
            let want = Want { protocol: 1, seats, holds, is_reliable: rng.bool(), is_fenced: true };
            ("want", encode(&ToSource::Want(want)))
        }
        4 => {
            let offer = LogOffer {
                slots: 1 << rng.u8(..63),
                record_words: size(rng),
                seats_max: size(rng),
                first_seat: size(rng),
                has_time: rng.bool(),
                has_hash: rng.bool(),
                message_bytes: rng.bool().then(|| size(rng)),
            };
            ("log", encode(&ToSink::Log(offer)))
        }
        5 => {
            let (chunk_bytes, chunks) = (size(rng), size(rng));
            let number = number(rng) as u32;
            ("extent", encode(&ToSink::Extent { number, chunk_bytes, chunks }))
        }
        6 => ("lane", encode(&ToSink::Lane(lane(rng)))),
        7 => ("tap", encode(&ToSource::Tap { protocol: number(rng) as u32 })),
        8 => {
            let tapped = ToSink::Tapped { lane: lane(rng), is_new: rng.bool() };
            ("tapped", encode(&tapped))
        }
        _ => ("ready", encode(&ToSink::Ready {})),
    };
    for _ in 0..rng.u8(..3) {
        let at = rng.usize(..bytes.len());
        match rng.u8(..4) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes.truncate(at.max(1)),
            2 => bytes.insert(at, b'"'),
            _ => bytes.extend_from_within(at..),
        }
    }
    (kind, bytes)
}

pub(crate) fn run(mutations: u64, rng: &mut Rng, coverage: &mut Coverage) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("exchange");
    let participant = Participant::open(&place).unwrap();
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut good = participant.publish_bytes("steady", &PublishOptions::default()).unwrap();
    let mut hears = participant.subscribe_bytes("steady", SubscribeOptions::RELIABLE).unwrap();
    let _publisher = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
    let _subscriber = participant.subscribe_bytes("a", SubscribeOptions::LOSSY).unwrap();
    let sender = participant.lane_sender("b", LaneKind::LATENCY).unwrap();
    let mut tap = participant.lane_tap("c").unwrap();
    let before = descriptors();
    let spare = segment(600, 10, 1);
    let (mut end, mut said) = (1_000, 0_u64);
    while coverage.total() < mutations {
        // To the exchange, with and without a greeting, or over a link to a good end.
        let channel = match rng.u8(..4) {
            0 => fdpass::connect(&place).unwrap(),
            1 => ByHand::join(&place).exchange,
            linked => {
                let (role, name) = match linked {
                    2 => (Role::Subscriber, "a"),
                    _ => [
                        (Role::Publisher, "a"),
                        (Role::Receiver, "b"),
                        (Role::Tap, "b"),
                        (Role::Sender, "c"),
                    ][rng.usize(..4)],
                };
                end += 1;
                ByHand::join(&place).link(end, role, name)
            }
        };
        for _ in 0..rng.u8(1..20) {
            let (kind, bytes) = packet(rng);
            let fds: Vec<_> = (0..rng.usize(..4)).map(|_| spare.fd()).collect();
            coverage.count(kind);
            // One that was cut off has had its say.
            if channel.send(&bytes, &fds, PATIENCE).is_err() {
                break;
            }
        }
        assert!(sender.taps() <= TAPS_MAX);
        // What it is told of hostile senders it may tell; there is never a record.
        assert!(!matches!(tap.try_receive(&mut Vec::new()), Ok(true)));
        good.publish(&said.to_le_bytes()).unwrap();
        let sample = hears.receive(PATIENCE.unwrap()).unwrap().expect("because it was published");
        assert_eq!(*sample, said.to_le_bytes());
        said += 1;
    }
    // Every descriptor that was thrown at it is closed again.
    let end = std::time::Instant::now() + PATIENCE.unwrap();
    while descriptors() > before + 1 {
        assert!(std::time::Instant::now() < end, "{} descriptors, not {before}", descriptors());
        std::thread::yield_now();
    }
    assert!(participant.list().unwrap().iter().any(|listed| listed.name == "steady"));
}
