//! What may stand in a file, read from the schema of the types: the kind of every key, its range,
//! its names, its documentation and its default.
//!
//! The schema is what editors get too, less the parts that only this crate reads.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde::{Deserialize, Deserializer, de, de::Visitor, forward_to_deserialize_any};
use serde_json::{Map, Value};

use crate::file::ConfigTable;

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// What only this crate reads: the order of keys, the choice between keys, ranges with units.
const OWN: &[&str] = &["x-order", "x-choice", "x-min", "x-max"];

/// The schema of one value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'s>(&'s Map<String, Value>);

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind<'s> {
    Table,
    List,
    Names(Vec<&'s str>),
    Text,
    Name,
    Size,
    Time,
    Pattern,
    Cpus,
    Integer,
    Number,
    Bool,
}

impl Kind<'_> {
    /// What is expected, in words.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Table => "a table".to_owned(),
            Self::List => "a list, like [\"a\", \"b\"]".to_owned(),
            Self::Names(names) => format!("one of {} in quotes", names.join(", ")),
            Self::Text => "a text in quotes".to_owned(),
            Self::Name => "a name in quotes".to_owned(),
            Self::Size => "a size with its unit in quotes, like \"64KiB\"".to_owned(),
            Self::Time => "a time with its unit in quotes, like \"250ms\"".to_owned(),
            Self::Pattern => "a regular expression in quotes".to_owned(),
            Self::Cpus => "a list of cpus in quotes, like \"0-3,8\"".to_owned(),
            Self::Integer => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Bool => "true or false".to_owned(),
        }
    }

    /// Whether a value is written in quotes.
    pub(crate) fn is_text(&self) -> bool {
        !matches!(self, Self::Table | Self::List | Self::Integer | Self::Number | Self::Bool)
    }
}

impl Shape<'static> {
    /// The shape of a whole file.
    pub(crate) fn root() -> Self {
        Shape::of(&SCHEMA)
    }
}

impl<'s> Shape<'s> {
    fn of(value: &'s Value) -> Self {
        Self(value.as_object().expect("because every schema of these types is an object"))
    }

    pub(crate) fn kind(self) -> Kind<'s> {
        if let Some(names) = self.names() {
            return Kind::Names(names);
        }
        match (self.text("type"), self.text("format")) {
            ("object", _) => Kind::Table,
            ("array", _) => Kind::List,
            ("integer", _) => Kind::Integer,
            ("number", _) => Kind::Number,
            ("boolean", _) => Kind::Bool,
            (_, "corelane-size") => Kind::Size,
            (_, "corelane-time") => Kind::Time,
            (_, "corelane-name") => Kind::Name,
            (_, "corelane-cpus") => Kind::Cpus,
            (_, "regex") => Kind::Pattern,
            _ => Kind::Text,
        }
    }

    /// The names that are allowed, in the order of the type.
    fn names(self) -> Option<Vec<&'s str>> {
        if let Some(names) = self.0.get("enum") {
            return Some(names.as_array()?.iter().filter_map(Value::as_str).collect());
        }
        let each = self.0.get("oneOf").filter(|_| self.text("type") != "object")?.as_array()?;
        each.iter().map(|one| one.get("const")?.as_str()).collect()
    }

    fn text(self, key: &str) -> &'s str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The keys of a table, in the order of the type.
    pub(crate) fn keys(self) -> Vec<&'s str> {
        let order = self.0.get("x-order").and_then(Value::as_array);
        order.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The shape of a key of this table.
    pub(crate) fn key(self, key: &str) -> Option<Self> {
        self.0.get("properties")?.get(key).map(Shape::of)
    }

    /// The shape of an element of this list.
    pub(crate) fn element(self) -> Self {
        Shape::of(self.0.get("items").expect("because every list of these types has elements"))
    }

    /// The keys of which exactly one is to be there, and for each the keys that go with it.
    pub(crate) fn choice(self) -> Vec<(&'s str, Vec<&'s str>)> {
        let choice = self.0.get("x-choice").and_then(Value::as_object);
        let listed = |list: &'s Value| -> Vec<&'s str> {
            list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let mut kinds: Vec<_> =
            choice.into_iter().flatten().map(|(k, with)| (k.as_str(), listed(with))).collect();
        let order = self.keys();
        kinds.sort_by_key(|(kind, _)| order.iter().position(|key| key == kind));
        kinds
    }

    /// Whether the key must be there.
    pub(crate) fn is_required(self, key: &str) -> bool {
        let required = self.0.get("required").and_then(Value::as_array);
        required.is_some_and(|required| required.iter().any(|name| name == key))
    }

    pub(crate) fn default(self) -> Option<&'s Value> {
        self.0.get("default")
    }

    pub(crate) fn example(self) -> Option<&'s Value> {
        self.0.get("examples")?.get(0)
    }

    /// What the key means, in one paragraph.
    pub(crate) fn documentation(self) -> String {
        self.text("description").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The documentation, and the range where no editor would see it.
    fn described(self) -> String {
        match self.unit_range() {
            ("", _) => self.documentation(),
            (least, most) => format!("{} From {least} to {most}.", self.documentation()),
        }
    }

    /// Least and greatest number.
    pub(crate) fn range(self) -> (f64, f64) {
        let limit = |key: &str| self.0.get(key).and_then(Value::as_f64);
        (limit("minimum").unwrap_or(f64::MIN), limit("maximum").unwrap_or(f64::MAX))
    }

    /// Least and greatest size or time, as they are written.
    pub(crate) fn unit_range(self) -> (&'s str, &'s str) {
        (self.text("x-min"), self.text("x-max"))
    }

    /// Fewest and most elements of a list.
    pub(crate) fn counts(self) -> (usize, usize) {
        let limit = |key: &str| Some(self.0.get(key)?.as_u64()? as usize);
        (limit("minItems").unwrap_or(0), limit("maxItems").unwrap_or(usize::MAX))
    }

    /// Whether a text must not be empty.
    pub(crate) fn is_filled(self) -> bool {
        self.0.get("minLength").and_then(Value::as_u64).is_some_and(|least| least > 0)
    }

    pub(crate) fn is_unique(self) -> bool {
        self.0.get("uniqueItems").is_some_and(|unique| unique == true)
    }
}

/// The schema of a file as editors read it, draft 2020-12, with a line feed at its end.
pub fn schema() -> String {
    let mut schema = SCHEMA.clone();
    publish(&mut schema);
    let text = serde_json::to_string_pretty(&schema).expect("because it is JSON already");
    text + "\n"
}

fn generate() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<ConfigTable>().to_value();
    without_null(&mut schema);
    schema
}

/// TOML knows no null: what is optional is absent.
fn without_null(value: &mut Value) {
    if let Some(schema) = value.as_object_mut() {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|one| one != "null");
            let only = types.first().cloned();
            schema.extend(only.map(|only| ("type".to_owned(), only)));
        }
        if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
            any.retain(|one| one.get("type").is_none_or(|of| of != "null"));
            if let Some(Value::Object(only)) = any.pop().filter(|_| any.is_empty()) {
                schema.remove("anyOf");
                for (key, value) in only {
                    schema.entry(key).or_insert(value);
                }
            }
        }
        if schema.get("default").is_some_and(Value::is_null) {
            schema.remove("default");
        }
        schema.values_mut().for_each(without_null);
    } else if let Some(list) = value.as_array_mut() {
        list.iter_mut().for_each(without_null);
    }
}

/// Replaces what only this crate reads by what every editor knows.
fn publish(value: &mut Value) {
    let Some(schema) = value.as_object_mut() else { return };
    let choice = Shape(schema).choice();
    if !choice.is_empty() {
        let each = choice.iter().map(|(kind, _)| serde_json::json!({ "required": [kind] }));
        let each = Value::Array(each.collect());
        schema.insert("oneOf".to_owned(), each);
    }
    let description = Shape(schema).described();
    schema.insert("description".to_owned(), description.into());
    OWN.iter().for_each(|key| drop(schema.remove(*key)));
    // What Rust calls a number, and what only this crate knows.
    if schema.get("format").is_some_and(|format| format != "regex") {
        schema.remove("format");
    }
    // That of a table repeats those of its keys.
    if schema.get("default").is_some_and(Value::is_object) {
        schema.remove("default");
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().for_each(publish);
    }
    schema.get_mut("items").into_iter().for_each(publish);
}

/// The keys of a structure in the order of its definition, as serde knows them.
pub(crate) fn fields<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It always fails: the names are all that is wanted.
    let _ = T::deserialize(Names(&mut fields));
    fields
}

/// Is asked for a structure, keeps the names of its fields, and gives nothing.
struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only structures have fields"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(de::Error::custom("the names are known"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
