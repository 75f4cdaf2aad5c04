//! `xtask mutants`: runs cargo-mutants over the rings and over what reads what a peer wrote, then
//! the loom models over what the tests of the rings missed. What survives needs its reason in the
//! `mutants.toml` of its crate.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::orderings::{Scratch, Verdict};
use crate::survivors::{self, Change, Kind, List};

/// Tests that take longer spin for ever: those that are run take less than ten seconds.
const TIMEOUT_S: &str = "60";
/// Left out: the codes of errors, which tidy holds against their pages, and what `Debug` prints.
const ELSEWHERE: [&str; 2] = ["::code -> ", "Debug for "];
/// Crates that the development profile optimises and whose tests are quick without it: most of a
/// mutant's time is its building.
const PLAIN: [&str; 3] = ["corelane-shm", "corelane-transport", "corelane-testkit"];
/// Cases of a property: enough, since small ones find these changes.
const PROPTEST_CASES: &str = "32";
/// cargo-mutants found mutants that were missed, or some that timed out.
const FOUND_SOME: [i32; 3] = [0, 2, 3];

/// Judges the modules asked for, or all, by the tests and, if asked, by the models.
///
/// # Errors
/// When cargo-mutants cannot run, or the tests or models fail on the unchanged code.
pub(crate) fn run(root: &Path, asked: &[String], is_modelled: bool) -> Result<bool> {
    let mut is_good = true;
    for (list, modules) in survivors::chosen(root, asked)? {
        is_good &= judge_crate(root, &list, &modules, is_modelled && list.is_modelled())?;
    }
    Ok(is_good)
}

fn judge_crate(root: &Path, list: &List, chosen: &[String], is_modelled: bool) -> Result<bool> {
    let output = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), PathBuf::from)
        .join("mutants");
    let mut files = Vec::new();
    let mut judged_by = Vec::new();
    for module in chosen {
        for file in list.files_of(root, module)? {
            judged_by.push((file.clone(), module));
            files.push(file);
        }
    }
    for (index, tests) in list.tests().iter().enumerate() {
        test(root, &output, list, &files, (tests, index > 0))?;
    }
    let output = output.join("mutants.out");
    let missed = std::fs::read_to_string(output.join("missed.txt"))
        .context("cannot read what cargo-mutants missed")?;
    let mut survived = Vec::new();
    let mut scratch = None;
    for mutant in missed.lines() {
        let (change, line) = read_mutant(root, &list.sources(), mutant)?;
        if is_modelled && !list.is_excused(Kind::Mutant, &change) {
            let scratch = match &scratch {
                Some(scratch) => scratch,
                None => {
                    let made = Scratch::new(root)?;
                    made.check(made.models())?;
                    scratch.insert(made)
                }
            };
            let module = judged_by.iter().find(|(file, _)| *file == change.file);
            let module = module.map_or("", |(_, module)| module);
            let path = format!("{}/{}", list.sources(), change.file);
            let verdict = judge(root, scratch, &output, &path, (&change, line), &|names| {
                list.models_of(module, names)
            })?;
            println!("{verdict:<10?} by the models: {change}");
            if verdict == Verdict::Caught {
                continue;
            }
        }
        survived.push(change);
    }
    Ok(list.judge(Kind::Mutant, &files, &survived))
}

/// Runs cargo-mutants with some tests of the crate, over what earlier ones missed if it is a
/// further run.
fn test(
    root: &Path,
    output: &Path,
    list: &List,
    files: &[String],
    (tests, is_further): (&str, bool),
) -> Result<()> {
    std::fs::create_dir_all(output).context("cannot make the folder of the mutants")?;
    let mut command = Command::new("cargo");
    command.args(["mutants", "--package", &list.package(), "--no-shuffle", "--cap-lints", "true"]);
    command.args(["--timeout", TIMEOUT_S, "--cargo-arg=--locked"]).arg("--output").arg(output);
    for what in ELSEWHERE {
        command.args(["--exclude-re", what]);
    }
    let (arguments, names) = tests.split_once("-- ").unwrap_or((tests, ""));
    for part in arguments.split_whitespace() {
        command.arg(format!("--cargo-arg={part}"));
    }
    for package in PLAIN {
        command.arg(format!("--cargo-arg=--config=profile.dev.package.{package}.opt-level=0"));
    }
    command.arg("--cargo-arg=--config=profile.dev.debug=0");
    if is_further {
        command.arg("--iterate");
    }
    for file in files {
        command.arg("--file").arg(format!("{}/{file}", list.sources()));
    }
    command.args(["--", "--"]).args(names.split_whitespace()).current_dir(root);
    for part in list.skipped() {
        command.args(["--skip", part]);
    }
    command.env("PROPTEST_CASES", PROPTEST_CASES);
    command.env("CARGO_TARGET_DIR", output.join("target")).env_remove("CARGO_MANIFEST_DIR");
    let status = command.status().context("cannot start cargo mutants")?;
    let is_run = status.code().is_some_and(|code| FOUND_SOME.contains(&code));
    ensure!(is_run, "cargo mutants ended with {status}; ci/mutants installs it");
    Ok(())
}

/// Runs the models over one mutant, which stands in a file of differences.
fn judge(
    root: &Path,
    scratch: &Scratch,
    output: &Path,
    path: &str,
    (change, line): (&Change, usize),
    choose: &dyn Fn(&[String]) -> Vec<String>,
) -> Result<Verdict> {
    let stem = format!("{}_line_{line}_col_", path.replace('/', "__"));
    for entry in std::fs::read_dir(output.join("diff")).context("cannot list the mutants")? {
        let entry = entry?;
        let difference = std::fs::read_to_string(entry.path())?;
        let is_it = difference.lines().nth(1) == Some(&format!("+++ {}", change.change));
        if is_it && entry.file_name().to_string_lossy().starts_with(&stem) {
            let text = std::fs::read_to_string(root.join(path))?;
            let text = apply(&text, &difference)
                .with_context(|| format!("the mutant does not fit the file: {change}"))?;
            return scratch.judge(path, &text, &choose(scratch.models()));
        }
    }
    Ok(Verdict::Undecided)
}

/// A line of `missed.txt`, `path:line:column: what`, as a change and its line number.
fn read_mutant(root: &Path, sources: &str, mutant: &str) -> Result<(Change, usize)> {
    let (path, line, what) = split(mutant).with_context(|| format!("cannot read `{mutant}`"))?;
    let text =
        std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))?;
    let code = text.lines().nth(line - 1).unwrap_or_default().trim().to_owned();
    let file = path.strip_prefix(sources).unwrap_or(path).trim_start_matches('/').to_owned();
    Ok((Change { file, change: what.to_owned(), line: code }, line))
}

fn split(mutant: &str) -> Option<(&str, usize, &str)> {
    let (place, what) = mutant.split_once(": ")?;
    let mut parts = place.rsplitn(3, ':');
    let (_column, line, path) = (parts.next()?, parts.next()?, parts.next()?);
    Some((path, line.parse().ok().filter(|&line| line > 0)?, what))
}

/// Applies a difference of one hunk to a text; none when it does not fit.
fn apply(text: &str, difference: &str) -> Option<String> {
    let mut lines = difference.lines().skip_while(|line| !line.starts_with("@@ "));
    let header = lines.next()?;
    let start = header.strip_prefix("@@ -")?.split([',', ' ']).next()?.parse::<usize>().ok()?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for line in lines {
        match line.split_at_checked(1) {
            Some((" ", same)) => {
                before.push(same);
                after.push(same);
            }
            Some(("-", gone)) => before.push(gone),
            Some(("+", new)) => after.push(new),
            Some(("\\", _)) => {}
            None => {
                before.push("");
                after.push("");
            }
            Some(_) => return None,
        }
    }
    let whole: Vec<&str> = text.lines().collect();
    let end = (start - 1).checked_add(before.len())?;
    if whole.get(start - 1..end)? != before {
        return None;
    }
    let changed = [&whole[..start - 1], &after, &whole[end..]].concat();
    Some(changed.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_mutant_is_split_into_place_and_words() {
        let mutant = "crates/a/src/b.rs:31:9: replace A::b -> C::D with ()";
        assert_eq!(split(mutant), Some(("crates/a/src/b.rs", 31, "replace A::b -> C::D with ()")));
        assert_eq!(split("b.rs: what"), None);
        assert_eq!(split("b.rs:0:1: what"), None);
    }

    #[test]
    fn a_difference_is_applied_where_it_fits_and_nowhere_else() {
        let text = "a\nb\n\nc\n";
        let difference = "--- x\n+++ replace b with B\n@@ -2,3 +2,4 @@\n-b\n+B\n+BB\n \n c\n";
        assert_eq!(apply(text, difference).as_deref(), Some("a\nB\nBB\n\nc\n"));
        assert_eq!(apply("a\nx\n\nc\n", difference), None);
        assert_eq!(apply("a\nb\n", difference), None);
        assert_eq!(apply(text, "--- x\n+++ y\n"), None);
    }
}
