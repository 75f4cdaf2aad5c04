//! The commands of the `corelane` binary: what they take, what they print, how they exit.
//!
//! Data goes to stdout, progress and logs to stderr. It moves no message and starts no router:
//! the crates below do.
#![forbid(unsafe_code)]

mod bench;
mod demo;
mod interrupt;
mod page;
mod terminal;

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
    /// Measure the rings of this machine, alone or beside what every machine has.
    Bench(bench::BenchArgs),
    /// Host agents for a node; started by the node itself.
    #[command(hide = true)]
    Worker(demo::WorkerArgs),
}

/// Runs the command line of this process. `version` is what `--version` prints.
pub fn main(version: &'static str) -> ExitCode {
    use clap::{CommandFactory, FromArgMatches};
    page::set_version(version);
    let matches = Cli::command().version(version).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Worker(args) => demo::work(&args),
    };
    let exit = outcome.unwrap_or_else(|error| {
        eprintln!("corelane: {}", in_full(&error));
        Exit::Failed
    });
    exit.into()
}

/// An error with its causes, less those that the text before them tells already.
fn in_full(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let inner = std::io::Error::other("no room");
        let error = Err::<(), _>(inner).context("write failed: no room").context("demo");
        assert_eq!(in_full(&error.unwrap_err()), "demo: write failed: no room");
    }
}
