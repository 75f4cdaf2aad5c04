//! The switch as a pure machine under a clock of the test's own, and the router thread around it.
//!
//! Clients are real endpoints over sealed segments. A client's death is its endpoint being dropped:
//! what it committed stays in its segment, as it does for a process.

#[path = "../../../corelane-transport/tests/pairing/mod.rs"]
mod pairing;

mod conservation;
mod generations;
mod switch;
mod thread;

use std::cell::Cell;

use corelane_router::{ClientId, Detached, RouterTotals, RoutingTable, STALL_NS, Switch};
use corelane_transport::{
    AgentId, Endpoint, Envelope, LaneShape, Message, Port, Priority, SendError,
};

/// Agents of client c are `AGENTS * c..AGENTS * (c + 1)`.
const AGENTS: u32 = 10;
const SLOTS: usize = 4;

fn shape() -> LaneShape {
    LaneShape::new(SLOTS, 1).expect("because the shape is valid")
}

/// A client and a router that are not attached yet.
fn attachment() -> (Endpoint, Port) {
    let (client, node) = pairing::sides(shape(), 1);
    (pairing::endpoint(&client, shape(), 1), pairing::port(&node, shape(), 0))
}

fn table(clients: u16) -> RoutingTable {
    (0..clients).fold(RoutingTable::default(), |table, client| {
        let first = u32::from(client) * AGENTS;
        table.with(first..first + AGENTS, ClientId(client)).expect("because the ranges are apart")
    })
}

/// The first agent of a client.
fn agent(client: u16) -> AgentId {
    AgentId(u32::from(client) * AGENTS)
}

fn envelope(from: u16, to: u16, priority: Priority, number: u64) -> Envelope {
    let (sender, receiver, correlation) = (agent(from), agent(to), number);
    Envelope { sender, receiver, correlation, priority, ..Envelope::default() }
}

fn receive(endpoint: &mut Endpoint) -> Option<Envelope> {
    let mut message = Message::default();
    let has_one = endpoint.receive(&mut message).expect("because the router is honest");
    has_one.then(|| *message.envelope())
}

/// The numbers that an endpoint receives until nothing is left.
fn receive_all(endpoint: &mut Endpoint) -> Vec<u64> {
    let numbers = std::iter::from_fn(|| receive(endpoint)).map(|envelope| envelope.correlation);
    let numbers = numbers.collect();
    endpoint.flush();
    numbers
}

/// A switch with its clients, and the time.
struct Fabric {
    switch: Switch,
    table: RoutingTable,
    clients: Vec<Option<Endpoint>>,
    now_ns: Cell<u64>,
}

impl Fabric {
    fn new(clients: u16) -> Self {
        let (switch, table, now_ns) = (Switch::default(), table(clients), Cell::new(0));
        let mut fabric = Self { switch, table, clients: Vec::new(), now_ns };
        for client in 0..clients {
            fabric.clients.push(None);
            fabric.attach(client);
        }
        fabric
    }

    fn attach(&mut self, client: u16) {
        let (endpoint, port) = attachment();
        self.clients[client as usize] = Some(endpoint);
        self.switch.attach(ClientId(client), port);
    }

    /// The client dies; what it received until then it had released.
    fn kill(&mut self, client: u16) {
        self.client(client).flush();
        self.clients[client as usize] = None;
    }

    /// Every look at the clock finds it a little later, as in the driver.
    fn detach(&mut self, client: u16) -> Detached {
        let now_ns = &self.now_ns;
        let tick = || now_ns.replace(now_ns.get() + STALL_NS / 8);
        let detached = self.switch.detach(ClientId(client), &self.table, tick);
        self.switch.flush();
        detached
    }

    fn client(&mut self, client: u16) -> &mut Endpoint {
        self.clients[client as usize].as_mut().expect("because the test attached it")
    }

    fn send(&mut self, from: u16, to: u16, priority: Priority, number: u64) {
        let sent = self.try_send(from, &envelope(from, to, priority, number));
        sent.expect("because there is room");
    }

    fn try_send(&mut self, from: u16, envelope: &Envelope) -> Result<(), SendError> {
        let endpoint = self.client(from);
        let sent = endpoint.send(envelope, b"payload");
        endpoint.flush();
        sent
    }

    fn turn(&mut self) -> usize {
        let moved = self.switch.turn(&self.table, || self.now_ns.get());
        self.switch.flush();
        moved
    }

    fn received(&mut self, client: u16) -> Vec<u64> {
        receive_all(self.client(client))
    }

    fn totals(&self) -> RouterTotals {
        self.switch.totals()
    }
}
