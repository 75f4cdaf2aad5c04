//! Where settings come from, in which order, and all of them together.
//!
//! Later wins: defaults, `/etc/corelane/corelane.toml`, `$XDG_CONFIG_HOME/corelane/corelane.toml`,
//! `./corelane.toml`, the file that was named, variables, options. This is the one place of the
//! crate that reads the environment.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    Config, Settings, VERSION,
    check::{self, Mistakes, Path as KeyPath},
    error::{ConfigError, Fault, Mistake},
    file::ConfigTable,
    merge::{self, Assignment},
    rules,
    shape::Shape,
    source::Source,
    tree::{self, Entry, Node, Table, Value},
};

/// What the name of every variable begins with.
const PREFIX: &str = "CORELANE_";

/// What separates a table from its key in the name of a variable.
const SEPARATOR: &str = "__";

/// The sources of settings, from the weakest to the strongest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers {
    /// Files that are read if they are there.
    pub places: Vec<PathBuf>,
    /// The file that was named, which must be there.
    pub file: Option<PathBuf>,
    /// Names and values of variables; those that are no settings are passed over.
    pub variables: Vec<(OsString, OsString)>,
    /// Options as they were given, like `topology.workers=3`.
    pub flags: Vec<String>,
}

/// A flow that can be run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// What it is.
    pub config: Config,
    /// The same by key, with the origin of each value.
    pub settings: Settings,
}

impl Layers {
    /// The layers of this process: its folders, its variables, and what its command line names.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<String>) -> Self {
        let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || folder("HOME").map(|home| home.join(".config"));
        let user = folder("XDG_CONFIG_HOME").or_else(home);
        let places = [Some(PathBuf::from("/etc")), user].into_iter().flatten();
        let mut places: Vec<_> = places.map(|path| path.join("corelane/corelane.toml")).collect();
        places.push(PathBuf::from("corelane.toml"));
        Self { places, file, variables: env::vars_os().collect(), flags }
    }

    /// One file and nothing else.
    pub fn of_file(file: impl Into<PathBuf>) -> Self {
        Self { file: Some(file.into()), ..Self::default() }
    }
}

/// Reads all layers and checks the flow that they make.
///
/// # Errors
/// Every mistake in every layer, with its place: see [`Fault`].
pub fn load(layers: &Layers) -> Result<Loaded, ConfigError> {
    let tree = tree_of(layers, true)?;
    let table: toml::Table =
        tree.iter().map(|(key, entry)| (key.clone(), entry.node.value.to_toml())).collect();
    let config = ConfigTable::deserialize(table)
        .expect("because everything that serde refuses was refused before")
        .into_config()
        .expect("because every choice was made");
    Ok(Loaded { config, settings: Settings::new(tree) })
}

/// Reads all layers as far as they say anything; the input and the agents may be absent.
///
/// # Errors
/// The same as [`load`] but for what is absent.
pub fn settings(layers: &Layers) -> Result<Settings, ConfigError> {
    tree_of(layers, false).map(Settings::new)
}

/// The tree of all layers, complete and without a mistake.
fn tree_of(layers: &Layers, is_whole: bool) -> Result<Table, ConfigError> {
    let mut mistakes = Mistakes::default();
    let mut tree = Table::new();
    // A tree that was guessed after a fault of syntax would be blamed for what it does not say.
    let mut is_readable = true;
    let named = layers.file.iter().map(|path| (path, true));
    let is_named = |path: &Path| layers.file.as_deref().is_some_and(|file| is_same(file, path));
    let places = layers.places.iter().filter(|path| !is_named(path)).map(|path| (path, false));
    for (path, is_required) in places.chain(named) {
        match file(path, is_required, &mut mistakes) {
            Ok(over) => merge::lay(over, &mut tree, Shape::root()),
            Err(()) => is_readable = false,
        }
    }
    if is_readable {
        for assignment in assignments(layers, &mut mistakes) {
            assignment.apply(&mut tree, &mut mistakes);
        }
        merge::fill(&mut tree, Shape::root());
        rules::check(&tree, is_whole, &mut mistakes);
    }
    ConfigError::of(mistakes.0)?;
    // Without any file nobody has said it.
    let node = Node { value: Value::Integer(VERSION.into()), place: None };
    tree.entry("version".to_owned()).or_insert(Entry { key: None, node });
    Ok(tree)
}

/// The table of a file; nothing if there is no tree to go on with.
fn file(path: &Path, is_required: bool, mistakes: &mut Mistakes) -> Result<Table, ()> {
    let source = match Source::read(path) {
        Ok(source) => source,
        Err(Fault::NotFound { .. }) if !is_required => return Ok(Table::new()),
        Err(fault) => {
            mistakes.0.push(fault.into());
            return Err(());
        }
    };
    let before = mistakes.0.len();
    let (mut table, faults) = tree::parse(&source);
    let is_syntax = |mistake: &Mistake| matches!(mistake.fault, Fault::Syntax { .. });
    let is_guess = faults.iter().any(is_syntax);
    mistakes.0.extend(faults);
    if is_guess {
        return Err(());
    }
    check::table(&mut table, Shape::root(), &KeyPath::default(), mistakes);
    let position = |mistake: &Mistake| mistake.place.as_ref().map(|place| place.span.start);
    mistakes.0[before..].sort_by_key(position);
    if !table.contains_key("version") {
        mistakes.0.push(Fault::NoVersion { path: path.to_owned() }.into());
    }
    Ok(table)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path| fs::canonicalize(path).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// The variables by name, then the options in their order.
fn assignments(layers: &Layers, mistakes: &mut Mistakes) -> Vec<Assignment> {
    let mut variables: Vec<_> = layers.variables.iter().collect();
    variables.sort();
    let mut assignments = Vec::new();
    for (name, value) in variables {
        match variable(name, value) {
            Ok(assignment) => assignments.extend(assignment),
            Err(fault) => mistakes.0.push(fault.into()),
        }
    }
    for flag in &layers.flags {
        match Assignment::of_flag(flag) {
            Ok(assignment) => assignments.push(assignment),
            Err(fault) => mistakes.0.push(fault.into()),
        }
    }
    assignments
}

/// The setting in a variable, if it is one.
fn variable(name: &OsStr, value: &OsStr) -> Result<Option<Assignment>, Fault> {
    let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { return Ok(None) };
    let refused = |reason: String| Fault::Variable { name: name.to_owned(), reason };
    let rest = &name[PREFIX.len()..];
    if !rest.contains(SEPARATOR) {
        return match with_separator(rest) {
            Some(meant) => {
                Err(refused(format!("has one '_' after the table, write {PREFIX}{meant}")))
            }
            None => Ok(None),
        };
    }
    let Some(value) = value.to_str() else {
        return Err(refused("is not UTF-8, set it again or unset it".to_owned()));
    };
    Ok(Some(Assignment::of_variable(name, value, PREFIX.len())))
}

/// The right name if this one lacks only an underscore between a table and its key.
fn with_separator(rest: &str) -> Option<String> {
    let root = Shape::root();
    root.keys().into_iter().find_map(|table| {
        let (front, key) = rest.split_at_checked(table.len())?;
        let key = key.strip_prefix('_').filter(|_| front.eq_ignore_ascii_case(table))?;
        root.key(table)?.key(&key.to_lowercase())?;
        Some(format!("{front}{SEPARATOR}{key}"))
    })
}
