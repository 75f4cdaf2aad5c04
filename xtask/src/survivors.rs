//! `crates/corelane-ring/mutants.toml`: which modules are mutated, and the changes to them that no
//! test notices, each with the reason why it may be so.
//!
//! A change is known by file, words and line of code, so that an entry outlives edits elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub(crate) const LIST: &str = "crates/corelane-ring/mutants.toml";
/// What the files are named under.
pub(crate) const SOURCES: &str = "crates/corelane-ring/src";
/// How the names of files below a module begin that are tests or stand-ins of the models.
const TEST_STEMS: &[&str] = &["tests", "loom"];

/// One change of the code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    /// Path below `src`.
    pub(crate) file: String,
    /// What is changed into what, and in which function.
    pub(crate) change: String,
    /// The line of code before the change.
    pub(crate) line: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: `{}`", self.file, self.change, self.line)
    }
}

/// The two kinds of change; each has entries of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mutant,
    Ordering,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Kind::Mutant => "mutant",
            Kind::Ordering => "ordering",
        }
    }
}

/// The committed list.
#[derive(Debug)]
pub(crate) struct List {
    modules: Vec<String>,
    models: BTreeMap<String, Vec<String>>,
    excused: Vec<(Kind, Change)>,
}

impl List {
    pub(crate) fn read(root: &Path) -> Result<List> {
        let text = std::fs::read_to_string(root.join(LIST))
            .with_context(|| format!("cannot read {LIST}"))?;
        List::parse(&text).with_context(|| format!("cannot use {LIST}"))
    }

    fn parse(text: &str) -> Result<List> {
        let table: toml::Table = text.parse().context("it is not TOML")?;
        let modules = strings(table.get("modules")).context("`modules` is no list of names")?;
        let models = table.get("models").and_then(toml::Value::as_table);
        let models = models.into_iter().flatten().map(|(module, parts)| {
            let parts = strings(Some(parts));
            Ok((module.clone(), parts.with_context(|| format!("`models.{module}` is no list"))?))
        });
        let models = models.collect::<Result<BTreeMap<_, _>>>()?;
        let mut excused = Vec::new();
        for kind in [Kind::Mutant, Kind::Ordering] {
            let entries = table.get(kind.key()).and_then(toml::Value::as_array);
            for entry in entries.into_iter().flatten() {
                excused.push((kind, excuse(entry)?));
            }
        }
        Ok(List { modules, models, excused })
    }

    /// The modules asked for, or all; one that is not in the list is an error.
    pub(crate) fn chosen(&self, asked: &[String]) -> Result<Vec<String>> {
        for module in asked {
            let known = self.modules.join(", ");
            ensure!(self.modules.contains(module), "module={module} is not one of {known}");
        }
        Ok(if asked.is_empty() { self.modules.clone() } else { asked.to_vec() })
    }

    /// Those of `names` that judge a module: their path holds its name, or one that the list
    /// gives for it. All, if none does.
    pub(crate) fn models_of(&self, module: &str, names: &[String]) -> Vec<String> {
        let own = vec![module.to_owned()];
        let parts = self.models.get(module).unwrap_or(&own);
        let named = |name: &&String| parts.iter().any(|part| name.contains(part));
        let found: Vec<String> = names.iter().filter(named).cloned().collect();
        if found.is_empty() { names.to_vec() } else { found }
    }

    pub(crate) fn is_excused(&self, kind: Kind, change: &Change) -> bool {
        self.excused.iter().any(|known| *known == (kind, change.clone()))
    }

    /// Prints what survived and says whether each has its reason. Entries of the files judged that
    /// did not survive are told.
    pub(crate) fn judge(&self, kind: Kind, files: &[String], survived: &[Change]) -> bool {
        let (told, is_good) = self.verdict(kind, files, survived);
        print!("{told}");
        is_good
    }

    fn verdict(&self, kind: Kind, files: &[String], survived: &[Change]) -> (String, bool) {
        let (excused, bare): (Vec<&Change>, Vec<&Change>) =
            survived.iter().partition(|change| self.is_excused(kind, change));
        let mut text = String::new();
        for (_, gone) in self.excused.iter().filter(|(of, change)| {
            *of == kind && files.contains(&change.file) && !survived.contains(change)
        }) {
            text += &format!("no longer survives, remove it from {LIST}: {gone}\n");
        }
        for change in &bare {
            text += &format!(
                "survives without a reason; write a test that fails, or add to {LIST}:\n\
                 [[{}]]\nfile = {:?}\nchange = {:?}\nline = {:?}\nreason = \"\"\n\n",
                kind.key(),
                change.file,
                change.change,
                change.line
            );
        }
        text += &format!(
            "{}s: {} survived with a reason, {} without\n",
            kind.key(),
            excused.len(),
            bare.len()
        );
        (text, bare.is_empty())
    }
}

fn strings(value: Option<&toml::Value>) -> Option<Vec<String>> {
    value?.as_array()?.iter().map(|one| Some(one.as_str()?.to_owned())).collect()
}

fn excuse(entry: &toml::Value) -> Result<Change> {
    let field = |name: &str| {
        let value = entry.get(name).and_then(toml::Value::as_str).unwrap_or_default();
        ensure!(!value.trim().is_empty(), "an entry has no `{name}`: {entry}");
        Ok(value.to_owned())
    };
    field("reason")?;
    Ok(Change { file: field("file")?, change: field("change")?, line: field("line")? })
}

/// The files of a module below `src`: `module.rs` and what lies in `module/`, without tests.
pub(crate) fn files_of(root: &Path, module: &str) -> Result<Vec<String>> {
    let sources = root.join(SOURCES);
    let mut open: Vec<PathBuf> = vec![sources.join(format!("{module}.rs")), sources.join(module)];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_test = TEST_STEMS.iter().any(|stem| name.starts_with(stem));
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.is_file() && !is_test {
            files.push(path.strip_prefix(&sources)?.to_string_lossy().into_owned());
        }
    }
    ensure!(!files.is_empty(), "module={module} of {LIST} has no file below {SOURCES}");
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "modules = [\"spsc\", \"turns\"]\n\
        [models]\nturns = [\"mpsc\", \"mpmc\"]\n\
        [[ordering]]\nfile = \"spsc.rs\"\nchange = \"a\"\nline = \"b\"\nreason = \"c\"\n";

    fn change(change: &str) -> Change {
        Change { file: "spsc.rs".to_owned(), change: change.to_owned(), line: "b".to_owned() }
    }

    fn list() -> List {
        List::parse(TEXT).expect("the sample is whole")
    }

    #[test]
    fn a_survivor_with_a_reason_passes_and_one_without_fails() {
        let files = ["spsc.rs".to_owned()];
        let (text, is_good) = list().verdict(Kind::Ordering, &files, &[change("a")]);
        assert!(is_good && text == "orderings: 1 survived with a reason, 0 without\n", "{text}");
        let (text, is_good) = list().verdict(Kind::Ordering, &files, &[change("a"), change("z")]);
        assert!(!is_good && text.contains("[[ordering]]\nfile = \"spsc.rs\"\nchange = \"z\"\n"));
    }

    #[test]
    fn a_reason_for_one_kind_is_none_for_the_other() {
        assert!(!list().verdict(Kind::Mutant, &[], &[change("a")]).1);
    }

    #[test]
    fn an_entry_that_no_longer_survives_is_told_when_its_file_was_judged() {
        let files = ["spsc.rs".to_owned()];
        let (text, is_good) = list().verdict(Kind::Ordering, &files, &[]);
        assert!(is_good && text.starts_with("no longer survives"), "{text}");
        assert!(!list().verdict(Kind::Ordering, &[], &[]).0.contains("no longer"));
    }

    #[test]
    fn an_entry_without_a_reason_is_refused() {
        let text = TEXT.replace("reason = \"c\"", "reason = \" \"");
        let error = List::parse(&text).expect_err("the reason is empty").to_string();
        assert!(error.starts_with("an entry has no `reason`"), "{error}");
    }

    #[test]
    fn models_are_found_by_the_modules_name_or_by_the_list_and_otherwise_all() {
        let names =
            ["loom_models::mpsc_a", "loom_models::mpmc_b", "spsc::loom::c"].map(str::to_owned);
        assert_eq!(list().models_of("spsc", &names), names[2..]);
        assert_eq!(list().models_of("turns", &names), names[..2]);
        assert_eq!(list().models_of("bell", &names), names);
    }

    #[test]
    fn a_module_that_is_not_listed_is_refused() {
        assert_eq!(list().chosen(&[]).expect("all are listed"), ["spsc", "turns"]);
        assert!(list().chosen(&["sync".to_owned()]).is_err());
    }
}
