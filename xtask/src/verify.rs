//! `xtask verify`: runs the scripts of `ci/` in order, cheapest first, and times each.
//!
//! What a check does stands in its script, so that a person can run one by hand; the list here
//! only orders them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Script in `ci/` and what it checks, cheapest first.
const STEPS: &[(&str, &str)] = &[
    ("fmt", "the code is formatted"),
    ("tidy", "the house rules hold"),
    ("deny", "licences, duplicate crates and sources of the dependencies"),
    ("clippy", "no lint fires in any target"),
    ("test", "unit and integration tests"),
    ("doctest", "examples in the documentation run"),
    ("doc", "the documentation builds without a warning"),
    ("loom", "every interleaving of the ring models"),
    ("bench", "the benches run, each once, without measuring"),
    ("instructions", "no message costs more instructions than recorded"),
    ("aarch64", "it builds for 64-bit ARM, and the rings' tests pass there under qemu"),
    ("page", "pages of runs in a browser: light and dark, wide, narrow and printed"),
    ("readme", "the commands of the README run"),
    ("install", "cargo install works from the checkout"),
    ("dist", "the archive is whole and the same twice, and its binary runs alone"),
];

/// Scripts in `ci/` that are too long for every run; once per change of what they judge, by hand.
#[cfg(test)]
const BY_HAND: &[&str] = &[
    "fuzz",
    "hostile",
    "kills",
    "mutants",
    "placements",
    "planted",
    "rivals",
    "soak",
    "syscalls",
    "tsan",
];

struct Outcome {
    step: &'static str,
    passed: bool,
    took: Duration,
}

/// Prints the steps in the order in which they run.
pub(crate) fn list() -> Result<bool> {
    for (step, about) in STEPS {
        println!("{:<16} {about}", format!("ci/{step}"));
    }
    Ok(true)
}

/// Runs the steps and says whether all of them passed.
///
/// # Errors
/// When a script cannot be started at all.
pub(crate) fn run(root: &Path, keep_going: bool) -> Result<bool> {
    let mut outcomes = Vec::new();
    for (step, about) in STEPS {
        println!("==> ci/{step}: {about}");
        let started = Instant::now();
        let status = Command::new(root.join("ci").join(step))
            .current_dir(root)
            .status()
            .with_context(|| format!("cannot start ci/{step}"))?;
        let outcome = Outcome { step, passed: status.success(), took: started.elapsed() };
        println!("{}", line(&outcome));
        outcomes.push(outcome);
        if !status.success() && !keep_going {
            break;
        }
    }
    println!("\n{}", summary(&outcomes, STEPS.len()));
    Ok(passed(&outcomes, STEPS.len()))
}

fn passed(outcomes: &[Outcome], step_count: usize) -> bool {
    outcomes.len() == step_count && outcomes.iter().all(|outcome| outcome.passed)
}

fn line(outcome: &Outcome) -> String {
    let verdict = if outcome.passed { "ok" } else { "FAILED" };
    format!("<== {:<12} {verdict:<6} {:>7.1} s", outcome.step, outcome.took.as_secs_f64())
}

fn summary(outcomes: &[Outcome], step_count: usize) -> String {
    let mut lines: Vec<String> = outcomes.iter().map(line).collect();
    let total: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    let verdict = if passed(outcomes, step_count) { "passed" } else { "failed" };
    lines.push(format!(
        "verify {verdict}: {} of {step_count} steps run, {:.1} s",
        outcomes.len(),
        total.as_secs_f64()
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(passed: bool) -> Outcome {
        Outcome { step: "fmt", passed, took: Duration::from_millis(1500) }
    }

    #[test]
    fn one_failure_or_one_step_left_out_fails_the_whole() {
        assert!(passed(&[outcome(true), outcome(true)], 2));
        assert!(!passed(&[outcome(true), outcome(false)], 2));
        assert!(!passed(&[outcome(true)], 2));
    }

    #[test]
    fn the_summary_says_what_failed_and_how_much_ran() {
        let text = summary(&[outcome(true), outcome(false)], 3);
        assert!(text.contains("fmt          FAILED     1.5 s"), "{text}");
        assert!(text.ends_with("verify failed: 2 of 3 steps run, 3.0 s"), "{text}");
    }

    #[test]
    fn every_script_of_ci_is_a_step_or_by_hand_and_every_step_has_its_script() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ci");
        let mut scripts: Vec<String> = std::fs::read_dir(folder)
            .expect("ci/ is part of the checkout")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        let mut steps: Vec<String> = STEPS.iter().map(|(step, _)| (*step).to_owned()).collect();
        steps.extend(BY_HAND.iter().map(|&script| script.to_owned()));
        scripts.sort();
        steps.sort();
        assert_eq!(scripts, steps);
    }
}
