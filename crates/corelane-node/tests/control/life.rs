//! The life of a node as its clients and its successor see it: a path that is taken, a socket that
//! a dead node left, a client that waits while its node is killed.

use std::{env, path::Path, sync::mpsc, time::Duration};

use corelane_node::{AttachError, Client, Link, Node, NodeError, NodeEvent, WaitError};
use corelane_shm::fdpass::ListenError;
use corelane_testkit::process::{Output, Place, Running, Signal, WATCHDOG};
use corelane_transport::{Endpoint, Message};

use crate::hosted::{GUEST, Hosted, MARK, config, socket_of_node};

/// Longer than any wait of these tests; one that lasts so long fails.
const LONG: Duration = Duration::from_secs(60);

/// Role: a process that is a node with a place for a guest, until it is killed.
#[test]
fn node_process() {
    let Some(socket) = socket_of_node() else { return };
    let node = Node::start(config(socket, Vec::new(), vec![GUEST]), |_| {});
    let _node = node.expect("the path is free, or of a dead node");
    loop {
        std::thread::park();
    }
}

/// A node in a process of its own, once it listens.
fn start_node<'place>(place: &'place Place, socket: &Path) -> Running<'place> {
    let mut command = place.command(env::current_exe().expect("a test knows its binary"));
    command.args(["--exact", "life::node_process", "--nocapture", MARK, "--", "--socket"]);
    command.arg(socket);
    let node = place.start(command, Output::Pipes);
    node.wait_until("a socket", || corelane_shm::fdpass::connect(socket).ok());
    node
}

#[test]
fn a_path_that_a_live_node_has_is_refused_and_the_node_goes_on() {
    let hosted = Hosted::with_guest();
    let taken = Node::start(config(hosted.socket(), Vec::new(), Vec::new()), |_| {});
    let error = taken.expect_err("the path is taken");
    assert!(matches!(&error, NodeError::Listen(ListenError::Live { .. })), "{error}");
    let text = error.to_string();
    let path = hosted.socket().display().to_string();
    for part in ["another process listens", &path, "attach to it, stop it, or use another path"] {
        assert!(text.contains(part), "{text}");
    }
    let _attached = Client::attach(&hosted.socket()).expect("the first node serves on");
    hosted.assert_up(1);
    hosted.stop();
}

#[test]
fn waits_end_with_their_node_and_the_next_one_is_attached_to() {
    let place = Place::new();
    let socket = place.runtime_folder().join("node.sock");
    let mut last = start_node(&place, &socket);
    for _ in 0..3 {
        let (client, endpoint) = Client::attach(&socket).expect("a place is free");
        let (told, links) = mpsc::channel();
        let lifeline = client.follow(move |link| told.send(link).expect("the test listens"));
        let lifeline = lifeline.expect("a thread starts");
        let (begun, has_begun) = mpsc::channel();
        let waiter = std::thread::spawn(move || {
            let mut endpoint = endpoint;
            begun.send(()).expect("the test listens");
            let ended = wait_for_message(&lifeline, &mut endpoint);
            // It stays so.
            assert!(matches!(lifeline.check(), Err(WaitError::NodeGone)));
            ended
        });
        has_begun.recv_timeout(WATCHDOG).expect("the waiter runs");
        last.signal(Signal::KILL);
        assert_eq!(last.wait().code(), 128 + 9);
        let ended = waiter.join().expect("the waiter ends");
        assert!(matches!(ended, WaitError::NodeGone), "{ended}");
        assert!(ended.to_string().contains("attach to the next node"), "{ended}");
        assert_eq!(links.recv(), Ok(Link::NodeGone));

        let absent = Client::attach(&socket).expect_err("nobody listens");
        assert!(matches!(absent, AttachError::Connect(ListenError::Stale { .. })), "{absent}");
        assert_eq!(place.files(), [socket.as_path()], "the dead node left its socket");
        last = start_node(&place, &socket);
    }
    // A node in order takes the path over from a dead one, and takes the socket with it.
    last.signal(Signal::KILL);
    last.wait();
    let (sender, events) = mpsc::channel();
    let node = Node::start(config(socket.clone(), Vec::new(), vec![GUEST]), move |event| {
        // The test may have ended.
        let _ = sender.send(event);
    });
    let node = node.expect("the path is taken over");
    let attached = Client::attach(&socket).expect("a place is free");
    let up = events.recv_timeout(WATCHDOG).expect("something happens in the node");
    assert!(matches!(up, NodeEvent::Up { .. }), "{up:?}");
    drop((attached, node));
    place.assert_empty();
}

/// Waits for a message that never comes.
fn wait_for_message(lifeline: &corelane_node::Lifeline, endpoint: &mut Endpoint) -> WaitError {
    let mut message = Message::default();
    loop {
        assert!(!endpoint.receive(&mut message).expect("the lanes are well"), "nobody sends");
        if let Err(error) = lifeline.sleep(endpoint, LONG) {
            return error;
        }
    }
}
