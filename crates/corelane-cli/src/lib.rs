//! The commands of the `corelane` binary: what they take, what they print, how they exit.
//!
//! Data goes to stdout, progress and logs to stderr. It moves no message and starts no router:
//! the crates below do.
#![forbid(unsafe_code)]
// These panic where stderr is full or closed: `terminal::tell` does not.
#![deny(clippy::print_stderr)]

mod assets;
mod bench;
mod codes;
mod config;
mod demo;
mod error;
mod explain;
mod fabric;
mod interrupt;
mod machine;
mod page;
mod placed;
mod run;
mod shell;
mod tap;
mod terminal;
mod topo;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a command ends, in the terms of the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Ok,
    Failed,
    Usage,
    CheckFailed,
    /// This machine cannot give an answer now, and says why.
    Unavailable,
    /// It ran to its end and all held, but not as it was asked to.
    Degraded,
    /// Ended in order because of this signal.
    Signal(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::CheckFailed => 3,
            Exit::Unavailable => 4,
            Exit::Degraded => 5,
            Exit::Signal(number) => 128 + number,
        })
    }
}

/// A hardware-aware fabric for fleets of cooperating agents.
#[derive(Debug, Parser)]
#[command(name = "corelane", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the main job end to end on this machine, in less than a minute.
    Demo(demo::DemoArgs),
    /// Run a flow: agents, models, tools and inputs from a TOML file.
    Run(run::RunArgs),
    /// Measure the rings of this machine, alone or beside what every machine has.
    Bench(bench::BenchArgs),
    /// Show this machine: packages, nodes, caches, cores, and which of them may be used.
    Topo(topo::TopoArgs),
    /// Print the live messages of a topic without disturbing it, or list what there is.
    Tap(tap::TapArgs),
    /// Print what completes the command line in a shell.
    Completions(shell::CompletionArgs),
    /// Print the manual, or write a page for each command.
    Man(shell::ManArgs),
    /// Say what an error code means and what to do about it; without a code, list all.
    Explain(explain::ExplainArgs),
    /// Check, show and write the files of flows.
    Config(config::ConfigArgs),
    /// Host agents for a node; started by the node itself.
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
    /// Play an end of a queue in a process of its own; started by `bench` itself.
    #[command(hide = true)]
    BenchEnd,
    /// Kill what is left of a worker's tools when it is gone; started by the worker itself.
    #[command(hide = true)]
    Leash(run::LeashArgs),
}

/// Runs the command line of this process. `version` is what `--version` prints.
pub fn main(version: &'static str) -> ExitCode {
    use clap::{CommandFactory, FromArgMatches};
    page::set_version(version);
    let matches = Cli::command().version(version).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Leash(args) => Ok(run::hold(&args)),
        Command::Bench(args) => bench::run(&args),
        Command::BenchEnd => bench::play_end(),
        Command::Worker(args) => worker::work(&args),
        Command::Topo(args) => topo::run(&args),
        Command::Tap(args) => tap::run(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Config(args) => config::run(&args),
    };
    let exit = outcome.unwrap_or_else(|error| {
        terminal::tell!("{}", codes::line(&error));
        Exit::Failed
    });
    exit.into()
}
