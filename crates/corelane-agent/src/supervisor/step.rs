//! The supervisor's state and its one transition.
//!
//! An event first changes what is known and intended about the children; then `reconcile` takes
//! the next allowed step from what is to what is intended. It does no I/O and reads no clock
//! (SV-6). A step costs time in proportion to the number of children and allocates its answer.

use std::collections::{HashSet, VecDeque};
use std::mem;

use super::{
    Action, ChildId, ChildSpec, Escalation, Event, ExitReason, Generation, Metric, RestartPolicy,
    SpecError, Strategy, SupervisorConfig,
};

/// A supervisor of a fixed list of children; see the module for its rules.
#[derive(Clone, Debug)]
pub struct Supervisor {
    config: SupervisorConfig,
    /// In the order in which they start.
    children: Vec<Child>,
    phase: Phase,
    /// When restarts were admitted, oldest first; at most `restarts_max` of them.
    restarts_ns: VecDeque<u64>,
    timer_at_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Idle,
    Running,
    Closing(Option<Escalation>),
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    spec: ChildSpec,
    /// Of the last start; 0 before the first.
    generation: Generation,
    presence: Presence,
    intent: Intent,
    has_been_up: bool,
    /// Restarts that lengthen the next delay.
    recent_restarts: u32,
    not_before_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Presence {
    Down,
    Starting,
    Up { since_ns: u64 },
    Stopping,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Intent {
    /// To be up.
    Run,
    /// To be stopped and then to be up; becomes `Run` as soon as it is down.
    Recycle,
    /// To be down for good.
    End,
}

impl Supervisor {
    /// Makes a supervisor whose children start in the order given, once told to.
    ///
    /// # Errors
    /// - [`SpecError::DuplicateId`] when two children have one name.
    /// - [`SpecError::EmptyWindow`] when the window of the budget has no length.
    pub fn new(config: SupervisorConfig, specs: Vec<ChildSpec>) -> Result<Self, SpecError> {
        if config.budget.window_ns == 0 {
            return Err(SpecError::EmptyWindow);
        }
        let mut ids = HashSet::new();
        if let Some(twice) = specs.iter().find(|spec| !ids.insert(spec.id)) {
            return Err(SpecError::DuplicateId { id: twice.id });
        }
        let children = specs.into_iter().map(Child::new).collect();
        let (phase, restarts_ns) = (Phase::Idle, VecDeque::new());
        Ok(Self { config, children, phase, restarts_ns, timer_at_ns: None })
    }

    /// Takes in one event at `now_ns`, a reading of any clock that does not go back, and says what
    /// is to be done.
    pub fn step(&mut self, now_ns: u64, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.timer_at_ns.is_some_and(|at_ns| at_ns <= now_ns) {
            self.timer_at_ns = None;
        }
        match event {
            Event::Start if self.phase == Phase::Idle => self.phase = Phase::Running,
            Event::Start | Event::Tick => {}
            Event::Stop => self.close(None),
            Event::ChildStarted { id, generation } => {
                if !self.child_started(now_ns, id, generation) {
                    actions.push(Action::Count(Metric::Stale));
                }
            }
            Event::ChildExited { id, generation, reason } => {
                actions.push(Action::Count(self.child_gone(now_ns, id, generation, reason)));
            }
            Event::StartFailed { id, generation } => {
                let reason = ExitReason::StartFailed;
                actions.push(Action::Count(self.child_gone(now_ns, id, generation, reason)));
            }
        }
        self.reconcile(now_ns, &mut actions);
        actions
    }

    /// Is the report of any use: is this the generation that is coming up?
    fn child_started(&mut self, now_ns: u64, id: ChildId, generation: Generation) -> bool {
        let Some(index) = self.live_index(id, generation) else { return false };
        let child = &mut self.children[index];
        if child.presence != Presence::Starting {
            return false;
        }
        child.presence = Presence::Up { since_ns: now_ns };
        child.has_been_up = true;
        true
    }

    /// Decides the outcome of an end (SV-5).
    fn child_gone(
        &mut self,
        now_ns: u64,
        id: ChildId,
        generation: Generation,
        reason: ExitReason,
    ) -> Metric {
        let Some(index) = self.live_index(id, generation) else { return Metric::Stale };
        let child = &mut self.children[index];
        let presence = mem::replace(&mut child.presence, Presence::Down);
        let intent = child.intent;
        if intent == Intent::Recycle {
            child.intent = Intent::Run;
        }
        if intent == Intent::End || presence == Presence::Stopping {
            return Metric::Stopped;
        }
        if !child.spec.policy.restarts_after(reason) {
            child.intent = Intent::End;
            return if reason.is_failure() { Metric::Abandoned } else { Metric::Completed };
        }
        if intent == Intent::Recycle {
            // It fell before its turn to be stopped: the restart under way covers it.
            return Metric::Stopped;
        }
        let window_ns = self.config.budget.window_ns;
        if matches!(presence, Presence::Up { since_ns }
            if now_ns.saturating_sub(since_ns) >= window_ns)
        {
            child.recent_restarts = 0;
        }
        if !self.admit_restart(now_ns) {
            let budget = self.config.budget;
            self.close(Some(Escalation::BudgetSpent { id, generation, exit: reason, budget }));
            return Metric::Escalated;
        }
        self.plan_restart(now_ns, index);
        Metric::Restarted
    }

    /// Books a restart if the budget allows one more (SV-2).
    fn admit_restart(&mut self, now_ns: u64) -> bool {
        let budget = self.config.budget;
        let is_past = |at_ns: &u64| now_ns.saturating_sub(*at_ns) >= budget.window_ns;
        while self.restarts_ns.front().is_some_and(is_past) {
            self.restarts_ns.pop_front();
        }
        let is_admitted = self.restarts_ns.len() < budget.restarts_max as usize;
        if is_admitted {
            self.restarts_ns.push_back(now_ns);
        }
        is_admitted
    }

    /// Marks the failed child and those that share its fate.
    fn plan_restart(&mut self, now_ns: u64, failed: usize) {
        let child = &mut self.children[failed];
        let delay_ns = self.config.backoff.delay_ns(child.recent_restarts);
        child.recent_restarts = child.recent_restarts.saturating_add(1);
        let at_ns = now_ns.saturating_add(delay_ns);
        let affected = self.config.strategy.affected(failed, self.children.len());
        for child in &mut self.children[affected] {
            child.not_before_ns = child.not_before_ns.max(at_ns);
            if child.intent == Intent::Run && child.presence != Presence::Down {
                let is_temporary = child.spec.policy == RestartPolicy::Temporary;
                child.intent = if is_temporary { Intent::End } else { Intent::Recycle };
            }
        }
    }

    /// From here on children only go down (SV-4). The first reason given stays.
    fn close(&mut self, escalation: Option<Escalation>) {
        if matches!(self.phase, Phase::Idle | Phase::Running) {
            self.phase = Phase::Closing(escalation);
            self.children.iter_mut().for_each(|child| child.intent = Intent::End);
        }
    }

    /// Takes the steps towards the intended state that are allowed now.
    fn reconcile(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Idle | Phase::Closed) || self.is_stopping(actions) {
            return;
        }
        if let Phase::Closing(escalation) = self.phase {
            self.phase = Phase::Closed;
            actions.push(match escalation {
                Some(reason) => Action::Escalate { reason },
                None => Action::Finished,
            });
        } else {
            self.start_due(now_ns, actions);
        }
    }

    /// Is there a child that has to go down first? Then it is told to, the last one first (SV-3).
    fn is_stopping(&mut self, actions: &mut Vec<Action>) -> bool {
        let has_to_go =
            |child: &&mut Child| child.intent != Intent::Run && child.presence != Presence::Down;
        let Some(child) = self.children.iter_mut().rev().find(has_to_go) else { return false };
        if child.presence != Presence::Stopping {
            child.presence = Presence::Stopping;
            let (id, generation) = (child.spec.id, child.generation);
            actions.push(Action::StopChild { id, generation });
        }
        true
    }

    /// Starts what may start now (SV-1, SV-3) and arms the timer for what may start later.
    fn start_due(&mut self, now_ns: u64, actions: &mut Vec<Action>) {
        let is_one_for_one = self.config.strategy == Strategy::OneForOne;
        let mut are_earlier_up = true;
        let mut due_ns: Option<u64> = None;
        for child in self.children.iter_mut().filter(|child| child.intent == Intent::Run) {
            let has_turn = are_earlier_up || (is_one_for_one && child.has_been_up);
            if child.presence == Presence::Down && has_turn {
                let at_ns = child.not_before_ns;
                if at_ns <= now_ns {
                    actions.push(child.start());
                } else {
                    due_ns = Some(due_ns.map_or(at_ns, |due_ns| due_ns.min(at_ns)));
                }
            }
            are_earlier_up &= matches!(child.presence, Presence::Up { .. });
        }
        if let Some(at_ns) = due_ns
            && self.timer_at_ns.is_none_or(|armed_ns| at_ns < armed_ns)
        {
            self.timer_at_ns = Some(at_ns);
            actions.push(Action::ArmTimer { at_ns });
        }
    }

    /// Place of the child, if this generation of it is live.
    fn live_index(&self, id: ChildId, generation: Generation) -> Option<usize> {
        self.children.iter().position(|child| {
            child.spec.id == id
                && child.generation == generation
                && child.presence != Presence::Down
        })
    }
}

impl Child {
    fn new(spec: ChildSpec) -> Self {
        Self {
            spec,
            generation: Generation(0),
            presence: Presence::Down,
            intent: Intent::Run,
            has_been_up: false,
            recent_restarts: 0,
            not_before_ns: 0,
        }
    }

    fn start(&mut self) -> Action {
        self.generation.0 += 1;
        self.presence = Presence::Starting;
        Action::StartChild { id: self.spec.id, generation: self.generation }
    }
}
