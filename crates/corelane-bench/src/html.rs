//! A report as one page of HTML without any other file, by way of `corelane-report`.
//!
//! Curves over the payload where there are several payloads, a curve of percentiles for round
//! trips, and for the rest bars with the interval as a whisker.

use corelane_report::{Bar, Bars, Curves, Facts, Page, Percentiles, Section, Table, nanoseconds};

use crate::{
    machine::Machine,
    report::{Report, Row},
    row::{Workload, bytes},
    table,
};

/// The page. `subtitle` says where and when, `foot` which program made it.
pub fn page(report: &Report, subtitle: &str, foot: &str) -> Page {
    let page = Page::new("corelane bench").subtitle(subtitle).foot(foot);
    let figures = series(&report.rows).into_iter().map(|(title, rows)| section(title, &rows));
    let page = figures.fold(page, Page::section);
    let page = page.section(Section::new("Machine").part(fingerprint(&report.machine)));
    report.remarks.iter().fold(page, |page, remark| page.remark(remark))
}

/// What a reader needs to compare two runs.
pub fn fingerprint(machine: &Machine) -> Facts {
    let load = machine.load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
    let build = if machine.is_optimised { "optimised" } else { "not optimised: says nothing" };
    Facts::default()
        .fact("CPU", &machine.cpu)
        .fact("Allowed cpus", &machine.cpus)
        .fact("Shape", &machine.shape)
        .fact("Linux", &machine.kernel)
        .fact("Compiler", &machine.rustc)
        .fact("Build", build)
        .fact("Load average before the run", load)
        .fact("Step of the clock", format!("{} ns", machine.clock_step_ns))
}

fn section(title: String, rows: &[&Row]) -> Section {
    let mut payloads: Vec<usize> = rows.iter().map(|row| row.key.payload_bytes).collect();
    payloads.sort_unstable();
    payloads.dedup();
    let section = Section::new(title.clone());
    let section = match payloads.len() {
        1 => section.part(bars(&title, rows)),
        _ => section.part(curves(rows)),
    };
    let section = section.part(details(rows));
    payloads.into_iter().fold(section, |section, payload| {
        let rows = rows.iter().filter(|row| row.key.payload_bytes == payload);
        section.optional(percentiles(payload, rows.copied()))
    })
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

/// A bar for each peer.
fn bars(title: &str, rows: &[&Row]) -> Bars {
    let title = format!("{title}, {}", bytes(rows[0].key.payload_bytes));
    let bars = Bars::new(title, &rows[0].unit).label(table::short);
    rows.iter()
        .fold(bars, |bars, row| bars.bar(Bar::new(&row.key.peer, [row.low, row.median, row.high])))
}

/// A line over the payload for each peer.
fn curves(rows: &[&Row]) -> Curves {
    let payload = ("payload", (|x| bytes(x.round() as usize)) as fn(f64) -> String);
    let label = if rows[0].unit == "ns" { nanoseconds } else { table::short };
    let curves = Curves::new("Median by payload", payload, (&rows[0].unit, label));
    rows.iter().fold(curves, |curves, row| {
        curves.point(&row.key.peer, row.key.payload_bytes as f64, row.median)
    })
}

/// All that is known of each row.
fn details(rows: &[&Row]) -> Table {
    let head = ["peer", "payload", "median", "low", "high", "passes", "ping-pong [ns]", "where"];
    let row = |row: &&Row| {
        let disturbed = match row.passes_disturbed {
            0 => String::new(),
            count => format!(", {count} disturbed"),
        };
        let [median, low, high] = [row.median, row.low, row.high].map(table::short);
        let passes = format!("{} {}{disturbed}", row.passes, row.label.name());
        let (peer, payload) = (row.key.peer.clone(), bytes(row.key.payload_bytes));
        let pingpong = format!("{:.0}", row.pingpong_ns);
        vec![peer, payload, median, low, high, passes, pingpong, row.cpus.clone()]
    };
    let caption = format!("every row with its interval and its ping-pong [{}]", rows[0].unit);
    Table::new(caption, head).rows(rows.iter().map(row)).folded()
}

/// The percentiles of all peers at one payload, if they were kept.
fn percentiles<'a>(payload: usize, rows: impl Iterator<Item = &'a Row>) -> Option<Percentiles> {
    let mut rows = rows.filter(|row| !row.percentiles.is_empty()).peekable();
    rows.peek()?;
    let curves = Percentiles::new(format!("Percentiles, {}", bytes(payload)), "ns");
    Some(
        rows.fold(curves, |curves, row| {
            curves.points(&row.key.peer, row.percentiles.iter().copied())
        }),
    )
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
        report.machine.cpu = "<script>abacus".into();
        let page = page(&report, "here", "corelane").render();
        assert_eq!(page.matches("<figure").count(), 3, "rate, p50 and its percentiles");
        assert!(!page.contains("<theirs>") && page.contains("&lt;theirs&gt;"));
        assert!(page.contains("&lt;script&gt;abacus"));
        for outside in ["http://", "https://", "<script", "src="] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn every_row_is_in_a_table_with_its_interval() {
        let page = page(&report(), "", "").render();
        for cell in ["<th scope=\"row\">theirs</th>", ">45.0<", ">55.0<", ">5 near<", ">110<"] {
            assert!(page.contains(cell), "{cell}");
        }
    }
}
