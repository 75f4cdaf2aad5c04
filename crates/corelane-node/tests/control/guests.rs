//! Clients that the node did not start: they get a place, and give it back.

use std::time::Duration;

use corelane_node::{AttachError, Client, Link, NodeEvent, WaitError};
use corelane_router::ClientId;
use corelane_testkit::process::{Call, forbidding};
use corelane_transport::{AgentId, Envelope, Message, Priority};
use serde_json::json;

use crate::connection::{Connection, hello};
use crate::hosted::{GUEST, Hosted};

/// Longer than any wait of these tests; one that lasts so long fails.
const LONG: Duration = Duration::from_secs(60);

#[track_caller]
fn assert_left(hosted: &Hosted, expected_generation: u64) {
    match hosted.event() {
        NodeEvent::Left { client: ClientId(0), generation, .. }
            if generation.0 == expected_generation => {}
        other => panic!("generation {expected_generation} has not left: {other:?}"),
    }
}

#[test]
fn a_place_is_taken_by_one_guest_after_the_other() {
    let hosted = Hosted::with_guest();
    for generation in 1..=3 {
        let (client, mut endpoint) = Client::attach(&hosted.socket()).expect("a place is free");
        hosted.assert_up(generation);
        assert_eq!(client.agent_first(), AgentId(GUEST.start));
        assert_eq!(client.welcome().generation, generation);

        let refused = Client::attach(&hosted.socket()).expect_err("the place is taken");
        assert!(matches!(&refused, AttachError::Refused(why) if why.code == "not-expected"));
        assert!(hosted.refused().contains("of 1 places for guests none is free"));

        // Its lanes are in use: what it sends to itself goes through the router and comes back.
        let receiver = AgentId(GUEST.start + 1);
        let envelope = Envelope {
            sender: client.agent_first(),
            receiver,
            correlation: generation,
            priority: Priority::Normal,
            ..Envelope::default()
        };
        let lifeline = client.follow(|_| {}).expect("a thread starts");
        endpoint.send(&envelope, b"hello").expect("there is room");
        let mut message = Message::default();
        while !endpoint.receive(&mut message).expect("the node is well") {
            lifeline.sleep(&mut endpoint, LONG).expect("the node lives");
        }
        assert_eq!(message.envelope().correlation, generation);
        drop(lifeline);
        assert_left(&hosted, generation);
    }
    hosted.stop();
}

#[test]
fn a_guest_that_is_killed_or_raves_is_cut_off() {
    let hosted = Hosted::with_guest();
    let (client, _endpoint) = Client::attach(&hosted.socket()).expect("a place is free");
    hosted.assert_up(1);
    hosted.node.kill(ClientId(0));
    assert_left(&hosted, 1);
    assert_eq!(client.listen(), Link::NodeGone);

    let raving = Connection::open(&hosted.socket());
    raving.be_welcomed();
    raving.send(&json!({"type": "report", "name": "too early"}));
    assert!(raving.refusal().contains("out of turn"));
    assert!(hosted.refused().contains("out of turn"));
    // Its place was given back although it never attached.
    let (client, _endpoint) = Client::attach(&hosted.socket()).expect("a place is free");
    hosted.assert_up(3);
    drop(client);
    assert_left(&hosted, 3);
    hosted.stop();
}

#[test]
fn a_hello_one_version_older_with_unknown_fields_is_accepted() {
    let hosted = Hosted::with_guest();
    let older = corelane_node::control::PROTOCOL - 1;
    let mut hello = hello();
    hello["protocol"] = json!(older);
    hello["colour"] = json!({"of": ["later", 7]});
    let connection = Connection::open(&hosted.socket());
    connection.send(&hello);
    let (welcome, fds) = connection.receive();
    assert_eq!((&welcome["type"], fds.len()), (&json!("welcome"), 1), "{welcome}");
    assert_eq!(welcome["protocol"], json!(older), "both speak the older version");
    hosted.stop();
}

#[test]
fn a_node_that_stops_tells_its_guests() {
    let hosted = Hosted::with_guest();
    let (client, mut endpoint) = Client::attach(&hosted.socket()).expect("a place is free");
    hosted.assert_up(1);
    let (told, links) = std::sync::mpsc::channel();
    let lifeline = client.follow(move |link| told.send(link).expect("the test listens"));
    let lifeline = lifeline.expect("a thread starts");
    hosted.stop();
    let ended = loop {
        if let Err(error) = lifeline.sleep(&mut endpoint, LONG) {
            break error;
        }
    };
    assert!(matches!(ended, WaitError::NodeGone), "{ended}");
    assert_eq!(links.recv(), Ok(Link::Stop));
    assert_eq!(links.recv(), Ok(Link::NodeGone));
}

#[test]
fn a_system_without_threads_is_told() {
    let hosted = Hosted::with_guest();
    let (client, _endpoint) = Client::attach(&hosted.socket()).expect("a place is free");
    hosted.assert_up(1);
    match forbidding(Call::Clone, || client.follow(|_| {})) {
        Ok(Err(error @ AttachError::Thread(_))) => {
            assert!(error.to_string().contains("ulimit -u"), "{error}");
        }
        Ok(other) => panic!("a thread was started: {other:?}"),
        Err(reason) => println!("skipped: no seccomp filter can be set here: {reason}"),
    }
    // What did not follow has hung up: the place is free again.
    assert_left(&hosted, 1);
    hosted.stop();
}
