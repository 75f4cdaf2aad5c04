//! A run as a page: what became of the items, how fast, where, and what happened to the workers.

use corelane_bench::html::fingerprint;
use corelane_report::{
    Event, Figure, Layout, Matrix, Outcome, Page, Percentiles, Rate, Section, Summary, Table,
    Timeline, Verdict, count, nanoseconds, short,
};

use super::{
    record::{RunEvent, RunRecord, StageRecord},
    source::SourceCounts,
};
use crate::page::{foot, subtitle};

pub(super) fn draw(record: &RunRecord) -> Page {
    let here = &record.machine.here;
    let page = Page::new(format!("corelane run {}", record.flow))
        .subtitle(subtitle(here))
        .section(Section::new("Summary").part(summary(record)))
        .section(stages(record))
        .section(throughput(record))
        .optional(workers(record))
        .section(machine(record))
        .section(
            Section::new("Fingerprint").part(
                fingerprint(here)
                    .fact("Routers", record.machine.request.routers.to_string())
                    .fact("Worker processes", record.workers.to_string())
                    .fact(
                        "Pinned",
                        if record.is_pinned { "yes" } else { "no, every thread floats" },
                    )
                    .fact("Messages forwarded by routers", count(record.routers.forwarded))
                    .fact("Messages dropped by routers", count(record.routers.dropped())),
            ),
        )
        .foot(foot());
    remarks(record).into_iter().fold(page, Page::remark)
}

fn summary(record: &RunRecord) -> Summary {
    let RunRecord { items, answered, dropped, failed, abandoned, redelivered, .. } = record;
    let counted = answered + dropped + failed + abandoned;
    let is_whole = if counted == *items { Outcome::Held } else { Outcome::Broken };
    let failures = if *failed == 0 { Outcome::Held } else { Outcome::Broken };
    let mut summary = Summary::default()
        .verdict(Verdict::new(failures, "no item failed"))
        .verdict(Verdict::new(is_whole, "every item that was taken in is accounted for"))
        .figure(Figure::new("Items", format!("{}/s", short(record.items_per_s()))).note(format!(
            "{} in {}",
            count(*items),
            nanoseconds(record.elapsed.as_nanos() as f64)
        )))
        .figure(Figure::new("Answered", count(*answered)).note("passed every stage"))
        .figure(Figure::new("Dropped", count(*dropped)).note("a stage let them through no further"))
        .figure(Figure::new("Failed", count(*failed)).note("nothing could be done with them"));
    if *abandoned > 0 {
        summary = summary.figure(
            Figure::new("Abandoned", count(*abandoned)).note("given up when the run ended early"),
        );
    }
    for stage in record.stages.iter().filter(|stage| !stage.waited_ns.is_empty()) {
        let at = |quantile| nanoseconds(stage.waited_ns.value_at_quantile(quantile) as f64);
        summary = summary.figure(
            Figure::new(format!("Round trip of {}", stage.name), at(0.5))
                .note(format!("median; 99 % within {}", at(0.99))),
        );
    }
    for (stage, share) in record.stages.iter().filter_map(|s| Some((s, s.alarm()?))) {
        summary =
            summary
                .figure(Figure::new(format!("Alarms of {}", stage.name), count(stage.passed)).note(
                format!(
                    "a share of {:.2e} of {} readings judged; normal readings would give {:.2e}",
                    share.found,
                    count(stage.judged),
                    share.normal
                ),
            ));
    }
    match redelivered + record.suppressed() {
        0 => summary,
        _ => summary.figure(
            Figure::new("Asked again", count(*redelivered))
                .note(format!("{} answers held back", count(record.suppressed()))),
        ),
    }
}

fn stages(record: &RunRecord) -> Section {
    let row = |stage: &StageRecord| {
        let at = |quantile| nanoseconds(stage.waited_ns.value_at_quantile(quantile) as f64);
        let StageRecord { answered, passed, failed, expired, .. } = *stage;
        let counts = [stage.agents.into(), answered, passed, failed, expired].map(count);
        let times = match stage.waited_ns.is_empty() {
            true => ["–"; 4].map(str::to_owned),
            false => [0.5, 0.99, 0.999, 1.0].map(at),
        };
        [vec![stage.name.clone()], counts.to_vec(), times.to_vec()].concat()
    };
    let head = [
        "stage",
        "agents",
        "answered",
        "passed on",
        "failed",
        "not in time",
        "p50",
        "p99",
        "p99.9",
        "max",
    ];
    let table = Table::new("Stages, in the order that items pass them", head)
        .rows(record.stages.iter().map(row));
    let measured = record.stages.iter().filter(|stage| !stage.waited_ns.is_empty());
    let curves = measured.fold(None, |curves: Option<Percentiles>, stage| {
        let curves = curves.unwrap_or_else(|| Percentiles::new("From asking to the answer", "ns"));
        let waited = &stage.waited_ns;
        let at = |quantile| waited.value_at_quantile(quantile) as f64;
        Some(curves.curve(stage.name.clone(), waited.len(), at))
    });
    Section::new("Stages")
        .text(
            "Each item is asked of an agent of every stage in turn, through a router; the times \
             count from the question to its answer.",
        )
        .part(table)
        .optional(curves)
}

fn throughput(record: &RunRecord) -> Section {
    let pace = &record.pace;
    let rate = Rate::new("Items that left", "items", pace.step());
    Section::new("Throughput").part(rate.counts("all stages", pace.counts().iter().copied()))
}

/// Downs and ups of workers; none when nothing happened to them.
fn workers(record: &RunRecord) -> Option<Section> {
    if record.events.is_empty() {
        return None;
    }
    let start = [(0.0, record.workers as u64)];
    let counts = record.events.iter().scan(record.workers as u64, |alive, event| {
        *alive = match event.is_down() {
            true => alive.saturating_sub(1),
            false => *alive + 1,
        };
        Some((event.at_s * 1e3, *alive))
    });
    let timeline = Timeline::new("Workers", "the first item")
        .counts("workers at work", start.into_iter().chain(counts));
    let timeline = record.events.iter().fold(timeline, |timeline, event| {
        let RunEvent { at_s, worker, what, detail } = event;
        let name = format!("worker {worker} {what}");
        timeline.event(Event::new(at_s * 1e3, name).note(detail.clone()))
    });
    let text = format!(
        "A worker that goes down is started anew, and the questions that were open at it are \
         asked again: {} were, and {} answers that came twice or too late were held back.",
        count(record.redelivered),
        count(record.suppressed())
    );
    Some(Section::new("Workers").text(text).part(timeline))
}

fn machine(record: &RunRecord) -> Section {
    let machine = &record.machine;
    Section::new("Machine and placement")
        .text(format!("{}.", machine.request_because))
        .part(Layout::of(&machine.topology, &machine.plan, record.is_pinned))
        .part(Matrix::of(&machine.matrix))
}

/// What was not measured, and what a reader has to know.
fn remarks(record: &RunRecord) -> Vec<String> {
    let SourceCounts { ticks, ticks_missed, rotations, truncations } = record.source;
    let cases = [
        (
            !record.machine.here.is_optimised,
            "This is a build without optimisation: its figures say nothing about speed.".to_owned(),
        ),
        (record.signal.is_some(), "A signal ended the input.".to_owned()),
        (
            ticks_missed > 0,
            format!("{ticks_missed} of {} readings were missed.", ticks + ticks_missed),
        ),
        (
            rotations + truncations > 0,
            format!("The followed file was rotated {rotations} and truncated {truncations} times."),
        ),
    ];
    let never = "Not measured: power, temperature and frequency of the cores, and what other \
                 programs did meanwhile.";
    let known = cases.into_iter().filter(|(is_so, _)| *is_so).map(|(_, text)| text);
    let degraded = record.degraded.iter().map(|displaced| format!("Degraded: {displaced}."));
    known.chain(degraded).chain([never.to_owned()]).collect()
}
