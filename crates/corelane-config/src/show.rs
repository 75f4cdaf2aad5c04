//! Settings by key, each with its origin, and written as a file again.

use std::{collections::BTreeMap, fmt, fmt::Write as _, path::PathBuf};

use serde::Serialize;
use serde_json::Value as Json;

use crate::{
    check::Path,
    shape::{Kind, Shape},
    tree::{Node, Table, Value},
};

/// Columns before the origin of a value, where the value is short enough.
const ORIGIN_COLUMN: usize = 40;

/// The settings of all layers, the defaults among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    tree: Table,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable {
        /// Its name.
        name: String,
    },
    /// An option of the command line.
    Flag {
        /// As it was given.
        text: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable { name } => f.write_str(name),
            Self::Flag { text } => f.write_str(text),
        }
    }
}

impl Settings {
    pub(crate) fn new(tree: Table) -> Self {
        Self { tree }
    }

    /// The origin of every value by its key, as `--set` names it.
    pub fn origins(&self) -> BTreeMap<String, Origin> {
        let mut origins = BTreeMap::new();
        collect(&self.tree, &Path::default(), &mut origins);
        origins
    }

    /// A file that says the same, with every default in it.
    pub fn to_toml(&self, with_origins: bool) -> String {
        let mut text = String::new();
        let mut writer = Writer { text: &mut text, with_origins };
        writer.table(&self.tree, Shape::root(), "");
        text
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Json {
        json_of(&self.tree)
    }
}

fn origin(node: &Node) -> Origin {
    node.place.as_ref().map_or(Origin::Default, |place| place.origin())
}

fn collect(table: &Table, path: &Path, origins: &mut BTreeMap<String, Origin>) {
    for (key, entry) in table {
        let path = path.key(key);
        match &entry.node.value {
            Value::Table(table) => collect(table, &path, origins),
            Value::List(list) if list.iter().any(|element| element.table().is_some()) => {
                for element in list {
                    let below = element.table().map(|table| (table, path.element(element)));
                    below.iter().for_each(|(table, path)| collect(table, path, origins));
                }
            }
            _ => drop(origins.insert(path.keys, origin(&entry.node))),
        }
    }
}

fn json_of(table: &Table) -> Json {
    table.iter().map(|(key, entry)| (key.clone(), json_of_value(&entry.node.value))).collect()
}

fn json_of_value(value: &Value) -> Json {
    match value {
        Value::Text(text) | Value::Date(text) => text.as_str().into(),
        Value::Integer(number) => i64::try_from(*number).unwrap_or(i64::MAX).into(),
        Value::Float(number) => (*number).into(),
        Value::Bool(fact) => (*fact).into(),
        Value::List(list) => list.iter().map(|node| json_of_value(&node.value)).collect(),
        Value::Table(table) => json_of(table),
    }
}

struct Writer<'t> {
    text: &'t mut String,
    with_origins: bool,
}

impl Writer<'_> {
    /// Single values first, because a table ends only where the next begins.
    fn table(&mut self, table: &Table, shape: Shape<'_>, header: &str) {
        let keys = || shape.keys().into_iter().filter_map(|key| Some((key, shape.key(key)?)));
        for (key, _) in keys().filter(|(_, shape)| !is_table(*shape)) {
            if let Some(entry) = table.get(key) {
                let line = format!("{key} = {}", entry.node.value.to_toml());
                self.line(&line, &entry.node);
            }
        }
        for (key, shape) in keys().filter(|(_, shape)| is_table(*shape)) {
            let Some(entry) = table.get(key) else { continue };
            let header = if header.is_empty() { key.to_owned() } else { format!("{header}.{key}") };
            if let Some(table) = entry.node.table() {
                self.header(&format!("[{header}]"));
                self.table(table, shape, &header);
            }
            for table in entry.node.list().iter().filter_map(Node::table) {
                self.header(&format!("[[{header}]]"));
                self.table(table, shape.element(), &header);
            }
        }
    }

    fn header(&mut self, header: &str) {
        let line_feed = if self.text.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.text, "{line_feed}{header}");
    }

    fn line(&mut self, line: &str, node: &Node) {
        let _ = match self.with_origins {
            true => {
                // A comment ends with its line, whatever an option or a path holds.
                let origin = origin(node).to_string();
                let plain: String =
                    origin.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
                writeln!(self.text, "{line:ORIGIN_COLUMN$} # {plain}")
            }
            false => writeln!(self.text, "{line}"),
        };
    }
}

/// Whether it is written under a header of its own.
pub(crate) fn is_table(shape: Shape<'_>) -> bool {
    match shape.kind() {
        Kind::Table => true,
        Kind::List => shape.element().kind() == Kind::Table,
        _ => false,
    }
}
