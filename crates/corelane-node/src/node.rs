//! The node as its host sees it: start, commands, events, totals, stop.

use std::{
    io,
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use arc_swap::ArcSwap;
use corelane_agent::{
    Command,
    supervisor::{ExitReason, Generation, SupervisorConfig},
};
use corelane_router::{
    CLIENTS_MAX, ClientId, Router, RouterConfig, RouterError, RouterTotals, RoutingTable,
    SharedTable, TableError,
};
use corelane_shm::{
    SegmentError,
    fdpass::{ListenError, Listener},
};
use corelane_topology::CpuSet;
use corelane_transport::{Endpoint, LaneShape, PortError, SECTIONS_MAX, WaitPolicy};
use rustix::event::{EventfdFlags, eventfd};
use thiserror::Error;

use crate::{
    children::WorkerSpec,
    driver::{Driver, Mailbox, Request},
    lanes::{Plan, Side},
};

/// Where a router runs and how it waits.
#[derive(Debug, Clone)]
pub struct RouterPlace {
    /// Cores it is pinned to; `None` lets it float.
    pub cpus: Option<CpuSet>,
    /// How it waits.
    pub wait: WaitPolicy,
}

/// What a node hosts.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Path of its socket.
    pub socket: PathBuf,
    /// Its routers, at least one.
    pub routers: Vec<RouterPlace>,
    /// Size of every lane.
    pub lanes: LaneShape,
    /// Worker processes; the client id of each is its place in this list.
    pub workers: Vec<WorkerSpec>,
    /// Places for clients that the node does not start, each with the addresses of its agents. A
    /// process of the same user that asks gets the first free one until it hangs up.
    pub guests: Vec<Range<u32>>,
    /// How the workers are supervised.
    pub supervision: SupervisorConfig,
}

/// What happens in a node. Told by its driver thread, in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A worker attached; messages to its agents arrive from now on.
    Up {
        /// Which client.
        client: ClientId,
        /// Which start of it.
        generation: Generation,
        /// Its process.
        pid: u32,
    },
    /// A worker is gone. What it had committed was moved on; what it had not received is dropped.
    Down {
        /// Which client.
        client: ClientId,
        /// Which start of it.
        generation: Generation,
        /// How it ended.
        reason: ExitReason,
        /// Messages that it may not have received, at most.
        undelivered: u64,
    },
    /// A guest has left, or was cut off. What it had committed was moved on.
    Left {
        /// Which client.
        client: ClientId,
        /// Which guest in this place.
        generation: Generation,
        /// Messages that it may not have received, at most.
        undelivered: u64,
    },
    /// An agent reports something.
    Report {
        /// Its client.
        client: ClientId,
        /// What it reports.
        report: Command,
    },
    /// A report of an agent was lost; the text says why.
    ReportLost {
        /// Its client.
        client: ClientId,
        /// What it was about.
        name: String,
        /// The reason, for people.
        reason: String,
        /// Reports that this client has lost so far.
        lost: u64,
    },
    /// A command could not be sent to a client; the text says why.
    CommandLost {
        /// The client that did not get it.
        client: ClientId,
        /// What it was about.
        name: String,
        /// The reason, for people.
        reason: String,
    },
    /// A client was turned away, or cut off for nonsense; the text says why.
    Refused {
        /// The reason, for people.
        reason: String,
    },
    /// The restart budget is spent: the workers are stopped.
    Escalated {
        /// The reason, for people.
        reason: String,
    },
}

/// Why a node did not start, or refused a client of its own process.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Too many or too few of something.
    #[error("{what}={found} is not from {min} to {max}: change the configuration")]
    Count {
        /// What.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
    /// The supervision makes no sense.
    #[error(transparent)]
    Supervision(#[from] corelane_agent::supervisor::SpecError),
    /// Agents overlap, or are too many.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The socket could not be made.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A router did not start.
    #[error(transparent)]
    Router(#[from] RouterError),
    /// A segment could not be made.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The lanes do not fit their segments.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The system refused something else.
    #[error("{what} failed: {source}: raise the limits of this process (`ulimit -n`, memory)")]
    Os {
        /// What.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl NodeError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Count { .. } => "CL-0801",
            Self::Supervision(cause) => cause.code(),
            Self::Table(cause) => cause.code(),
            Self::Listen(cause) => cause.code(),
            Self::Router(cause) => cause.code(),
            Self::Segment(cause) => cause.code(),
            Self::Port(cause) => cause.code(),
            Self::Os { .. } => "CL-0802",
        }
    }
}

/// A running node. Dropping it stops the workers in order, then the routers.
#[derive(Debug)]
pub struct Node {
    mailbox: Mailbox,
    routers: Arc<[Router]>,
    table: SharedTable,
    plan: Plan,
    clients: Mutex<usize>,
    driver: Option<thread::JoinHandle<()>>,
}

impl Node {
    /// Starts routers, socket and workers, and returns without waiting for the workers to attach.
    ///
    /// # Errors
    /// - [`NodeError`]: a bullet per variant; nothing is left running.
    pub fn start(
        config: NodeConfig,
        on_event: impl FnMut(NodeEvent) + Send + 'static,
    ) -> Result<Self, NodeError> {
        check_count("routers", config.routers.len(), 1, SECTIONS_MAX)?;
        let named = config.workers.len() + config.guests.len();
        check_count("workers and guests", named, 0, CLIENTS_MAX - 1)?;
        let mut table = RoutingTable::default();
        let agents = config.workers.iter().map(|worker| &worker.agents).chain(&config.guests);
        for (client, agents) in agents.enumerate() {
            table = table.with(agents.clone(), ClientId(client as u16))?;
        }
        let table = Arc::new(ArcSwap::from_pointee(table));
        let plan = Plan { shape: config.lanes, routers: config.routers.len() };
        let clients = Mutex::new(named);

        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| NodeError::Os { what: "eventfd", source: errno.into() })?;
        let (requests, inbox) = mpsc::channel();
        let mailbox = Mailbox::new(requests, bell);
        let routers = start_routers(&config.routers, &table, &mailbox)?;
        let listener = Listener::bind(&config.socket)?;
        let driver = Driver::new(
            listener,
            inbox,
            (config.workers, config.guests),
            config.supervision,
            plan,
            routers.clone(),
            Box::new(on_event),
        )?;
        let bell = mailbox.clone();
        let driver = thread::Builder::new()
            .name("corelane-node".into())
            .spawn(move || driver.run(&bell))
            .map_err(|source| NodeError::Os { what: "thread start", source })?;
        Ok(Self { mailbox, routers, table, plan, clients, driver: Some(driver) })
    }

    /// Attaches a client within this process: the same lanes, without the socket.
    ///
    /// # Errors
    /// - [`NodeError`]: the addresses are taken, there are too many clients, or memory is short.
    pub fn attach_local(&self, agents: Range<u32>) -> Result<Endpoint, NodeError> {
        // Held to the end: two callers must not build on the same table.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        check_count("clients", *clients + 1, 1, CLIENTS_MAX)?;
        let client = ClientId(*clients as u16);
        let table = self.table.load().with(agents, client)?;
        let (ours, theirs) = (self.plan.create(Side::Node, 1)?, self.plan.create(Side::Client, 1)?);
        let clone = |fd: std::os::fd::BorrowedFd<'_>| {
            let what = "descriptor clone";
            fd.try_clone_to_owned().map_err(|source| NodeError::Os { what, source })
        };
        let node = self.plan.open(Side::Node, clone(ours.fd())?)?;
        let peer = self.plan.open(Side::Client, clone(theirs.fd())?)?;
        let ports = self.plan.ports(ours, &peer)?;
        let endpoint = self.plan.endpoint(theirs, &node)?;
        // The table first: a router must know the client's agents before it sees their messages.
        self.table.store(Arc::new(table));
        for (router, port) in self.routers.iter().zip(ports) {
            router.attach(client, port);
        }
        *clients += 1;
        Ok(endpoint)
    }

    /// Sends a command to one worker, or to all that are attached.
    pub fn command(&self, client: Option<ClientId>, command: Command) {
        self.mailbox.post(Request::Command(client, command));
    }

    /// Kills a worker with SIGKILL; its supervisor starts the next generation. A guest is cut off.
    pub fn kill(&self, client: ClientId) {
        self.mailbox.post(Request::Kill(client));
    }

    /// What all routers counted.
    pub fn totals(&self) -> RouterTotals {
        let mut totals = RouterTotals::default();
        for router in self.routers.iter() {
            totals += router.stats().totals();
        }
        totals
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.mailbox.post(Request::Stop);
        if let Some(driver) = self.driver.take() {
            // A panic of the driver was printed by its thread; the routers still stop.
            let _ = driver.join();
        }
    }
}

fn check_count(what: &'static str, found: usize, min: usize, max: usize) -> Result<(), NodeError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(NodeError::Count { what, found, min, max })
}

fn start_routers(
    places: &[RouterPlace],
    table: &SharedTable,
    mailbox: &Mailbox,
) -> Result<Arc<[Router]>, NodeError> {
    let start = |(index, place): (usize, &RouterPlace)| {
        let mailbox = mailbox.clone();
        let config = RouterConfig {
            name: format!("corelane-rt-{index}"),
            cpus: place.cpus.clone(),
            wait: place.wait,
            table: table.clone(),
            on_corrupt: Box::new(move |client, reason| {
                mailbox.post(Request::Corrupt(client, reason));
            }),
        };
        Router::start(config).map_err(NodeError::from)
    };
    places.iter().enumerate().map(start).collect()
}
