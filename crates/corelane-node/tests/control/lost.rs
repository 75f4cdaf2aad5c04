//! Reports and commands that are too long for a packet: told and counted, never lost in silence.

use std::path::Path;

use corelane_agent::Command;
use corelane_node::{Client, Link, NodeEvent};
use corelane_router::ClientId;
use serde_json::json;

use crate::hosted::{GOOD_WORKER, Hosted, socket_of_node};

/// Longer than a packet.
fn too_long() -> serde_json::Value {
    json!("x".repeat(corelane_shm::fdpass::PACKET_BYTES_MAX))
}

/// Role: answers every command with a report that is too long, then with one that is not.
#[test]
fn verbose_worker() {
    let Some(socket) = socket_of_node() else { return };
    report_too_much(&socket);
}

fn report_too_much(socket: &Path) {
    let (client, _endpoint) = Client::attach(socket).expect("it is expected");
    let mut report = client.reporter();
    while let Link::Command(Command { name, body }) = client.listen() {
        report(Command { name: "long ".repeat(100), body: too_long() });
        report(Command { name, body });
    }
}

#[test]
fn a_report_that_is_too_long_is_told_and_counted() {
    let hosted = Hosted::with_worker("lost::verbose_worker");
    hosted.assert_up(1);
    for number in 1..=3 {
        let command = Command { name: "echo".to_owned(), body: json!(number) };
        hosted.node.command(None, command.clone());
        let NodeEvent::ReportLost { client: ClientId(0), name, reason, lost } = hosted.event()
        else {
            panic!("the lost report was not told");
        };
        assert!(name.starts_with("long long") && name.len() <= 64, "{name}");
        assert!(reason.contains("limit=65536; split the message"), "{reason}");
        assert_eq!(lost, number);
        assert_eq!(hosted.event(), NodeEvent::Report { client: ClientId(0), report: command });
    }
    hosted.stop();
}

#[test]
fn a_command_that_is_too_long_is_told() {
    let hosted = Hosted::with_worker(GOOD_WORKER);
    hosted.assert_up(1);
    hosted.node.command(None, Command { name: "dictate".to_owned(), body: too_long() });
    let NodeEvent::CommandLost { client: ClientId(0), name, reason } = hosted.event() else {
        panic!("the lost command was not told");
    };
    assert_eq!(name, "dictate");
    assert!(reason.contains("limit=65536; split the message"), "{reason}");
    hosted.stop();
}
