//! Measures Corelane's rings and their rivals interleaved in one run.
//!
//! Prints every row with its ratio to the best rival, and writes `docs/rivals.md` when asked.
#![deny(unsafe_code)]

mod across;
mod array_queue;
mod bars;
mod bus;
mod concurrent_queue;
#[cfg(test)]
mod conformance;
mod crossbeam_channel;
mod crossfire;
mod disruptor;
mod flume;
mod heapless;
mod held_back;
mod kanal;
mod markdown;
mod nexus;
mod omango;
mod one_by_one;
mod parking;
mod ringbuf;
mod rivals;
mod rtrb;
#[cfg(test)]
mod sample;
mod side_by_side;
mod sleeping;
mod standard;
mod thingbuf;
mod tokio_broadcast;
mod tokio_mpsc;

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write as _},
    ops::ControlFlow,
    os::fd::AsFd,
    path::PathBuf,
    process::ExitCode,
    thread,
};

use clap::Parser;
use corelane_bench::{
    Options, Placement, Report, Step, Suite, Workload, duels,
    process::{EndCommand, play_end},
    table, within_one_process,
};
use corelane_shm::fdpass::Channel;

use crate::{bars::Verdict, rivals::Cast};

/// Ours and the rivals, interleaved in one run.
#[derive(Debug, Parser)]
struct Arguments {
    /// Workloads: throughput, latency, bulk, fanout, wakeup; all without any workload at all
    #[arg(value_delimiter = ',', value_parser = workload)]
    workloads: Vec<Workload>,
    /// The same with ends in processes of their own; all without any workload at all
    #[arg(long, value_delimiter = ',', value_parser = workload)]
    across: Vec<Workload>,
    /// Only queues whose name contains one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Bytes of a message
    #[arg(long, value_delimiter = ',', default_values_t = [8, 64, 4096, 1 << 20])]
    payloads: Vec<usize>,
    /// Passes of each row that have to count
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// Length of a pass in milliseconds
    #[arg(long, default_value_t = 150)]
    pass_ms: u64,
    /// Let the kernel place the threads, too
    #[arg(long)]
    floating: bool,
    /// Count disturbed passes, too
    #[arg(long)]
    allow_noise: bool,
    /// Print the report as JSON and nothing else
    #[arg(long)]
    json: bool,
    /// Write the report as Markdown to this file
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Take the report from this file, as --json printed it, and measure nothing
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Day that the Markdown names
    #[arg(long, default_value = "undated")]
    date: String,
}

/// The hidden command that starts the process of an end.
const END: &str = "bench-end";

fn main() -> ExitCode {
    let is_end = env::args_os().nth(1).is_some_and(|argument| argument == END);
    let outcome = if is_end { play() } else { run(&Arguments::parse()) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays the end that another process of this program asks for.
fn play() -> Result<(), Box<dyn Error>> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(play_end(&across::cast(), &Channel::from(stdin))?)
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let report = match &arguments.from {
        Some(file) => Report::from_json(&fs::read_to_string(file)?)?,
        None => measure(arguments)?,
    };
    if let Some(file) = &arguments.markdown {
        fs::write(file, markdown::write(&report, &arguments.date))?;
    }
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", report.to_json())?;
        return Ok(());
    }
    writeln!(out, "{}", table::draw(&report))?;
    writeln!(out, "{}", table::draw_within(&within_one_process(&report)))?;
    writeln!(out, "{}", table::draw_duels(&duels(&report, rivals::is_ours)))?;
    let judged = bars::judge(&report);
    let missed = [Verdict::Missed, Verdict::MissedWithin];
    let missed = judged.iter().filter(|row| missed.contains(&row.verdict)).count();
    writeln!(out, "{missed} of {} bars missed", judged.len())?;
    Ok(())
}

fn measure(arguments: &Arguments) -> Result<Report, Box<dyn Error>> {
    let mut suite = Suite::new(options(arguments))?;
    let program = env::current_exe()?;
    // A rival that stands still now and then must not cost all others their rows.
    suite.pardon_stalls(|row| !row.peer.starts_with("corelane"));
    Cast { suite: &mut suite, only: &arguments.only }.add_all(EndCommand::new(program, [END]));
    let mut shown = usize::MAX;
    let report = suite.run(&mut |step: &Step<'_>| {
        let percent = 100 * step.done / step.total;
        if percent != shown {
            shown = percent;
            eprint!("\r{percent:>3} % of {} passes", step.total);
            // A progress line that is not seen costs nothing.
            let _ = io::stderr().flush();
        }
        ControlFlow::Continue(())
    });
    eprintln!();
    Ok(report?)
}

fn options(arguments: &Arguments) -> Options {
    let (workloads, across) = match (arguments.workloads.as_slice(), arguments.across.as_slice()) {
        ([], []) => (ALL.to_vec(), ALL.to_vec()),
        (workloads, across) => (workloads.to_vec(), across.to_vec()),
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options::for_cpus(workloads, cpus);
    options.across_processes = across;
    options.payloads = arguments.payloads.clone();
    options.passes = arguments.passes;
    options.pass_ms = arguments.pass_ms;
    options.is_noise_allowed = arguments.allow_noise;
    if arguments.floating {
        options.placements.push(Placement::Floating);
    }
    options
}

const ALL: [Workload; 5] =
    [Workload::Latency, Workload::Throughput, Workload::Bulk, Workload::Fanout, Workload::Wakeup];

fn workload(name: &str) -> Result<Workload, String> {
    let known = ALL.into_iter().find(|workload| workload.name() == name);
    known.ok_or_else(|| format!("no such workload, use {}", ALL.map(Workload::name).join(", ")))
}
