//! Holds a tree against the shape: unknown keys, kinds, ranges, units, names.
//!
//! It judges each value by itself. What values mean to each other is judged in `rules`.

use std::fmt::Display;

use corelane_topology::CpuSet;
use regex::Regex;

use crate::{
    ByteSize, TimeSpan,
    error::{Fault, Mistake, clipped, nearest},
    shape::{Kind, Shape},
    source::Place,
    tree::{Entry, Node, Table, Value},
};

/// Longest name of a stage.
const NAME_BYTES_MAX: usize = 64;

/// The mistakes so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(pub(crate) Vec<Mistake>);

impl Mistakes {
    pub(crate) fn add(&mut self, place: &Option<Place>, fault: Fault) {
        self.0.push(Mistake { place: place.clone(), fault });
    }
}

/// What a key is called in an error and in `--set`: names joined by points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) keys: String,
    /// The table as its header is written.
    header: String,
}

impl Path {
    pub(crate) fn key(&self, key: &str) -> Self {
        let joined = |front: &str| match front {
            "" => key.to_owned(),
            _ => format!("{front}.{key}"),
        };
        Self { keys: joined(&self.keys), header: joined(&self.header) }
    }

    /// An element of the list of tables: by its name if it has one.
    pub(crate) fn element(&self, node: &Node) -> Self {
        let name = node.table().and_then(|table| table.get("name")?.node.text());
        let keys = match name.filter(|name| is_name(name)) {
            Some(name) => format!("{}.{name}", self.keys),
            None => self.keys.clone(),
        };
        Self { keys, header: self.header.clone() }
    }

    /// The table in an error.
    pub(crate) fn table(&self) -> String {
        match self.header.as_str() {
            "" => "the file".to_owned(),
            "agents" => "[[agents]]".to_owned(),
            header => format!("[{header}]"),
        }
    }
}

/// Checks a table and all that is in it.
pub(crate) fn table(table: &mut Table, shape: Shape<'_>, path: &Path, mistakes: &mut Mistakes) {
    for (key, entry) in table.iter_mut() {
        match shape.key(key) {
            Some(shape) => node(&mut entry.node, shape, &path.key(key), mistakes),
            None => mistakes.add(&entry.key, unknown_key(key, shape, path)),
        }
    }
    let choice = shape.choice();
    let found: Vec<(&String, &Entry)> =
        table.iter().filter(|(key, _)| choice.iter().any(|(kind, _)| kind == key)).collect();
    if found.len() > 1 {
        let fault = Fault::Choices {
            table: path.table(),
            found: found.iter().map(|(key, _)| (*key).clone()).collect(),
            allowed: choice.iter().map(|(kind, _)| (*kind).to_owned()).collect(),
        };
        let last = found
            .iter()
            .map(|(_, entry)| &entry.key)
            .max_by_key(|key| key.as_ref().map(|key| key.span.start));
        mistakes.add(last.unwrap_or(&None), fault);
    }
}

/// A fault for a key that is not in the shape.
pub(crate) fn unknown_key(key: &str, shape: Shape<'_>, path: &Path) -> Fault {
    let allowed = shape.keys();
    Fault::UnknownKey {
        key: clipped(key),
        table: path.table(),
        nearest: nearest(key, allowed.iter().copied()).map(str::to_owned),
        allowed: allowed.into_iter().map(str::to_owned).collect(),
    }
}

/// Checks a value; a whole number becomes a fraction where one is expected.
pub(crate) fn node(node: &mut Node, shape: Shape<'_>, path: &Path, mistakes: &mut Mistakes) {
    let kind = shape.kind();
    if let (Kind::Number, Value::Integer(number)) = (&kind, &node.value) {
        node.value = Value::Float(*number as f64);
    }
    let Node { value, place } = node;
    match (&kind, value) {
        (Kind::Table, Value::Table(inner)) => table(inner, shape, path, mistakes),
        (Kind::List, Value::List(_)) => list(node, shape, path, mistakes),
        (Kind::Integer, Value::Integer(number)) => {
            // The one number whose range is a matter of builds and not of sense.
            if path.keys == "version" && *number != i128::from(crate::VERSION) {
                return mistakes.add(place, Fault::Version { found: *number });
            }
            let (least, most) = shape.range();
            let is_within = least as i128 <= *number && *number <= most as i128;
            range(is_within, (least, most), &*number, place, path, mistakes);
        }
        (Kind::Number, Value::Float(number)) => {
            let (least, most) = shape.range();
            let is_within = (least..=most).contains(number);
            range(is_within, (least, most), &*number, place, path, mistakes);
        }
        (Kind::Bool, Value::Bool(_)) => {}
        (Kind::Table | Kind::List | Kind::Integer | Kind::Number | Kind::Bool, value) => {
            mistakes.add(place, wrong_type(&kind, value, place, path));
        }
        (_, Value::Text(text)) => {
            if let Err(fault) = text_of(&kind, text, shape, path) {
                mistakes.add(place, fault);
            }
        }
        (_, value) => mistakes.add(place, wrong_type(&kind, value, place, path)),
    }
}

fn list(node: &mut Node, shape: Shape<'_>, path: &Path, mistakes: &mut Mistakes) {
    let Value::List(elements) = &mut node.value else { return };
    let (least, most) = shape.counts();
    if !(least..=most).contains(&elements.len()) {
        let found = format!("{} elements", elements.len());
        let key = path.keys.clone();
        let (least, most) = (least.to_string(), format!("{most} elements"));
        mistakes.add(&node.place, Fault::OutOfRange { key, found, least, most });
    }
    let mut seen: Vec<Value> = Vec::new();
    for element in elements {
        let path = path.element(element);
        self::node(element, shape.element(), &path, mistakes);
        if shape.is_unique() && seen.contains(&element.value) {
            let found = clipped(element.text().unwrap_or_default());
            mistakes.add(&element.place, Fault::Repeated { key: path.keys, found });
        }
        seen.push(element.value.clone());
    }
}

fn range(
    is_within: bool,
    (least, most): (f64, f64),
    found: &dyn Display,
    place: &Option<Place>,
    path: &Path,
    mistakes: &mut Mistakes,
) {
    if !is_within {
        let (key, found) = (path.keys.clone(), clipped(&found.to_string()));
        let (least, most) = (least.to_string(), most.to_string());
        mistakes.add(place, Fault::OutOfRange { key, found, least, most });
    }
}

fn wrong_type(kind: &Kind<'_>, value: &Value, place: &Option<Place>, path: &Path) -> Fault {
    let text = place.as_ref().and_then(Place::text).filter(|_| !matches!(value, Value::Table(_)));
    let found = match text {
        Some(text) => format!("{}, {}", clipped(text), value.name()),
        None => value.name().to_owned(),
    };
    Fault::WrongType { key: path.keys.clone(), expected: kind.name(), found }
}

/// Judges a text by what it stands for.
fn text_of(kind: &Kind<'_>, text: &str, shape: Shape<'_>, path: &Path) -> Result<(), Fault> {
    let key = path.keys.clone();
    let refused = |reason| Fault::Text { key: key.clone(), found: clipped(text), reason };
    match kind {
        Kind::Names(names) if !names.contains(&text) => Err(Fault::UnknownName {
            key,
            found: clipped(text),
            nearest: nearest(text, names.iter().copied()).map(str::to_owned),
            allowed: names.iter().map(|name| (*name).to_owned()).collect(),
        }),
        Kind::Size => unit(text.parse::<ByteSize>(), text, shape, key),
        Kind::Time => unit(text.parse::<TimeSpan>(), text, shape, key),
        Kind::Name if !is_name(text) => {
            Err(refused("must be 1 to 64 letters, digits, '-' and '_', choose another name"))
        }
        Kind::Pattern => Regex::new(text).map(drop).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default();
            let reason = clipped(reason.trim_start_matches("error: "));
            Fault::Pattern { key, reason }
        }),
        Kind::Cpus => match text.parse::<CpuSet>() {
            Ok(cpus) if cpus.is_empty() => {
                Err(Fault::Cpus { key, reason: "it names no cpu".to_owned() })
            }
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::Cpus { key, reason: clipped(&error.to_string()) }),
        },
        Kind::Text if text.contains('\0') => Err(refused("must not hold a NUL, remove it")),
        Kind::Text if text.is_empty() && shape.is_filled() => {
            Err(refused("must not be empty, write one or leave the key out"))
        }
        _ => Ok(()),
    }
}

/// A size or a time within its range.
fn unit<T>(
    parsed: Result<T, crate::UnitError>,
    text: &str,
    shape: Shape<'_>,
    key: String,
) -> Result<(), Fault>
where
    T: std::str::FromStr<Err = crate::UnitError> + PartialOrd,
{
    let value = match parsed {
        Ok(value) => value,
        Err(error) => return Err(Fault::Unit { key, error }),
    };
    let (least, most) = shape.unit_range();
    let limit = |text: &str| text.parse::<T>().ok();
    let is_within = limit(least).is_none_or(|limit| value >= limit)
        && limit(most).is_none_or(|limit| value <= limit);
    match is_within {
        true => Ok(()),
        false => Err(Fault::OutOfRange {
            key,
            found: clipped(text),
            least: least.to_owned(),
            most: most.to_owned(),
        }),
    }
}

/// Whether a stage may be called so.
pub(crate) fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(is_plain)
}
