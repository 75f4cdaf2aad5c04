//! The worker process: attaches to the node that started it and hosts its agents.

use std::{ffi::OsString, path::PathBuf, process, str::FromStr, thread};

use anyhow::Context;
use clap::Args;
use corelane_agent::{Agent, Worker};
use corelane_backend_tract::TractBackend;
use corelane_infer::{
    Backend, Choice, Decision, InferConfig, ModelSource, Program, Request, Snapshot, choose,
};
use corelane_node::{Client, Link};
use corelane_plugin::ModelService;
use corelane_shm::process::Signal;
use corelane_topology::{CpuSet, Role, allowed_cpus};
use corelane_transport::WaitPolicy;
use rustix::process::set_parent_process_death_signal;

use crate::{Exit, demo, error::CliError, machine::Machine, placed, run};

/// Exit code of a worker whose node is gone.
const NODE_GONE: i32 = 1;

/// Options of the hidden command that a node starts its workers with.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkerArgs {
    /// Socket of the node.
    #[arg(long)]
    socket: PathBuf,
    /// Cores to run on, such as "0-3,8"; floats without it.
    #[arg(long)]
    cpus: Option<String>,
    /// Spin while waiting: the cores are this worker's own.
    #[arg(long)]
    exclusive: bool,
    /// What to host for a flow, in JSON; the demo's agents without it.
    #[arg(long)]
    pub(crate) flow: Option<String>,
}

impl WorkerArgs {
    /// What a role's worker is started with; the node adds the socket.
    pub(crate) fn of(machine: &Machine, role: Role) -> Self {
        Self {
            socket: PathBuf::new(),
            cpus: machine.cpus(role).map(|cpus| cpus.to_string()),
            exclusive: machine.wait(role) == WaitPolicy::EXCLUSIVE,
            flow: None,
        }
    }

    pub(crate) fn to_command_line(&self) -> Vec<OsString> {
        let mut line = vec![OsString::from("worker")];
        if let Some(cpus) = &self.cpus {
            line.extend(["--cpus".into(), cpus.into()]);
        }
        if self.exclusive {
            line.push("--exclusive".into());
        }
        if let Some(flow) = &self.flow {
            line.extend(["--flow".into(), flow.into()]);
        }
        line
    }
}

/// Hosts agents until the node says stop, or is gone.
pub(crate) fn work(args: &WorkerArgs) -> anyhow::Result<Exit> {
    // Whatever happens to the node, and whatever an agent does then: the kernel ends this process
    // with the thread that started it. Where that is not possible the end of the socket does.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let allowed = allowed_cpus().context("the CPUs of this process cannot be read")?;
    if let Some(cpus) = &args.cpus {
        placed::pin("worker", &CpuSet::from_str(cpus).context("--cpus")?)?;
    }
    // Load before attaching: whoever attaches is ready to answer.
    let agents = match &args.flow {
        Some(flow) => run::agents(flow, &allowed)?,
        None => demo::agents()?,
    };
    let (client, endpoint) = Client::attach(&args.socket)?;
    let agents = agents(client.welcome().agent_count);
    let reporter = Box::new(client.reporter());
    let worker = Worker::new(endpoint, client.agent_first(), agents, reporter)?;
    let handle = worker.handle();
    let link = thread::Builder::new().name("corelane-link".into()).spawn(move || {
        loop {
            match client.listen() {
                Link::Command(command) => handle.command(command),
                Link::Stop => handle.stop(),
                // Nobody routes any more and nobody waits for this process: leave nothing behind.
                _ => process::exit(NODE_GONE),
            }
        }
    });
    link.map_err(CliError::LinkThread)?;
    worker.run(WaitPolicy::for_core(args.exclusive))?;
    Ok(Exit::Ok)
}

fn chosen(decision: &Decision) -> Result<&Choice, CliError> {
    let no_device = || CliError::NoDevice { decision: decision.to_string() };
    decision.chosen.as_ref().ok_or_else(no_device)
}

/// Makes as many agents as the node says, once it has said so.
pub(crate) type MakeAgents = Box<dyn FnOnce(u32) -> Vec<Box<dyn Agent>>>;

/// Loads a model on the device that the policy chooses.
pub(crate) fn load_model(bytes: &[u8]) -> anyhow::Result<ModelService> {
    let config = InferConfig::default();
    let backend = TractBackend::new(&config);
    let snapshot = |device| Snapshot {
        device,
        unavailable: None,
        is_program_supported: true,
        queued_runs: 0,
        run_ns: None,
        memory_free_bytes: None,
    };
    let snapshots: Vec<_> = backend.probe()?.into_iter().map(snapshot).collect();
    let request = Request { program_bytes: bytes.len() as u64, ..Request::default() };
    let decision = choose(&request, &snapshots, &config);
    let chosen = chosen(&decision)?;
    let batch = std::num::NonZeroUsize::MIN;
    let program = Program::Model { source: ModelSource::Bytes(bytes), batch };
    Ok(ModelService::load(Box::new(backend), &chosen.device, &program)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_device_every_rejection_is_told() {
        let (config, request) = (InferConfig::default(), Request::default());
        let device = TractBackend::new(&config).probe().unwrap().remove(0);
        let name = device.name.clone();
        let busy = Snapshot {
            device,
            unavailable: None,
            is_program_supported: false,
            queued_runs: 0,
            run_ns: None,
            memory_free_bytes: None,
        };
        let decision = choose(&request, &[busy], &config);
        let error = chosen(&decision).unwrap_err();
        assert_eq!(error.code(), "CL-1131");
        assert!(error.to_string().contains("tract"), "{name}: {error}");
    }
}
