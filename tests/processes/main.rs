//! The binary as its users meet it: real processes, real terminals, real signals.
//!
//! Every run has a place of its own and leaves nothing in it. Speed is not judged here.

mod clock;
mod confined;
mod cores;
mod damaged;
mod demo;
mod failure;
mod memory;
mod moved;
mod page;
mod report;
mod signals;
mod terminal;
mod usage;

use std::process::Command;

use corelane_testkit::process::{Output, Place, Running};

/// Seed of all that these tests draw; printed with every failure.
const SEED: u64 = 20_261_121;

/// A command of the binary under test.
fn corelane(place: &Place, arguments: &str) -> Command {
    let mut command = place.command(env!("CARGO_BIN_EXE_corelane"));
    command.args(arguments.split_whitespace());
    command
}

/// Starts the binary with both outputs in pipes.
fn start<'place>(place: &'place Place, arguments: &str) -> Running<'place> {
    place.start(corelane(place, arguments), Output::Pipes)
}

/// Waits until every worker of a demo is attached, and gives their process ids.
fn wait_for_workers(demo: &Running<'_>, count: usize) -> Vec<u32> {
    demo.wait_until("attached workers", || {
        Some(attached(demo)).filter(|attached| attached.len() == count)
    })
}

/// The same for so many of them at least.
fn wait_for_some_workers(demo: &Running<'_>, count: usize) -> Vec<u32> {
    demo.wait_until("attached workers", || {
        Some(attached(demo)).filter(|attached| attached.len() >= count)
    })
}

fn attached(demo: &Running<'_>) -> Vec<u32> {
    let workers = demo.descendants().into_iter().map(|process| process.pid);
    workers.filter(|worker| memory::are_attached(demo.pid(), *worker)).collect()
}
