//! A report beside an earlier one, and ours beside the rivals: pure functions over rows.

use crate::report::{Report, Row};
use crate::row::{Better, RowKey};

/// A row that is worse than it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    /// As it was.
    pub before: Row,
    /// As it is.
    pub after: Row,
}

/// What a comparison with a baseline found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// Rows whose interval lies wholly on the worse side of the earlier interval.
    pub regressions: Vec<Regression>,
    /// Rows that were compared.
    pub compared: usize,
    /// Rows that were not, one reason for each sort.
    pub remarks: Vec<String>,
}

/// Why two reports cannot be compared.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompareError {
    /// They are of two machines.
    #[error("baseline is of another machine, save one here with --save: {0}")]
    OtherMachine(String),
    /// They have no row in common.
    #[error("baseline has no row of this run, save one of the same command with --save")]
    NothingInCommon,
}

impl CompareError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherMachine(_) => "CL-0941",
            Self::NothingInCommon => "CL-0942",
        }
    }
}

/// Looks for every row of `now` in `before`.
///
/// # Errors
/// - [`CompareError::OtherMachine`]: figures of two machines say nothing about the code.
/// - [`CompareError::NothingInCommon`]: the baseline is of other workloads.
pub fn compare(now: &Report, before: &Report) -> Result<Comparison, CompareError> {
    if let Some(difference) = now.machine.difference(&before.machine) {
        return Err(CompareError::OtherMachine(difference));
    }
    let mut comparison = Comparison::default();
    let (mut new, mut moved) = (0, 0);
    for row in &now.rows {
        let is_same = |old: &&Row| old.key == row.key && old.metric == row.metric;
        let mut earlier = before.rows.iter().filter(is_same).peekable();
        if earlier.peek().is_none() {
            new += 1;
        } else if let Some(old) = earlier.find(|old| old.label == row.label) {
            comparison.compared += 1;
            if is_worse(row, old) {
                let (before, after) = (old.clone(), row.clone());
                comparison.regressions.push(Regression { before, after });
            }
        } else {
            moved += 1;
        }
    }
    if new == now.rows.len() {
        return Err(CompareError::NothingInCommon);
    }
    if new > 0 {
        comparison.remarks.push(format!("{new} figures are not in the baseline"));
    }
    if moved > 0 {
        comparison.remarks.push(format!(
            "{moved} figures were not compared: their cpus lay nearer or farther in the baseline"
        ));
    }
    Ok(comparison)
}

/// Whether the whole interval is worse than the whole earlier one.
fn is_worse(row: &Row, before: &Row) -> bool {
    match row.better {
        Better::Higher => row.high < before.low,
        Better::Lower => row.low > before.high,
    }
}

/// One of our rows, and the best rival of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Duel {
    /// Ours.
    pub ours: Row,
    /// The best of the others.
    pub rival: Row,
    /// Above 1 ours is ahead.
    pub ratio: f64,
    /// Whether the intervals overlap, so that neither is ahead for sure.
    pub is_level: bool,
}

/// Holds the best of ours against the best of the others, for every figure that both have.
pub fn duels(report: &Report, is_ours: impl Fn(&str) -> bool) -> Vec<Duel> {
    let best = |rows: Vec<&Row>| {
        rows.into_iter()
            .reduce(|best, row| if row.is_better_than(best) { row } else { best })
            .cloned()
    };
    let mut duels: Vec<Duel> = Vec::new();
    for row in &report.rows {
        if duels.iter().any(|duel| duel.ours.is_rival_of(row)) {
            continue;
        }
        let rivals = report.rows.iter().filter(|other| other.is_rival_of(row));
        let (ours, rivals) = rivals.partition(|row| is_ours(&row.key.peer));
        if let Some((ours, rival)) = best(ours).zip(best(rivals)) {
            let ratio = ours.ratio_to(&rival);
            let is_level = ours.low <= rival.high && rival.low <= ours.high;
            duels.push(Duel { ours, rival, ratio, is_level });
        }
    }
    duels
}

/// Holds every row with ends in processes of their own against the same queue within one process,
/// over the same kind of memory.
pub fn within_one_process(report: &Report) -> Vec<Duel> {
    let across = report.rows.iter().filter(|row| row.key.processes > 1);
    let duel = |across: &Row| {
        let key = RowKey { processes: 1, ..across.key.clone() };
        let is_same = |row: &&Row| row.key == key && row.metric == across.metric;
        let within = report.rows.iter().find(is_same)?;
        Some(Duel {
            ours: across.clone(),
            rival: within.clone(),
            ratio: across.ratio_to(within),
            is_level: across.low <= within.high && within.low <= across.high,
        })
    };
    across.filter_map(duel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{label::Label, testing::report};

    fn scaled(report: &Report, factor: f64) -> Report {
        let mut report = report.clone();
        for row in &mut report.rows {
            for value in [&mut row.median, &mut row.low, &mut row.high] {
                *value *= factor;
            }
        }
        report
    }

    #[test]
    fn only_intervals_that_lie_apart_are_regressions() {
        let now = report();
        let same = compare(&now, &now).unwrap();
        assert_eq!((same.regressions.len(), same.compared), (0, now.rows.len()));
        let overlapping = compare(&now, &scaled(&now, 1.05)).unwrap();
        assert_eq!(overlapping.regressions, []);
        // The rate was ten times higher, the latency ten times lower: each is worse one way.
        let was_faster = compare(&now, &scaled(&now, 10.0)).unwrap().regressions;
        let metrics: Vec<_> = was_faster.iter().map(|worse| worse.after.metric.as_str()).collect();
        assert_eq!(metrics, ["rate", "rate"]);
        let was_quicker = compare(&now, &scaled(&now, 0.1)).unwrap().regressions;
        let metrics: Vec<_> = was_quicker.iter().map(|worse| worse.after.metric.as_str()).collect();
        assert_eq!(metrics, ["p50"]);
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let now = report();
        let mut elsewhere = now.clone();
        elsewhere.machine.cpus = "0-63".into();
        assert!(matches!(compare(&now, &elsewhere), Err(CompareError::OtherMachine(_))));
        let empty = Report { rows: vec![], ..now.clone() };
        assert_eq!(compare(&now, &empty), Err(CompareError::NothingInCommon));
        let mut moved = now.clone();
        moved.rows[0].label = Label::Far;
        moved.rows.remove(1);
        let comparison = compare(&now, &moved).unwrap();
        assert_eq!((comparison.compared, comparison.remarks.len()), (1, 2), "{comparison:?}");
    }

    #[test]
    fn two_processes_are_held_against_one() {
        let mut report = report();
        let row = report.rows[0].clone();
        let in_processes = |processes, median| {
            let key = RowKey { processes, ..row.key.clone() };
            Row { key, median, low: median, high: median, ..row.clone() }
        };
        report.rows = vec![row.clone(), in_processes(2, 45.0), in_processes(1, 50.0)];
        let duels = within_one_process(&report);
        assert_eq!((duels.len(), duels[0].ratio, duels[0].is_level), (1, 0.9, false));
        report.rows.pop();
        assert_eq!(within_one_process(&report), []);
    }

    #[test]
    fn ours_is_held_against_the_best_rival() {
        let report = report();
        let duels = duels(&report, |peer| peer == "ours");
        assert_eq!(duels.len(), 1);
        let Duel { ours, rival, ratio, is_level } = &duels[0];
        assert_eq!((ours.key.peer.as_str(), rival.key.peer.as_str()), ("ours", "theirs"));
        assert_eq!((*ratio, *is_level), (0.5, false));
    }
}
