//! Read the machine, measure it, choose cores.

use std::ops::ControlFlow;

use anyhow::Context;
use corelane_topology::{
    Assignment, CpuSet, LatencyMatrix, MeasureError, PinError, PingPong, PingPongOptions, Plan,
    PlanRequest, Role, Sharing, SysRoot, Topology, measure_matrix, measure_pingpong,
    measure_pingpong_floating, plan,
};
use corelane_transport::WaitPolicy;
use serde::Serialize;

use crate::{error::CliError, interrupt::Interrupt, terminal};

/// The machine and what was decided for it.
pub(crate) struct Machine {
    pub(crate) topology: Topology,
    pub(crate) matrix: LatencyMatrix,
    pub(crate) request: PlanRequest,
    pub(crate) request_because: String,
    pub(crate) plan: Plan,
    /// What the page says of it; looked at before any thread is pinned.
    pub(crate) here: corelane_bench::Machine,
    is_floating: bool,
}

/// What a reader needs to compare two runs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fingerprint {
    allowed_cpus: String,
    cores: usize,
    numa_nodes: usize,
    unknown: Vec<String>,
}

/// What the user wants of the machine.
pub(crate) struct Wanted<'a> {
    /// Router threads; without it the machine decides.
    pub(crate) routers: Option<u32>,
    pub(crate) workers: u32,
    pub(crate) is_floating: bool,
    /// The CPUs to choose from; without it, all that are allowed.
    pub(crate) cpus: Option<&'a CpuSet>,
}

pub(crate) fn look(wanted: &Wanted<'_>, interrupt: &Interrupt) -> anyhow::Result<Machine> {
    let here = corelane_bench::Machine::look();
    let mut topology = Topology::read(&SysRoot::default()).context("machine cannot be read")?;
    if let Some(cpus) = wanted.cpus {
        let allowed = topology.allowed.intersection(cpus);
        if allowed.is_empty() {
            let (asked, allowed) = (cpus.clone(), topology.allowed);
            return Err(CliError::NoCpus { asked, allowed }.into());
        }
        topology.allowed = allowed;
    }
    let suggested = Plan::default_request(&topology);
    let bar = terminal::bar(0, "measuring");
    let matrix = measure_matrix(&topology, &PingPongOptions::default(), |step| {
        bar.set_length(step.total as u64);
        bar.set_position(step.done as u64);
        match interrupt.check() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })
    .context("cores cannot be measured")?;
    bar.finish_and_clear();
    interrupt.check()?;
    let routers = wanted.routers.map_or(suggested.request.routers, |routers| routers as usize);
    let request = PlanRequest { routers, workers: wanted.workers as usize, control_threads: 1 };
    let request_because = match wanted.routers {
        Some(_) => "it was asked for".to_owned(),
        None => suggested.because,
    };
    let plan = plan(&topology, Some(&matrix), &request);
    let is_floating = wanted.is_floating;
    Ok(Machine { topology, matrix, request, request_because, plan, here, is_floating })
}

impl Machine {
    /// Where a role runs; `None` when it floats.
    pub(crate) fn cpus(&self, role: Role) -> Option<CpuSet> {
        let assignment = self.plan.assignment(role).filter(|_| !self.is_floating)?;
        Some(assignment.cpus.clone()).filter(|cpus| !cpus.is_empty())
    }

    /// How the thread of a role waits: it spins only when nobody needs its core.
    pub(crate) fn wait(&self, role: Role) -> WaitPolicy {
        WaitPolicy::for_core(self.has_core(role))
    }

    fn has_core(&self, role: Role) -> bool {
        let threads = self.request.routers + self.request.workers;
        match self.is_floating {
            true => threads < self.topology.allowed.len(),
            false => self.is_alone(role),
        }
    }

    /// Control sleeps while messages flow: sharing a core with it costs nothing.
    fn is_alone(&self, role: Role) -> bool {
        let Some(Assignment { cpus, sharing, .. }) = self.plan.assignment(role) else {
            return false;
        };
        let others = |cpu| self.plan.roles_on(cpu).filter(|other| *other != role);
        *sharing == Sharing::Exclusive
            || cpus.iter().all(|cpu| others(cpu).all(|other| other == Role::Control))
    }

    /// Whether some thread of the load phase has to share its core.
    pub(crate) fn must_yield(&self) -> bool {
        let routers = (0..self.request.routers).map(Role::Router);
        let workers = (0..self.request.workers).map(Role::Worker);
        !routers.chain(workers).all(|role| self.has_core(role))
    }

    /// The bare ping-pong between the first router's core and the first worker's, measured now.
    pub(crate) fn pingpong_beside_routers(&self) -> anyhow::Result<PingPong> {
        let options = PingPongOptions::default();
        let cpu = |role| self.cpus(role).and_then(|cpus| cpus.first());
        let measured = match (cpu(Role::Router(0)), cpu(Role::Worker(0))) {
            (Some(router), Some(worker)) => match measure_pingpong(router, worker, &options) {
                // A cpu was taken away since the start; who compares is told that it was.
                Err(MeasureError::Pin(PinError::NotAllowed { .. })) => {
                    measure_pingpong_floating(&options)
                }
                measured => measured,
            },
            _ => measure_pingpong_floating(&options),
        };
        measured.context("bare ping-pong cannot be measured")
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            allowed_cpus: self.topology.allowed.to_string(),
            cores: self.topology.allowed_cores(),
            numa_nodes: self.topology.nodes.len(),
            unknown: self.topology.unknown.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_that_are_not_allowed_are_refused() {
        let (cpus, interrupt) = (CpuSet::single(9_999), Interrupt::install().unwrap());
        let cpus = Some(&cpus);
        let wanted = Wanted { routers: None, workers: 1, is_floating: false, cpus };
        let error = look(&wanted, &interrupt).err().expect("no machine has so many");
        assert_eq!(error.downcast::<CliError>().unwrap().code(), "CL-1133");
    }
}
