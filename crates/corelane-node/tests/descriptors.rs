//! A node leaves no descriptor and no mapping behind: not of a dead worker, not of itself.
//!
//! One test, so that nothing else opens any in this process meanwhile.

use std::{env, ffi::OsString, fs, path::PathBuf, sync::mpsc};

use corelane_agent::supervisor::SupervisorConfig;
use corelane_node::{Client, Link, Node, NodeConfig, NodeEvent, RouterPlace, WorkerSpec};
use corelane_router::ClientId;
use corelane_testkit::process::{WATCHDOG, open_descriptors};
use corelane_transport::{LaneShape, WaitPolicy};

const MARK: &str = "as-a-worker-process";

/// Descriptors and mappings of lanes that this process has.
fn held() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let lanes = maps.lines().filter(|line| line.contains("/memfd:corelane")).count();
    (open_descriptors(), lanes)
}

#[test]
fn what_a_node_opens_it_closes() {
    if let Some(socket) = socket_of_node() {
        let (client, _endpoint) = Client::attach(&socket).expect("it is expected");
        assert_eq!(client.listen(), Link::Stop);
        return;
    }
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let before = held();
    let args = ["--exact", "what_a_node_opens_it_closes", "--nocapture", MARK, "--"];
    let worker = WorkerSpec {
        program: env::current_exe().expect("a test knows its binary"),
        args: args.map(OsString::from).to_vec(),
        agents: 1..11,
    };
    let config = NodeConfig {
        socket: folder.path().join("node.sock"),
        routers: vec![RouterPlace { cpus: None, wait: WaitPolicy::SHARED }; 2],
        lanes: LaneShape::new(16, 2).expect("the size is valid"),
        workers: vec![worker],
        guests: Vec::new(),
        supervision: SupervisorConfig::default(),
    };
    let (sender, events) = mpsc::channel();
    let node = Node::start(config, move |event| _ = sender.send(event)).expect("a node starts");
    let event = || events.recv_timeout(WATCHDOG).expect("something happens in the node");
    assert!(matches!(event(), NodeEvent::Up { .. }));
    let with_worker = held();
    assert!(with_worker.0 > before.0 && with_worker.1 > before.1, "{before:?} {with_worker:?}");
    for _ in 0..3 {
        node.kill(ClientId(0));
        assert!(matches!(event(), NodeEvent::Down { .. }));
        assert!(matches!(event(), NodeEvent::Up { .. }));
        assert_eq!(held(), with_worker, "the dead generation left something");
    }
    drop(node);
    assert_eq!(held(), before, "the node left something");
}

fn socket_of_node() -> Option<PathBuf> {
    let mut arguments = env::args_os();
    arguments.find(|argument| argument == MARK)?;
    arguments.find(|argument| argument == "--socket")?;
    arguments.next().map(PathBuf::from)
}
