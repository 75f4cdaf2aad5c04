//! Phase 1: read the machine, measure it, choose cores.

use anyhow::Context;
use corelane_topology::{
    Assignment, CpuSet, LatencyMatrix, PingPong, PingPongOptions, Plan, PlanRequest, Role, Sharing,
    SysRoot, Topology, measure_matrix, measure_pingpong, measure_pingpong_floating, plan,
};
use corelane_transport::WaitPolicy;
use serde::Serialize;

use super::DemoArgs;
use crate::{interrupt::Interrupt, terminal};

/// The machine and what was decided for it.
pub(super) struct Machine {
    pub(super) topology: Topology,
    pub(super) matrix: LatencyMatrix,
    pub(super) request: PlanRequest,
    pub(super) request_because: String,
    pub(super) plan: Plan,
    /// What the page says of it; looked at before any thread is pinned.
    pub(super) here: corelane_bench::Machine,
    is_floating: bool,
}

/// What a reader needs to compare two runs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Fingerprint {
    allowed_cpus: String,
    cores: usize,
    numa_nodes: usize,
    unknown: Vec<String>,
}

pub(super) fn look(args: &DemoArgs, interrupt: &Interrupt) -> anyhow::Result<Machine> {
    let here = corelane_bench::Machine::look();
    let topology = Topology::read(&SysRoot::default()).context("machine cannot be read")?;
    let suggested = Plan::default_request(&topology);
    let bar = terminal::bar(0, "measuring");
    let matrix = measure_matrix(&topology, &PingPongOptions::default(), |step| {
        bar.set_length(step.total as u64);
        bar.set_position(step.done as u64);
    })
    .context("cores cannot be measured")?;
    bar.finish_and_clear();
    interrupt.check()?;
    let routers = args.routers.map_or(suggested.request.routers, |routers| routers as usize);
    let request = PlanRequest { routers, workers: args.workers as usize, control_threads: 1 };
    let request_because = match args.routers {
        Some(_) => "the command line says so".to_owned(),
        None => suggested.because,
    };
    let plan = plan(&topology, Some(&matrix), &request);
    let is_floating = args.floating;
    Ok(Machine { topology, matrix, request, request_because, plan, here, is_floating })
}

impl Machine {
    /// Where a role runs; `None` when it floats.
    pub(super) fn cpus(&self, role: Role) -> Option<CpuSet> {
        let assignment = self.plan.assignment(role).filter(|_| !self.is_floating)?;
        Some(assignment.cpus.clone()).filter(|cpus| !cpus.is_empty())
    }

    /// How the thread of a role waits: it spins only when nobody needs its core.
    pub(super) fn wait(&self, role: Role) -> WaitPolicy {
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
    pub(super) fn must_yield(&self) -> bool {
        let routers = (0..self.request.routers).map(Role::Router);
        let workers = (0..self.request.workers).map(Role::Worker);
        !routers.chain(workers).all(|role| self.has_core(role))
    }

    /// The bare ping-pong between the first router's core and the first worker's, measured now.
    pub(super) fn pingpong_beside_routers(&self) -> anyhow::Result<PingPong> {
        let options = PingPongOptions::default();
        let cpu = |role| self.cpus(role).and_then(|cpus| cpus.first());
        let measured = match (cpu(Role::Router(0)), cpu(Role::Worker(0))) {
            (Some(router), Some(worker)) => measure_pingpong(router, worker, &options),
            _ => measure_pingpong_floating(&options),
        };
        measured.context("bare ping-pong cannot be measured")
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint {
            allowed_cpus: self.topology.allowed.to_string(),
            cores: self.topology.allowed_cores(),
            numa_nodes: self.topology.nodes.len(),
            unknown: self.topology.unknown.clone(),
        }
    }
}
