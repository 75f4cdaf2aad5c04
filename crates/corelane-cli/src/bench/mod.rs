//! `corelane bench`: measures, prints, keeps and compares. How it is measured is the business of
//! `corelane-bench`; this module knows the command line, the terminal and the files.

mod args;
mod baseline;
mod end;
mod peers;
mod profile;

use std::ops::ControlFlow;

use corelane_bench::{
    Report, Row, RunError, Step, Suite, SuiteError, bytes, compare, duels, html, table,
    within_one_process,
};
use corelane_report::Target;
use corelane_topology::allowed_cpus;

pub(crate) use args::BenchArgs;
pub(crate) use end::play as play_end;

use crate::{
    Exit, codes,
    error::CliError,
    interrupt::{Interrupt, Interrupted},
    page, terminal,
};
use args::RunArgs;

/// Runs the command.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Exit> {
    let run_args = args.run_args();
    let cpus = allowed_cpus().map_err(SuiteError::Cpus)?;
    let options = args.options(cpus.len());
    let is_across_processes = !options.across_processes.is_empty();
    let mut suite = match Suite::new(options) {
        Ok(suite) => suite,
        Err(SuiteError::Options(error)) => {
            terminal::tell!("{}", codes::line(&error.into()));
            return Ok(Exit::Usage);
        }
        Err(error) => return Err(error.into()),
    };
    peers::add(&mut suite, args.has_rivals());
    if is_across_processes {
        suite.add_processes(&peers::across_processes(), &end::command()?);
    }
    let before = run_args.baseline.as_ref().map(baseline::load).transpose()?;
    // Looked at first: who cannot write the page need not wait for it. What is there stays until
    // there is a new one.
    let target = run_args.report.as_deref().map(Target::prepare).transpose()?;
    let interrupt = Interrupt::install().map_err(CliError::Signals)?;
    let mut report = match measure(&suite, run_args, &interrupt)? {
        Ok(report) => report,
        Err(RunError::Interrupted) => return interrupted(&interrupt),
        Err(error @ (RunError::Busy { .. } | RunError::Noisy { .. })) => {
            terminal::tell!("{}", codes::line(&error.into()));
            return Ok(Exit::Unavailable);
        }
        Err(error) => return Err(error.into()),
    };
    if run_args.flamegraph.is_some() {
        report.remarks.push("a profiler ran beside: compare these figures with none".to_owned());
    }
    print(&report, args)?;
    let exit = match &before {
        Some(before) => judge(&report, before, run_args)?,
        None => Exit::Ok,
    };
    if let Some(name) = &run_args.save {
        baseline::save(name, &report)?;
    }
    if let Some(target) = &target {
        let subtitle = page::subtitle(&report.machine);
        target.write(&html::page(&report, &subtitle, &page::foot()).render())?;
    }
    Ok(exit)
}

/// Runs the suite, with progress between passes, under the profiler if one was asked for.
fn measure(
    suite: &Suite,
    args: &RunArgs,
    interrupt: &Interrupt,
) -> anyhow::Result<Result<Report, RunError>> {
    let bar = terminal::bar(0, "measuring");
    let mut progress = |step: &Step<'_>| {
        bar.set_length(step.total as u64);
        bar.set_position(step.done as u64);
        match interrupt.check() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let result = match &args.flamegraph {
        Some(path) => profile::around(path, || suite.run(&mut progress)),
        None => Ok(suite.run(&mut progress)),
    };
    bar.finish_and_clear();
    result
}

fn interrupted(interrupt: &Interrupt) -> anyhow::Result<Exit> {
    match interrupt.check() {
        Ok(()) => Ok(Exit::Failed),
        Err(error) => {
            let Interrupted(signal) = error.downcast()?;
            terminal::tell!("corelane: interrupted, nothing was kept");
            Ok(Exit::Signal(signal))
        }
    }
}

fn print(report: &Report, args: &BenchArgs) -> anyhow::Result<()> {
    if args.run_args().json {
        return terminal::write(&format!("{}\n", report.to_json()));
    }
    let mut text = table::draw(report);
    let within = table::draw_within(&within_one_process(report));
    if !within.is_empty() {
        text += &format!("\n{within}");
    }
    if args.has_rivals() {
        let duels = duels(report, peers::is_ours);
        text += &format!("\n{}", table::draw_duels(&duels));
    }
    terminal::write(&terminal::fit(&text))
}

/// Holds the report against an earlier one and says what became worse.
fn judge(report: &Report, before: &Report, args: &RunArgs) -> anyhow::Result<Exit> {
    let comparison = compare(report, before)?;
    let mut text = format!(
        "\n{} figures compared with the baseline, {} worse beyond the intervals\n",
        comparison.compared,
        comparison.regressions.len()
    );
    for worse in &comparison.regressions {
        text += &format!("  {}\n", change(&worse.before, &worse.after));
    }
    for remark in &comparison.remarks {
        text += &format!("- {remark}\n");
    }
    match args.json {
        true => terminal::tell!("{}", text.trim()),
        false => terminal::write(&terminal::fit(&text))?,
    }
    match comparison.regressions.is_empty() {
        true => Ok(Exit::Ok),
        false => Ok(Exit::CheckFailed),
    }
}

fn change(before: &Row, after: &Row) -> String {
    let interval = |row: &Row| {
        let [median, low, high] = [row.median, row.low, row.high].map(table::short);
        format!("{median} ({low} to {high})")
    };
    format!(
        "{}, {}: {}: {} then, {} now [{}]",
        after.series_title(),
        bytes(after.key.payload_bytes),
        after.key.peer,
        interval(before),
        interval(after),
        after.unit,
    )
}
