//! Chooses CPUs for routers, workers and control, and says why.
//!
//! A pure function of the topology, the measured latencies and the request: it measures nothing
//! and pins nothing. Invariant PL-1: no role is placed outside the allowed CPUs. Invariant PL-2: a
//! role marked exclusive shares neither CPU nor core with another role.

mod choose;
mod request;
#[cfg(test)]
mod tests;

use crate::{CpuSet, LatencyMatrix, Topology};
use choose::{Choice, Cores};
use std::collections::BTreeMap;
use std::fmt;

pub use request::{PlanRequest, ROUTERS_SUGGESTED_MAX, SuggestedRequest};

/// What runs on a set of CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Moves records between lanes; the number counts from 0.
    Router(usize),
    /// Hosts agents; the number counts from 0.
    Worker(usize),
    /// Sources, sockets, supervision: all threads that may block.
    Control,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Router(index) => write!(f, "router {index}"),
            Self::Worker(index) => write!(f, "worker {index}"),
            Self::Control => f.write_str("control"),
        }
    }
}

/// Who else runs where a role runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Sharing {
    /// Nobody: the whole core is this role's.
    Exclusive,
    /// Another role runs on the other hardware thread of the core.
    Sibling,
    /// Another role runs on the same CPU: whoever waits must yield.
    Shared,
}

/// Where one role runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assignment {
    /// The role.
    pub role: Role,
    /// Its CPUs; empty when no CPU is known, and the thread then floats.
    pub cpus: CpuSet,
    /// Who else runs there.
    pub sharing: Sharing,
    /// The reason, one sentence.
    pub because: String,
}

/// CPUs that were looked at and not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// The CPUs.
    pub cpus: CpuSet,
    /// The reason, one sentence.
    pub reason: String,
}

/// Which role runs where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Plan {
    /// Routers, then workers, then control.
    pub assignments: Vec<Assignment>,
    /// What was not taken.
    pub rejected: Vec<Rejected>,
}

impl Plan {
    /// Where a role runs.
    #[must_use]
    pub fn assignment(&self, role: Role) -> Option<&Assignment> {
        self.assignments.iter().find(|assignment| assignment.role == role)
    }

    /// The roles that run on a CPU.
    pub fn roles_on(&self, cpu: usize) -> impl Iterator<Item = Role> + '_ {
        self.assignments.iter().filter(move |a| a.cpus.contains(cpu)).map(|a| a.role)
    }

    /// Whether two roles share a CPU, so that a spinning waiter would keep the other from running.
    #[must_use]
    pub fn must_yield(&self) -> bool {
        self.assignments.iter().any(|assignment| assignment.sharing == Sharing::Shared)
    }
}

/// Places the requested threads on the allowed CPUs. Never fails: what does not fit is shared, what
/// is not known floats. Without a matrix, distances are assumed from caches, nodes and packages.
///
/// Routers take fast cores that share a last-level cache and are near many others, workers the
/// next nearest, same node first; control takes what is left over and slow. The second hardware
/// thread of a core is used only when no whole core remains, a CPU is shared only when none does.
#[must_use]
pub fn plan(topology: &Topology, latencies: Option<&LatencyMatrix>, request: &PlanRequest) -> Plan {
    let mut cores = Cores::new(topology, latencies);
    if cores.is_empty() {
        return floating(request);
    }
    let has_control = usize::from(request.control_threads > 0);
    let room = cores.cpu_count();
    let is_tight = request.routers + request.workers + has_control > room;
    // Routers carry everything and get at most half of the CPUs, at least one, when there are
    // too few; the others share the rest.
    let router_room = match is_tight && request.workers + has_control > 0 {
        true => request.routers.min((room / 2).max(1)),
        false => request.routers.min(room),
    };
    let routers = cores.take_routers(router_room, request.workers);
    let left = room - routers.len();
    let reserved = usize::from(has_control > 0 && left > request.workers);
    let workers = cores.take_workers(request.workers.min(left - reserved), &routers);
    let control = match has_control {
        0 => Vec::new(),
        _ => cores
            .take_control(&routers)
            .or_else(|| share_of_control(&workers, &routers))
            .into_iter()
            .collect(),
    };
    let workers_or_shared = if workers.is_empty() { &routers } else { &workers };
    let mut plan = Plan::default();
    plan.place(Role::Router, request.routers, &routers);
    plan.place(Role::Worker, request.workers, workers_or_shared);
    plan.place(|_| Role::Control, has_control, &control);
    plan.mark_sharing(topology);
    plan.rejected = cores.rejected(&routers);
    plan.reject_cpus(&topology.online.difference(&topology.allowed), "outside the allowed mask");
    plan.reject_cpus(&topology.offline, "offline");
    plan
}

/// Control has no CPU of its own: it goes to the least valuable CPU in use.
fn share_of_control(workers: &[Choice], routers: &[Choice]) -> Option<Choice> {
    let chosen = workers.last().or(routers.last())?;
    let because = "no cpu is left for control, it joins the least valuable one in use".to_owned();
    Some(Choice { cpu: chosen.cpu, because })
}

fn floating(request: &PlanRequest) -> Plan {
    let routers = (0..request.routers).map(Role::Router);
    let workers = (0..request.workers).map(Role::Worker);
    let control = (request.control_threads > 0).then_some(Role::Control);
    let assignment = |role| Assignment {
        role,
        cpus: CpuSet::new(),
        sharing: Sharing::Shared,
        because: "no allowed cpu is known, the kernel places the thread; it must yield".to_owned(),
    };
    let assignments = routers.chain(workers).chain(control).map(assignment).collect();
    Plan { assignments, rejected: Vec::new() }
}

impl Plan {
    /// Deals `count` roles out over the chosen CPUs, round by round when there are too few.
    fn place(&mut self, role: impl Fn(usize) -> Role, count: usize, chosen: &[Choice]) {
        for (index, choice) in chosen.iter().cycle().take(count).enumerate() {
            self.assignments.push(Assignment {
                role: role(index),
                cpus: CpuSet::single(choice.cpu),
                sharing: Sharing::Exclusive,
                because: choice.because.clone(),
            });
        }
    }

    fn mark_sharing(&mut self, topology: &Topology) {
        let mut on_cpu: BTreeMap<usize, Vec<Role>> = BTreeMap::new();
        let mut on_core: BTreeMap<usize, usize> = BTreeMap::new();
        let core_of = |cpu| topology.thread(cpu).map_or(usize::MAX, |thread| thread.core);
        for assignment in &self.assignments {
            for cpu in assignment.cpus.iter() {
                on_cpu.entry(cpu).or_default().push(assignment.role);
                *on_core.entry(core_of(cpu)).or_default() += 1;
            }
        }
        for assignment in &mut self.assignments {
            let Some(cpu) = assignment.cpus.first() else { continue };
            let others: Vec<String> = on_cpu[&cpu]
                .iter()
                .filter(|role| **role != assignment.role)
                .map(ToString::to_string)
                .collect();
            if !others.is_empty() {
                assignment.sharing = Sharing::Shared;
                let with = match others.len() {
                    1..=3 => others.join(", "),
                    count => format!("{count} other roles"),
                };
                assignment.because += &format!("; shared with {with}, so waiting must yield");
            } else if on_core[&core_of(cpu)] > 1 {
                assignment.sharing = Sharing::Sibling;
            }
        }
    }

    fn reject_cpus(&mut self, cpus: &CpuSet, reason: &str) {
        if !cpus.is_empty() {
            self.rejected.push(Rejected { cpus: cpus.clone(), reason: reason.to_owned() });
        }
    }
}
