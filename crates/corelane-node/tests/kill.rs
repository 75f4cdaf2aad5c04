//! A client that dies at any system call of its attachment, or at any store to shared memory,
//! leaves the node as it was.
//!
//! One test, so that nothing else opens descriptors in this process meanwhile.

use std::{
    fs,
    ops::Range,
    path::PathBuf,
    sync::mpsc::{self, Receiver},
    thread,
    time::Instant,
};

use corelane_agent::supervisor::SupervisorConfig;
use corelane_node::{AttachError, Client, Node, NodeConfig, NodeEvent, RouterPlace};
use corelane_testkit::{
    kill::{Killing, Points, Verdict, check},
    process::{WATCHDOG, open_descriptors},
};
use corelane_transport::{LaneShape, WaitPolicy};
use tempfile::TempDir;

const TEST: &str = "a_client_dies_at_any_call_and_store_of_its_attachment";

/// Addresses of the guest.
const GUEST: Range<u32> = 1..3;

/// A node with a place for one guest.
struct Hosted {
    _node: Node,
    events: Receiver<NodeEvent>,
    socket: PathBuf,
    held: (usize, usize),
    _folder: TempDir,
}

/// Descriptors and mappings of lanes that this process has.
fn held() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let lanes = maps.lines().filter(|line| line.contains("/memfd:corelane")).count();
    (open_descriptors(), lanes)
}

impl Hosted {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let config = NodeConfig {
            socket: folder.path().join("node.sock"),
            routers: vec![RouterPlace { cpus: None, wait: WaitPolicy::SHARED }],
            lanes: LaneShape::new(16, 1).expect("the size is valid"),
            workers: vec![],
            guests: vec![GUEST],
            supervision: SupervisorConfig::default(),
        };
        let socket = config.socket.clone();
        let (sender, events) = mpsc::channel();
        let node = Node::start(config, move |event| _ = sender.send(event)).expect("it starts");
        // What it has without a guest: after one has left, its router may still hold the port.
        let hosted = Self { _node: node, events, socket, held: held(), _folder: folder };
        hosted.judge().expect("nobody has died yet");
        hosted
    }

    /// The place is free: somebody else gets it, and gives it back.
    fn serve_one(&self) -> Verdict {
        let begun = Instant::now();
        let attached = loop {
            match Client::attach(&self.socket) {
                // The node has not yet heard of the death.
                Err(AttachError::Refused(why)) if why.code == "not-expected" => {}
                other => break other.map_err(|error| error.to_string())?,
            }
            check(begun.elapsed() < WATCHDOG, || "the place is never free again".to_owned())?;
            thread::yield_now();
        };
        let own = attached.0.welcome().generation;
        drop(attached);
        // What happened before, to whom it died and to who was refused meanwhile, is passed over.
        loop {
            match self.events.recv_timeout(WATCHDOG) {
                Ok(NodeEvent::Left { generation, .. }) if generation.0 == own => return Ok(()),
                Ok(NodeEvent::Up { .. } | NodeEvent::Left { .. } | NodeEvent::Refused { .. }) => {}
                other => return Err(format!("the node tells {other:?}")),
            }
        }
    }

    /// Nothing is left of whoever died: no descriptor, no mapping, and nobody has its place.
    fn judge(&self) -> Verdict {
        self.serve_one()?;
        let begun = Instant::now();
        // A router lets go of a port in its own time.
        while held() != self.held {
            let (before, now) = (self.held, held());
            check(begun.elapsed() < WATCHDOG, || format!("held {now:?}, before {before:?}"))?;
            thread::yield_now();
        }
        Ok(())
    }
}

#[test]
fn a_client_dies_at_any_call_and_store_of_its_attachment() {
    let before = held();
    let hosted = (!Killing::is_child()).then(Hosted::start);
    for points in [Points::SystemCalls, Points::SharedStores] {
        Killing::of(TEST).sweep(
            points,
            |stage| {
                let path = stage.channel().recv(None).expect("the survivor tells the socket").bytes;
                let path = PathBuf::from(String::from_utf8(path).expect("it is text"));
                let attached = stage.perform(|| Client::attach(&path));
                attached.expect("the node has a place");
            },
            |meeting| {
                let hosted = hosted.as_ref().expect("this is the survivor");
                let socket = hosted.socket.to_str().expect("it is text");
                meeting.channel.send(socket.as_bytes(), &[], None).expect("the child waits for it");
                hosted
            },
            |hosted, _| hosted.judge(),
        );
    }
    if let Some(hosted) = hosted {
        drop(hosted);
        assert_eq!(held(), before, "the node left something");
    }
}
