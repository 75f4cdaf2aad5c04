//! The node's one thread for everything that is not a message: the socket, the handshakes, the
//! worker processes. It carries out what the supervisor decides, and waits in `poll` otherwise.

mod attaching;

use std::{
    collections::VecDeque,
    ops::Range,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, mpsc},
    time::Duration,
};

use corelane_agent::{
    Command,
    supervisor::{
        Action, ChildId, ChildSpec, Event, ExitReason, Generation, RestartPolicy, Supervisor,
        SupervisorConfig,
    },
};
use corelane_router::{ClientId, Router};
use corelane_shm::{
    OwnedSegment,
    fdpass::{Channel, ChannelError, Listener},
    poll_any,
    process::Signal,
};
use corelane_transport::monotonic_ns;

use crate::{
    children::{Child, WorkerSpec, exit_reason},
    control::{self, Named, ToClient},
    guests::Guests,
    handshake::short_of,
    lanes::Plan,
    node::{NodeError, NodeEvent},
};

/// How long a process may take from its start, or from its connection, to its lanes.
const START_NS_MAX: u64 = 30_000_000_000;
/// How long a worker may take to end, once it is told to or has hung up, before it is killed.
const STOP_NS_MAX: u64 = 2_000_000_000;
/// How long each worker may take at least, when others before it used up the time for all.
const STOP_NS_MIN: u64 = 100_000_000;
/// How long a client may take to make room for a control packet.
const SEND_PATIENCE: Duration = Duration::from_millis(500);
/// Connections of strangers that are not attached yet, at most; more are closed at once. As many
/// again are kept free for the node's own workers.
const HANDSHAKES_MAX: usize = 64;
/// How long nobody is accepted after the system had no descriptor for a connection.
const ACCEPT_PAUSE_NS: u64 = 200_000_000;
/// Packets that one connection may have handled before the others have their turn.
const PACKETS_PER_TURN: usize = 64;
/// Longest wait of the driver, so that deadlines are noticed.
const POLL_MAX: Duration = Duration::from_millis(250);

/// What other threads ask of the driver.
#[derive(Debug)]
pub(crate) enum Request {
    Command(Option<ClientId>, Command),
    Kill(ClientId),
    Corrupt(ClientId, String),
    Stop,
}

/// Where requests are posted. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    requests: mpsc::Sender<Request>,
    bell: Arc<OwnedFd>,
}

impl Mailbox {
    pub(crate) fn new(requests: mpsc::Sender<Request>, bell: OwnedFd) -> Self {
        Self { requests, bell: Arc::new(bell) }
    }

    pub(crate) fn post(&self, request: Request) {
        // A driver that ended needs nothing any more; a full counter has rung already.
        let _ = self.requests.send(request);
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
    }
}

/// A connection and how far it got.
#[derive(Debug)]
struct Connection {
    channel: Channel,
    phase: Phase,
    /// The place that it has, if it is a guest.
    guest: Option<ClientId>,
    deadline_ns: u64,
}

#[derive(Debug)]
enum Phase {
    Connected,
    Welcomed(ClientId, Generation, OwnedSegment),
    Attached(ClientId, Generation),
}

pub(crate) struct Driver {
    listener: Listener,
    inbox: mpsc::Receiver<Request>,
    requests: VecDeque<Request>,
    specs: Vec<WorkerSpec>,
    supervisor: Supervisor,
    plan: Plan,
    routers: Arc<[Router]>,
    on_event: Box<dyn FnMut(NodeEvent) + Send>,
    children: Vec<Option<Child>>,
    guests: Guests,
    connections: Vec<Connection>,
    tick_ns: Option<u64>,
    /// What the supervisor has not been told yet, the event at hand included.
    events: VecDeque<Event>,
    /// Until when nobody is accepted, for want of descriptors.
    accept_pause_ns: u64,
    /// When the children that are being stopped now began to be.
    stop_began_ns: Option<u64>,
    epoch: u64,
    is_finished: bool,
}

impl Driver {
    pub(crate) fn new(
        listener: Listener,
        inbox: mpsc::Receiver<Request>,
        (specs, guests): (Vec<WorkerSpec>, Vec<Range<u32>>),
        supervision: SupervisorConfig,
        plan: Plan,
        routers: Arc<[Router]>,
        on_event: Box<dyn FnMut(NodeEvent) + Send>,
    ) -> Result<Self, NodeError> {
        let ids = (0..specs.len() as u32).map(ChildId);
        let children = ids.map(|id| ChildSpec { id, policy: RestartPolicy::Permanent }).collect();
        Ok(Self {
            listener,
            inbox,
            requests: VecDeque::new(),
            supervisor: Supervisor::new(supervision, children)?,
            plan,
            routers,
            on_event,
            children: specs.iter().map(|_| None).collect(),
            guests: Guests::new(specs.len(), guests),
            specs,
            connections: Vec::new(),
            tick_ns: None,
            events: VecDeque::new(),
            accept_pause_ns: 0,
            stop_began_ns: None,
            epoch: 0,
            is_finished: false,
        })
    }

    pub(crate) fn run(mut self, mailbox: &Mailbox) {
        self.supervise(Event::Start);
        while !self.is_finished {
            self.wait(mailbox.bell.as_fd());
            let _ = rustix::io::read(&*mailbox.bell, &mut [0; 8]);
            self.requests.extend(self.inbox.try_iter());
            while let Some(request) = self.requests.pop_front() {
                self.obey(request);
            }
            self.accept();
            self.read_connections();
            self.reap();
            self.enforce_deadlines();
        }
    }

    fn wait(&self, bell: BorrowedFd<'_>) {
        let mut fds = vec![bell];
        if monotonic_ns() >= self.accept_pause_ns {
            fds.push(self.listener.as_fd());
        }
        fds.extend(self.connections.iter().map(|connection| connection.channel.as_fd()));
        fds.extend(self.children.iter().flatten().map(|child| child.pidfd.as_fd()));
        let until = |ns: u64| Duration::from_nanos(ns.saturating_sub(monotonic_ns()));
        let timeout = self.tick_ns.map_or(POLL_MAX, |tick| until(tick).min(POLL_MAX));
        if poll_any(&fds, Some(timeout)).is_err() {
            // Short of memory: the loop looks at everything anyway, a little later.
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Kill(client) => {
                if let Some(Some(child)) = self.children.get(client.0 as usize) {
                    // One that is gone already is reaped in this same turn.
                    let _ = child.pidfd.kill(Signal::KILL);
                }
                let of_guest = |one: &mut Connection| one.guest == Some(client);
                let cut: Vec<_> = self.connections.extract_if(.., of_guest).collect();
                cut.into_iter().for_each(|connection| self.close(connection));
            }
            Request::Command(to, command) => self.command(to, command),
            Request::Corrupt(client, reason) => {
                let reason = format!("client={client} is cut off: {reason}");
                (self.on_event)(NodeEvent::Refused { reason });
                self.obey(Request::Kill(client));
            }
            Request::Stop => {
                let stop = control::encode(&ToClient::Stop {});
                for guest in self.connections.iter().filter(|one| one.guest.is_some()) {
                    // One that does not listen sees the end of its socket.
                    let _ = guest.channel.send(&stop, &[], Some(Duration::ZERO));
                }
                self.supervise(Event::Stop);
            }
        }
    }

    fn command(&mut self, to: Option<ClientId>, Command { name, body }: Command) {
        let message = control::encode(&ToClient::Command(Named { name: name.clone(), body }));
        for connection in &self.connections {
            let Phase::Attached(client, _) = connection.phase else { continue };
            if to.is_some_and(|to| to != client) {
                continue;
            }
            match connection.channel.send(&message, &[], Some(SEND_PATIENCE)) {
                // A client that is gone is noticed by its pidfd, or the end of its socket.
                Ok(()) | Err(ChannelError::Closed) => {}
                Err(error) => {
                    let (name, reason) = (name.clone(), error.to_string());
                    (self.on_event)(NodeEvent::CommandLost { client, name, reason });
                }
            }
        }
    }

    fn accept(&mut self) {
        if monotonic_ns() < self.accept_pause_ns {
            return;
        }
        loop {
            let channel = match self.listener.accept(Some(Duration::ZERO)) {
                Ok(channel) => channel,
                Err(ChannelError::TimedOut) => return,
                Err(error) => {
                    self.accept_pause_ns = monotonic_ns() + ACCEPT_PAUSE_NS;
                    let reason = short_of(&error).to_string();
                    return (self.on_event)(NodeEvent::Refused { reason });
                }
            };
            let deadline_ns = monotonic_ns() + START_NS_MAX;
            let is_attached = |one: &&Connection| matches!(one.phase, Phase::Attached(..));
            let attached = self.connections.iter().filter(is_attached).count();
            let peer = channel.peer_credentials();
            let mut children = self.children.iter().flatten();
            let is_child = peer.is_ok_and(|peer| children.any(|child| child.pid == peer.pid));
            // Strangers that say nothing never keep a worker out.
            let limit = if is_child { 2 * HANDSHAKES_MAX } else { HANDSHAKES_MAX };
            if self.connections.len() - attached < limit {
                let phase = Phase::Connected;
                self.connections.push(Connection { channel, phase, guest: None, deadline_ns });
            }
        }
    }

    fn read_connections(&mut self) {
        for mut connection in std::mem::take(&mut self.connections) {
            let is_open = self.read_connection(&mut connection);
            if is_open {
                self.connections.push(connection);
            } else {
                self.close(connection);
            }
        }
        // Only now, when every connection is in its place again: a stop has to reach its client.
        self.settle();
    }

    /// What the end of a connection means. A worker that hung up has nothing more to do here: it
    /// has time to end by itself, so that what is reported is how it ended and not that it was
    /// killed. A guest that hung up has left, whatever its process does.
    fn close(&mut self, connection: Connection) {
        let attached = match connection.phase {
            Phase::Attached(client, generation) => Some((client, generation)),
            _ => None,
        };
        if let Some(client) = connection.guest {
            if let Some((_, generation)) = attached {
                let undelivered = self.detach(client);
                (self.on_event)(NodeEvent::Left { client, generation, undelivered });
            }
            self.guests.free(client);
        } else if let Some((client, _)) = attached
            && let Some(Some(child)) = self.children.get_mut(client.0 as usize)
        {
            child.deadline_ns.get_or_insert(monotonic_ns() + STOP_NS_MAX);
        }
    }

    /// Takes a client away from the routers; how much it had not received.
    fn detach(&mut self, client: ClientId) -> u64 {
        // All are told before one is waited for: each has lanes of its own to move on.
        let leaving: Vec<_> = self.routers.iter().map(|router| router.leave(client)).collect();
        let undelivered = leaving.into_iter().map(|leaving| leaving.wait().undelivered).sum();
        // No router speaks of this generation any more; what one said before must not be
        // held against the next.
        self.requests.extend(self.inbox.try_iter());
        self.requests
            .retain(|request| !matches!(request, Request::Corrupt(of, _) if *of == client));
        self.epoch += 1;
        undelivered
    }

    /// Notices workers that ended: drains their lanes, then lets the supervisor decide.
    fn reap(&mut self) {
        for index in 0..self.children.len() {
            let Some(child) = &self.children[index] else { continue };
            let exit = match child.pidfd.reap() {
                Ok(None) => continue,
                Ok(Some(exit)) => exit_reason(exit),
                // Somebody else in this process reaped it: it is gone all the same.
                Err(_) => ExitReason::Failed { code: -1 },
            };
            let (generation, is_up) = (child.generation, child.is_up);
            self.children[index] = None;
            let client = ClientId(index as u16);
            self.connections.retain(|connection| match &connection.phase {
                Phase::Welcomed(of, ..) | Phase::Attached(of, _) => *of != client,
                Phase::Connected => true,
            });
            let id = ChildId(index as u32);
            if !is_up {
                self.supervise(Event::StartFailed { id, generation });
                continue;
            }
            let (undelivered, reason) = (self.detach(client), exit);
            self.supervise(Event::ChildExited { id, generation, reason });
            (self.on_event)(NodeEvent::Down { client, generation, reason, undelivered });
        }
    }

    fn enforce_deadlines(&mut self) {
        let now = monotonic_ns();
        if self.tick_ns.is_some_and(|tick| tick <= now) {
            self.tick_ns = None;
            self.supervise(Event::Tick);
        }
        for child in self.children.iter_mut().flatten() {
            if child.deadline_ns.is_some_and(|deadline| deadline <= now) {
                child.deadline_ns = None;
                let _ = child.pidfd.kill(Signal::KILL);
            }
        }
        let is_late = |connection: &mut Connection| {
            !matches!(connection.phase, Phase::Attached(..)) && connection.deadline_ns <= now
        };
        let late: Vec<_> = self.connections.extract_if(.., is_late).collect();
        late.into_iter().for_each(|connection| self.close(connection));
    }

    fn supervise(&mut self, event: Event) {
        self.events.push_back(event);
        if self.events.len() == 1 {
            self.settle();
        }
    }

    /// Tells the supervisor what happened and does what it decides, one event after the other: an
    /// event that an action causes waits until all actions before it are done.
    fn settle(&mut self) {
        while let Some(&event) = self.events.front() {
            for action in self.supervisor.step(monotonic_ns(), event) {
                self.act(action);
            }
            self.events.pop_front();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::StartChild { id, generation } => self.start_child(id, generation),
            Action::StopChild { id, generation } => self.stop_child(id, generation),
            Action::ArmTimer { at_ns } => self.tick_ns = Some(at_ns),
            Action::Escalate { reason } => {
                self.is_finished = true;
                (self.on_event)(NodeEvent::Escalated { reason: reason.to_string() });
            }
            Action::Finished => self.is_finished = true,
            Action::Count(_) => {}
        }
    }

    fn start_child(&mut self, id: ChildId, generation: Generation) {
        let index = id.0 as usize;
        match self.specs[index].spawn(self.listener.path(), generation) {
            Ok(child) => {
                self.stop_began_ns = None;
                let deadline_ns = Some(monotonic_ns() + START_NS_MAX);
                self.children[index] = Some(Child { deadline_ns, ..child });
            }
            Err(error) => {
                let program = self.specs[index].program.display().to_string();
                let reason = format!(
                    "worker={index} could not be started: {program}: {error}: check the program, \
                     and the limits of this process (`ulimit -n`, `ulimit -u`, memory)"
                );
                (self.on_event)(NodeEvent::Refused { reason });
                self.supervise(Event::StartFailed { id, generation });
            }
        }
    }

    fn stop_child(&mut self, id: ChildId, generation: Generation) {
        let client = ClientId(id.0 as u16);
        let attached = self.connections.iter().find(|connection| match connection.phase {
            Phase::Attached(of, which) => (of, which) == (client, generation),
            _ => false,
        });
        let stop = control::encode(&ToClient::Stop {});
        let is_told =
            attached.is_some_and(|one| one.channel.send(&stop, &[], Some(SEND_PATIENCE)).is_ok());
        if let Some(child) = &mut self.children[id.0 as usize] {
            let now = monotonic_ns();
            let began = *self.stop_began_ns.get_or_insert(now);
            child.deadline_ns = Some(if is_told { stop_deadline_ns(began, now) } else { now });
        }
    }
}

/// When a worker that is told to stop now is killed: workers stop one after the other, and those
/// that are stuck share one patience instead of having one each.
fn stop_deadline_ns(began_ns: u64, now_ns: u64) -> u64 {
    (began_ns + STOP_NS_MAX).max(now_ns + STOP_NS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_that_are_stuck_share_one_patience() {
        let mut now = 5_000_000_000;
        let began = now;
        for _ in 0..10 {
            now = stop_deadline_ns(began, now);
        }
        assert_eq!(now - began, STOP_NS_MAX + 9 * STOP_NS_MIN);
        assert_eq!(stop_deadline_ns(began, began + 1), began + STOP_NS_MAX);
    }
}
