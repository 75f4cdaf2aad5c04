//! What a row has to reach, and whether it does: the bars of the specification.
//!
//! A bar is judged by passes whose two CPUs have a cache in common. Two figures whose intervals
//! overlap are told apart by their medians all the same, and the overlap is said.

use corelane_bench::{BulkPeer, HandOver, Label, Mode, Placement, Report, Row, RowKey, Workload};

use crate::rivals::is_ours;

/// Our row, what it was held against, and how it came out.
#[derive(Debug, Clone)]
pub(crate) struct Judged<'a> {
    pub(crate) ours: &'a Row,
    pub(crate) against: String,
    /// Above 1 ours is ahead.
    pub(crate) ratio: f64,
    /// The ratio has to be at least this.
    pub(crate) bar: f64,
    pub(crate) verdict: Verdict,
}

/// How a row came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It reaches its bar.
    Held,
    /// It does not, by no more than a step of the clock, or where the bar allows it an interval.
    Level,
    /// It does not, and the intervals overlap.
    MissedWithin,
    /// It does not.
    Missed,
    /// The CPUs had no cache in common, or it changed, so nothing is judged.
    NotNear,
}

impl Verdict {
    /// Name in the tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Level => "level",
            Self::MissedWithin => "**MISSED**, intervals overlap",
            Self::Missed => "**MISSED**",
            Self::NotNear => "not judged: passes were not near",
        }
    }
}

/// What is compared with.
enum Against<'a> {
    Row(&'a Row),
    /// A bound on the figure itself, and what it is.
    Bound(f64, &'static str),
}

/// Judges every row of ours that has a bar.
pub(crate) fn judge(report: &Report) -> Vec<Judged<'_>> {
    let ours =
        report.rows.iter().filter(|row| is_ours(&row.key.peer) && is_best_of_ours(report, row));
    ours.flat_map(|row| {
        let bars = bars(report, row).into_iter();
        bars.map(|(against, bar)| judged(report, row, &against, bar))
    })
    .collect()
}

fn is_best_of_ours(report: &Report, row: &Row) -> bool {
    let others = report.rows.iter().filter(|other| is_ours(&other.key.peer));
    let others = others.filter(|other| other.is_rival_of(row) && is_close(other) == is_close(row));
    !others.into_iter().any(|other| other.is_better_than(row))
}

/// Whether its two CPUs had a cache in common: only such rows are held against each other.
fn is_close(row: &Row) -> bool {
    matches!(row.label, Label::Near | Label::Sibling)
}

/// The best of the others in the same row.
pub(crate) fn best_rival<'a>(report: &'a Report, row: &Row) -> Option<&'a Row> {
    let is_rival = |other: &&Row| {
        !is_ours(&other.key.peer)
            && !is_baseline(&other.key.peer)
            && is_close(other) == is_close(row)
    };
    let rivals = report.rows.iter().filter(|other| other.is_rival_of(row)).filter(is_rival);
    rivals.reduce(|best, other| if other.is_better_than(best) { other } else { best })
}

/// What the machine allows is no rival.
pub(crate) fn is_baseline(peer: &str) -> bool {
    peer == <HandOver as BulkPeer>::NAME
}

/// What very many cursors may cost.
const CURSORS: (Against<'static>, f64) =
    (Against::Bound(1.5, "1.5 x the time for one cursor"), 1.0);

/// The bars of a row: what to compare with, and the ratio that must be reached.
fn bars<'a>(report: &'a Report, row: &Row) -> Vec<(Against<'a>, f64)> {
    let key = &row.key;
    if key.placement != Placement::Pinned || key.processes == 1 {
        return Vec::new();
    }
    if key.processes > 1 {
        return bars_across(report, row);
    }
    let rival = best_rival(report, row).map(Against::Row);
    let same = |peer: &'static str| {
        let rows = report.rows.iter().filter(move |other| other.is_rival_of(row));
        rows.filter(move |other| !is_ours(&other.key.peer) && other.key.peer.contains(peer))
    };
    let bound = |bound: f64, what| vec![(Against::Bound(bound, what), 1.0)];
    match (key.workload, row.metric.as_str()) {
        (Workload::Latency, "round_trip") if key.payload_bytes <= 64 => {
            let mut bars = match key.payload_bytes {
                8 => bound(1.15 * row.pingpong_ns, "1.15 x the bare line"),
                _ => bound(1.15 * row.pingpong_two_lines_ns, "1.15 x two bare lines"),
            };
            bars.extend(rival.map(|rival| (rival, 1.0)));
            bars
        }
        (Workload::Throughput, _) if key.payload_bytes <= 64 => {
            let is_one_word = key.payload_bytes == 8 && key.mode == Mode::Single;
            rival.map(|rival| (rival, if is_one_word { 1.1 } else { 1.0 })).into_iter().collect()
        }
        (Workload::Bulk, _)
            if key.mode == Mode::EveryByte && [4096, 1 << 20].contains(&key.payload_bytes) =>
        {
            same(<HandOver as BulkPeer>::NAME).map(|row| (Against::Row(row), 0.9)).collect()
        }
        (Workload::Fanout, "cpu_ratio") => vec![CURSORS],
        (Workload::Wakeup, "p50") => ["tokio", "crossbeam", "eventfd", "pipe", "unix"]
            .into_iter()
            .flat_map(same)
            .map(|row| (Against::Row(row), 1.0))
            .collect(),
        _ => Vec::new(),
    }
}

/// The bars of a row whose ends lie in different processes.
fn bars_across<'a>(report: &'a Report, row: &Row) -> Vec<(Against<'a>, f64)> {
    let rivals = report.rows.iter().filter(|other| other.is_rival_of(row));
    let of = |peer: &'static str, bar: f64| {
        let rows = rivals.clone().filter(move |other| other.key.peer.contains(peer));
        rows.map(move |row| (Against::Row(row), bar)).collect::<Vec<_>>()
    };
    let within = RowKey { processes: 1, ..row.key.clone() };
    let is_within = |other: &&Row| other.key == within && other.metric == row.metric;
    let within = report.rows.iter().find(is_within).map(|within| (Against::Row(within), 0.9));
    let best = best_rival(report, row).map(|rival| (Against::Row(rival), 1.0));
    let both = within.into_iter().chain(best);
    match (row.key.workload, row.metric.as_str()) {
        (Workload::Latency, "round_trip") => both.collect(),
        (Workload::Throughput, _) => {
            both.chain(of("iceoryx2", 10.0)).chain(of("aeron", 5.0)).collect()
        }
        (Workload::Fanout, "rate") => both.chain(of("iceoryx2", 10.0)).collect(),
        (Workload::Fanout, "cpu_ratio") => vec![CURSORS],
        (Workload::Wakeup, "p50") => ["iceoryx2", "eventfd", "pipe", "unix"]
            .into_iter()
            .flat_map(|peer| of(peer, 1.0))
            .collect(),
        _ => Vec::new(),
    }
}

fn judged<'a>(report: &Report, ours: &'a Row, against: &Against<'_>, bar: f64) -> Judged<'a> {
    let (ratio, overlaps, name, other) = match against {
        Against::Row(other) => {
            let overlaps = ours.low <= other.high && other.low <= ours.high;
            let across = if other.key.processes == 1 { ", one process" } else { "" };
            let name = format!("{}{across}", other.key.peer);
            (ours.ratio_to(other), overlaps, name, other.median)
        }
        Against::Bound(bound, what) => {
            (bound / ours.median, ours.low <= *bound, (*what).to_owned(), *bound)
        }
    };
    let is_clock_step =
        ours.unit == "ns" && (ours.median - other).abs() <= report.machine.clock_step_ns as f64;
    let is_kernel = ["eventfd", "pipe", "unix"].iter().any(|kernel| name.contains(kernel));
    let verdict = match () {
        () if !is_close(ours) => Verdict::NotNear,
        () if ratio >= bar => Verdict::Held,
        () if is_clock_step || overlaps && is_kernel => Verdict::Level,
        () if overlaps => Verdict::MissedWithin,
        () => Verdict::Missed,
    };
    Judged { ours, against: name, ratio, bar, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn verdicts(report: &Report) -> Vec<(String, f64, Verdict)> {
        let judged = judge(report);
        let cell = |row: &Judged<'_>| {
            (row.against.clone(), (row.ratio * 100.0).round() / 100.0, row.verdict)
        };
        judged.iter().map(cell).collect()
    }

    #[test]
    fn the_best_of_ours_is_held_against_each_bar() {
        let expected = [
            // One word asks for a tenth more than the best rival has.
            ("rtrb", 1.05, Verdict::Missed),
            ("1.15 x the bare line", 0.97, Verdict::Level),
            ("rtrb", 0.97, Verdict::Level),
            ("bare hand-over", 0.95, Verdict::Held),
        ];
        let expected =
            expected.map(|(against, ratio, verdict)| (against.to_owned(), ratio, verdict));
        assert_eq!(verdicts(&sample::report()), expected);
    }

    #[test]
    fn without_a_clock_step_a_worse_figure_misses() {
        let mut report = sample::report();
        report.machine.clock_step_ns = 0;
        let verdicts: Vec<_> = verdicts(&report).into_iter().map(|row| row.2).collect();
        let Verdict::Missed = verdicts[2] else { panic!("{verdicts:?}") };
        report.rows[5].low = 100.0;
        report.rows[5].high = 130.0;
        assert_eq!(judge(&report)[2].verdict, Verdict::MissedWithin);
    }

    #[test]
    fn two_processes_are_held_against_one_and_against_the_rivals() {
        let mut report = sample::report();
        let ours = report.rows[0].clone();
        let row = |peer: &str, processes, median: f64| {
            let key = RowKey { peer: peer.to_owned(), processes, ..ours.key.clone() };
            Row { key, median, low: median * 0.99, high: median * 1.01, ..ours.clone() }
        };
        report.rows = vec![
            row("corelane ring", 2, 50.0),
            row("corelane ring", 1, 54.0),
            row("iceoryx2", 2, 5.5),
            row("aeron", 2, 8.0),
        ];
        let expected = [
            ("corelane ring, one process", 0.93, Verdict::Held),
            ("aeron", 6.25, Verdict::Held),
            ("iceoryx2", 9.09, Verdict::Missed),
            ("aeron", 6.25, Verdict::Held),
        ];
        let expected =
            expected.map(|(against, ratio, verdict)| (against.to_owned(), ratio, verdict));
        assert_eq!(verdicts(&report), expected);
    }

    #[test]
    fn far_passes_are_not_judged() {
        let mut report = sample::report();
        report.rows.iter_mut().for_each(|row| row.label = Label::Far);
        assert!(judge(&report).iter().all(|row| row.verdict == Verdict::NotNear));
    }
}
