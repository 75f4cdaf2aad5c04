//! Lays one tree over another, and single values over a tree; fills what nobody said.
//!
//! Tables are merged key by key, everything else is replaced. A layer that names another kind of
//! input or of work than the one below replaces the choice and what belonged to it.

use std::sync::Arc;

use crate::{
    check::{self, Mistakes, Path},
    error::{Fault, Mistake, clipped, nearest},
    shape::{Kind, Shape},
    source::{Place, Source, SourceKind},
    tree::{self, Entry, Node, Table, Value},
};

/// Lays a table over another.
pub(crate) fn lay(over: Table, table: &mut Table, shape: Shape<'_>) {
    let choice = shape.choice();
    let is_kind = |key: &str| choice.iter().any(|(kind, _)| *kind == key);
    let is_other = |key: &String| is_kind(key) && !over.contains_key(key);
    if over.keys().any(|key| is_kind(key)) && table.keys().any(is_other) {
        table.retain(|key, _| {
            !is_kind(key) && !choice.iter().any(|(_, with)| with.contains(&key.as_str()))
        });
    }
    for (key, entry) in over {
        let below = table.get_mut(&key).map(|below| &mut below.node.value);
        match (below, entry.node.value, shape.key(&key)) {
            (Some(Value::Table(below)), Value::Table(over), Some(shape)) => lay(over, below, shape),
            (_, value, _) => {
                let node = Node { value, place: entry.node.place };
                table.insert(key, Entry { key: entry.key, node });
            }
        }
    }
}

/// Puts the defaults where nothing was said.
pub(crate) fn fill(table: &mut Table, shape: Shape<'_>) {
    for key in shape.keys() {
        let Some(shape) = shape.key(key) else { continue };
        if let Some(default) = shape.default().filter(|_| !table.contains_key(key)) {
            let node = Node::of_default(default);
            table.insert(key.to_owned(), Entry { key: None, node });
        }
        match table.get_mut(key).map(|entry| &mut entry.node.value) {
            Some(Value::Table(table)) => fill(table, shape),
            Some(Value::List(list)) if shape.kind() == Kind::List => {
                for element in list {
                    if let Value::Table(table) = &mut element.value {
                        fill(table, shape.element());
                    }
                }
            }
            _ => {}
        }
    }
}

/// One value for one key, from a variable or an option.
pub(crate) struct Assignment {
    source: Arc<Source>,
    /// The names on the way to the key, and where they stand.
    keys: Vec<(String, Place)>,
    value: std::ops::Range<usize>,
}

impl Assignment {
    /// Reads `--set topology.workers=3`.
    pub(crate) fn of_flag(text: &str) -> Result<Self, Fault> {
        let begin = "--set ".len();
        let source = Source::new(SourceKind::Flag, format!("--set {text}"));
        let path = text.split_once('=').map(|(path, _)| path.trim_end());
        match path.filter(|path| path.split('.').all(|key| !key.is_empty())) {
            Some(path) => Ok(Self::new(source, begin, path, ".")),
            None => Err(Fault::Flag { found: clipped(text) }),
        }
    }

    /// Reads `CORELANE_TOPOLOGY__WORKERS=3`; the rest of the name begins at `begin`.
    pub(crate) fn of_variable(name: &str, value: &str, begin: usize) -> Self {
        let kind = SourceKind::Variable(name.to_owned());
        let source = Source::new(kind, format!("{name}={value}"));
        Self::new(source, begin, &name[begin..], "__")
    }

    fn new(source: Arc<Source>, begin: usize, path: &str, separator: &str) -> Self {
        let mut keys = Vec::new();
        let mut start = begin;
        for key in path.split(separator) {
            let place = Place { source: source.clone(), span: start..start + key.len() };
            keys.push((key.to_owned(), place));
            start += key.len() + separator.len();
        }
        let equals = source.text()[begin..].find('=').map_or(begin, |at| begin + at + 1);
        Self { value: equals..source.text().len(), source, keys }
    }

    fn is_variable(&self) -> bool {
        matches!(self.source.kind(), SourceKind::Variable(_))
    }

    /// Lays the value over the tree.
    pub(crate) fn apply(&self, root: &mut Table, mistakes: &mut Mistakes) {
        if let Err(mistake) = self.descend(root, Shape::root(), &Path::default(), 0, mistakes) {
            mistakes.0.push(*mistake);
        }
    }

    fn descend(
        &self,
        table: &mut Table,
        shape: Shape<'_>,
        path: &Path,
        depth: usize,
        mistakes: &mut Mistakes,
    ) -> Result<(), Box<Mistake>> {
        let (name, place) = &self.keys[depth];
        let name = if self.is_variable() { &name.to_lowercase() } else { name };
        let at = |fault| Box::new(Mistake { place: Some(place.clone()), fault });
        let below = shape.key(name).ok_or_else(|| at(check::unknown_key(name, shape, path)))?;
        let path = path.key(name);
        if depth + 1 == self.keys.len() {
            let mut node = self.node(below, &path)?;
            check::node(&mut node, below, &path, mistakes);
            let entry = Entry { key: Some(place.clone()), node };
            lay(Table::from([(name.clone(), entry)]), table, shape);
            return Ok(());
        }
        let is_new = !table.contains_key(name);
        let kind = below.kind();
        if is_new && kind == Kind::Table {
            let node = Node { value: Value::Table(Table::new()), place: None };
            let entry = Entry { key: Some(place.clone()), node };
            lay(Table::from([(name.clone(), entry)]), table, shape);
        }
        match (kind, table.get_mut(name).map(|entry| &mut entry.node.value)) {
            (Kind::Table, Some(Value::Table(table))) => {
                self.descend(table, below, &path, depth + 1, mistakes)
            }
            (Kind::List, list) if below.element().kind() == Kind::Table => {
                let list = list.map(Node::elements).unwrap_or_default();
                self.stage(list, below.element(), &path, depth + 1, mistakes)
            }
            // What is there is wrong already, and was told.
            (Kind::Table, _) => Ok(()),
            (kind, _) => {
                let found = "a key within it".to_owned();
                Err(at(Fault::WrongType { key: path.keys, expected: kind.name(), found }))
            }
        }
    }

    /// Goes on in the stage of this name.
    fn stage(
        &self,
        stages: &mut [Node],
        shape: Shape<'_>,
        path: &Path,
        depth: usize,
        mistakes: &mut Mistakes,
    ) -> Result<(), Box<Mistake>> {
        let (name, place) = &self.keys[depth];
        let plain = |name: &str| match self.is_variable() {
            true => name.to_lowercase().replace('-', "_"),
            false => name.to_owned(),
        };
        let named = |stage: &Node| stage.table()?.get("name")?.node.text().map(str::to_owned);
        let names: Vec<String> = stages.iter().filter_map(named).collect();
        let is_meant = |stage: &&mut Node| named(stage).is_some_and(|n| plain(&n) == plain(name));
        let Some(stage) = stages.iter_mut().find(is_meant) else {
            let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
            let fault = Fault::UnknownStage { name: name.clone(), nearest, allowed: names };
            return Err(Box::new(Mistake { place: Some(place.clone()), fault }));
        };
        let path = path.element(stage);
        match (&mut stage.value, self.keys.len() > depth + 1) {
            (Value::Table(table), true) => self.descend(table, shape, &path, depth + 1, mistakes),
            _ => {
                let (key, expected) = (path.keys, "followed by a key, like count".to_owned());
                let fault = Fault::WrongType { key, expected, found: "no key".to_owned() };
                Err(Box::new(Mistake { place: Some(place.clone()), fault }))
            }
        }
    }

    /// The value: a text needs no quotes here, everything else is TOML.
    fn node(&self, shape: Shape<'_>, path: &Path) -> Result<Node, Box<Mistake>> {
        let whole = &self.source.text()[self.value.clone()];
        let raw = whole.trim();
        let start = self.value.start + whole.len() - whole.trim_start().len();
        let span = start..start + raw.len();
        let place = Some(Place { source: self.source.clone(), span: span.clone() });
        let kind = shape.kind();
        if kind.is_text() && !raw.starts_with(['"', '\'']) {
            return Ok(Node { value: Value::Text(raw.to_owned()), place });
        }
        tree::parse_value(&self.source, span).ok_or_else(|| {
            let found = clipped(raw);
            let fault = Fault::WrongType { key: path.keys.clone(), expected: kind.name(), found };
            Box::new(Mistake { place, fault })
        })
    }
}
