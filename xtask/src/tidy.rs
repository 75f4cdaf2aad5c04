//! `xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! One check per file; each is a pure function from paths and text to findings. Only this file
//! and `tree` touch the disk; `write_index`, of `xtask fix`, is all that changes it.

mod adr;
mod atomics;
mod environment;
mod error_types;
mod errors;
mod header;
mod invariants;
mod layers;
mod leftovers;
mod links;
mod map;
mod names;
mod os_free;
mod size;
mod source;
mod tracked;
mod tree;
mod unsafe_code;
mod wall_clock;
mod width;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

use source::RustSource;
use tree::TextFile;

/// A rule broken at a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Reads the tree, prints the findings and says whether there are none.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let files = tree::read(root)?;
    let mut findings = check(&files);
    findings.extend(tracked::check(&tree::tracked(root)?));
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} files, {} findings", files.len(), findings.len());
    Ok(findings.is_empty())
}

/// Writes the rows of `docs/errors/README.md` anew from the pages beside it.
pub(crate) fn write_index(root: &Path) -> Result<()> {
    if let Some((path, text)) = errors::index(&tree::read(root)?) {
        std::fs::write(root.join(path), text).with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

/// Every finding of every check, sorted by place.
fn check(files: &[TextFile]) -> Vec<Finding> {
    let (sources, mut findings) = source::parse_all(files);
    let packages = layers::packages(files, &mut findings);
    for source in &sources {
        findings.extend(check_source(source));
    }
    findings.extend(layers::check(&packages));
    findings.extend(map::check(files, &packages));
    findings.extend(unsafe_code::check(files, &sources));
    findings.extend(invariants::check(files));
    findings.extend(links::check(files));
    findings.extend(errors::check(files, &sources));
    findings.extend(adr::check(files));
    findings.sort();
    findings.dedup();
    findings
}

/// The checks that need one Rust file and nothing else.
fn check_source(source: &RustSource) -> Vec<Finding> {
    let checks: &[fn(&RustSource) -> Vec<Finding>] = &[
        header::check,
        size::check,
        width::check,
        names::check,
        atomics::check,
        os_free::check,
        environment::check,
        wall_clock::check,
        leftovers::check,
    ];
    checks.iter().flat_map(|check| check(source)).collect()
}

/// The text of `path`, or a finding that it is missing.
fn required<'a>(files: &'a [TextFile], path: &str) -> Result<&'a TextFile, Finding> {
    files
        .iter()
        .find(|file| file.path == path)
        .ok_or_else(|| Finding::new(path, 1, "this file is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_prints_as_path_line_message() {
        let finding = Finding::new("src/lib.rs", 7, "too long");
        assert_eq!(finding.to_string(), "src/lib.rs:7: too long");
    }

    #[test]
    fn a_planted_violation_of_each_kind_reaches_the_findings() {
        let planted = [
            ("crates/corelane-ring/Cargo.toml", "[package]\nname = \"corelane-ring\"\n"),
            ("crates/corelane-ring/src/lib.rs", "use std::sync::atomic::AtomicU64;\n"),
            ("docs/ARCHITECTURE.md", "[gone](gone.md)\n"),
            ("docs/unsafe.md", "- `src/raw.rs`: gone\n"),
            ("docs/INVARIANTS.md", "- **RB-1**: never quoted\n"),
            ("docs/adr/0001-orphan.md", "# Orphan\n"),
        ];
        let files: Vec<TextFile> =
            planted.iter().map(|(path, text)| TextFile::new(path, text)).collect();
        let text: Vec<String> = check(&files).iter().map(Finding::to_string).collect();
        for expected in [
            "does not open with `//!`",
            "names an atomic",
            "links to `docs/gone.md`",
            "`#![forbid(unsafe_code)]`",
            "RB-1 is quoted nowhere",
            "linked from neither",
            "does not name `corelane-ring`",
        ] {
            assert!(text.iter().any(|line| line.contains(expected)), "{expected} in {text:#?}");
        }
    }
}
