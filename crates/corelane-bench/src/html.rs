//! A report as one page of HTML without any other file, readable in light and dark.
//!
//! Curves over the payload where there are several payloads, a curve of percentiles for round
//! trips, and for the rest bars with the interval as a whisker.

mod chart;

use crate::{
    report::{Report, Row},
    row::{Workload, bytes},
    table,
};

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; }
svg text { font-family: system-ui, sans-serif; }
pre { overflow-x: auto; font-size: 13px; line-height: 1.35; }
";

/// The page.
pub fn page(report: &Report) -> String {
    let machine = escape(&format!("{}, cpus {}", report.machine.cpu, report.machine.cpus));
    let mut body = String::new();
    for (title, rows) in series(&report.rows) {
        body += &format!("<h2>{}</h2>\n", escape(&title));
        body += &chart_of(&rows);
        if rows.iter().any(|row| !row.percentiles.is_empty()) {
            body += &percentile_charts(&rows);
        }
    }
    let tables = escape(&table::draw(report));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>corelane bench</title>\n<style>{STYLE}</style>\n\
         <h1>corelane bench</h1>\n<p>{machine}</p>\n{body}<h2>All figures</h2>\n\
         <pre>{tables}</pre>\n</html>\n"
    )
}

/// Rows by title, in their first order: all peers and payloads of one figure. The upper
/// percentiles are in the curve of the median.
fn series(rows: &[Row]) -> Vec<(String, Vec<&Row>)> {
    let mut series: Vec<(String, Vec<&Row>)> = Vec::new();
    let is_round_trip =
        |row: &Row| matches!(row.key.workload, Workload::Latency | Workload::Wakeup);
    let is_in_curve = |row: &&Row| is_round_trip(row) && row.metric.starts_with(['p', 'm']);
    for row in rows.iter().filter(|row| row.metric == "p50" || !is_in_curve(row)) {
        let title = row.series_title();
        match series.iter_mut().find(|(known, _)| *known == title) {
            Some((_, rows)) => rows.push(row),
            None => series.push((title, vec![row])),
        }
    }
    series
}

/// Lines over the payload, or bars when there is one payload only.
fn chart_of(rows: &[&Row]) -> String {
    let unit = &rows[0].unit;
    let is_one_payload = rows.iter().all(|row| row.key.payload_bytes == rows[0].key.payload_bytes);
    if is_one_payload {
        let bars = rows.iter().map(|row| (row.key.peer.clone(), [row.low, row.median, row.high]));
        return chart::bars(&bars.collect::<Vec<_>>(), unit);
    }
    let lines = chart::by_name(
        rows.iter().map(|row| (row.key.peer.clone(), (row.key.payload_bytes as f64, row.median))),
    );
    chart::curves(&lines, "payload in bytes", unit, &|x| bytes(x.round() as usize))
}

/// One curve of percentiles for each payload.
fn percentile_charts(rows: &[&Row]) -> String {
    let mut payloads: Vec<usize> = rows.iter().map(|row| row.key.payload_bytes).collect();
    payloads.sort_unstable();
    payloads.dedup();
    let chart = |payload: usize| {
        let rows = rows.iter().filter(|row| row.key.payload_bytes == payload);
        let points = rows.flat_map(|row| {
            // The rarer by ten, the farther right by as much; the slowest has no place of its own.
            let shown = row.percentiles.iter().filter(|(at, _)| *at < 1.0);
            shown.map(|(at, ns)| (row.key.peer.clone(), (1.0 / (1.0 - at), *ns)))
        });
        let lines = chart::by_name(points);
        let label = |x: f64| format!("{}", (100.0 - 100.0 / x) as f32);
        let title = format!("<h3>Percentiles, {}</h3>\n", bytes(payload));
        title + &chart::curves(&lines, "percentile", "ns", &label)
    };
    payloads.into_iter().map(chart).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::report;

    #[test]
    fn the_page_needs_nothing_else_and_has_a_chart_of_every_series() {
        let mut report = report();
        let mut larger = report.rows[1].clone();
        larger.key.payload_bytes = 4096;
        larger.key.peer = "<theirs>".into();
        report.rows.push(larger);
        let page = page(&report);
        assert_eq!(page.matches("<svg").count(), 3, "rate, p50 and its percentiles");
        assert!(!page.contains("<theirs>") && page.contains("&lt;theirs&gt;"));
        for outside in ["http://", "https://", "<script", "<link", "src="] {
            let page = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(page.contains("currentColor"), "text takes the colour of the page");
    }
}
