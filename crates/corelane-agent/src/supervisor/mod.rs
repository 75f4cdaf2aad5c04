//! Supervision of children as a pure state machine.
//!
//! It decides which child is started, stopped, restarted or given up, and when. It does not start
//! or kill anything: a driver turns [`Action`]s into processes or threads and reports back with
//! [`Event`]s and the time. It knows no agent, no process and no clock, so that a simulator can
//! run it.
//!
//! # Policy by exit reason
//! What becomes of a child that ended without being asked to:
//!
//! | policy    | normal  | shutdown | failed  | signal  | start-failed |
//! |-----------|---------|----------|---------|---------|--------------|
//! | permanent | restart | restart  | restart | restart | restart      |
//! | transient | end     | end      | restart | restart | restart      |
//! | temporary | end     | end      | end     | end     | end          |
//!
//! A child that reached *end* is never started again, whatever happens to its siblings. A
//! temporary child that is stopped together with its siblings ends too.
//!
//! # Strategy by failed child
//! Which children of `a b c` are stopped and then started, in which order, when one is restarted:
//!
//! | strategy     | a fails               | b fails               | c fails               |
//! |--------------|-----------------------|-----------------------|-----------------------|
//! | one-for-one  | start a               | start b               | start c               |
//! | one-for-all  | stop c b, start a b c | stop c a, start a b c | stop b a, start a b c |
//! | rest-for-one | stop c b, start a b c | stop c, start b c     | start c               |
//!
//! One failure costs one restart of the budget, however many siblings it takes along. The first
//! restart of a child is immediate; the next ones wait, see [`Backoff`].
//!
//! # Invariants
//! - **SV-1** A child has at most one live generation: it is started only after the end of its
//!   last generation was reported, and generations only grow.
//! - **SV-2** At most `restarts_max` restarts are admitted in any window of `window_ns`; the next
//!   failure that asks for one escalates: all children are stopped, then [`Action::Escalate`].
//! - **SV-3** Children start in order, each after every earlier one is up or has ended for good,
//!   and stop in reverse, each after every later one is down. A restart under one-for-one waits
//!   for nobody.
//! - **SV-4** Nothing starts after a stop or an escalation, and nothing at all follows
//!   [`Action::Finished`] or [`Action::Escalate`].
//! - **SV-5** Every end of a live generation, and every failed start, gets exactly one outcome and
//!   is counted once under it; every event that fits no live generation is counted as stale and
//!   changes nothing.
//! - **SV-6** A step reads no clock and holds no lock, thread, randomness or I/O.
//!
//! # What the driver owes
//! After [`Action::StartChild`] it reports [`Event::ChildStarted`], [`Event::StartFailed`] or
//! [`Event::ChildExited`] of that generation; after [`Action::StopChild`] it sees to it, by force
//! if need be, that [`Event::ChildExited`] follows. Without these reports the supervisor waits.
//!
//! # Examples
//! ```
//! use corelane_agent::supervisor::{
//!     Action, ChildId, ChildSpec, Event, ExitReason, Generation, Metric, RestartPolicy,
//!     Supervisor, SupervisorConfig,
//! };
//!
//! let (id, policy) = (ChildId(0), RestartPolicy::Permanent);
//! let worker = ChildSpec { id, policy };
//! let mut supervisor = Supervisor::new(SupervisorConfig::default(), vec![worker])?;
//! let generation = Generation(1);
//! let start = Action::StartChild { id, generation };
//! assert_eq!(supervisor.step(0, Event::Start), [start]);
//! assert_eq!(supervisor.step(1, Event::ChildStarted { id, generation }), []);
//!
//! let killed = ExitReason::Signal { signal: 9 };
//! let actions = supervisor.step(2, Event::ChildExited { id, generation, reason: killed });
//! let again = Action::StartChild { id, generation: Generation(2) };
//! assert_eq!(actions, [Action::Count(Metric::Restarted), again]);
//! # Ok::<(), corelane_agent::supervisor::SpecError>(())
//! ```

mod policy;
mod step;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use policy::{Backoff, ExitReason, RestartBudget, RestartPolicy, Strategy};
pub use step::Supervisor;

/// Names a child; chosen by whoever writes the specification, unique within a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildId(pub u32);

/// Counts the starts of one child, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// What is supervised: one child and when it is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildSpec {
    /// Name of the child.
    pub id: ChildId,
    /// Whether it is restarted, by the reason of its exit.
    pub policy: RestartPolicy,
}

/// Settings of one supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SupervisorConfig {
    /// Which siblings share a restart.
    pub strategy: Strategy,
    /// How many restarts are tolerated before escalation.
    pub budget: RestartBudget,
    /// How long repeated restarts of one child wait.
    pub backoff: Backoff,
}

/// What happened, as the driver reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin: start the children in order. A second one is ignored.
    Start,
    /// A generation is up and at work.
    ChildStarted {
        /// Name of the child.
        id: ChildId,
        /// The generation that came up.
        generation: Generation,
    },
    /// A generation is gone.
    ChildExited {
        /// Name of the child.
        id: ChildId,
        /// The generation that ended.
        generation: Generation,
        /// Why it ended.
        reason: ExitReason,
    },
    /// A generation could not be started; the same as an exit with [`ExitReason::StartFailed`].
    StartFailed {
        /// Name of the child.
        id: ChildId,
        /// The generation that did not come up.
        generation: Generation,
    },
    /// End: stop the children in reverse order.
    Stop,
    /// The armed timer is due. One that comes early or twice does no harm.
    Tick,
}

/// What the driver is to do, in this order. Exhaustive on purpose: a driver that leaves one out
/// is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this generation of the child.
    StartChild {
        /// Name of the child.
        id: ChildId,
        /// The generation to start.
        generation: Generation,
    },
    /// Stop this generation, whether it is up or still coming up.
    StopChild {
        /// Name of the child.
        id: ChildId,
        /// The generation to stop.
        generation: Generation,
    },
    /// Send [`Event::Tick`] at this time; replaces the timer armed before.
    ArmTimer {
        /// When the tick is due, on the clock whose readings are passed to `step`.
        at_ns: u64,
    },
    /// Last action: the budget is spent, all children are down, the parent decides.
    Escalate {
        /// Which failure could not be answered with a restart.
        reason: Escalation,
    },
    /// Last action: all children are down because a stop was asked for.
    Finished,
    /// Add one to this counter.
    Count(Metric),
}

/// Outcomes of a child's end, and events that came to nothing: one counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// The child is started again, alone or with its siblings.
    Restarted,
    /// The budget is spent and the supervisor gives up.
    Escalated,
    /// The child did its work and is not needed again.
    Completed,
    /// The child failed and its policy forbids a restart.
    Abandoned,
    /// The child ended after its stop had been decided, so that there was nothing to decide.
    Stopped,
    /// The event named an unknown child or a generation that is not live, or came too late.
    Stale,
}

/// Why a supervisor gave up.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Escalation {
    /// One more restart was needed than the budget allows.
    #[error(
        "supervisor gave up because its restart budget is spent, repair the child or raise the \
         budget: child={} generation={} exit={exit} restarts_max={} window_ns={}",
        .id.0, .generation.0, .budget.restarts_max, .budget.window_ns
    )]
    BudgetSpent {
        /// The child whose failure was one too many.
        id: ChildId,
        /// Its last generation.
        generation: Generation,
        /// Why that generation ended.
        exit: ExitReason,
        /// The limit that was hit.
        budget: RestartBudget,
    },
}

impl Escalation {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BudgetSpent { .. } => "CL-0601",
        }
    }
}

/// Why a supervisor cannot be built from what it was given.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// Two children have one name.
    #[error("child id is used twice, give every child its own: child={}", .id.0)]
    DuplicateId {
        /// The name that occurs twice.
        id: ChildId,
    },
    /// A window without length forgets every restart, so that the budget would never be spent.
    #[error("restart budget has an empty window, give it a length: window_ns=0")]
    EmptyWindow,
}

impl SpecError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::DuplicateId { .. } => "CL-0602",
            Self::EmptyWindow => "CL-0603",
        }
    }
}
