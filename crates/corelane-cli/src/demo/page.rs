//! The demo as a page: what the phases gave, in pictures, with every number.

use corelane_bench::{Machine as Fingerprint, html::fingerprint};
use corelane_report::{
    Facts, Figure, Layout, Matrix, Outcome, Page, Percentiles, Rate, Section, Summary, Verdict,
    count, nanoseconds, short,
};

use super::{
    DemoArgs, Outcomes,
    digits::{Classified, Digits},
    machine::Machine,
    report::Report,
};
use crate::page::{foot, subtitle};

pub(super) fn draw(
    args: &DemoArgs,
    machine: &Machine,
    digits: &Digits,
    outcomes: &Outcomes,
    report: &Report,
) -> Page {
    let here = &machine.here;
    let page = Page::new("corelane demo")
        .subtitle(subtitle(here))
        .section(Section::new("Summary").part(summary(outcomes, report)))
        .section(self::machine(args, machine))
        .section(real_input(digits, &outcomes.first, report))
        .section(load(outcomes))
        .section(failure(outcomes))
        .section(Section::new("Fingerprint").part(settings(args, report, fingerprint(here))))
        .foot(foot());
    remarks(outcomes, report, here).into_iter().fold(page, Page::remark)
}

fn summary(outcomes: &Outcomes, report: &Report) -> Summary {
    let Outcomes { quiet, load, second, .. } = outcomes;
    let summary = report.promises().into_iter().fold(Summary::default(), |summary, promise| {
        let (holds, text) = promise;
        let outcome = match holds {
            true if text == Report::CROSSES && report.workers < 2 => Outcome::NotJudged,
            true => Outcome::Held,
            false => Outcome::Broken,
        };
        summary.verdict(Verdict::new(outcome, text))
    });
    let crosses = load.cross_share * 100.0;
    let recovery = second.recovery_ms.map_or("none due".to_owned(), |ms| nanoseconds(ms * 1e6));
    let images = count(report.images as u64);
    summary
        .figure(
            Figure::new("Routed messages", format!("{}/s", short(load.msgs_per_s)))
                .note(format!("64 bytes each, {crosses:.0} % to another process")),
        )
        .figure(
            Figure::new("Round trip alone", nanoseconds(quiet.rtt_at(0.5)))
                .note("median of question and answer through a router"),
        )
        .figure(
            Figure::new("Round trip loaded, 99 %", nanoseconds(load.rtt_at(0.99)))
                .note("while all agents speak"),
        )
        .figure(Figure::new("Recovery", recovery).note("from SIGKILL to the next answer"))
        .figure(
            Figure::new("Digits answered", count(report.answered as u64))
                .note(format!("of {images}, each once, although a worker died")),
        )
        .figure(
            Figure::new("Right", format!("{:.1} %", report.accuracy * 100.0))
                .note(format!("of {} digits never seen before", report.accuracy_images)),
        )
}

fn machine(args: &DemoArgs, machine: &Machine) -> Section {
    Section::new("Machine and placement")
        .text(format!("{}.", machine.request_because))
        .part(Layout::of(&machine.topology, &machine.plan, !args.floating))
        .part(Matrix::of(&machine.matrix))
}

fn real_input(digits: &Digits, first: &Classified, report: &Report) -> Section {
    let time = nanoseconds(first.time.as_nanos() as f64);
    let [answered, images] = [first.answered(), digits.images().len()].map(|n| count(n as u64));
    let waited = &first.waited_ns;
    let curve =
        Percentiles::new("From question to answer", "ns")
            .curve("digits", waited.len(), |at| waited.value_at_quantile(at) as f64);
    Section::new("Real input")
        .text(format!(
            "{answered} of {images} handwritten digits travelled as questions through a router to \
             agents that run a small ONNX model, and were answered in {time}. {:.1} % of the {} \
             images that the model has never seen were recognised.",
            report.accuracy * 100.0,
            report.accuracy_images
        ))
        .part(curve)
}

fn load(outcomes: &Outcomes) -> Section {
    let Outcomes { quiet, load, pingpong, .. } = outcomes;
    let rate = Rate::new("Messages read and checked by agents", "messages", load.step);
    let counts = &load.read_by_step;
    let rate = match counts.as_slice() {
        [_] => rate,
        workers => rate.counts("all", totals(workers)),
    };
    // Beyond a few workers their lines would hide each other: the sum says it.
    let shown = if counts.len() <= 6 { counts.as_slice() } else { &[] };
    let rate = shown.iter().enumerate().fold(rate, |rate, (worker, counts)| {
        rate.counts(format!("worker {worker}"), counts.iter().copied())
    });
    let curves = Percentiles::new("Question and answer", "ns")
        .curve("loaded", load.rtt().samples, |at| load.rtt_at(at))
        .curve("alone", quiet.rtt().samples, |at| quiet.rtt_at(at));
    Section::new("Load")
        .text(format!(
            "All agents exchanged 64-byte messages for {}, every one through a router: {} sent \
             and read, {} with a wrong checksum. A question and its answer are two messages. One \
             cache line between the cores of router and worker takes {} there and back.",
            nanoseconds(load.time.as_nanos() as f64),
            count(load.sent),
            load.corrupt,
            nanoseconds(pingpong.round_trip_ns())
        ))
        .part(rate)
        .part(curves)
}

fn totals(workers: &[Vec<u64>]) -> Vec<u64> {
    let steps = workers.iter().map(Vec::len).max().unwrap_or(0);
    let total = |step: usize| workers.iter().filter_map(|counts| counts.get(step)).sum();
    (0..steps).map(total).collect()
}

fn failure(outcomes: &Outcomes) -> Section {
    let second = &outcomes.second;
    let killed = match second.killed {
        Some((worker, old, new)) => format!(
            "While digits were under way, worker {worker} (pid {old}) was killed with SIGKILL. \
             Its supervisor started the next generation, pid {new}."
        ),
        None => "Nobody was killed.".to_owned(),
    };
    let waited = &second.waited_ns;
    let curve = Percentiles::new("From question to answer, with the kill", "ns").curve(
        "digits",
        waited.len(),
        |at| waited.value_at_quantile(at) as f64,
    );
    Section::new("Failure and recovery")
        .text(format!(
            "{killed} {} digits were answered, {} questions were delivered again, {} answers were \
             seen twice, {} were lost.",
            count(second.answered() as u64),
            second.redelivered,
            second.duplicates,
            second.lost(),
        ))
        .optional(second.trail.as_ref().and_then(|trail| trail.timeline()))
        .part(curve)
}

fn settings(args: &DemoArgs, report: &Report, facts: Facts) -> Facts {
    let pinned = if args.floating { "no, every thread floats" } else { "yes" };
    facts
        .fact("Routers", report.routers.to_string())
        .fact("Worker processes", report.workers.to_string())
        .fact("Agents", count(u64::from(args.agents)))
        .fact("Questions open per agent", args.window.to_string())
        .fact("Pinned", pinned)
        .fact("Seed", args.seed.to_string())
        .fact("Killed after answers", report.killed_after.to_string())
        .fact("Whole run", format!("{:.1} s", report.elapsed_s))
}

/// What was not measured, and what a reader has to know.
fn remarks(outcomes: &Outcomes, report: &Report, here: &Fingerprint) -> Vec<String> {
    let cases = [
        (
            !here.is_optimised,
            "This is a build without optimisation: its figures say nothing about speed.",
        ),
        (
            report.must_yield,
            "There are fewer cores than threads that want one. Who waits yields, so round trips \
             under load hold turns of the scheduler.",
        ),
        (
            outcomes.second.recovery_ms.is_none(),
            "No question was open at the killed worker, so that there is no time of recovery.",
        ),
        (
            outcomes.load.read_by_step.iter().all(Vec::is_empty),
            "Throughput over time was not recorded: the load was shorter than a step.",
        ),
    ];
    let known = cases.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text.to_owned());
    let never = "Not measured: power, temperature and frequency of the cores, and what other \
                 programs did meanwhile. The moment at which the next process was started is not \
                 recorded; \"restarted\" is when it was attached.";
    known.chain([never.to_owned()]).collect()
}
