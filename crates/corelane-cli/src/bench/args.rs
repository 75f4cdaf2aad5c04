//! The command line of `corelane bench`, and the options that it stands for.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use corelane_bench::{Options, Placement, Workload};

use super::baseline::BaselineName;
use crate::page::{PAGE_NAME, page_file};

/// Options of `corelane bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(super) command: BenchCommand,
}

/// What is measured.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum BenchCommand {
    /// There and back, one message at a time, both ends awake.
    Latency {
        #[command(flatten)]
        payload: PayloadArgs,
        #[command(flatten)]
        run: RunArgs,
    },
    /// As many messages as pass, by value and in place.
    Throughput {
        #[command(flatten)]
        payload: PayloadArgs,
        #[command(flatten)]
        threads: ThreadArgs,
        #[command(flatten)]
        run: RunArgs,
    },
    /// What thousands of subscribers cost a publisher.
    Fanout {
        #[command(flatten)]
        run: RunArgs,
    },
    /// There and back while both ends sleep.
    Wakeup {
        #[command(flatten)]
        run: RunArgs,
    },
    /// The same with every end in a process of its own, beside one process, pipes and sockets.
    Processes {
        #[command(flatten)]
        payload: PayloadArgs,
        #[command(flatten)]
        run: RunArgs,
    },
    /// All of it, beside std::sync::mpsc, a bare hand-over, pipes, sockets and eventfd.
    Compare {
        #[command(flatten)]
        payload: PayloadArgs,
        #[command(flatten)]
        threads: ThreadArgs,
        #[command(flatten)]
        run: RunArgs,
    },
}

#[derive(Debug, Clone, Args)]
pub(super) struct PayloadArgs {
    /// Bytes of a message, separated by commas: 8, 64, 256, 4K by value; 4K to 1M in place.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = size)]
    payload: Vec<usize>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ThreadArgs {
    /// Threads of the rows with many ends, separated by commas; by default as many as cores, and
    /// twice as many.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    threads: Vec<usize>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {
    /// Passes of each row that have to count; 5 by default.
    #[arg(long, value_name = "N")]
    passes: Option<usize>,
    /// Length of a pass in milliseconds; 150 by default.
    #[arg(long, value_name = "MS")]
    pass_ms: Option<u64>,
    /// One thread on each allowed cpu in turn; the default.
    #[arg(long, group = "placement")]
    pinned: bool,
    /// Let the kernel place every thread.
    #[arg(long, group = "placement")]
    floating: bool,
    /// Both placements.
    #[arg(long, group = "placement")]
    both: bool,
    /// Fewer and shorter passes, and fewer payloads: a first look.
    #[arg(long)]
    quick: bool,
    /// Count disturbed passes too, and say so.
    #[arg(long)]
    allow_noise: bool,
    /// Print one JSON document (schema corelane.bench/1) and nothing else on stdout.
    #[arg(long)]
    pub(super) json: bool,
    /// Write a page with curves, to corelane-report.html without a name.
    #[arg(long, visible_alias = "html", value_name = "FILE", num_args = 0..=1,
          default_missing_value = PAGE_NAME, value_parser = page_file)]
    pub(super) report: Option<PathBuf>,
    /// Keep the figures under this name, to compare later runs with.
    #[arg(long, value_name = "NAME")]
    pub(super) save: Option<BaselineName>,
    /// Compare with the figures of this name; a regression beyond the intervals exits with 3.
    #[arg(long, value_name = "NAME")]
    pub(super) baseline: Option<BaselineName>,
    /// Write where the time went; the profiler disturbs what it looks at.
    #[arg(long, value_name = "FILE.svg", value_parser = page_file,
          conflicts_with_all = ["save", "baseline"])]
    pub(super) flamegraph: Option<PathBuf>,
}

impl BenchArgs {
    pub(super) fn run_args(&self) -> &RunArgs {
        match &self.command {
            BenchCommand::Latency { run, .. }
            | BenchCommand::Throughput { run, .. }
            | BenchCommand::Fanout { run }
            | BenchCommand::Wakeup { run }
            | BenchCommand::Processes { run, .. }
            | BenchCommand::Compare { run, .. } => run,
        }
    }

    /// Whether rivals run beside ours.
    pub(super) fn has_rivals(&self) -> bool {
        matches!(self.command, BenchCommand::Compare { .. })
    }

    /// What to measure on a machine of so many CPUs.
    pub(super) fn options(&self, cpus: usize) -> Options {
        use Workload::{Bulk, Fanout, Latency, Throughput, Wakeup};
        let all = vec![Throughput, Bulk, Latency, Fanout, Wakeup];
        let (workloads, payload, threads) = match &self.command {
            BenchCommand::Latency { payload, .. } => (vec![Latency], Some(payload), None),
            BenchCommand::Throughput { payload, threads, .. } => {
                (vec![Throughput, Bulk], Some(payload), Some(threads))
            }
            BenchCommand::Fanout { .. } => (vec![Fanout], None, None),
            BenchCommand::Wakeup { .. } => (vec![Wakeup], None, None),
            BenchCommand::Processes { payload, .. } => (Vec::new(), Some(payload), None),
            BenchCommand::Compare { payload, threads, .. } => {
                (all.clone(), Some(payload), Some(threads))
            }
        };
        let run = self.run_args();
        let mut options = Options::for_cpus(workloads, cpus);
        if let BenchCommand::Processes { .. } | BenchCommand::Compare { .. } = self.command {
            options.across_processes = all;
        }
        if run.quick {
            options = options.quick();
        }
        options.passes = run.passes.unwrap_or(options.passes);
        options.pass_ms = run.pass_ms.unwrap_or(options.pass_ms);
        options.is_noise_allowed = run.allow_noise;
        if let Some(PayloadArgs { payload }) = payload.filter(|list| !list.payload.is_empty()) {
            options.payloads.clone_from(payload);
        }
        if let Some(ThreadArgs { threads }) = threads.filter(|list| !list.threads.is_empty()) {
            options.threads.clone_from(threads);
        }
        if run.floating || run.both {
            options.placements.push(Placement::Floating);
        }
        if run.floating {
            options.placements.remove(0);
        }
        options
    }
}

/// A number of bytes, with K or M for its powers.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|unit: char| !unit.is_ascii_digit());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        unit => return Err(format!("{unit:?} is no unit of bytes: use none, K or M")),
    };
    let number: usize = digits.parse().map_err(|error| format!("{text:?}: {error}"))?;
    number.checked_mul(factor).ok_or_else(|| format!("{text} is more than any payload"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let sizes = ["8", "64b", "4K", "4KiB", "1M"].map(|text| size(text).unwrap());
        assert_eq!(sizes, [8, 64, 4096, 4096, 1 << 20]);
        for text in ["", "K", "8G", "-1", "4.5K", "99999999999999999999", "99999999999999999M"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
