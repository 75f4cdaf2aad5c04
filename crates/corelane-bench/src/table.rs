//! A report as text for people: a table for each figure, the best peer first.

use std::collections::BTreeMap;

use crate::{
    report::{Report, Row},
    row::{Better, bytes},
    verdict::Duel,
};

/// All tables of a report, and its remarks.
pub fn draw(report: &Report) -> String {
    let machine = &report.machine;
    let load = machine.load.map_or("unknown".to_owned(), |load| format!("{load:.2}"));
    let mut text = format!(
        "{}, cpus {} ({}), Linux {}, load {load}, clock step {} ns\n",
        machine.cpu, machine.cpus, machine.shape, machine.kernel, machine.clock_step_ns
    );
    for ((_, title, payload), mut rows) in groups(&report.rows) {
        let first = rows[0];
        rows.sort_by(|a, b| match a.better {
            Better::Higher => b.median.total_cmp(&a.median),
            Better::Lower => a.median.total_cmp(&b.median),
        });
        let place = if first.threads > 2 { format!(", {}", first.cpus) } else { String::new() };
        text += &format!("\n{title}, {}{place} [{}]\n", bytes(payload), first.unit);
        let width = rows.iter().map(|row| row.key.peer.chars().count()).max().unwrap_or(0);
        for row in rows {
            text += &line(row, width);
        }
    }
    if !report.remarks.is_empty() {
        text.push('\n');
    }
    for remark in &report.remarks {
        text += &format!("- {remark}\n");
    }
    text
}

/// Rows of one table: the same figure of the same row, whoever the peer is, in their first order.
fn groups(rows: &[Row]) -> BTreeMap<(usize, String, usize), Vec<&Row>> {
    let mut order: Vec<String> = Vec::new();
    let mut groups: BTreeMap<_, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let title = row.series_title();
        let known = order.iter().position(|known| *known == title);
        let index = known.unwrap_or_else(|| {
            order.push(title.clone());
            order.len() - 1
        });
        groups.entry((index, title, row.key.payload_bytes)).or_default().push(row);
    }
    groups
}

fn line(row: &Row, width: usize) -> String {
    let Row { median, low, high, passes, label, pingpong_ns, .. } = row;
    let disturbed = match row.passes_disturbed {
        0 => String::new(),
        count => format!(", {count} disturbed"),
    };
    let others = row.by_label.iter().filter(|other| other.label != *label);
    let others: String = others
        .map(|other| format!(", {} {}: {}", other.passes, other.label.name(), short(other.median)))
        .collect();
    format!(
        "  {:<width$} {:>9}  {:>8} to {:<8}  {passes} {}, ping-pong {pingpong_ns:.0} ns\
         {disturbed}{others}\n",
        row.key.peer,
        short(*median),
        short(*low),
        short(*high),
        label.name(),
    )
}

/// Ours beside the best rival of every row, the worst ratio first.
pub fn draw_duels(duels: &[Duel]) -> String {
    let mut sorted: Vec<&Duel> = duels.iter().collect();
    sorted.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
    let behind = duels.iter().filter(|duel| is_behind(duel)).count();
    let mut text = format!("Ours beside the best rival: behind in {behind} of {}\n", duels.len());
    for duel in sorted {
        let Duel { ours, rival, ratio, .. } = duel;
        let verdict = match (duel.is_level, *ratio < 1.0) {
            (true, _) => "level",
            (false, true) => "BEHIND",
            (false, false) => "ahead",
        };
        text += &format!(
            "  {ratio:>6.2}x {verdict:<6} {}, {}: {} {} beside {} {} [{}]\n",
            ours.series_title(),
            bytes(ours.key.payload_bytes),
            ours.key.peer,
            short(ours.median),
            rival.key.peer,
            short(rival.median),
            ours.unit,
        );
    }
    text
}

/// Every row across processes beside the same queue within one process; nothing without any.
pub fn draw_within(duels: &[Duel]) -> String {
    let mut text = String::new();
    if !duels.is_empty() {
        text += "Across processes beside the same queue in one, over the same kind of memory\n";
    }
    for Duel { ours, rival, ratio, .. } in duels {
        text += &format!(
            "  {ratio:>6.2}x {}: {}, {} beside {} [{}]\n",
            ours.key.peer,
            ours.series_title(),
            short(ours.median),
            short(rival.median),
            ours.unit,
        );
    }
    text
}

fn is_behind(duel: &Duel) -> bool {
    !duel.is_level && duel.ratio < 1.0
}

/// A figure with three digits or so.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::report, verdict::duels};

    #[test]
    fn the_best_peer_comes_first() {
        let text = draw(&report());
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what:?} in\n{text}"));
        assert!(at("throughput 1:1 single pinned, rate, 8 B [M/s]") < at("theirs"), "{text}");
        assert!(at("theirs") < at("ours"), "{text}");
        assert!(text.contains("50.0      45.0 to 55.0"), "{text}");
        assert!(text.contains("5 near, ping-pong 110 ns"), "{text}");
    }

    #[test]
    fn losing_rows_are_told() {
        let text = draw_duels(&duels(&report(), |peer| peer == "ours"));
        assert!(text.starts_with("Ours beside the best rival: behind in 1 of 1\n"), "{text}");
        assert!(text.contains("0.50x BEHIND throughput 1:1"), "{text}");
    }

    #[test]
    fn one_process_stands_beside_two() {
        assert_eq!(draw_within(&[]), "");
        let row = report().rows[0].clone();
        let duel = Duel { ours: row.clone(), rival: row, ratio: 0.9, is_level: true };
        let line = "    0.90x ours: throughput 1:1 single pinned, rate, 50.0 beside 50.0 [M/s]\n";
        assert!(draw_within(&[duel]).ends_with(line), "{}", draw_within(&[]));
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([0.123, 9.99, 12.34, 1234.5].map(short), ["0.12", "9.99", "12.3", "1234"]);
    }
}
