//! A node with pinned routers, the worker processes that attach to it, and the source of questions
//! within this process. `demo` and `run` are built on it.

use std::{
    env,
    ffi::OsString,
    fs,
    ops::Range,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use corelane_agent::{Asker, Command, supervisor::SupervisorConfig};
use corelane_node::{Node, NodeConfig, NodeEvent, RouterPlace, WorkerSpec};
use corelane_router::{ClientId, RouterTotals};
use corelane_shm::{
    fdpass::{self, ListenError},
    process::{PidFd, Signal},
};
use corelane_topology::Role;
use corelane_transport::{AgentId, EventCount, LaneShape};

use crate::{error::CliError, interrupt::Interrupt, machine::Machine, placed, terminal};

/// Address of the first agent; 0 stays free, so that a zeroed envelope reaches nobody.
pub(crate) const AGENT_FIRST: u32 = 1;
/// How long a worker may take to attach before a command gives up on it.
const ATTACH_PATIENCE: Duration = Duration::from_secs(60);

/// What a fabric is to be.
pub(crate) struct FabricRequest {
    /// The command that asks for it.
    pub(crate) command: &'static str,
    /// Path of the node's socket, from [`socket_path`].
    pub(crate) socket: PathBuf,
    /// The worker processes; their agents follow each other from [`AGENT_FIRST`] on.
    pub(crate) workers: Vec<WorkerRequest>,
    pub(crate) lanes: LaneShape,
    pub(crate) supervision: SupervisorConfig,
    /// Feature of the questions of this process.
    pub(crate) feature: u32,
    /// Questions of this process that may be open at once.
    pub(crate) open_max: u32,
}

/// One worker process.
pub(crate) struct WorkerRequest {
    /// Arguments of this program that make it the worker.
    pub(crate) args: Vec<OsString>,
    /// Addresses of its agents.
    pub(crate) agents: Range<u32>,
}

/// A running fabric and the source of questions within this process.
pub(crate) struct Fabric {
    node: Node,
    pidfds: Vec<Option<PidFd>>,
    news: EventCount,
    events: mpsc::Receiver<NodeEvent>,
    pub(crate) asker: Asker,
    /// Agents of each worker.
    pub(crate) workers: Vec<Range<u32>>,
    /// Process of each worker.
    pub(crate) pids: Vec<u32>,
    /// Time from the node's start until the last worker was attached.
    pub(crate) attach_time: Duration,
}

impl Fabric {
    pub(crate) fn start(
        request: FabricRequest,
        machine: &Machine,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let FabricRequest { command, socket, workers, lanes, supervision, feature, open_max } =
            request;
        let program = env::current_exe().map_err(CliError::OwnProgram)?;
        let spec = |worker: &WorkerRequest| WorkerSpec {
            program: program.clone(),
            args: worker.args.clone(),
            agents: worker.agents.clone(),
        };
        let router = |index| RouterPlace {
            cpus: machine.cpus(Role::Router(index)),
            wait: machine.wait(Role::Router(index)),
        };
        let config = NodeConfig {
            socket,
            routers: (0..machine.request.routers).map(router).collect(),
            lanes,
            workers: workers.iter().map(spec).collect(),
            guests: Vec::new(),
            supervision,
        };
        let started = Instant::now();
        let (sender, events) = mpsc::channel();
        let news = EventCount::new().context("what events ring at cannot be made")?;
        let ringer = news.clone();
        let on_event = move |event| {
            // The command may have ended already.
            let _ = sender.send(event);
            ringer.raise();
        };
        let path = config.socket.clone();
        let node = interrupt
            .binding(&path, || Node::start(config, on_event))
            .context("node cannot start")?;
        let source = workers.last().map_or(AGENT_FIRST, |worker| worker.agents.end);
        let workers: Vec<_> = workers.into_iter().map(|worker| worker.agents).collect();
        let endpoint = node.attach_local(source..source + 1)?;
        let asker = Asker::new(AgentId(source), feature, endpoint, open_max);
        let (pids, pidfds) = (vec![0; workers.len()], workers.iter().map(|_| None).collect());
        let attach_time = Duration::ZERO;
        let mut fabric = Self { node, pidfds, news, events, asker, workers, pids, attach_time };
        fabric.await_workers(command, started, ATTACH_PATIENCE, interrupt)?;
        if let Some(cpus) = machine.cpus(Role::Control) {
            placed::pin("source of questions", &cpus)?;
        }
        Ok(fabric)
    }

    pub(crate) fn await_workers(
        &mut self,
        command: &'static str,
        started: Instant,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        while self.pids.contains(&0) {
            interrupt.check()?;
            match self.event(Duration::from_millis(50))? {
                Some(NodeEvent::Up { client, pid, .. }) => _ = self.note_up(client, pid),
                // It died before the others were there; its next generation is waited for.
                Some(NodeEvent::Down { client, .. }) => self.pids[client.0 as usize] = 0,
                Some(NodeEvent::Refused { reason }) => terminal::tell!("corelane: {reason}"),
                _ if started.elapsed() > patience => {
                    bail!(CliError::NotAttached { command, seconds: patience.as_secs() })
                }
                _ => {}
            }
        }
        self.attach_time = started.elapsed();
        Ok(())
    }

    /// The next event of the node, if one comes in time; an error when the workers are given up.
    pub(crate) fn event(&mut self, timeout: Duration) -> anyhow::Result<Option<NodeEvent>> {
        match self.events.recv_timeout(timeout) {
            Ok(NodeEvent::Escalated { reason }) => bail!(CliError::Escalated { reason }),
            Ok(event) => Ok(Some(event)),
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!(CliError::NodeEnded),
        }
    }

    /// How many events the node has told so far.
    pub(crate) fn events_seen(&self) -> u64 {
        self.news.now()
    }

    /// What other threads raise to end a sleep of this one.
    pub(crate) fn news(&self) -> EventCount {
        self.news.clone()
    }

    /// Sleeps until an answer arrives, an event came after `events_seen`, or the time is up.
    pub(crate) fn sleep(&mut self, events_seen: u64, timeout: Duration) -> anyhow::Result<()> {
        Ok(self.asker.endpoint().sleep(Some(self.news.waiter(events_seen)), timeout)?)
    }

    /// Sends a command to the agents of all workers.
    pub(crate) fn command(&self, command: Command) {
        self.node.command(None, command);
    }

    /// Kills a worker with SIGKILL, at once: through its pidfd, so that it can be no other process.
    pub(crate) fn kill(&self, worker: usize) -> anyhow::Result<()> {
        let pidfd = self.pidfds[worker].as_ref().ok_or(CliError::NotRunning { worker })?;
        Ok(pidfd.kill(Signal::KILL)?)
    }

    /// Notes the process of a worker's new generation; returns the one before.
    pub(crate) fn note_up(&mut self, client: ClientId, pid: u32) -> u32 {
        let worker = client.0 as usize;
        // A process that died meanwhile has no pidfd; its Down is on the way.
        self.pidfds[worker] = PidFd::open(pid).ok();
        std::mem::replace(&mut self.pids[worker], pid)
    }

    pub(crate) fn agents(&self) -> Range<u32> {
        AGENT_FIRST..self.workers.last().map_or(AGENT_FIRST, |range| range.end)
    }

    /// The worker that hosts an agent.
    pub(crate) fn home(&self, agent: AgentId) -> usize {
        let ends = self.workers.iter();
        ends.take_while(|range| range.end <= agent.0).count()
    }

    pub(crate) fn totals(&self) -> RouterTotals {
        self.node.totals()
    }

    /// Threads that may run elsewhere than where they were pinned, in words.
    pub(crate) fn displaced(&self, machine: &Machine) -> Vec<String> {
        let router = |index| {
            let thread = placed::thread_of_this_process(&format!("corelane-rt-{index}"))?;
            placed::displaced(Role::Router(index), thread, &machine.cpus(Role::Router(index))?)
        };
        let worker = |(index, pid): (usize, &u32)| {
            placed::displaced(Role::Worker(index), *pid, &machine.cpus(Role::Worker(index))?)
        };
        let routers = (0..machine.request.routers).filter_map(router);
        routers.chain(self.pids.iter().enumerate().filter_map(worker)).collect()
    }

    /// Stops workers, then routers; returns what the routers counted.
    pub(crate) fn stop(self) -> RouterTotals {
        let totals = self.node.totals();
        drop(self.node);
        totals
    }
}

/// Deals `agents` out to `workers`, as evenly as it goes.
pub(crate) fn split(agents: u32, workers: u32) -> Vec<Range<u32>> {
    let bound = |index: u32| {
        AGENT_FIRST + (u64::from(agents) * u64::from(index) / u64::from(workers)) as u32
    };
    (0..workers).map(|index| bound(index)..bound(index + 1)).collect()
}

/// A socket of this process in a folder of the user's own; sockets of dead runs are removed.
pub(crate) fn socket_path(command: &str) -> anyhow::Result<PathBuf> {
    let folder = match env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder).join("corelane"),
        None => {
            let uid = rustix::process::geteuid().as_raw();
            env::temp_dir().join(format!("corelane-{uid}"))
        }
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| CliError::SocketFolder { folder: folder.clone(), source })?;
    check_folder(&folder)?;
    remove_stale(&folder);
    Ok(folder.join(format!("{command}-{}.sock", std::process::id())))
}

/// In a folder that others can write to, somebody else's socket could take the place of ours.
fn check_folder(folder: &Path) -> anyhow::Result<()> {
    let path = || folder.to_path_buf();
    let found =
        fs::metadata(folder).map_err(|source| CliError::SocketFolder { folder: path(), source })?;
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    ensure!(
        is_own && found.mode() & 0o077 == 0,
        CliError::SocketFolderOpen {
            folder: path(),
            owner: found.uid(),
            mode: found.mode() & 0o777
        }
    );
    Ok(())
}

fn remove_stale(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_socket = path.extension().is_some_and(|extension| extension == "sock");
        if is_socket && matches!(fdpass::connect(&path), Err(ListenError::Stale { .. })) {
            // Another run may be doing the same at this moment.
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A fabric without worker processes, whose events a test makes up.

    use corelane_agent::{Agent, Worker};
    use corelane_transport::{Endpoint, WaitPolicy};

    use super::*;

    /// A node in this process with one address for a worker, whose end of the lanes comes with it.
    pub(crate) fn fabric() -> (Fabric, mpsc::Sender<NodeEvent>, Endpoint, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let config = NodeConfig {
            socket: folder.path().join("node.sock"),
            routers: vec![RouterPlace { cpus: None, wait: WaitPolicy::SHARED }],
            lanes: LaneShape::new(16, 2).unwrap(),
            workers: vec![],
            guests: vec![],
            supervision: SupervisorConfig::default(),
        };
        let node = Node::start(config, |_| {}).unwrap();
        let worker = node.attach_local(AGENT_FIRST..AGENT_FIRST + 1).unwrap();
        let source = AgentId(AGENT_FIRST + 1);
        let endpoint = node.attach_local(source.0..source.0 + 1).unwrap();
        let (sender, events) = mpsc::channel();
        let only = AGENT_FIRST..AGENT_FIRST + 1;
        let workers = vec![only];
        let fabric = Fabric {
            node,
            pidfds: vec![None],
            news: EventCount::new().unwrap(),
            events,
            asker: Asker::new(source, 1, endpoint, 64),
            workers,
            pids: vec![0],
            attach_time: Duration::ZERO,
        };
        (fabric, sender, worker, folder)
    }

    /// Hosts an agent until the process ends.
    pub(crate) fn host(worker: Endpoint, agent: impl Agent + Send + 'static) {
        std::thread::spawn(move || {
            let agents: Vec<Box<dyn Agent>> = vec![Box::new(agent)];
            let worker = Worker::new(worker, AgentId(AGENT_FIRST), agents, Box::new(|_| {}));
            worker.unwrap().run(WaitPolicy::SHARED)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_dealt_out_without_gap() {
        for (agents, workers) in [(1000, 2), (7, 3), (2, 64), (100_000, 7)] {
            let ranges = split(agents, workers);
            assert_eq!(ranges.len(), workers as usize);
            assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (1, agents + 1));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            let sizes = ranges.iter().map(|range| range.len());
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }
    }
}
