//! `corelane demo`: the main job end to end. Each phase has a file; this one runs them in order.

mod digits;
mod exchange;
#[cfg(test)]
mod failures;
mod load;
mod page;
mod report;
mod trail;

use std::{
    cell::RefCell,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use clap::Args;
use corelane_agent::{Agent, QUEUED_MAX, supervisor::SupervisorConfig};
use corelane_plugin::ModelAgent;
use corelane_report::Target;
use corelane_router::RouterTotals;
use corelane_topology::{PingPong, Role};
use corelane_transport::LaneShape;

use crate::{
    Exit, assets, codes,
    error::CliError,
    fabric::{self, Fabric, FabricRequest, WorkerRequest},
    interrupt::{Interrupt, Interrupted},
    machine::{self, Machine, Wanted},
    page::{PAGE_NAME, page_file},
    terminal,
    worker::{MakeAgents, WorkerArgs, load_model},
};
use digits::Classified;
pub(crate) use digits::Digits;
use exchange::{ExchangeAgent, ExchangeStats};
use load::Loaded;
use report::{Report, Section};

/// Longest payload of the demo needs two cache lines.
const SLOT_LINES: usize = 2;
const LANE_SLOTS: usize = 4096;

/// Options of `corelane demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON document (schema corelane.demo/1) and nothing else on stdout.
    #[arg(long)]
    json: bool,
    /// Agents, spread evenly over the workers.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    agents: u32,
    /// Worker processes; their lanes take about 3 MiB of memory for each worker and router.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Router threads; by default the machine decides.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    routers: Option<u32>,
    /// Length of the load phase in seconds.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    load_seconds: f64,
    /// Messages that an agent keeps under way during the load phase.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    window: u32,
    /// Kill a worker after this many answers (1 to 1796); by default drawn from the seed.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1796))]
    kill_after: Option<u32>,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Pin nothing: let the kernel place every thread.
    #[arg(long)]
    floating: bool,
    /// Write a page with all of it, to corelane-report.html without a name.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = PAGE_NAME,
          value_parser = page_file)]
    report: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.1..=3600.0).contains(&seconds) {
        return Ok(seconds);
    }
    Err(format!("{text} is not from 0.1 to 3600"))
}

impl DemoArgs {
    /// What no single option can know; the text says what is wrong and what to do.
    fn check(&self) -> Result<(), CliError> {
        let Self { agents, workers, window, .. } = *self;
        if agents < workers {
            return Err(CliError::FewAgents { agents, workers });
        }
        let open = agents.div_ceil(workers) as usize * window as usize;
        if open > QUEUED_MAX {
            let limit = QUEUED_MAX;
            return Err(CliError::OpenQuestions { agents, window, open, workers, limit });
        }
        Ok(())
    }

    fn wanted(&self) -> Wanted<'static> {
        let Self { routers, workers, floating: is_floating, .. } = *self;
        Wanted { routers, workers, is_floating, cpus: None }
    }
}

/// The agents of a worker of the demo.
pub(crate) fn agents() -> anyhow::Result<MakeAgents> {
    let service = Rc::new(RefCell::new(load_model(assets::model()?)?));
    let stats = Rc::new(RefCell::new(ExchangeStats::default()));
    let agent = move |_| -> Box<dyn Agent> {
        Box::new(ExchangeAgent::new(ModelAgent::new(service.clone()), stats.clone()))
    };
    Ok(Box::new(move |count| (0..count).map(agent).collect()))
}

fn request(args: &DemoArgs, socket: PathBuf, machine: &Machine) -> anyhow::Result<FabricRequest> {
    let worker = |(index, agents)| WorkerRequest {
        args: WorkerArgs::of(machine, Role::Worker(index)).to_command_line(),
        agents,
    };
    Ok(FabricRequest {
        command: "demo",
        socket,
        workers: fabric::split(args.agents, args.workers)
            .into_iter()
            .enumerate()
            .map(worker)
            .collect(),
        lanes: LaneShape::new(LANE_SLOTS, SLOT_LINES)?,
        supervision: SupervisorConfig::default(),
        feature: digits::FEATURE,
        open_max: digits::OPEN_MAX,
    })
}

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    if let Err(error) = args.check() {
        terminal::tell!("{}", codes::line(&error.into()));
        return Ok(Exit::Usage);
    }
    let interrupt = Interrupt::install().map_err(CliError::Signals)?;
    // Looked at first: who cannot write the page need not wait for it.
    let target = args.report.as_deref().map(Target::prepare).transpose()?;
    match phases(args, target.as_ref(), &interrupt) {
        Ok(report) => {
            if args.json {
                terminal::write(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
            }
            let broken = report.broken();
            for promise in &broken {
                terminal::tell!("corelane: did not hold: {promise}");
            }
            for displaced in &report.degraded {
                terminal::tell!("corelane: degraded: {displaced}");
            }
            Ok(match (broken.is_empty(), report.degraded.is_empty()) {
                (false, _) => Exit::CheckFailed,
                (true, false) => Exit::Degraded,
                (true, true) => Exit::Ok,
            })
        }
        Err(error) => {
            let Interrupted(signal) = error.downcast()?;
            terminal::tell!("corelane: interrupted, workers and routers are stopped");
            Ok(Exit::Signal(signal))
        }
    }
}

/// What the phases gave.
struct Outcomes {
    first: Classified,
    quiet: Loaded,
    load: Loaded,
    pingpong: PingPong,
    kill_after: u32,
    second: Classified,
    totals: RouterTotals,
    degraded: Vec<String>,
}

fn phases(
    args: &DemoArgs,
    target: Option<&Target>,
    interrupt: &Interrupt,
) -> anyhow::Result<Report> {
    let started = Instant::now();
    let section = Section::new(!args.json, terminal::style);
    let digits = Digits::load()?;
    let socket = fabric::socket_path("demo")?;

    let machine = machine::look(&args.wanted(), interrupt)?;
    section.machine(&machine)?;

    let mut fabric = Fabric::start(request(args, socket, &machine)?, &machine, interrupt)?;
    section.fabric(&fabric)?;

    let first = digits::classify(&mut fabric, &digits, None, interrupt)?;
    section.digits(&digits, &first)?;

    let quiet_time = Duration::from_millis(500);
    let quiet = load::run(&mut fabric, load::Load::quiet(args, quiet_time), interrupt)?;
    let load = load::run(&mut fabric, load::Load::full(args), interrupt)?;
    let pingpong = machine.pingpong_beside_routers()?;
    section.load(&load, &quiet, &pingpong)?;

    let kill_after = args.kill_after.unwrap_or_else(|| {
        fastrand::Rng::with_seed(args.seed).u32(1..digits.images().len() as u32)
    });
    let second = digits::classify(&mut fabric, &digits, Some(kill_after), interrupt)?;
    section.failure(&digits, &second)?;

    let degraded = fabric.displaced(&machine);
    let totals = fabric.stop();
    let outcomes = Outcomes { first, quiet, load, pingpong, kill_after, second, totals, degraded };
    let report = report(args, started, &machine, &digits, &outcomes);
    section.end(&report)?;
    if let Some(target) = target {
        let page = page::draw(args, &machine, &digits, &outcomes, &report);
        target.write(&page.render())?;
        section.page(target.path())?;
    }
    Ok(report)
}

/// The document of the run.
fn report(
    args: &DemoArgs,
    started: Instant,
    machine: &Machine,
    digits: &Digits,
    outcomes: &Outcomes,
) -> Report {
    let Outcomes { first, quiet, load, pingpong, kill_after, second, totals, degraded } = outcomes;
    Report {
        schema: "corelane.demo/1",
        images: digits.images().len(),
        answered: second.answered(),
        redelivered: second.redelivered,
        duplicates: second.duplicates,
        lost: second.lost(),
        accuracy: digits.accuracy(second),
        accuracy_images: digits.held_out().len(),
        is_repeatable: first.answers == second.answers,
        answers_suppressed: second.suppressed,
        killed_after: *kill_after,
        routed_msgs_per_s: load.msgs_per_s.round(),
        cross_process_share: load.cross_share,
        corrupt: load.corrupt,
        rtt_ns: load.rtt(),
        rtt_quiet_ns: quiet.rtt(),
        pingpong_ns: pingpong.round_trip_ns(),
        recovery_ms: second.recovery_ms,
        routers: machine.request.routers,
        workers: machine.request.workers,
        agents: args.agents,
        is_pinned: !args.floating,
        must_yield: machine.must_yield(),
        seed: args.seed,
        router_totals: (*totals).into(),
        machine: machine.fingerprint(),
        degraded: degraded.clone(),
        elapsed_s: started.elapsed().as_secs_f64(),
    }
}
