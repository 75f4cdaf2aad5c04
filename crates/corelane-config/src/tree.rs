//! Settings as a tree whose every key and value knows its place.
//!
//! It is what TOML says, before anybody judged it.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use serde_json::Value as Json;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    error::{Fault, Mistake},
    source::{Place, Source},
};

/// No key of the format lies deeper; what does is unknown long before.
const DEPTH_MAX: usize = 8;

/// A value; without a place it is a default.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Option<Place>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(Table),
}

pub(crate) type Table = BTreeMap<String, Entry>;

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Option<Place>,
    pub(crate) node: Node,
}

/// The table of a file, and why it is not what its writer meant. With a fault of syntax the table
/// is a guess.
pub(crate) fn parse(source: &Arc<Source>) -> (Table, Vec<Mistake>) {
    let (table, errors) = DeTable::parse_recoverable(source.text());
    let reader = Reader { source, offset: 0 };
    let mistakes = errors.iter().map(|error| reader.mistake(error)).collect();
    (reader.table(table.get_ref(), 0), mistakes)
}

/// The value that a part of the source says in TOML.
pub(crate) fn parse_value(source: &Arc<Source>, span: Range<usize>) -> Option<Node> {
    let reader = Reader { source, offset: span.start };
    let value = DeValue::parse(&source.text()[span]).ok()?;
    Some(reader.node(&value, 0))
}

struct Reader<'s> {
    source: &'s Arc<Source>,
    offset: usize,
}

impl Reader<'_> {
    fn mistake(&self, error: &toml::de::Error) -> Mistake {
        let place = self.place(error.span().unwrap_or_default());
        let key = place.text().unwrap_or_default().trim_matches(['[', ']', ' ']).to_owned();
        let fault = match error.message() {
            "duplicate key" => Fault::Twice { key },
            // Said of every bare word that begins like one.
            message if message.starts_with("invalid boolean") => Fault::Syntax {
                reason: "a text stands in quotes, unlike true and false".to_owned(),
            },
            message => Fault::Syntax { reason: message.replace('\n', ", ") },
        };
        Mistake { place: Some(place), fault }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let span = span.start + self.offset..span.end + self.offset;
        Place { source: self.source.clone(), span }
    }

    fn table(&self, table: &DeTable<'_>, depth: usize) -> Table {
        let entry = |(key, node): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            let key = Some(self.place(key.span()));
            (name.to_string(), Entry { key, node: self.node(node, depth + 1) })
        };
        table.iter().map(entry).collect()
    }

    fn node(&self, node: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        let place = Some(self.place(node.span()));
        let value = match node.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                let digits = number.as_str();
                let huge = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
                Value::Integer(i128::from_str_radix(digits, number.radix()).unwrap_or(huge))
            }
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(fact) => Value::Bool(*fact),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(list) if depth < DEPTH_MAX => {
                Value::List(list.iter().map(|node| self.node(node, depth + 1)).collect())
            }
            DeValue::Table(table) if depth < DEPTH_MAX => Value::Table(self.table(table, depth)),
            DeValue::Array(_) => Value::List(Vec::new()),
            DeValue::Table(_) => Value::Table(Table::new()),
        };
        Node { value, place }
    }
}

impl Node {
    /// A default, as the schema has it.
    pub(crate) fn of_default(json: &Json) -> Self {
        let value = match json {
            Json::String(text) => Value::Text(text.clone()),
            Json::Bool(fact) => Value::Bool(*fact),
            Json::Number(number) => match number.as_i128() {
                Some(number) => Value::Integer(number),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::Array(list) => Value::List(list.iter().map(Self::of_default).collect()),
            Json::Object(table) => {
                let entry = |(key, value): (&String, &Json)| {
                    (key.clone(), Entry { key: None, node: Self::of_default(value) })
                };
                Value::Table(table.iter().map(entry).collect())
            }
            Json::Null => Value::Table(Table::new()),
        };
        Self { value, place: None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The elements of a list; of anything else there are none.
    pub(crate) fn elements(value: &mut Value) -> &mut [Node] {
        match value {
            Value::List(list) => list,
            _ => &mut [],
        }
    }

    pub(crate) fn list(&self) -> &[Node] {
        match &self.value {
            Value::List(list) => list,
            _ => &[],
        }
    }
}

impl Value {
    /// What it is, in words.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Bool(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// As TOML; an integer that no TOML can hold does not come here.
    pub(crate) fn to_toml(&self) -> toml::Value {
        match self {
            Self::Text(text) | Self::Date(text) => toml::Value::String(text.clone()),
            Self::Integer(number) => toml::Value::Integer(i64::try_from(*number).unwrap_or(0)),
            Self::Float(number) => toml::Value::Float(*number),
            Self::Bool(fact) => toml::Value::Boolean(*fact),
            Self::List(list) => {
                toml::Value::Array(list.iter().map(|node| node.value.to_toml()).collect())
            }
            Self::Table(table) => toml::Value::Table(
                table
                    .iter()
                    .map(|(key, entry)| (key.clone(), entry.node.value.to_toml()))
                    .collect(),
            ),
        }
    }
}
