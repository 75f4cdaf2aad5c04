//! A worker: the thread that hosts agents, and hands each its messages one after the other.
//!
//! It starts no thread (its caller pins the one it runs on) and does no supervision: an agent that
//! panics is given up and its questions are answered with errors.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use corelane_shm::{SegmentError, futex::FutexError};
use corelane_transport::{
    AgentId, Endpoint, EventCount, Flags, Idle, Message, ReceiveError, SendError, WaitPolicy,
    monotonic_ns,
};
use thiserror::Error;

use crate::agent::{Agent, Command, Context, Outbox, Reporter};

/// Longest sleep while messages wait for full lanes: nobody rings when a lane has room again.
const FULL_SLEEP_MAX: Duration = Duration::from_millis(1);
/// Batches handled between two looks at commands and at the lanes out, at most.
const TURN_BATCHES: usize = 16;
/// Time after which a turn ends before its batches do: agents that are slow hold back neither
/// commands nor the slots that their senders wait for.
const TURN_NS: u64 = 100_000;
/// Messages taken out of the lanes at once.
const BATCH: usize = 16;

/// Why a worker did not start, or ended although nobody stopped it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// What its commands ring at could not be made.
    #[error("what the worker's commands ring at could not be made: {0}")]
    Control(#[from] SegmentError),
    /// The node's side of a lane out is corrupt.
    #[error("node is broken: {0}")]
    Send(#[from] SendError),
    /// The node's side of a lane in is corrupt.
    #[error("node is broken: {0}")]
    Receive(#[from] ReceiveError),
    /// The kernel refuses to wait.
    #[error("worker cannot sleep: {0}")]
    Sleep(#[from] FutexError),
}

impl WorkerError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Control(cause) => cause.code(),
            Self::Send(cause) => cause.code(),
            Self::Receive(cause) => cause.code(),
            Self::Sleep(cause) => cause.code(),
        }
    }
}

/// What a worker counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct WorkerTotals {
    /// Messages handed to agents.
    pub handled: u64,
    /// Messages for agents that are not here or were given up.
    pub undeliverable: u64,
    /// Records that were no messages.
    pub malformed: u64,
    /// Agents given up after a panic.
    pub panicked: u64,
}

/// Commands and the stop signal of a running worker. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    commands: mpsc::Sender<Command>,
    is_stopping: Arc<AtomicBool>,
    control: EventCount,
}

impl WorkerHandle {
    /// Hands a command to every agent of the worker.
    pub fn command(&self, command: Command) {
        // A worker that is gone has nothing left to be told.
        let _ = self.commands.send(command);
        self.control.raise();
    }

    /// Ends the worker's loop after the turn at hand; what it cannot send at once is not sent.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.control.raise();
    }
}

/// Hosts the agents `first`, `first + 1`, … of one client.
pub struct Worker {
    first: u32,
    agents: Vec<Option<Box<dyn Agent>>>,
    outbox: Outbox,
    inbox: mpsc::Receiver<Command>,
    handle: WorkerHandle,
    seen: u64,
    now_ns: u64,
    totals: WorkerTotals,
}

impl Worker {
    /// Makes a worker over an attached endpoint; `reporter` receives what agents report to the
    /// node.
    ///
    /// # Errors
    /// - [`WorkerError::Control`]: the system is short of memory or descriptors.
    pub fn new(
        endpoint: Endpoint,
        first: AgentId,
        agents: Vec<Box<dyn Agent>>,
        reporter: Reporter,
    ) -> Result<Self, WorkerError> {
        let control = EventCount::new()?;
        let (commands, inbox) = mpsc::channel();
        let handle = WorkerHandle { commands, is_stopping: Arc::default(), control };
        Ok(Self {
            first: first.0,
            agents: agents.into_iter().map(Some).collect(),
            outbox: Outbox::new(endpoint, reporter),
            inbox,
            handle,
            seen: 0,
            now_ns: 0,
            totals: WorkerTotals::default(),
        })
    }

    /// The handle that commands and stops this worker from other threads.
    pub fn handle(&self) -> WorkerHandle {
        self.handle.clone()
    }

    /// Runs until it is stopped.
    ///
    /// # Errors
    /// - [`WorkerError`]: the node is broken, or the kernel refuses to wait.
    pub fn run(mut self, wait: WaitPolicy) -> Result<WorkerTotals, WorkerError> {
        let mut idle = Idle::new(wait);
        let mut batch: Box<[Message; BATCH]> = Box::default();
        while self.obey() {
            let has_moved = self.outbox.flush()?;
            if self.turn(&mut batch)? > 0 || has_moved {
                self.outbox.flush()?;
                idle.worked();
            } else if let Some(mut timeout) = idle.step() {
                if self.outbox.has_queued() {
                    timeout = timeout.min(FULL_SLEEP_MAX);
                }
                let also = self.handle.control.waiter(self.seen);
                self.outbox.endpoint.sleep(Some(also), timeout)?;
            }
        }
        self.outbox.flush()?;
        Ok(WorkerTotals { malformed: self.outbox.endpoint.malformed(), ..self.totals })
    }

    /// Carries out commands; false once the worker is to stop.
    fn obey(&mut self) -> bool {
        let control = self.handle.control.now();
        if control == self.seen {
            return true;
        }
        self.seen = control;
        self.now_ns = monotonic_ns();
        while let Ok(command) = self.inbox.try_recv() {
            for index in 0..self.agents.len() {
                self.enter(index, None, |agent, cx| agent.on_command(cx, &command));
            }
        }
        !self.handle.is_stopping.load(Ordering::Acquire)
    }

    fn turn(&mut self, batch: &mut [Message; BATCH]) -> Result<usize, WorkerError> {
        let mut handled = 0;
        let mut begun_ns = None;
        for _ in 0..TURN_BATCHES {
            let count = self.outbox.endpoint.receive_many(batch)?;
            if count == 0 {
                break;
            }
            self.now_ns = monotonic_ns();
            batch[..count].iter().for_each(|message| self.deliver(message));
            handled += count;
            if self.now_ns - *begun_ns.get_or_insert(self.now_ns) >= TURN_NS {
                break;
            }
        }
        Ok(handled)
    }

    #[inline]
    fn deliver(&mut self, message: &Message) {
        let index = message.envelope().receiver.0.wrapping_sub(self.first) as usize;
        if self.enter(index, Some(message), |agent, cx| agent.on_message(cx, message)) {
            self.totals.handled += 1;
        } else {
            self.totals.undeliverable += 1;
        }
    }

    /// Runs `work` on an agent behind the panic boundary; false when there is no such agent.
    #[inline]
    fn enter(
        &mut self,
        index: usize,
        message: Option<&Message>,
        work: impl FnOnce(&mut dyn Agent, &mut Context<'_>),
    ) -> bool {
        let asked = message.map(|message| *message.envelope());
        let asked = asked.filter(|envelope| envelope.flags.contains(Flags::ASK));
        let me = AgentId(self.first.wrapping_add(index as u32));
        let mut cx = Context { me, asked, now_ns: self.now_ns, outbox: &mut self.outbox };
        let Some(agent) = self.agents.get_mut(index).and_then(Option::as_mut) else {
            let _ = cx.reply_error("this agent is not running");
            return false;
        };
        if catch_unwind(AssertUnwindSafe(|| work(agent.as_mut(), &mut cx))).is_err() {
            let _ = cx.reply_error("this agent panicked while it handled the question");
            self.agents[index] = None;
            self.totals.panicked += 1;
        }
        true
    }
}
