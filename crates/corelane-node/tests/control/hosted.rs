//! A node of this process for one test, its events, and worker processes made of this test binary.

use std::{
    env,
    ffi::OsString,
    ops::Range,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use corelane_agent::supervisor::SupervisorConfig;
use corelane_node::{Node, NodeConfig, NodeEvent, RouterPlace, WorkerSpec};
use corelane_router::ClientId;
use corelane_testkit::process::WATCHDOG;
use corelane_transport::{LaneShape, WaitPolicy};
use tempfile::TempDir;

/// Says that this binary was started as a worker.
pub(crate) const MARK: &str = "as-a-worker-process";

pub(crate) struct Hosted {
    pub(crate) node: Node,
    pub(crate) events: mpsc::Receiver<NodeEvent>,
    folder: TempDir,
}

/// Addresses of the one guest, where there is a place for one.
pub(crate) const GUEST: Range<u32> = 20..22;

/// A small node: one router, short lanes.
pub(crate) fn config(
    socket: PathBuf,
    workers: Vec<WorkerSpec>,
    guests: Vec<Range<u32>>,
) -> NodeConfig {
    NodeConfig {
        socket,
        routers: vec![RouterPlace { cpus: None, wait: WaitPolicy::SHARED }],
        lanes: LaneShape::new(16, 2).expect("the size is valid"),
        workers,
        guests,
        supervision: SupervisorConfig::default(),
    }
}

/// In a worker process: the socket of its node. Elsewhere the test has nothing to do.
pub(crate) fn socket_of_node() -> Option<PathBuf> {
    let mut arguments = env::args_os();
    arguments.find(|argument| argument == MARK)?;
    arguments.find(|argument| argument == "--socket")?;
    arguments.next().map(PathBuf::from)
}

impl Hosted {
    /// A node with one worker, which runs `role`, a test of this binary.
    pub(crate) fn with_worker(role: &str) -> Self {
        // What the node adds comes after the dashes: the test harness takes it for names of tests.
        let args = ["--exact", role, "--nocapture", MARK, "--"].map(OsString::from).to_vec();
        let program = env::current_exe().expect("a test knows its binary");
        Self::start(vec![WorkerSpec { program, args, agents: 1..11 }])
    }

    pub(crate) fn start(workers: Vec<WorkerSpec>) -> Self {
        Self::start_with(workers, Vec::new())
    }

    /// A node without workers and with one place for a guest.
    pub(crate) fn with_guest() -> Self {
        Self::start_with(Vec::new(), vec![GUEST])
    }

    fn start_with(workers: Vec<WorkerSpec>, guests: Vec<Range<u32>>) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let socket = folder.path().join("node.sock");
        let (sender, events) = mpsc::channel();
        let node = Node::start(config(socket, workers, guests), move |event| {
            // The test may have ended.
            let _ = sender.send(event);
        });
        Self { node: node.expect("a node starts"), events, folder }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("node.sock")
    }

    /// The next event. Fails when there is none.
    pub(crate) fn event(&self) -> NodeEvent {
        self.events.recv_timeout(WATCHDOG).expect("something happens in the node")
    }

    /// The next event must say that the worker is up.
    #[track_caller]
    pub(crate) fn assert_up(&self, expected_generation: u64) {
        match self.event() {
            NodeEvent::Up { client: ClientId(0), generation, .. }
                if generation.0 == expected_generation => {}
            other => panic!("generation {expected_generation} is not up: {other:?}"),
        }
    }

    /// The next event must be a refusal; its text.
    #[track_caller]
    pub(crate) fn refused(&self) -> String {
        match self.event() {
            NodeEvent::Refused { reason } => reason,
            other => panic!("nobody was refused: {other:?}"),
        }
    }

    /// Stops the node; what happened since the last event that was looked at.
    pub(crate) fn stop(self) -> Vec<NodeEvent> {
        drop(self.node);
        assert_eq!(std::fs::read_dir(self.folder.path()).expect("it is there").count(), 0);
        let mut rest = Vec::new();
        while let Ok(event) = self.events.recv_timeout(Duration::ZERO) {
            rest.push(event);
        }
        rest
    }
}

/// Role: attaches as the crate's own client does, and echoes commands as reports until it is told
/// to stop.
#[test]
fn good_worker() {
    let Some(socket) = socket_of_node() else { return };
    serve(&socket);
}

/// The good worker's work.
pub(crate) fn serve(socket: &Path) {
    let (client, _endpoint) = corelane_node::Client::attach(socket).expect("it is expected");
    let mut report = client.reporter();
    loop {
        match client.listen() {
            corelane_node::Link::Command(command) => report(command),
            corelane_node::Link::Stop => return,
            other => panic!("the node said {other:?}"),
        }
    }
}

/// The role of the good worker, as the harness names it.
pub(crate) const GOOD_WORKER: &str = "hosted::good_worker";
