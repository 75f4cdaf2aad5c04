//! `corelane tap` as its users meet it: another process reads along.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use corelane_testkit::process::{Ended, Output, Place, Running};
use corelane_testkit::trusted;
use corelane_transport::Participant;
use corelane_transport::lane::{LaneKind, LaneOptions, LaneReceiver, LaneSender};
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

    fn tap(&self, arguments: &[&str]) -> Running<'_> {
        self.place.start(self.command(arguments), Output::Pipes)
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
    tap.stand_still();
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
    let _tap = scene.participant.lane_tap("orders").unwrap();
    let ended = scene.run(&[]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let expected = "lane orders  sources=1 sinks=0 taps=1 of=?\n\
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
        (&["orders", "--history"][..], "CL-1187"),
        (&["orders", "--filter", "price > 1"], "CL-1186"),
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

/// Both kinds of lanes, so small that a tap which stands still is lapped at once.
const LANES: [LaneKind; 2] =
    [LaneKind::Latency { slots: 16, slot_lines: 1 }, LaneKind::Throughput { capacity_bytes: 2048 }];

/// A record that says of itself whether it is whole: its number some times, and a sum of that.
fn sealed(number: u64) -> Vec<u8> {
    let mut words = vec![number; 1 + number as usize % 4];
    words.push(words.iter().fold(7, |sum: u64, word| sum.rotate_left(9) ^ !word));
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The numbers of the records in lines of hexadecimal, each of which has to be whole.
fn numbers(stdout: &str) -> Vec<u64> {
    let whole_lines = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    let number = |line: &str| {
        let byte = |at| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..line.len()).step_by(2).map(byte).collect();
        let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        assert_eq!(bytes, sealed(number), "torn: {line}");
        number
    };
    let numbers: Vec<u64> =
        whole_lines.lines().filter(|line| !line.is_empty()).map(number).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "each once, in order");
    numbers
}

fn last(tap: &Running<'_>) -> Option<u64> {
    numbers(&tap.stdout_so_far()).last().copied()
}

fn lane_options() -> LaneOptions {
    LaneOptions { trusted: Some(trusted()), ..LaneOptions::default() }
}

/// Sends one record after the other, and at the end one that is empty.
fn send_until(mut sender: LaneSender, is_over: &AtomicBool, sent: &AtomicU64) {
    while !is_over.load(Ordering::Relaxed) {
        let number = sent.load(Ordering::Relaxed);
        sender.send_within(&sealed(number), PATIENCE).expect("because the receiver reads");
        sent.store(number + 1, Ordering::Relaxed);
    }
    sender.send_within(b"", PATIENCE).expect("because the receiver reads");
}

/// Receives every record in order, up to the empty one; how many.
fn receive_all(mut receiver: LaneReceiver) -> u64 {
    let mut record = Vec::new();
    for number in 0.. {
        assert!(receiver.receive(&mut record, PATIENCE).unwrap());
        if record.is_empty() {
            return number;
        }
        assert_eq!(record, sealed(number), "nothing is lost or torn");
    }
    unreachable!("numbers do not end")
}

/// A busy lane, while `look` is called with what was sent so far: nothing of it may be lost.
fn while_busy(sender: LaneSender, receiver: LaneReceiver, look: impl FnOnce(&AtomicU64)) {
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| send_until(sender, &is_over, &sent));
        let received = scope.spawn(|| receive_all(receiver));
        // A look that fails ends the lane as well.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(&sent)));
        is_over.store(true, Ordering::Relaxed);
        let received = received.join().unwrap();
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
        assert_eq!(received, sent.load(Ordering::Relaxed));
    });
}

fn wait_for_more(sent: &AtomicU64, more: u64) -> u64 {
    let before = sent.load(Ordering::Relaxed);
    while sent.load(Ordering::Relaxed) < before + more {
        thread::yield_now();
    }
    sent.load(Ordering::Relaxed)
}

#[test]
fn a_busy_lane_is_read_along_and_neither_end_loses_a_record() {
    for kind in LANES {
        let scene = scene();
        let sender = scene.participant.lane_sender("orders", kind).unwrap();
        let tap = scene.tap(&["orders", "--format", "hex"]);
        tap.wait_until("the tap", || (sender.taps() == 1).then_some(()));
        let receiver = scene.participant.lane_receiver("orders", lane_options()).unwrap();
        while_busy(sender, receiver, |sent| {
            tap.wait_until("a line", || last(&tap));
            tap.stand_still();
            let sent_meanwhile = wait_for_more(sent, 2_000);
            tap.signal(rustix::process::Signal::CONT);
            tap.wait_until("a record behind the gap", || {
                last(&tap).filter(|&number| number >= sent_meanwhile)
            });
        });
        tap.signal(rustix::process::Signal::INT);
        let ended = tap.wait();
        assert_eq!(ended.code(), 130, "{}", ended.stderr);
        let printed = numbers(&ended.stdout).len();
        assert!(printed > 0);
        let word =
            if matches!(kind, LaneKind::Latency { .. }) { "missed=" } else { "missed_bytes=" };
        let missed = ended.stderr.split(word).nth(1).expect("because it tells what it missed");
        let missed: String = missed.chars().take_while(char::is_ascii_digit).collect();
        println!("{kind:?}: printed={printed} {word}{missed}");
        assert!(missed.parse::<u64>().unwrap() > 1_900, "{}", ended.stderr);
    }
}

#[test]
fn a_tap_that_is_killed_harms_neither_end_and_leaves_its_place() {
    for kind in LANES {
        let scene = scene();
        let sender = scene.participant.lane_sender("orders", kind).unwrap();
        let receiver = scene.participant.lane_receiver("orders", lane_options()).unwrap();
        while_busy(sender, receiver, |sent| {
            // One more than there may be at a time.
            for _ in 0..9 {
                let tap = scene.tap(&["orders", "--format", "hex"]);
                tap.wait_until("a line", || last(&tap));
                tap.signal(rustix::process::Signal::KILL);
                assert_eq!(tap.wait().code(), 137);
                wait_for_more(sent, 1_000);
            }
        });
    }
}

/// Names the socket to a process of this test that sends on a lane, and the kind of the lane.
const SENDER_SOCKET: &str = "CORELANE_TEST_SENDER_SOCKET";
const SENDER_KIND: &str = "CORELANE_TEST_SENDER_KIND";

fn send_for_ever(socket: &Path) {
    let kind = std::env::var(SENDER_KIND).unwrap().parse::<usize>().unwrap();
    let participant = Participant::join(socket).unwrap();
    let mut sender = participant.lane_sender("orders", LANES[kind]).unwrap();
    for number in 0.. {
        sender.send_within(&sealed(number), PATIENCE).unwrap();
    }
}

#[test]
fn a_tap_goes_on_with_the_next_sender_when_one_is_killed() {
    if let Some(socket) = std::env::var_os(SENDER_SOCKET) {
        return send_for_ever(Path::new(&socket));
    }
    for (index, kind) in LANES.into_iter().enumerate() {
        let scene = scene();
        // It waits for a lane that nobody knows yet.
        let tap = scene.tap(&["orders", "--lane", "--format", "hex"]);
        let is_waiting = || scene.participant.list().unwrap().iter().any(|name| name.taps == 1);
        tap.wait_until("the tap", || is_waiting().then_some(()));
        let mut receiver = scene.participant.lane_receiver("orders", lane_options()).unwrap();
        let mut command = scene.place.command(std::env::current_exe().unwrap());
        command.args(["--exact", "a_tap_goes_on_with_the_next_sender_when_one_is_killed"]);
        command.env(SENDER_SOCKET, &scene.socket).env(SENDER_KIND, index.to_string());
        let process = scene.place.start(command, Output::Pipes);
        let (mut record, mut next) = (Vec::new(), 0);
        let mut receive = |receiver: &mut LaneReceiver| {
            let is_received = receiver.try_receive(&mut record).unwrap();
            if is_received {
                assert_eq!(record, sealed(next), "nothing is lost or torn");
                next += 1;
            }
            is_received
        };
        tap.wait_until("a line", || {
            while receive(&mut receiver) {}
            last(&tap)
        });
        process.signal(rustix::process::Signal::KILL);
        assert_eq!(process.wait().code(), 137);
        while receiver.is_connected() {
            thread::yield_now();
        }
        while receive(&mut receiver) {}
        assert!(next > 0);
        // The exchange may not have heard yet that the one before is gone.
        let mut sender = loop {
            match scene.participant.lane_sender("orders", kind) {
                Ok(sender) => break sender,
                Err(error) => assert_eq!(error.code(), "CL-0448", "{error}"),
            }
        };
        tap.wait_until("the tap again", || (sender.taps() == 1).then_some(()));
        let marked = 1 << 40;
        sender.send_within(&sealed(marked), PATIENCE).unwrap();
        tap.wait_until("the next sender's", || last(&tap).filter(|&number| number == marked));
        tap.signal(rustix::process::Signal::INT);
        let ended = tap.wait();
        assert_eq!(ended.code(), 130, "{}", ended.stderr);
    }
}

#[test]
fn records_of_a_lane_are_printed_as_text_and_as_json() {
    let scene = scene();
    let mut sender = scene.participant.lane_sender("orders", LaneKind::LATENCY).unwrap();
    let _receiver = scene.participant.lane_receiver("orders", lane_options()).unwrap();
    let send = |sender: &mut LaneSender, arguments: &[&str]| {
        let tap = scene.tap(arguments);
        tap.wait_until("the tap", || (sender.taps() == 1).then_some(()));
        sender.send_within("grün".as_bytes(), PATIENCE).unwrap();
        sender.send_within(&[0xff, 0], PATIENCE).unwrap();
        let ended = tap.wait();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        while sender.taps() > 0 {
            thread::yield_now();
        }
        ended.stdout
    };
    assert_eq!(send(&mut sender, &["orders", "--count", "2"]), "grün\nff00\n");
    let json = send(&mut sender, &["orders", "--count", "2", "--format", "json"]);
    let line: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(line["message"]["text"], "grün");
    assert!(line["publisher"].is_null() && line["sequence"].is_null() && line["bytes"] == 5);
}
