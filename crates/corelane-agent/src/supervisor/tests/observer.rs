//! Random runs, watched by an observer that keeps its own books of what is alive, what was asked
//! and what was restarted, and knows nothing of the supervisor's state.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Just, prop, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Start,
    Stop,
    /// Time passes; timers that come due fire on the way.
    Advance {
        by_ns: u64,
    },
    /// Something happens to one of the live generations.
    Live {
        pick: usize,
        report: Report,
    },
    /// A report about a generation that is not live, `back` before the one that is.
    Stale {
        id: u32,
        back: i64,
        report: Report,
    },
}

#[derive(Clone, Copy, Debug)]
enum Report {
    Started,
    StartFailed,
    Exited(ExitReason),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Life {
    Starting,
    Up,
    Stopping,
}

struct Observer {
    supervisor: Supervisor,
    config: SupervisorConfig,
    policies: Vec<RestartPolicy>,
    now_ns: u64,
    timer_ns: Option<u64>,
    /// Live children: generation and what it is doing.
    live: BTreeMap<u32, (u64, Life)>,
    last_generation: BTreeMap<u32, u64>,
    has_been_up: BTreeSet<u32>,
    has_ended: BTreeSet<u32>,
    /// Generations that a restart takes along.
    doomed: BTreeSet<(u32, u64)>,
    restarts_ns: Vec<u64>,
    is_started: bool,
    is_stopping: bool,
    has_escalated: bool,
    last_action: Option<Action>,
}

impl Observer {
    fn new(config: SupervisorConfig, policies: Vec<RestartPolicy>) -> Self {
        Self {
            supervisor: supervisor(config, &policies),
            config,
            policies,
            now_ns: 0,
            timer_ns: None,
            live: BTreeMap::new(),
            last_generation: BTreeMap::new(),
            has_been_up: BTreeSet::new(),
            has_ended: BTreeSet::new(),
            doomed: BTreeSet::new(),
            restarts_ns: Vec::new(),
            is_started: false,
            is_stopping: false,
            has_escalated: false,
            last_action: None,
        }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Start => {
                self.is_started |= !self.is_stopping;
                self.step(Event::Start);
            }
            Op::Stop => {
                self.is_stopping = true;
                self.step(Event::Stop);
            }
            Op::Advance { by_ns } => self.advance(by_ns),
            Op::Live { pick, report } => {
                if let Some(id) = self.live.keys().copied().nth(pick % self.live.len().max(1)) {
                    self.report(id, report);
                }
            }
            Op::Stale { id, back, report } => {
                let live = self.live.get(&id).map(|live| live.0);
                let last = self.last_generation.get(&id).copied().unwrap_or(0);
                let generation = last.saturating_add_signed(-back);
                if live != Some(generation) {
                    let actions = self.step(event(id, generation, report));
                    assert_eq!(actions, [Action::Count(Metric::Stale)], "SV-5: {op:?}");
                }
            }
        }
    }

    fn advance(&mut self, by_ns: u64) {
        let until_ns = self.now_ns + by_ns;
        while let Some(at_ns) = self.timer_ns.take_if(|at_ns| *at_ns <= until_ns) {
            self.now_ns = at_ns;
            self.step(Event::Tick);
        }
        self.now_ns = until_ns;
    }

    /// Reports on a live child if that can happen to it, and checks the outcome (SV-5).
    fn report(&mut self, id: u32, report: Report) {
        let (generation, life) = self.live[&id];
        let (reason, is_possible) = match report {
            Report::Started if life == Life::Starting => {
                self.live.insert(id, (generation, Life::Up));
                self.has_been_up.insert(id);
                let actions = self.step(event(id, generation, report));
                return assert!(!actions.iter().any(is_count), "SV-5: {actions:?}");
            }
            Report::Started => return,
            Report::StartFailed => (ExitReason::StartFailed, life != Life::Up),
            Report::Exited(reason) => (reason, true),
        };
        if !is_possible {
            return;
        }
        self.live.remove(&id);
        let expected = self.expected_outcome(id, generation, life, reason);
        let doomed = self.taken_along(id);
        if expected == Metric::Restarted {
            self.restarts_ns.push(self.now_ns);
            self.doomed.extend(doomed);
        }
        self.is_stopping |= expected == Metric::Escalated;
        self.has_escalated |= expected == Metric::Escalated;
        let actions = self.step(event(id, generation, report));
        let counts: Vec<_> = actions.into_iter().filter(is_count).collect();
        assert_eq!(counts, [Action::Count(expected)], "SV-5: end of {id} by {reason:?}");
    }

    fn expected_outcome(
        &mut self,
        id: u32,
        generation: u64,
        life: Life,
        reason: ExitReason,
    ) -> Metric {
        let is_clean = matches!(reason, ExitReason::Normal | ExitReason::Shutdown);
        let policy = self.policies[id as usize];
        let is_doomed = self.doomed.contains(&(id, generation));
        let stays_down = match policy {
            RestartPolicy::Permanent => false,
            RestartPolicy::Transient => is_clean && life != Life::Stopping,
            RestartPolicy::Temporary => true,
        };
        if stays_down {
            self.has_ended.insert(id);
        }
        let is_temporary = policy == RestartPolicy::Temporary;
        if self.is_stopping || life == Life::Stopping || (is_doomed && is_temporary) {
            Metric::Stopped
        } else if stays_down {
            if is_clean { Metric::Completed } else { Metric::Abandoned }
        } else if is_doomed {
            Metric::Stopped
        } else {
            let budget = self.config.budget;
            let is_recent = |at_ns: &&u64| self.now_ns - **at_ns < budget.window_ns;
            let recent = self.restarts_ns.iter().filter(is_recent).count();
            if recent < budget.restarts_max as usize {
                Metric::Restarted
            } else {
                Metric::Escalated
            }
        }
    }

    /// The live siblings that a restart of this child stops.
    fn taken_along(&self, id: u32) -> Vec<(u32, u64)> {
        let is_taken = |other: u32| match self.config.strategy {
            Strategy::OneForOne => false,
            Strategy::OneForAll => true,
            Strategy::RestForOne => other > id,
        };
        let live = self.live.iter().filter(|(other, _)| is_taken(**other));
        live.map(|(other, (generation, _))| (*other, *generation)).collect()
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let actions = self.supervisor.step(self.now_ns, event);
        for action in &actions {
            self.watch(*action);
        }
        actions
    }

    fn watch(&mut self, action: Action) {
        let is_over = matches!(self.last_action, Some(Action::Finished | Action::Escalate { .. }));
        let is_stale = action == Action::Count(Metric::Stale);
        assert!(!is_over || is_stale, "SV-4: {action:?} after the last action");
        match action {
            Action::StartChild { id, generation } => self.watch_start(id.0, generation.0),
            Action::StopChild { id, generation } => {
                let (id, generation) = (id.0, generation.0);
                let later = self.live.range(id + 1..).next();
                assert_eq!(later, None, "SV-3: {id} is stopped while a later one is live");
                let is_wanted = self.is_stopping || self.doomed.contains(&(id, generation));
                assert!(is_wanted, "{id} is stopped for no reason");
                let before = self.live.insert(id, (generation, Life::Stopping));
                assert!(
                    before.is_some_and(|live| live.0 == generation && live.1 != Life::Stopping),
                    "{id} is stopped in generation {generation} while it is {before:?}"
                );
            }
            Action::ArmTimer { at_ns } => {
                assert!(at_ns > self.now_ns, "a timer is armed for the past");
                self.timer_ns = Some(at_ns);
            }
            Action::Escalate { .. } | Action::Finished => {
                assert!(self.is_stopping && self.live.is_empty(), "the end comes too early");
                let is_escalation = matches!(action, Action::Escalate { .. });
                assert_eq!(is_escalation, self.has_escalated, "SV-2: {action:?}");
            }
            Action::Count(_) => {}
        }
        if !is_stale {
            self.last_action = Some(action);
        }
    }

    fn watch_start(&mut self, id: u32, generation: u64) {
        assert!(self.is_started && !self.is_stopping, "SV-4: start of {id}");
        assert!(!self.has_ended.contains(&id), "{id} is started after it ended for good");
        let last = self.last_generation.insert(id, generation).unwrap_or(0);
        assert_eq!(generation, last + 1, "SV-1: generations of {id}");
        let before = self.live.insert(id, (generation, Life::Starting));
        assert_eq!(before, None, "SV-1: {id} is started while it is live");
        let is_doomed =
            |(id, (generation, _)): (&u32, &(u64, Life))| self.doomed.contains(&(*id, *generation));
        assert!(!self.live.iter().any(is_doomed), "SV-3: {id} is started before all are stopped");
        let waits = self.config.strategy != Strategy::OneForOne || !self.has_been_up.contains(&id);
        let is_ready = |id: u32| self.is_up(id) || self.has_ended.contains(&id);
        assert!(!waits || (0..id).all(is_ready), "SV-3: {id} is started before an earlier one");
    }

    fn is_up(&self, id: u32) -> bool {
        self.live.get(&id).is_some_and(|live| live.1 == Life::Up)
    }

    /// Lets everything that is under way come to its end, and checks that it is the right one.
    fn drain(&mut self) {
        loop {
            let busy = self.live.iter().find(|(_, live)| live.1 != Life::Up);
            if let Some((id, (_, life))) = busy.map(|(id, live)| (*id, *live)) {
                let stopped = Report::Exited(ExitReason::Shutdown);
                self.report(id, if life == Life::Starting { Report::Started } else { stopped });
            } else if let Some(at_ns) = self.timer_ns {
                self.advance(at_ns - self.now_ns);
            } else {
                break;
            }
        }
        if self.is_stopping {
            let last = self.last_action;
            let is_over = matches!(last, Some(Action::Finished | Action::Escalate { .. }));
            assert!(is_over, "the supervisor hangs after {last:?}");
        } else if self.is_started {
            let is_settled = |id| self.is_up(id) || self.has_ended.contains(&id);
            let count = self.policies.len() as u32;
            assert!((0..count).all(is_settled), "not all are up: {:?}", self.live);
        }
    }
}

fn is_count(action: &Action) -> bool {
    matches!(action, Action::Count(_))
}

fn event(id: u32, generation: u64, report: Report) -> Event {
    let (id, generation) = (ChildId(id), Generation(generation));
    match report {
        Report::Started => Event::ChildStarted { id, generation },
        Report::StartFailed => Event::StartFailed { id, generation },
        Report::Exited(reason) => Event::ChildExited { id, generation, reason },
    }
}

fn report() -> impl Generator<Value = Report> {
    prop_oneof![
        6 => Just(Report::Started),
        1 => Just(Report::StartFailed),
        1 => Just(Report::Exited(ExitReason::Normal)),
        1 => Just(Report::Exited(ExitReason::Shutdown)),
        2 => Just(Report::Exited(ExitReason::Failed { code: 1 })),
        2 => Just(Report::Exited(ExitReason::Signal { signal: 9 })),
    ]
}

fn op() -> impl Generator<Value = Op> {
    prop_oneof![
        2 => Just(Op::Start),
        1 => Just(Op::Stop),
        8 => (0..300_u64).prop_map(|by_ns| Op::Advance { by_ns }),
        40 => (0..5_usize, report()).prop_map(|(pick, report)| Op::Live { pick, report }),
        6 => (0..6_u32, -1..3_i64, report())
            .prop_map(|(id, back, report)| Op::Stale { id, back, report }),
    ]
}

fn config() -> impl Generator<Value = SupervisorConfig> {
    let strategies = vec![Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
    (prop::sample::select(strategies), 0..7_u32, 1..1_000_u64, 0..50_u64, 0..200_u64).prop_map(
        |(strategy, restarts_max, window_ns, first_ns, cap_ns)| SupervisorConfig {
            strategy,
            budget: RestartBudget { restarts_max, window_ns },
            backoff: Backoff { first_ns, cap_ns },
        },
    )
}

fn policies() -> impl Generator<Value = Vec<RestartPolicy>> {
    let policy = prop_oneof![
        4 => Just(RestartPolicy::Permanent),
        2 => Just(RestartPolicy::Transient),
        1 => Just(RestartPolicy::Temporary),
    ];
    prop::collection::vec(policy, 0..6)
}

proptest! {
    /// SV-1 to SV-5, and that every run settles.
    #[test]
    fn random_runs_keep_the_invariants(
        config in config(),
        policies in policies(),
        ops in prop::collection::vec(op(), 0..120),
    ) {
        let mut observer = Observer::new(config, policies);
        observer.apply(&Op::Start);
        for op in &ops {
            observer.apply(op);
        }
        observer.drain();
        if !observer.is_stopping {
            observer.apply(&Op::Stop);
            observer.drain();
        }
    }
}
