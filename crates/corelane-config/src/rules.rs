//! What the values of one tree mean to each other, once all layers are one.
//!
//! Missing keys, choices that were not made, names used twice, limits that cross.

use std::collections::BTreeSet;

use crate::{
    TimeSpan,
    check::{Mistakes, Path},
    error::{Fault, clipped},
    shape::{Kind, Shape},
    source::Place,
    tree::{Entry, Node, Table},
};

/// Pairs of times of a table of which the first must not be more than the second.
const ORDERED: &[(&str, &str, &str)] = &[("supervision", "backoff_first", "backoff_max")];

/// Checks the tree of all layers. Without `is_whole` the input and the agents may be absent.
pub(crate) fn check(root: &Table, is_whole: bool, mistakes: &mut Mistakes) {
    let meant = meant(mistakes);
    let mut rules = Rules { is_whole, meant, mistakes };
    rules.table(root, &None, Shape::root(), &Path::default());
    rules.names(root);
    rules.commands(root);
    for (table, first, second) in ORDERED {
        rules.order(root, table, first, second);
    }
}

/// The keys that were meant by unknown ones: they are not missing, they are misspelt.
fn meant(mistakes: &Mistakes) -> BTreeSet<String> {
    let nearest = mistakes.0.iter().filter_map(|mistake| match &mistake.fault {
        Fault::UnknownKey { nearest, .. } => nearest.clone(),
        _ => None,
    });
    nearest.collect()
}

struct Rules<'m> {
    is_whole: bool,
    meant: BTreeSet<String>,
    mistakes: &'m mut Mistakes,
}

impl Rules<'_> {
    fn table(&mut self, table: &Table, place: &Option<Place>, shape: Shape<'_>, path: &Path) {
        self.missing(table, place, shape, path);
        self.choice(table, place, shape, path);
        for (key, Entry { node, .. }) in table {
            let Some(shape) = shape.key(key) else { continue };
            let path = path.key(key);
            match (shape.kind(), node.table()) {
                (Kind::Table, Some(table)) => self.table(table, &node.place, shape, &path),
                (Kind::List, _) => {
                    for element in node.list() {
                        let path = path.element(element);
                        if let Some(table) = element.table() {
                            self.table(table, &element.place, shape.element(), &path);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn missing(&mut self, table: &Table, place: &Option<Place>, shape: Shape<'_>, path: &Path) {
        let is_root = path.keys.is_empty();
        for key in shape.keys() {
            let is_absent = shape.is_required(key) && !table.contains_key(key);
            // The version is missing in a file, and was told there.
            let is_told = is_root && (!self.is_whole || key == "version");
            if !is_absent || is_told || self.meant.contains(key) {
                continue;
            }
            let example = shape.key(key).and_then(|shape| match shape.kind() {
                Kind::Table => Some(format!("[{key}]")),
                Kind::List => Some(format!("[[{key}]]")),
                _ => Some(format!("{key} = {}", shape.example()?)),
            });
            let table = if is_root { "the flow".to_owned() } else { path.table() };
            let key = key.to_owned();
            self.mistakes.add(place, Fault::Missing { key, table, example });
        }
    }

    fn choice(&mut self, table: &Table, place: &Option<Place>, shape: Shape<'_>, path: &Path) {
        let choice = shape.choice();
        let made: Vec<_> = choice.iter().filter(|(kind, _)| table.contains_key(*kind)).collect();
        let allowed: Vec<String> = choice.iter().map(|(kind, _)| (*kind).to_owned()).collect();
        if made.is_empty() && !choice.is_empty() {
            if self.is_whole && allowed.iter().all(|kind| !self.meant.contains(kind)) {
                self.mistakes.add(place, Fault::NoChoice { table: path.table(), allowed });
            }
            return;
        }
        let companions: BTreeSet<&str> = choice.iter().flat_map(|(_, with)| with.clone()).collect();
        for key in companions {
            let Some(entry) = table.get(key) else { continue };
            if made.iter().any(|(_, with)| with.contains(&key)) {
                continue;
            }
            let goes = choice.iter().filter(|(_, with)| with.contains(&key));
            let with = goes.map(|(kind, _)| (*kind).to_owned()).collect();
            self.mistakes.add(&entry.key, Fault::NoEffect { key: path.key(key).keys, with });
        }
    }

    /// Two stages must not have one name.
    fn names(&mut self, root: &Table) {
        let agents = root.get("agents").map(|entry| entry.node.list()).unwrap_or_default();
        let mut seen = BTreeSet::new();
        for name in agents.iter().filter_map(|stage| stage.table()?.get("name")) {
            // Told apart without regard to case, as variables name them.
            if let Some(text) = name.node.text().filter(|text| !seen.insert(text.to_lowercase())) {
                let (key, found) = ("the flow".to_owned(), clipped(text));
                self.mistakes.add(&name.node.place, Fault::Repeated { key, found });
            }
        }
    }

    /// A command has at least a name.
    fn commands(&mut self, root: &Table) {
        let agents = root.get("agents").map(|entry| entry.node.list()).unwrap_or_default();
        for command in agents.iter().filter_map(|stage| stage.table()?.get("command")) {
            let tool = command.node.list().first();
            if let Some(tool) = tool.filter(|tool| tool.text() == Some("")) {
                let reason = "must begin with the name of a tool, write it first";
                let (key, found) = ("agents.command".to_owned(), String::new());
                self.mistakes.add(&tool.place, Fault::Text { key, found, reason });
            }
        }
    }

    fn order(&mut self, root: &Table, table: &str, first: &str, second: &str) {
        let key = |name| root.get(table)?.node.table()?.get(name).map(|entry| &entry.node);
        let time = |node: &Node| node.text()?.parse::<TimeSpan>().ok();
        let (Some(low), Some(high)) = (key(first), key(second)) else { return };
        if let (Some(found), Some(limit)) = (time(low), time(high))
            && found > limit
        {
            let fault = Fault::Conflict {
                key: format!("{table}.{first}"),
                found: found.to_string(),
                other: format!("{table}.{second}"),
                limit: limit.to_string(),
            };
            self.mistakes.add(if low.place.is_some() { &low.place } else { &high.place }, fault);
        }
    }
}
