//! What a topic, a lane and a participant take: stated in docs/SPECIFICATION.md, counted here.
//!
//! One test in a process of its own, because it counts all segments that the process has mapped.

use std::collections::BTreeMap;
use std::time::Duration;

use corelane_transport::Participant;
use corelane_transport::lane::{LaneKind, LaneOptions};
use corelane_transport::topic::{PublishOptions, SubscribeOptions};

const KIB: usize = 1 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of the segments that this process has mapped writable, by name: its own, each once.
fn own_segments() -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split_whitespace();
        let (range, access) = (words.next().unwrap(), words.next().unwrap());
        let Some((_, name)) = line.split_once("/memfd:corelane-") else { continue };
        if !access.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let address = |text| usize::from_str_radix(text, 16).unwrap();
        let name = name.split_whitespace().next().unwrap().to_owned();
        *found.entry(name).or_default() += address(to) - address(from);
    }
    found
}

#[test]
fn nothing_is_there_before_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let participant = Participant::open(&folder.path().join("exchange")).unwrap();
    assert_eq!(own_segments(), BTreeMap::new(), "a participant has no segment");
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let second = Participant::join(participant.path()).unwrap();
    // Its own three, and the exchange's end of one of them.
    assert!((before + 3..=before + 4).contains(&descriptors()), "{before} {}", descriptors());
    drop(second);

    // A header page, the words of the log, and 1,024 records of 128 bytes.
    let mut publisher = participant.publish_bytes("a", &PublishOptions::default()).unwrap();
    let (mut log, bell) = (4 + 12 + 128, 8);
    assert_eq!(own_segments()["log"], log * KIB);
    assert_eq!(own_segments()["event-count"], bell * KIB);
    assert_eq!(own_segments().len(), 2, "no slab before the first large payload");

    // A page for the header, a page for the group.
    let mut subscriber = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    assert_eq!(own_segments()["group"], 8 * KIB);
    assert_eq!(own_segments()["log"], log * KIB, "a subscriber costs its publisher nothing");

    // The first large payload takes an extent of its size, and no more than 128 KiB beside it.
    publisher.publish(&[7; 1_000]).unwrap();
    assert!(own_segments()["extent"] <= (128 + 8) * KIB, "{:?}", own_segments());
    publisher.publish(&vec![7; 1 << 20]).unwrap();
    assert!(own_segments()["extent"] <= (1 << 20) + (128 + 16) * KIB, "{:?}", own_segments());
    while subscriber.receive(PATIENCE).unwrap().is_some_and(|sample| sample.len() < 1 << 20) {}

    // A smaller topic takes less.
    let small = PublishOptions { slots: 16, subscribers_max: 8, ..PublishOptions::default() };
    let _other = participant.publish_bytes("b", &small).unwrap();
    log += 8;
    assert_eq!(own_segments()["log"], log * KIB);

    // A header page and the slots; a header page and the receiver's page.
    let sender = participant.lane_sender("c", LaneKind::LATENCY).unwrap();
    assert_eq!(own_segments().get("lane"), None, "no ring before there is a receiver");
    let receiver = participant.lane_receiver("c", LaneOptions::default()).unwrap();
    assert!(sender.wait_for_receiver(PATIENCE) && receiver.wait_for_sender(PATIENCE));
    let segments = own_segments();
    assert_eq!((segments["lane"], segments["head"]), (40 * KIB, 8 * KIB));

    // A tap has a bell and no page, and costs the two ends nothing.
    let tap = participant.lane_tap("c").unwrap();
    let mut with_tap = own_segments();
    *with_tap.get_mut("event-count").unwrap() -= bell * KIB;
    assert_eq!(with_tap, segments);

    // And all of it is given back.
    drop((publisher, subscriber, _other, sender, receiver, tap));
    let end = std::time::Instant::now() + PATIENCE;
    while !own_segments().is_empty() {
        assert!(std::time::Instant::now() < end, "{:?}", own_segments());
        std::thread::yield_now();
    }
}
