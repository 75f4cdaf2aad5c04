//! Project chores behind `cargo xtask`: `verify`, `fix`, `tidy` and the counts and mutants of
//! the rings.
//!
//! It checks and formats; it builds nothing that is shipped and downloads nothing.
#![forbid(unsafe_code)]

mod fix;
mod instructions;
mod mutants;
mod orderings;
mod survivors;
mod tidy;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project chores")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run everything that CI runs, cheapest first, changing no file
    Verify {
        /// Run the remaining steps after one has failed
        #[arg(long)]
        keep_going: bool,
        /// Print the steps and run none
        #[arg(long)]
        list: bool,
    },
    /// Format the code and apply what clippy can mend by itself
    Fix,
    /// Check the house rules that the compiler does not know
    Tidy,
    /// Count the instructions of a message in each ring and compare with the record
    Instructions {
        /// Write the counts down as the new record
        #[arg(long)]
        write: bool,
    },
    /// Weaken each memory order of the rings and run the loom models
    Orderings {
        /// Judge this module of a `mutants.toml`; may be repeated
        #[arg(long)]
        module: Vec<String>,
    },
    /// Run cargo-mutants over the rings, and the loom models over what the tests missed
    Mutants {
        /// Judge this module of a `mutants.toml`; may be repeated
        #[arg(long)]
        module: Vec<String>,
        /// Leave the models out, which take the longest
        #[arg(long)]
        tests_only: bool,
    },
}

fn main() -> ExitCode {
    let root = workspace_root();
    let outcome = match Arguments::parse().chore {
        Chore::Verify { list: true, .. } => verify::list(),
        Chore::Verify { keep_going, .. } => verify::run(&root, keep_going),
        Chore::Fix => fix::run(&root),
        Chore::Tidy => tidy::run(&root),
        Chore::Instructions { write } => instructions::run(&root, write),
        Chore::Orderings { module } => orderings::run(&root, &module),
        Chore::Mutants { module, tests_only } => mutants::run(&root, &module, !tests_only),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder above this package; cargo sets the variable for `cargo run`.
fn workspace_root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().unwrap_or(Path::new(".")).to_path_buf()
}
