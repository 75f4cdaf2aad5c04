//! `corelane run FILE`: a flow of items from a source through stages of agents to a sink.
//!
//! The source asks the agents from within the node's process; items go from stage to stage and
//! leave in input order. The settings come from `corelane-config`; the fabric is that of the demo.

mod alarm;
mod command;
mod drive;
mod engine;
pub(crate) mod error;
mod files;
mod leash;
mod output;
mod pace;
mod page;
mod plan;
mod reading;
mod record;
mod sink;
mod source;
mod work;

use std::{io::IsTerminal, path::PathBuf};

use anyhow::Context;
use clap::Args;
use corelane_config::Config;
use corelane_report::Target;
use corelane_topology::Role;
use indicatif::ProgressBar;

pub(crate) use leash::{LeashArgs, hold};
pub(crate) use record::RunRecord;
pub(crate) use work::agents;

use crate::{
    Exit,
    config::{self, SetArgs},
    fabric::{self, Fabric, FabricRequest, WorkerRequest},
    interrupt::{Interrupt, Interrupted},
    machine::{self, Machine, Wanted},
    page::{PAGE_NAME, page_file},
    terminal,
    worker::WorkerArgs,
};
use drive::{Drive, Tally};
use engine::Flow;
use error::RunError;
use output::OutputFile;
use plan::{Layout, WorkerLayout};
use sink::Sink;
use source::Source;

/// Feature id of the questions of a run.
const FEATURE: u32 = 1;

/// Options of `corelane run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The flow: a TOML file, described by `corelane config init`.
    file: PathBuf,
    #[command(flatten)]
    set: SetArgs,
    /// Print one JSON document (schema corelane.run/1) on stdout; the answers need output.file.
    #[arg(long)]
    json: bool,
    /// Write a page with all of it, to corelane-report.html without a name; before output.report.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = PAGE_NAME,
          value_parser = page_file)]
    report: Option<PathBuf>,
}

/// Runs a flow.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let config = match config::load(args.file.clone(), &args.set) {
        Ok(loaded) => loaded.config,
        Err(exit) => return Ok(exit),
    };
    let report = args.report.as_ref().or(config.output.report.as_ref());
    let checked = check(&config, args.json)
        .and_then(|()| files::check_distinct(&config, &args.file, report.map(PathBuf::as_path)));
    if let Err(error) = checked {
        terminal::tell!("corelane: error[{}]: {error}", error.code());
        return Ok(Exit::Usage);
    }
    // Looked at first: who cannot write the page need not wait for it.
    let target = report.map(|path| Target::prepare(path)).transpose()?;
    let interrupt = Interrupt::install().context("signals cannot be caught")?;
    match run_flow(args, &config, &interrupt) {
        Ok(record) => {
            terminal::tell!("{}", record.summary().trim_end());
            for displaced in &record.degraded {
                terminal::tell!("corelane: degraded: {displaced}");
            }
            if args.json {
                let document = serde_json::to_string_pretty(&record.document())?;
                terminal::write(&format!("{document}\n"))?;
            }
            if let Some(target) = &target {
                target.write(&page::draw(&record).render())?;
                terminal::tell!("corelane: page written to {}", target.path().display());
            }
            Ok(match (record.signal, record.failed) {
                (Some(signal), _) => Exit::Signal(signal),
                (None, 1..) => Exit::Failed,
                (None, 0) if record.degraded.is_empty() => Exit::Ok,
                (None, 0) => Exit::Degraded,
            })
        }
        Err(error) => ended_by(error),
    }
}

/// The exit of a run that something ended before it had a record.
fn ended_by(error: anyhow::Error) -> anyhow::Result<Exit> {
    if let Some(error) = error.downcast_ref::<RunError>() {
        terminal::tell!("corelane: error[{}]: {error}", error.code());
        return Ok(Exit::Failed);
    }
    let Interrupted(signal) = error.downcast()?;
    terminal::tell!("corelane: interrupted, workers and routers are stopped");
    Ok(Exit::Signal(signal))
}

/// What no single setting can know.
fn check(config: &Config, is_json: bool) -> Result<(), RunError> {
    if is_json && config.output.file.is_none() {
        return Err(RunError::JsonAmongAnswers);
    }
    Layout::check(config)
}

fn run_flow(args: &RunArgs, config: &Config, interrupt: &Interrupt) -> anyhow::Result<RunRecord> {
    let layout = Layout::of(config);
    let is_floating = !config.placement.pin;
    let wanted = Wanted {
        routers: config.topology.routers,
        workers: layout.workers.len() as u32,
        is_floating,
        cpus: config.placement.cpus.as_ref(),
    };
    // Before anything is started: what is wrong with the files is told at once.
    files::check_readable(config)?;
    let output = config.output.file.as_deref();
    let output = output.map(|file| OutputFile::open(file, interrupt)).transpose()?;
    let machine = machine::look(&wanted, interrupt)?;
    let request = request(config, &layout, &machine)?;
    let mut fabric = Fabric::start(request, &machine, interrupt)?;
    let record_bytes_max = layout.record_bytes_max;
    let mut source = Source::start(&config.input, record_bytes_max, fabric.news())?;
    // All has started: only now does an earlier result go.
    interrupt.check()?;
    let mut sink = Sink::open(output, config.output.format)?;
    let bar = bar(config, source.total);
    let mut drive = Drive {
        fabric: &mut fabric,
        source: &mut source,
        sink: &mut sink,
        bar,
        interrupt,
        record_bytes_max,
        timeout_ns: layout.timeout_ns.clone(),
        flow: Flow::new(layout.stages.clone(), layout.open_max as usize),
        tally: Tally::new(layout.records()),
    };
    let outcome = drive.run();
    drive.bar.finish_and_clear();
    let Drive { mut tally, .. } = drive;
    let elapsed = tally.started.elapsed();
    tally.pace.end(elapsed);
    let (counts, asks) = (source.counts(), fabric.asker.counters());
    let workers = layout.workers.len();
    let degraded = fabric.displaced(&machine);
    let routers = fabric.stop();
    // What was answered before a failure is written all the same.
    let flushed = sink.flush();
    outcome?;
    flushed?;
    let is_pinned = !is_floating;
    Ok(RunRecord {
        flow: args.file.display().to_string(),
        machine,
        is_pinned,
        degraded,
        workers,
        stages: tally.stages,
        items: tally.items,
        answered: tally.answered,
        dropped: tally.dropped,
        failed: tally.failed,
        abandoned: tally.abandoned,
        is_reader_gone: sink.is_closed,
        pace: tally.pace,
        events: tally.events,
        redelivered: tally.redelivered,
        asks,
        source: counts,
        routers,
        elapsed,
        signal: tally.signal,
    })
}

fn request(config: &Config, layout: &Layout, machine: &Machine) -> anyhow::Result<FabricRequest> {
    let worker = |(index, plan): (usize, &WorkerLayout)| -> anyhow::Result<WorkerRequest> {
        let mut worker = WorkerArgs::of(machine, Role::Worker(index));
        worker.flow = Some(serde_json::to_string(&plan.plan)?);
        Ok(WorkerRequest { args: worker.to_command_line(), agents: plan.agents.clone() })
    };
    Ok(FabricRequest {
        command: "run",
        socket: fabric::socket_path("run")?,
        workers: layout.workers.iter().enumerate().map(worker).collect::<anyhow::Result<_>>()?,
        lanes: layout.lanes()?,
        supervision: (&config.supervision).into(),
        feature: FEATURE,
        open_max: layout.open_max,
    })
}

/// Progress on stderr, unless the answers themselves are on the same terminal.
fn bar(config: &Config, total: Option<u64>) -> ProgressBar {
    match config.output.file.is_none() && std::io::stdout().is_terminal() {
        true => ProgressBar::hidden(),
        false => terminal::bar(total.unwrap_or(0), "items"),
    }
}
