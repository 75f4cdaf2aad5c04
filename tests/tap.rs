//! `corelane tap` as its users meet it: another process reads along.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use corelane_testkit::process::{Ended, Output, Place};
use corelane_transport::Participant;
use corelane_transport::lane::LaneKind;
use corelane_transport::schema::{Message, Pod, Zeroable};
use corelane_transport::topic::{PublishOptions, Publisher, SubscribeOptions};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Pod, Zeroable, Message)]
#[repr(C)]
#[bytemuck(crate = "corelane_transport::bytemuck")]
#[message(name = "quote")]
struct Quote {
    price: f64,
    quantity: u32,
    venue: [u8; 4],
}

fn quote(index: u32) -> Quote {
    Quote { price: 10.0 + f64::from(index) / 2.0, quantity: index, venue: *b"XETR" }
}

/// A place with an exchange of the test's own process.
struct Scene {
    place: Place,
    _folder: tempfile::TempDir,
    socket: PathBuf,
    participant: Participant,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("exchange");
    let participant = Participant::open(&socket).unwrap();
    Scene { place: Place::new(), _folder: folder, socket, participant }
}

impl Scene {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.command(env!("CARGO_BIN_EXE_corelane"));
        command.arg("tap").arg("--at").arg(&self.socket).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.place.start(self.command(arguments), Output::Pipes).wait()
    }

    fn quotes(&self) -> Publisher<Quote> {
        self.participant.publish::<Quote>("quotes", &PublishOptions::default()).unwrap()
    }
}

#[test]
fn live_messages_are_printed_by_their_schema_and_picked_by_a_filter() {
    let scene = scene();
    let mut publisher = scene.quotes();
    let arguments = ["quotes", "--count", "2", "--filter", "quantity >= 5 && venue[0] == 88"];
    let tap = scene.place.start(scene.command(&arguments), Output::Pipes);
    assert!(publisher.wait_for_subscribers(1, PATIENCE));
    for index in 0..10 {
        publisher.publish(&quote(index)).unwrap();
    }
    let ended = tap.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let expected = "price=12.5 quantity=5 venue=[88,69,84,82]\n\
                    price=13.0 quantity=6 venue=[88,69,84,82]\n";
    assert_eq!(ended.stdout, expected);
    assert!(ended.stderr.contains("printed=2 missed=0"), "{}", ended.stderr);
}

#[test]
fn history_is_printed_as_json_and_nobody_is_held_back() {
    let scene = scene();
    let options = PublishOptions { slots: 16, has_time: true, ..PublishOptions::default() };
    let mut publisher = scene.participant.publish::<Quote>("quotes", &options).unwrap();
    for index in 0..100 {
        publisher.publish(&quote(index)).unwrap();
    }
    let ended = scene.run(&["quotes", "--history", "--count", "3", "--format", "json"]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let lines: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    for line in &lines {
        assert_eq!(line["schema"], "corelane.tap/1");
        assert_eq!(line["message"]["quantity"], line["sequence"]);
        assert!(line["time_ns"].is_u64() && line["bytes"] == 16);
    }
    for index in 0..100 {
        publisher.publish(&quote(index)).expect("because the tap is gone and held nobody back");
    }
}

#[test]
fn a_tap_that_is_stopped_holds_no_reliable_subscriber_and_no_publisher_back() {
    let scene = scene();
    let options = PublishOptions { slots: 16, ..PublishOptions::default() };
    let mut publisher = scene.participant.publish_bytes("bytes", &options).unwrap();
    let reliable = SubscribeOptions::RELIABLE;
    let mut subscriber = scene.participant.subscribe_bytes("bytes", reliable).unwrap();
    let tap = scene.place.start(scene.command(&["bytes"]), Output::Pipes);
    assert!(publisher.wait_for_subscribers(2, PATIENCE));
    tap.signal(rustix::process::Signal::STOP);
    for index in 0..1_000_u32 {
        publisher.publish_within(&index.to_le_bytes(), PATIENCE).unwrap();
        let sample = subscriber.receive(PATIENCE).unwrap().expect("because it was published");
        assert_eq!(*sample, index.to_le_bytes());
    }
    tap.signal(rustix::process::Signal::CONT);
    tap.wait_until("a line", || (!tap.stdout_so_far().is_empty()).then_some(()));
    tap.signal(rustix::process::Signal::INT);
    let ended = tap.wait();
    assert_eq!(ended.code(), 130, "{}", ended.stderr);
    assert!(ended.stderr.contains("missed=9"), "nine hundred and more: {}", ended.stderr);
}

#[test]
fn what_there_is_is_listed() {
    let scene = scene();
    let _publisher = scene.quotes();
    let _lane = scene.participant.lane_sender("orders", LaneKind::LATENCY).unwrap();
    let ended = scene.run(&[]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let expected = "lane orders  sources=1 sinks=0 of=?\n\
                    topic quotes  sources=1 sinks=0 of=quote\n";
    assert_eq!(ended.stdout, expected);
}

#[test]
fn what_cannot_be_tapped_is_told() {
    let scene = scene();
    let _publisher = scene.quotes();
    let _lane = scene.participant.lane_sender("orders", LaneKind::LATENCY).unwrap();
    let _bytes = scene.participant.publish_bytes("bytes", &PublishOptions::default()).unwrap();
    for (arguments, code) in [
        (&["orders"][..], "CL-1185"),
        (&["bytes", "--filter", "price > 1"], "CL-1186"),
        (&["quotes", "--filter", "price >"], "CL-043"),
        (&["quotes", "--filter", "colour > 1"], "CL-043"),
        (&["", "--count", "1"], "CL-0445"),
    ] {
        let ended = scene.run(arguments);
        assert_eq!(ended.code(), 1, "{arguments:?} {}", ended.stderr);
        assert!(ended.stderr.contains(code), "{arguments:?} {}", ended.stderr);
    }
    let mut command = scene.place.command(env!("CARGO_BIN_EXE_corelane"));
    command.args(["tap", "--at", "/nowhere/at-all"]);
    let ended = scene.place.start(command, Output::Pipes).wait();
    assert!(ended.stderr.contains("CL-0333"), "{}", ended.stderr);
}
