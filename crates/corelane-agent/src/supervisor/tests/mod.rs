//! Tests of the supervisor: from its two tables, by hand for time and limits, and against an
//! observer that watches random runs.

mod observer;
mod tables;
mod timing;

use super::*;

/// A supervisor over children `0, 1, …` with these policies.
fn supervisor(config: SupervisorConfig, policies: &[RestartPolicy]) -> Supervisor {
    let spec = |(id, policy): (usize, &RestartPolicy)| ChildSpec {
        id: ChildId(id as u32),
        policy: *policy,
    };
    let specs = policies.iter().enumerate().map(spec).collect();
    Supervisor::new(config, specs).expect("the ids differ and the window has a length")
}

fn start(id: u32, generation: u64) -> Action {
    Action::StartChild { id: ChildId(id), generation: Generation(generation) }
}

fn stop(id: u32, generation: u64) -> Action {
    Action::StopChild { id: ChildId(id), generation: Generation(generation) }
}

fn started(id: u32, generation: u64) -> Event {
    Event::ChildStarted { id: ChildId(id), generation: Generation(generation) }
}

fn exited(id: u32, generation: u64, reason: ExitReason) -> Event {
    Event::ChildExited { id: ChildId(id), generation: Generation(generation), reason }
}

/// Obeys every action at once, as a driver without delay would, and lists what was done.
fn settle(supervisor: &mut Supervisor, now_ns: u64, actions: Vec<Action>) -> Vec<Action> {
    let mut done = Vec::new();
    let mut waiting = std::collections::VecDeque::from(actions);
    while let Some(action) = waiting.pop_front() {
        done.push(action);
        let reaction = match action {
            Action::StartChild { id, generation } => Event::ChildStarted { id, generation },
            Action::StopChild { id, generation } => {
                Event::ChildExited { id, generation, reason: ExitReason::Shutdown }
            }
            _ => continue,
        };
        waiting.extend(supervisor.step(now_ns, reaction));
    }
    done
}

/// Starts all children and waits until they are up.
fn bring_up(supervisor: &mut Supervisor) {
    let actions = supervisor.step(0, Event::Start);
    settle(supervisor, 0, actions);
}
