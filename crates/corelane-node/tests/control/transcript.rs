//! The recorded sessions of every protocol version, played against this build's node and client.
//!
//! A line of `tests/transcripts/vN.jsonl` is one packet: who sent it, how many descriptors came
//! with it, and the message. What a client says is sent as it was recorded, but for the fields of
//! the memory layout, which is versioned apart. What the node says now must have at least the
//! recorded fields with the recorded types. What a node says is said to this build's client in the
//! same way, with a segment of today. A new version is recorded by running these tests with
//! `CORELANE_TRANSCRIPT=/path/vN.jsonl`: the worker writes down what it hears and says.

use std::{env, fmt::Write, fs, path::Path, thread};

use corelane_agent::{Command, supervisor::ExitReason};
use corelane_node::{
    AttachError, Client, Link, NodeEvent,
    control::{self, PROTOCOL, PROTOCOL_MIN, ToClient, ToNode},
};
use corelane_router::ClientId;
use corelane_shm::{OwnedSegment, SegmentError, SegmentInfo, fdpass::Listener};
use corelane_transport::{LAYOUT_HASH, LAYOUT_VERSION};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::connection::{Connection, hello, segment, words_for};
use crate::hosted::{Hosted, socket_of_node};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum From {
    Client,
    Node,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    from: From,
    descriptors: usize,
    message: Value,
}

/// Every version that a node accepts has a transcript.
const VERSIONS: std::ops::RangeInclusive<u32> = PROTOCOL_MIN..=PROTOCOL;

fn transcript(version: u32) -> Vec<Line> {
    let name = format!("tests/transcripts/v{version}.jsonl");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = fs::read_to_string(path).expect("the transcript is committed");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a packet")).collect()
}

/// The message of the transcript that the tests themselves cause: a command or a report.
fn named(version: u32, from: From, kind: &str) -> Command {
    let lines = transcript(version);
    let line = lines.iter().find(|line| line.from == from && line.message["type"] == kind);
    let message = &line.expect("it is in the transcript").message;
    let name = message["name"].as_str().expect("it has a name").to_owned();
    Command { name, body: message["body"].clone() }
}

#[test]
fn every_line_is_understood() {
    for version in VERSIONS {
        let mut kinds = Vec::new();
        for Line { from, message, .. } in transcript(version) {
            let packet = message.to_string().into_bytes();
            let again = match from {
                From::Client => {
                    let decoded: ToNode = control::decode(&packet).expect("it is a message");
                    assert_ne!(decoded, ToNode::Unknown, "{message}");
                    control::encode(&decoded)
                }
                From::Node => {
                    let decoded: ToClient = control::decode(&packet).expect("it is a message");
                    assert_ne!(decoded, ToClient::Unknown, "{message}");
                    control::encode(&decoded)
                }
            };
            let again: Value = serde_json::from_slice(&again).expect("it is JSON");
            assert_covers(&message, &again);
            kinds.push(message["type"].as_str().expect("it has a type").to_owned());
        }
        let mut all = vec!["hello", "welcome", "lanes", "ready", "command", "report", "stop"];
        if version >= 2 {
            all.insert(6, "report-lost");
        }
        assert_eq!(kinds, all, "the transcript is one whole session of version {version}");
    }
}

/// Role: plays the client's lines of version 1 and compares the node's.
#[test]
fn recorded_worker_1() {
    if let Some(socket) = socket_of_node() {
        play_client(1, &socket);
    }
}

/// Role: the same of version 2.
#[test]
fn recorded_worker_2() {
    if let Some(socket) = socket_of_node() {
        play_client(2, &socket);
    }
}

fn play_client(version: u32, socket: &Path) {
    let connection = Connection::open(socket);
    let (mut welcome, mut kept, mut seen) = (Value::Null, Vec::new(), String::new());
    for mut line in transcript(version) {
        match line.from {
            From::Node => {
                let (message, fds) = connection.receive();
                assert_eq!(fds.len(), line.descriptors, "{message}");
                assert_covers(&line.message, &message);
                line.message = message;
                kept.extend(fds);
                if line.message["type"] == "welcome" {
                    welcome = line.message.clone();
                    assert_eq!(welcome["protocol"], json!(version), "the lower of both");
                }
            }
            From::Client => {
                for field in ["layout_version", "layout_hash"] {
                    if line.message.get(field).is_some() {
                        line.message[field] = hello()[field].clone();
                    }
                }
                let own: Vec<_> =
                    (0..line.descriptors).map(|_| segment(1, words_for(&welcome))).collect();
                let fds: Vec<_> = own.iter().map(|segment| segment.fd()).collect();
                connection.send_with(&line.message, &fds);
            }
        }
        let line = serde_json::to_string(&line).expect("it has no odd keys");
        writeln!(seen, "{line}").expect("a string takes everything");
    }
    if let Some(path) = env::var_os("CORELANE_TRANSCRIPT") {
        fs::write(path, seen).expect("the path is writable");
    }
}

#[test]
fn a_recorded_client_is_served_by_this_node() {
    for version in VERSIONS {
        let hosted = Hosted::with_worker(&format!("transcript::recorded_worker_{version}"));
        hosted.assert_up(1);
        hosted.node.command(None, named(version, From::Node, "command"));
        let report = named(version, From::Client, "report");
        assert_eq!(hosted.event(), NodeEvent::Report { client: ClientId(0), report });
        if version >= 2 {
            assert!(matches!(hosted.event(), NodeEvent::ReportLost { lost: 1, .. }));
        }
        let rest = hosted.stop();
        let is_normal = matches!(rest[..], [NodeEvent::Down { reason: ExitReason::Normal, .. }]);
        assert!(is_normal, "the recorded client complains, see above: {rest:?}");
    }
}

/// A node's segment for the client, of this build's layout or another.
fn node_segment(welcome: &Value, layout_version: u32) -> OwnedSegment {
    let (generation, layout_hash) = (1, LAYOUT_HASH);
    let info = SegmentInfo { kind: 2, generation, layout_version, layout_hash };
    OwnedSegment::create("corelane-node", words_for(welcome), info).expect("there is memory")
}

/// Plays the node's lines of a transcript at `listener`, to one client, up to `last`.
fn play_node(listener: &Listener, version: u32, layout_version: u32, last: &str) {
    let channel = listener.accept(None).expect("a client connects");
    let connection = Connection(channel);
    for line in transcript(version) {
        match line.from {
            // What the client says of its own accord is no answer to the node.
            From::Client if line.message["type"] == "report" => {}
            From::Client if line.message["type"] == "report-lost" => {}
            From::Client => {
                let (message, fds) = connection.receive();
                assert_eq!(fds.len(), line.descriptors, "{message}");
                assert_covers(&line.message, &message);
            }
            From::Node => {
                let own: Vec<_> = (0..line.descriptors)
                    .map(|_| node_segment(&line.message, layout_version))
                    .collect();
                let fds: Vec<_> = own.iter().map(|segment| segment.fd()).collect();
                connection.send_with(&line.message, &fds);
            }
        }
        if line.message["type"] == last {
            return;
        }
    }
}

#[test]
fn this_client_is_served_by_a_recorded_node() {
    for version in VERSIONS {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let socket = folder.path().join("node.sock");
        let listener = Listener::bind(&socket).expect("the path is free");
        let node = thread::spawn(move || play_node(&listener, version, LAYOUT_VERSION, "stop"));
        let (client, _endpoint) = Client::attach(&socket).expect("the recorded node accepts it");
        assert_eq!(client.welcome().protocol, version);
        assert_eq!(client.listen(), Link::Command(named(version, From::Node, "command")));
        assert_eq!(client.listen(), Link::Stop);
        node.join().expect("the node's lines fit the client's");
        assert_eq!(client.listen(), Link::NodeGone);
    }
}

#[test]
fn a_node_of_another_layout_is_refused_by_its_client() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let socket = folder.path().join("node.sock");
    let listener = Listener::bind(&socket).expect("the path is free");
    let layout_version = LAYOUT_VERSION + 1;
    let node = thread::spawn(move || play_node(&listener, PROTOCOL, layout_version, "welcome"));
    let error = Client::attach(&socket).expect_err("its memory is laid out in another way");
    let is_layout = matches!(&error, AttachError::Segment(SegmentError::LayoutVersion { .. }));
    assert!(is_layout && error.to_string().contains("same major version"), "{error}");
    node.join().expect("the node's lines fit the client's");
}

/// Everything that was recorded is there now, with the same type. More may be.
#[track_caller]
fn assert_covers(recorded: &Value, now: &Value) {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_u64() => "whole number",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert_eq!(kind(recorded), kind(now), "{recorded} became {now}");
    for (name, field) in recorded.as_object().into_iter().flatten() {
        let now = now.get(name).unwrap_or_else(|| panic!("{name} is gone: {now}"));
        assert_covers(field, now);
    }
    if let Some(kind) = recorded.get("type") {
        assert_eq!(kind, &now["type"]);
    }
}

#[test]
fn a_field_that_is_gone_or_has_another_type_is_found() {
    let recorded = json!({"type": "welcome", "epoch": 1, "body": {"a": "b"}});
    assert_covers(&recorded, &json!({"type": "welcome", "epoch": 7, "body": {"a": "c"}, "x": 1}));
    let worse = [
        json!({"type": "ready", "epoch": 1, "body": {"a": "b"}}),
        json!({"type": "welcome", "body": {"a": "b"}}),
        json!({"type": "welcome", "epoch": "1", "body": {"a": "b"}}),
        json!({"type": "welcome", "epoch": 1, "body": {}}),
    ];
    for now in worse {
        let found = std::panic::catch_unwind(|| assert_covers(&recorded, &now));
        assert!(found.is_err(), "{now}");
    }
}
