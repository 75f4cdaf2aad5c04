//! The thread around a [`Switch`]: pinned, waiting when there is nothing to move.
//!
//! Clients come and go by command; the table in force is looked at once per turn.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use corelane_shm::SegmentError;
use corelane_topology::{CpuSet, pin_current_thread_to};
use corelane_transport::{EventCount, Idle, Port, WaitPolicy, monotonic_ns, sleep};
use thiserror::Error;

use crate::{
    stats::RouterStats,
    switch::{ClientId, Detached, Switch},
    table::SharedTable,
};

/// What a router thread needs to know.
pub struct RouterConfig {
    /// Name of the thread, as the operating system shows it.
    pub name: String,
    /// Cores it is pinned to; `None` lets it float.
    pub cpus: Option<CpuSet>,
    /// How it waits.
    pub wait: WaitPolicy,
    /// The table in force.
    pub table: SharedTable,
    /// Told when a client's lanes hold nonsense; its port is closed by then.
    pub on_corrupt: Box<dyn Fn(ClientId, String) + Send>,
}

/// Why a router did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RouterError {
    /// What its commands ring at could not be made.
    #[error("what the router's commands ring at could not be made: {0}")]
    Segment(#[from] SegmentError),
    /// The system refused a thread.
    #[error("router thread could not be started: {0}: raise the process limit")]
    Thread(io::Error),
    /// It could not be pinned where it should.
    #[error("router could not be pinned: {0}")]
    Pin(#[from] corelane_topology::PinError),
}

impl RouterError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Segment(cause) => cause.code(),
            Self::Thread(_) => "CL-0501",
            Self::Pin(cause) => cause.code(),
        }
    }
}

/// A client that a router is about to have detached.
#[derive(Debug)]
pub struct Leaving(mpsc::Receiver<Detached>);

impl Leaving {
    /// Waits until it is. Its next generation is attached after this.
    pub fn wait(self) -> Detached {
        // A router that is gone has no clients.
        self.0.recv().unwrap_or_default()
    }
}

enum Command {
    Attach(ClientId, Box<Port>, mpsc::Sender<()>),
    Detach(ClientId, mpsc::Sender<Detached>),
    Stop,
}

/// A running router. Dropping it stops the thread and waits for it.
#[derive(Debug)]
pub struct Router {
    commands: mpsc::Sender<Command>,
    control: EventCount,
    stats: Arc<RouterStats>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Router {
    /// Starts the thread and returns once it is pinned.
    ///
    /// # Errors
    /// - [`RouterError`]: a bullet per variant.
    pub fn start(config: RouterConfig) -> Result<Self, RouterError> {
        let control = EventCount::new()?;
        let stats = Arc::new(RouterStats::default());
        let (commands, inbox) = mpsc::channel();
        let (started, is_started) = mpsc::channel();
        let (control_seen, leaving) = (control.clone(), Vec::new());
        let driver =
            Driver { inbox, control: control_seen, stats: stats.clone(), seen: 0, leaving };
        let thread = thread::Builder::new()
            .name(config.name.clone())
            .spawn(move || {
                let pinned = config.cpus.as_ref().map_or(Ok(()), pin_current_thread_to);
                let is_pinned = pinned.is_ok();
                let _ = started.send(pinned);
                if is_pinned {
                    driver.run(&config);
                }
            })
            .map_err(RouterError::Thread)?;
        is_started.recv().expect("because the thread sends before it does anything else")?;
        Ok(Self { commands, control, stats, thread: Some(thread) })
    }

    /// Adds a client, or its next generation. Waits for the router to do so: a message for the
    /// client that is sent after this is not dropped for want of its port.
    ///
    /// Enter the client's agents into the table before.
    pub fn attach(&self, client: ClientId, port: Port) {
        let (reply, attached) = mpsc::channel();
        self.command(Command::Attach(client, Box::new(port), reply));
        // A router that is gone has no clients.
        let _ = attached.recv();
    }

    /// Removes a client after moving on all that it committed; see [`Switch::detach`]. Waits for
    /// the router to do so.
    pub fn detach(&self, client: ClientId) -> Detached {
        self.leave(client).wait()
    }

    /// Begins to detach a client, and returns without waiting. The router goes on moving the
    /// messages of all others meanwhile.
    pub fn leave(&self, client: ClientId) -> Leaving {
        let (reply, detached) = mpsc::channel();
        self.command(Command::Detach(client, reply));
        Leaving(detached)
    }

    /// What it counted.
    pub fn stats(&self) -> &Arc<RouterStats> {
        &self.stats
    }

    fn command(&self, command: Command) {
        // A router that is gone has nothing left to be told.
        let _ = self.commands.send(command);
        self.control.raise();
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Driver {
    inbox: mpsc::Receiver<Command>,
    control: EventCount,
    stats: Arc<RouterStats>,
    seen: u64,
    /// Clients whose last messages are being moved on, and who waits for that.
    leaving: Vec<(ClientId, mpsc::Sender<Detached>)>,
}

impl Driver {
    fn run(mut self, config: &RouterConfig) {
        let mut switch = Switch::default();
        let mut idle = Idle::new(config.wait);
        while self.obey(&mut switch) {
            let moved = switch.turn(&config.table.load(), monotonic_ns);
            switch.flush();
            self.let_go(&mut switch);
            for (client, reason) in switch.take_corrupt() {
                (config.on_corrupt)(client, reason);
            }
            if moved > 0 {
                self.stats.publish(switch.totals());
                idle.worked();
                continue;
            }
            let Some(timeout) = idle.step() else { continue };
            // A record that is held for a full lane keeps `sleep` from sleeping: without this, its
            // receiver might not get the core that it needs to make room.
            thread::yield_now();
            let control = self.control.waiter(self.seen);
            let mut ports: Vec<&mut Port> = switch.ports().collect();
            if let Err(error) = sleep(&mut ports, Some(control), timeout) {
                // Without futexes the router still works: it naps instead of being woken.
                debug_assert!(false, "futex wait refused: {error}");
                thread::park_timeout(std::time::Duration::from_millis(1));
            }
        }
    }

    /// Carries out what was commanded; false after `Stop`.
    fn obey(&mut self, switch: &mut Switch) -> bool {
        let control = self.control.now();
        if control == self.seen {
            return true;
        }
        self.seen = control;
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Attach(client, port, reply) => {
                    switch.attach(client, *port);
                    let _ = reply.send(());
                }
                Command::Detach(client, reply) => {
                    switch.leave(client);
                    self.leaving.push((client, reply));
                }
                Command::Stop => return false,
            }
        }
        true
    }

    /// Tells who waits for a client that it has left, once all it had committed is moved on.
    fn let_go(&mut self, switch: &mut Switch) {
        let stats = &self.stats;
        self.leaving.retain(|(client, reply)| {
            let Some(detached) = switch.take_left(*client) else { return true };
            // Published before it is told: who waits looks at the totals next.
            stats.publish(switch.totals());
            let _ = reply.send(detached);
            false
        });
    }
}
