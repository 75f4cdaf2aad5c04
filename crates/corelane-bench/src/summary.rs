//! From the passes of each row to its figures.

use hdrhistogram::Histogram;

use crate::{
    label::Label,
    machine::Machine,
    options::Options,
    report::{LabelPasses, Report, Row, SCHEMA},
    row::{Metric, Placement},
    run::{Measured, PassRecord},
    stats::{self, Summary},
};

/// Quantiles of the curve of a latency.
const QUANTILES: [f64; 14] =
    [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1.0];

/// The report of a run.
pub(crate) fn report(
    machine: Machine,
    options: Options,
    measured: &[Measured],
    known: &[String],
) -> Report {
    let rows: Vec<Row> =
        measured.iter().filter(|row| row.given_up.is_none()).flat_map(rows).collect();
    let mut remarks = remarks(&rows, &options);
    remarks.extend_from_slice(known);
    remarks.extend(measured.iter().filter_map(|row| {
        let because = row.given_up.as_ref()?;
        Some(format!("{}: not measured: {because}", row.row.stage.key))
    }));
    remarks.extend(measured.iter().filter(|row| row.stalled > 0).map(|row| {
        let (key, stalled) = (&row.row.stage.key, row.stalled);
        format!("{key}: in {stalled} passes no message moved for 10 s; they were repeated")
    }));
    if !machine.is_optimised {
        remarks.push("this binary is not optimised: its figures say nothing".to_owned());
    }
    Report { schema: SCHEMA.to_owned(), machine, options, rows, remarks }
}

/// One row for each metric.
fn rows(measured: &Measured) -> Vec<Row> {
    let stage = &measured.row.stage;
    let labels: Vec<Label> = measured.records.iter().map(PassRecord::label).collect();
    let Some(label) = Label::to_judge_by(&labels) else { return Vec::new() };
    let of = |label: Label| -> Vec<&PassRecord> {
        measured.records.iter().filter(|record| record.label() == label).collect()
    };
    let judged = of(label);
    let brackets = || judged.iter().flat_map(|record| [record.before, record.after]);
    let mut percentiles = merged(&judged).map_or_else(Vec::new, |histogram| curve(&histogram));
    let mut seen = labels.clone();
    seen.sort_unstable();
    seen.dedup();
    let row = |(index, metric): (usize, &Metric)| {
        let Summary { median, low, high, confidence } = summarised(&judged, index);
        let label_passes = |&label: &Label| {
            let records = of(label);
            LabelPasses { label, passes: records.len(), median: summarised(&records, index).median }
        };
        Row {
            key: stage.key.clone(),
            threads: stage.key.threads(),
            cpus: stage.cpus_text(),
            metric: metric.name.to_owned(),
            unit: metric.unit.to_owned(),
            better: metric.better,
            median,
            low,
            high,
            confidence,
            passes: judged.len(),
            passes_disturbed: judged.iter().filter(|r| !r.disturbances.is_empty()).count(),
            label,
            pingpong_ns: median_of(brackets().map(|bracket| bracket.one_line_ns)),
            pingpong_two_lines_ns: median_of(brackets().map(|bracket| bracket.two_lines_ns)),
            by_label: match seen.len() {
                1 => Vec::new(),
                _ => seen.iter().map(label_passes).collect(),
            },
            percentiles: match metric.name {
                "p50" => std::mem::take(&mut percentiles),
                _ => Vec::new(),
            },
        }
    };
    stage.key.metrics().iter().enumerate().map(row).collect()
}

/// The summary of one metric over some passes, of which there is at least one.
fn summarised(records: &[&PassRecord], metric: usize) -> Summary {
    let values: Vec<f64> = records.iter().map(|record| record.result.values[metric]).collect();
    stats::summarise(&values).expect("because a label is judged by its passes")
}

fn median_of(values: impl Iterator<Item = f64>) -> f64 {
    stats::summarise(&values.collect::<Vec<_>>()).map_or(0.0, |summary| summary.median)
}

/// Every round trip of some passes.
fn merged(records: &[&PassRecord]) -> Option<Histogram<u64>> {
    let mut histograms = records.iter().filter_map(|record| record.result.histogram.as_ref());
    let mut sum = histograms.next()?.clone();
    for histogram in histograms {
        sum.add(histogram).expect("because all grow as they need");
    }
    Some(sum)
}

fn curve(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    QUANTILES.iter().map(|&at| (at, histogram.value_at_quantile(at) as f64)).collect()
}

/// What a reader has to know about the figures.
fn remarks(rows: &[Row], options: &Options) -> Vec<String> {
    let mut remarks = Vec::new();
    let disturbed = rows.iter().filter(|row| row.passes_disturbed > 0).count();
    if disturbed > 0 {
        remarks.push(format!(
            "noise was allowed: {disturbed} figures rest on passes that something else disturbed"
        ));
    }
    let moved = rows.iter().filter(|row| !row.by_label.is_empty()).count();
    if moved > 0 {
        remarks.push(format!(
            "the hypervisor moved the cpus: {moved} figures are judged by their near passes, or, \
             with fewer than three of those, by the most frequent kind"
        ));
    }
    if let Some(row) = rows.iter().min_by(|a, b| a.confidence.total_cmp(&b.confidence)) {
        let percent = row.confidence * 100.0;
        remarks.push(format!(
            "each interval holds the true median with {percent:.0} % confidence or more, by the \
             order of the passes"
        ));
    }
    if options.placements.contains(&Placement::Pinned)
        && rows.iter().any(|row| row.threads > 2 && row.cpus != "any")
    {
        remarks.push("pinned threads lie on the allowed cpus in turn, senders first".to_owned());
    }
    remarks
}
