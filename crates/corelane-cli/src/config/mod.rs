//! `corelane config`: checks flows, shows what all layers together say, writes the default file.
//!
//! What is right and what is wrong is the business of `corelane-config`; this module knows the
//! command line and the terminal. It also loads the flow of other commands.

mod draw;
pub(crate) mod init;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use corelane_config::{ConfigError, Layers, Loaded, Origin, Settings};
use serde::Serialize;

use crate::{Exit, terminal};

/// Options of `corelane config`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum ConfigCommand {
    /// Check a flow with all layers of settings: exit code 2 if anything is wrong.
    Check {
        /// The file of a flow; without it, the settings that every flow gets here.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        set: SetArgs,
    },
    /// Show the settings of all layers, the defaults among them.
    Show {
        /// The file of a flow; without it, the settings that every flow gets here.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        set: SetArgs,
        /// Tell where each value came from.
        #[arg(long)]
        origin: bool,
        /// One document of JSON, with the origins.
        #[arg(long)]
        json: bool,
    },
    /// Write the default file, with every key explained.
    Init {
        /// The file; it must not be there yet. Without it, the standard output.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print the JSON schema of the file, for editors.
    Schema,
}

/// Settings on the command line, which win over all others.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SetArgs {
    /// Set a key, like topology.workers=3 or agents.classify.count=10; can be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// What `show --json` prints.
#[derive(Debug, Serialize)]
struct Document {
    schema: &'static str,
    settings: serde_json::Value,
    origins: std::collections::BTreeMap<String, Origin>,
}

/// Runs `corelane config`.
pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<Exit> {
    match &args.command {
        ConfigCommand::Check { file: Some(file), set } => check(file, set),
        ConfigCommand::Check { file: None, set } => check_settings(set),
        ConfigCommand::Show { file, set, origin, json } => show(file.as_ref(), set, *origin, *json),
        ConfigCommand::Init { output: Some(file) } => init::write(file),
        ConfigCommand::Init { output: None } => print(&corelane_config::template()),
        ConfigCommand::Schema => print(&corelane_config::schema()),
    }
}

/// The flow in a file under all layers of this process; what is wrong is told on stderr.
///
/// # Errors
/// The exit code of a wrong flow.
pub(crate) fn load(file: PathBuf, set: &SetArgs) -> Result<Loaded, Exit> {
    let layers = Layers::of_process(Some(file), set.set.clone());
    corelane_config::load(&layers).map_err(|error| refuse(&error))
}

/// Tells every mistake.
fn refuse(error: &ConfigError) -> Exit {
    terminal::tell_drawn(&draw::mistakes(error));
    Exit::Usage
}

fn check(file: &Path, set: &SetArgs) -> anyhow::Result<Exit> {
    let config = match load(file.to_owned(), set) {
        Ok(loaded) => loaded.config,
        Err(exit) => return Ok(exit),
    };
    let agents: u64 = config.agents.iter().map(|stage| u64::from(stage.count)).sum();
    let count = |number: u64, what: &str| match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    };
    let counts = [
        count(config.agents.len() as u64, "stage"),
        count(agents, "agent"),
        count(config.topology.workers.into(), "worker"),
    ];
    print(&format!("{}: good: {}\n", file.display(), counts.join(", ")))
}

/// Checks what needs no flow: the files and variables that every flow gets here.
fn check_settings(set: &SetArgs) -> anyhow::Result<Exit> {
    let layers = Layers::of_process(None, set.set.clone());
    match corelane_config::settings(&layers) {
        Ok(_) => print("settings: good: name a flow to check that too\n"),
        Err(error) => Ok(refuse(&error)),
    }
}

fn show(file: Option<&PathBuf>, set: &SetArgs, origin: bool, json: bool) -> anyhow::Result<Exit> {
    let layers = Layers::of_process(file.cloned(), set.set.clone());
    // A flow that was named has to be whole; without one there is nothing to miss.
    let settings = match file {
        Some(_) => corelane_config::load(&layers).map(|loaded| loaded.settings),
        None => corelane_config::settings(&layers),
    };
    match settings {
        Ok(settings) if json => print(&document(&settings)?),
        Ok(settings) => print(&settings.to_toml(origin)),
        Err(error) => Ok(refuse(&error)),
    }
}

fn document(settings: &Settings) -> anyhow::Result<String> {
    let document = Document {
        schema: "corelane.config/1",
        settings: settings.to_json(),
        origins: settings.origins(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn print(text: &str) -> anyhow::Result<Exit> {
    terminal::write(text)?;
    Ok(Exit::Ok)
}
