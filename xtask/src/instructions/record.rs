//! The recorded counts, and how new ones compare. Starts nothing and touches no file.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// Operations and their instructions per message.
pub(super) type Rows = Vec<(String, f64)>;

/// How far a count may be from the recorded one. It is exact; this leaves room for the digit that
/// the record leaves out, and for libc's choice of a copy routine.
const TOLERANCE_PERCENT: f64 = 2.0;
const ACCEPT: &str = "cargo xtask instructions --write";

/// What was counted, and with which compiler: another one gives other counts.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) rustc: String,
    pub(super) target: String,
    pub(super) rows: Rows,
}

impl Record {
    pub(super) fn parse(text: &str) -> Result<Record> {
        let table: toml::Table = text.parse().context("it is not TOML")?;
        let field = |name: &str| {
            let value = table.get(name).and_then(toml::Value::as_str);
            value.map(str::to_owned).with_context(|| format!("it has no string `{name}`"))
        };
        let rows = table.get("operations").and_then(toml::Value::as_table);
        let rows = rows.context("it has no table `operations`")?.iter().map(|(name, value)| {
            let count = value.as_float().with_context(|| format!("`{name}` is not a decimal"))?;
            Ok((name.clone(), count))
        });
        let rows = rows.collect::<Result<Rows>>()?;
        Ok(Record { rustc: field("rustc")?, target: field("target")?, rows })
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = format!(
            "# Instructions per message, sent and received, one thread. Renewed by\n\
             # `{ACCEPT}`; ci/instructions fails when one is {TOLERANCE_PERCENT} % above.\n\
             rustc = \"{}\"\ntarget = \"{}\"\n\n[operations]\n",
            self.rustc, self.target
        );
        for (name, count) in &self.rows {
            text += &format!("\"{name}\" = {count:.1}\n");
        }
        text
    }

    /// Why the record says nothing about this compiler.
    pub(super) fn other(&self, rustc: &str, target: &str) -> Option<String> {
        if self.target != target {
            return Some(format!("instructions: recorded on {}, this is {target}", self.target));
        }
        (self.rustc != rustc)
            .then(|| format!("instructions: recorded with rustc {}, this is {rustc}", self.rustc))
    }
}

/// A count that the record does not hold.
#[derive(Debug, PartialEq)]
pub(super) enum Difference {
    Slower { name: String, recorded: f64, counted: f64 },
    Faster { name: String, recorded: f64, counted: f64 },
    NotRecorded { name: String },
    Gone { name: String },
}

impl Difference {
    /// A count that fell is only told, so that whoever made it fall can renew the record.
    pub(super) fn is_failure(&self) -> bool {
        !matches!(self, Difference::Faster { .. })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Slower { name, recorded, counted } => write!(
                f,
                "`{name}` takes {counted:.1} instructions, recorded {recorded:.1} ({:+.1} %): \
                 make it cheaper, or accept it with `{ACCEPT}`",
                percent(*recorded, *counted)
            ),
            Difference::Faster { name, recorded, counted } => write!(
                f,
                "`{name}` takes {counted:.1} instructions, recorded {recorded:.1} ({:+.1} %): \
                 renew the record with `{ACCEPT}`",
                percent(*recorded, *counted)
            ),
            Difference::NotRecorded { name } => {
                write!(f, "`{name}` is not recorded: add it with `{ACCEPT}`")
            }
            Difference::Gone { name } => {
                write!(f, "`{name}` is recorded and not counted: remove it with `{ACCEPT}`")
            }
        }
    }
}

fn percent(recorded: f64, counted: f64) -> f64 {
    (counted / recorded - 1.0) * 100.0
}

fn find(rows: &Rows, name: &str) -> Option<f64> {
    rows.iter().find(|(known, _)| known == name).map(|&(_, count)| count)
}

/// What differs by more than the tolerance, or stands on one side only.
pub(super) fn differences(recorded: &Rows, counted: &Rows) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, now) in counted {
        let (name, counted) = (name.clone(), *now);
        match find(recorded, &name) {
            None => differences.push(Difference::NotRecorded { name }),
            Some(recorded) if counted > recorded * (1.0 + TOLERANCE_PERCENT / 100.0) => {
                differences.push(Difference::Slower { name, recorded, counted });
            }
            Some(recorded) if counted < recorded * (1.0 - TOLERANCE_PERCENT / 100.0) => {
                differences.push(Difference::Faster { name, recorded, counted });
            }
            Some(_) => {}
        }
    }
    let gone = recorded.iter().filter(|(name, _)| find(counted, name).is_none());
    differences.extend(gone.map(|(name, _)| Difference::Gone { name: name.clone() }));
    differences
}

/// The counts beside the recorded ones.
pub(super) fn table(recorded: &Rows, counted: &Rows) -> String {
    let width = counted.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = format!("{:<width$} {:>9} {:>9} {:>8}\n", "", "recorded", "counted", "change");
    for (name, now) in counted {
        let (before, change) = match find(recorded, name) {
            Some(before) => (format!("{before:.1}"), format!("{:+.1} %", percent(before, *now))),
            None => ("none".to_owned(), String::new()),
        };
        text += format!("{name:<width$} {before:>9} {now:>9.1} {change:>8}").trim_end();
        text.push('\n');
    }
    text
}

/// The total in the report of callgrind: `==12== Collected : 128811`.
pub(super) fn collected(report: &str) -> Option<u64> {
    let mut totals = report.lines().filter_map(|line| {
        let (_, total) = line.split_once("Collected : ")?;
        total.split_whitespace().next()?.parse().ok()
    });
    totals.next_back()
}

/// The program that `cargo build --message-format json` made.
pub(super) fn executable(messages: &str) -> Option<PathBuf> {
    let mut programs = messages.lines().filter_map(|line| {
        let (_, path) = line.split_once("\"executable\":\"")?;
        let (path, _) = path.split_once('"')?;
        // An escaped character stands for another one; such a path is not guessed at.
        (!path.contains('\\')).then(|| PathBuf::from(path))
    });
    programs.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, f64)]) -> Rows {
        rows.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    }

    fn told(recorded: &[(&str, f64)], counted: &[(&str, f64)]) -> Vec<(String, bool)> {
        let differences = differences(&rows(recorded), &rows(counted));
        differences.iter().map(|one| (one.to_string(), one.is_failure())).collect()
    }

    #[test]
    fn callgrinds_total_is_found_and_nothing_is_made_up_without_one() {
        let report = "==7== Events    : Ir\n==7== Collected : 128811\n==7== \n";
        assert_eq!(collected(report), Some(128_811));
        assert_eq!(collected("==7== Collected : 5 6 7\n"), Some(5));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
        assert_eq!(collected("==7== Collected : many\n"), None);
    }

    #[test]
    fn the_program_is_the_one_that_cargo_names() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/t/operations\"}\n\
                        {\"reason\":\"build-finished\"}\nnot json\n";
        assert_eq!(executable(messages), Some(PathBuf::from("/t/operations")));
        assert_eq!(executable("{\"executable\":null}"), None);
        assert_eq!(executable("{\"executable\":\"/a\\\\b\"}"), None);
    }

    #[test]
    fn a_record_that_was_written_reads_the_same() {
        let record = Record {
            rustc: "1.95.0".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            rows: rows(&[("a", 120.0), ("b, 8 B", 34.8)]),
        };
        assert_eq!(Record::parse(&record.to_text()).expect("it was just written"), record);
    }

    #[test]
    fn a_record_with_a_part_missing_is_refused_by_name() {
        let error = |text: &str| Record::parse(text).expect_err("a part is missing").to_string();
        assert_eq!(error("rustc = \"1\"\n[operations]\n"), "it has no string `target`");
        assert_eq!(error("rustc = \"1\"\ntarget = \"t\"\n"), "it has no table `operations`");
        let text = "rustc = \"1\"\ntarget = \"t\"\n[operations]\na = \"x\"\n";
        assert_eq!(error(text), "`a` is not a decimal");
    }

    #[test]
    fn another_compiler_or_target_is_skipped_and_the_same_is_not() {
        let record =
            Record { rustc: "1.95.0".to_owned(), target: "x86".to_owned(), rows: Vec::new() };
        assert_eq!(record.other("1.95.0", "x86"), None);
        let reason = record.other("1.96.0", "x86").expect("the versions differ");
        assert_eq!(reason, "instructions: recorded with rustc 1.95.0, this is 1.96.0");
        let reason = record.other("1.95.0", "arm").expect("the targets differ");
        assert_eq!(reason, "instructions: recorded on x86, this is arm");
    }

    #[test]
    fn two_percent_more_is_accepted_and_anything_above_fails() {
        assert_eq!(told(&[("a", 100.0)], &[("a", 102.0)]), []);
        assert_eq!(told(&[("a", 100.0)], &[("a", 98.0)]), []);
        let [(text, is_failure)] = &told(&[("a", 100.0)], &[("a", 102.1)])[..] else {
            panic!("one count rose");
        };
        assert!(text.contains("`a` takes 102.1 instructions, recorded 100.0 (+2.1 %)"), "{text}");
        assert!(text.contains("cargo xtask instructions --write") && *is_failure, "{text}");
    }

    #[test]
    fn fewer_instructions_are_told_and_do_not_fail() {
        let [(text, is_failure)] = &told(&[("a", 100.0)], &[("a", 97.9)])[..] else {
            panic!("one count fell");
        };
        assert!(text.contains("(-2.1 %): renew the record") && !is_failure, "{text}");
    }

    #[test]
    fn an_operation_on_one_side_only_fails() {
        let told = told(&[("old", 1.0)], &[("new", 1.0)]);
        assert!(told[0].0.starts_with("`new` is not recorded") && told[0].1, "{told:?}");
        assert!(told[1].0.starts_with("`old` is recorded and not counted") && told[1].1);
    }

    #[test]
    fn the_table_shows_both_counts() {
        let text = table(&rows(&[("a", 100.0)]), &rows(&[("a", 150.0), ("long name", 2.0)]));
        assert!(text.contains("a             100.0     150.0  +50.0 %\n"), "{text}");
        assert!(text.ends_with("long name      none       2.0\n"), "{text}");
    }
}
