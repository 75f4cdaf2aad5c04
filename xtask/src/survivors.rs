//! `mutants.toml` of a crate: which modules are mutated, which tests judge them, and the changes
//! that none of these notices, each with the reason why it may be so.
//!
//! A change is known by file, words and line of code, so that an entry outlives edits elsewhere. A
//! module is asked for by crate and path, `shm/slab`; those of the rings by their path alone too.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The crate that has models, and orders to weaken.
const RINGS: &str = "ring";
/// The crates that have a list, without what all their names begin with.
const CRATES: &[&str] = &[RINGS, "shm", "transport"];
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

/// The committed list of a crate.
#[derive(Debug)]
pub(crate) struct List {
    krate: &'static str,
    modules: Vec<String>,
    tests: Vec<String>,
    skipped: Vec<String>,
    models: BTreeMap<String, Vec<String>>,
    excused: Vec<(Kind, Change)>,
}

/// The lists that have one of the modules asked for, with those; all of them, if none is asked for.
///
/// # Errors
/// When a list cannot be used, or none has a module.
pub(crate) fn chosen(root: &Path, asked: &[String]) -> Result<Vec<(List, Vec<String>)>> {
    let lists = CRATES.iter().map(|krate| List::read(root, krate)).collect::<Result<Vec<_>>>()?;
    for name in asked {
        let known: Vec<String> = lists.iter().flat_map(List::names).collect();
        let is_known = lists.iter().any(|list| list.module(name).is_some());
        ensure!(is_known, "module={name} is not one of {}", known.join(", "));
    }
    let of = |list: List| {
        let modules: Vec<String> = match asked {
            [] => list.modules.clone(),
            _ => asked.iter().filter_map(|name| list.module(name)).map(str::to_owned).collect(),
        };
        (!modules.is_empty()).then_some((list, modules))
    };
    Ok(lists.into_iter().filter_map(of).collect())
}

impl List {
    fn read(root: &Path, krate: &'static str) -> Result<List> {
        let path = format!("crates/corelane-{krate}/mutants.toml");
        let text = std::fs::read_to_string(root.join(&path))
            .with_context(|| format!("cannot read {path}"))?;
        List::parse(krate, &text).with_context(|| format!("cannot use {path}"))
    }

    fn parse(krate: &'static str, text: &str) -> Result<List> {
        let table: toml::Table = text.parse().context("it is not TOML")?;
        let list = |key: &str| {
            strings(table.get(key)).with_context(|| format!("`{key}` is no list of texts"))
        };
        let (modules, tests, skipped) = (list("modules")?, list("tests")?, list("skipped")?);
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
        Ok(List { krate, modules, tests, skipped, models, excused })
    }

    /// Name of the package.
    pub(crate) fn package(&self) -> String {
        format!("corelane-{}", self.krate)
    }

    fn path(&self) -> String {
        format!("crates/{}/mutants.toml", self.package())
    }

    /// What the files are named under.
    pub(crate) fn sources(&self) -> String {
        format!("crates/{}/src", self.package())
    }

    /// Whether there are models that judge it too, and orders that they judge.
    pub(crate) fn is_modelled(&self) -> bool {
        self.krate == RINGS
    }

    /// Arguments for `cargo test`, with names of tests behind `--` if not all of them are meant;
    /// each is for a run over what the runs before it missed.
    pub(crate) fn tests(&self) -> &[String] {
        &self.tests
    }

    /// Parts of the names of tests that are left out.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    fn names(&self) -> impl Iterator<Item = String> {
        self.modules.iter().map(|module| format!("{}/{module}", self.krate))
    }

    /// The module that is asked for by this name.
    fn module<'a>(&self, name: &'a str) -> Option<&'a str> {
        let module = name.strip_prefix(self.krate).and_then(|name| name.strip_prefix('/'));
        let module = module.or(self.is_modelled().then_some(name))?;
        self.modules.iter().any(|known| known == module).then_some(module)
    }

    /// The files of a module below `src`: `module.rs` and what lies in `module/`, without tests.
    pub(crate) fn files_of(&self, root: &Path, module: &str) -> Result<Vec<String>> {
        let sources = root.join(self.sources());
        let mut open: Vec<PathBuf> =
            vec![sources.join(format!("{module}.rs")), sources.join(module)];
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
        ensure!(!files.is_empty(), "module={module} of {} has no file below src", self.path());
        files.sort();
        Ok(files)
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
            text += &format!("no longer survives, remove it from {}: {gone}\n", self.path());
        }
        for change in &bare {
            text += &format!(
                "survives without a reason; write a test that fails, or add to {}:\n\
                 [[{}]]\nfile = {:?}\nchange = {:?}\nline = {:?}\nreason = \"\"\n\n",
                self.path(),
                kind.key(),
                change.file,
                change.change,
                change.line
            );
        }
        text += &format!(
            "{} {}s: {} survived with a reason, {} without\n",
            self.package(),
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "modules = [\"spsc\", \"turns\"]\ntests = [\"--lib\"]\nskipped = []\n\
        [models]\nturns = [\"mpsc\", \"mpmc\"]\n\
        [[ordering]]\nfile = \"spsc.rs\"\nchange = \"a\"\nline = \"b\"\nreason = \"c\"\n";

    fn change(change: &str) -> Change {
        Change { file: "spsc.rs".to_owned(), change: change.to_owned(), line: "b".to_owned() }
    }

    fn list() -> List {
        List::parse(RINGS, TEXT).expect("the sample is whole")
    }

    #[test]
    fn a_survivor_with_a_reason_passes_and_one_without_fails() {
        let files = ["spsc.rs".to_owned()];
        let (text, is_good) = list().verdict(Kind::Ordering, &files, &[change("a")]);
        let told = "corelane-ring orderings: 1 survived with a reason, 0 without\n";
        assert!(is_good && text == told, "{text}");
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
        let error = List::parse(RINGS, &text).expect_err("the reason is empty").to_string();
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
    fn a_module_is_named_by_crate_and_path_and_a_ring_by_its_path_too() {
        let other = TEXT.replace("\"turns\"", "\"topic/hub\"");
        let other = List::parse("transport", &other).expect("the sample is whole");
        assert_eq!(
            (list().module("spsc"), list().module("ring/spsc")),
            (Some("spsc"), Some("spsc"))
        );
        assert_eq!(other.module("transport/topic/hub"), Some("topic/hub"));
        for name in ["spsc", "topic/hub", "ring/spsc", "transport/hub", "transport/", "transport"] {
            assert_eq!(other.module(name), None, "{name}");
        }
        assert_eq!(list().module("sync"), None);
    }

    #[test]
    fn the_committed_lists_name_files_that_there_are() {
        let root = crate::workspace_root();
        let lists = chosen(&root, &[]).expect("the lists are whole");
        assert_eq!(lists.len(), CRATES.len());
        for (list, modules) in lists {
            let files = modules.iter().map(|module| list.files_of(&root, module));
            let files: Vec<String> = files.flat_map(|of| of.expect("it has files")).collect();
            for (_, change) in &list.excused {
                assert!(files.contains(&change.file), "{change}");
            }
        }
        let asked = ["shm/header".to_owned(), "spsc".to_owned()];
        let lists = chosen(&root, &asked).expect("both are listed");
        let asked: Vec<_> = lists.iter().map(|(list, of)| (list.krate, of.concat())).collect();
        assert_eq!(asked, [("ring", "spsc".to_owned()), ("shm", "header".to_owned())]);
        let refused = chosen(&root, &["shm/spsc".to_owned()]).expect_err("that is a ring");
        assert!(refused.to_string().starts_with("module=shm/spsc is not one of ring/"));
    }
}
