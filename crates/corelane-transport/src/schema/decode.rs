//! Reading bytes by a schema, for people: names and values, as a line of text or as JSON.
//!
//! It allocates and is not made for the way of a message.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use thiserror::Error;

use super::layout::{Body, Scalar, Schema, Struct, Type};

/// Why bytes are no message of a schema.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// They are too few or too many.
    #[error("message has {found} bytes, `{name}` has {expected}: it is of another schema")]
    Length {
        /// The name of the schema.
        name: String,
        /// Bytes of its messages.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
}

impl DecodeError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "CL-0431",
        }
    }
}

/// A message as names and values, in the order in which they lie in memory.
///
/// As text it is one line, `price=10.5 id=7 size.width=3 tags=[1,2]`: what stands before a `=` is
/// what a [`Filter`](super::Filter) calls the field. Raw bytes are `bytes=` and hexadecimal digits.
/// As JSON it is an object in the same order; numbers that JSON does not know are the texts "NaN",
/// "inf" and "-inf", raw bytes are a text of hexadecimal digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<'s> {
    fields: Vec<(&'s str, Value<'s>)>,
}

/// A value within a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'s> {
    /// A `u8`, `u16`, `u32` or `u64`.
    Unsigned(u64),
    /// An `i8`, `i16`, `i32` or `i64`.
    Signed(i64),
    /// An `f32`.
    F32(f32),
    /// An `f64`.
    F64(f64),
    /// The elements of an array.
    Array(Vec<Value<'s>>),
    /// Names and values of a struct within the message.
    Struct(Vec<(&'s str, Value<'s>)>),
    /// A whole message that is raw bytes.
    Bytes(Vec<u8>),
}

impl Schema {
    /// Reads a message.
    ///
    /// # Errors
    /// - [`DecodeError::Length`]: `bytes` are not as many as a message has.
    pub fn decode(&self, bytes: &[u8]) -> Result<Decoded<'_>, DecodeError> {
        self.check_length(bytes)?;
        let fields = match &self.0 {
            Body::Struct(message) => fields_of(message, bytes),
            Body::Bytes(_) => vec![("bytes", Value::Bytes(bytes.to_vec()))],
        };
        Ok(Decoded { fields })
    }

    pub(super) fn check_length(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        match self.size() {
            Some(expected) if expected != bytes.len() => Err(DecodeError::Length {
                name: self.name().to_owned(),
                expected,
                found: bytes.len(),
            }),
            _ => Ok(()),
        }
    }
}

impl<'s> Decoded<'s> {
    /// Names and values.
    pub fn fields(&self) -> &[(&'s str, Value<'s>)] {
        &self.fields
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self)
            .expect("it is written because keys are text and numbers are finite")
    }
}

/// A number as it lies in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
}

/// Reads the number that begins at `offset`.
///
/// # Panics
/// When it does not lie within `bytes`, which whoever checked the length rules out.
#[inline]
pub(super) fn number(scalar: Scalar, bytes: &[u8], offset: usize) -> Number {
    fn at<const SIZE: usize>(bytes: &[u8], offset: usize) -> [u8; SIZE] {
        let (first, _) = bytes[offset..]
            .split_first_chunk()
            .expect("the number is there because the length of the message was checked");
        *first
    }
    match scalar {
        Scalar::U8 => Number::Unsigned(bytes[offset].into()),
        Scalar::U16 => Number::Unsigned(u16::from_le_bytes(at(bytes, offset)).into()),
        Scalar::U32 => Number::Unsigned(u32::from_le_bytes(at(bytes, offset)).into()),
        Scalar::U64 => Number::Unsigned(u64::from_le_bytes(at(bytes, offset))),
        Scalar::I8 => Number::Signed(i8::from_le_bytes(at(bytes, offset)).into()),
        Scalar::I16 => Number::Signed(i16::from_le_bytes(at(bytes, offset)).into()),
        Scalar::I32 => Number::Signed(i32::from_le_bytes(at(bytes, offset)).into()),
        Scalar::I64 => Number::Signed(i64::from_le_bytes(at(bytes, offset))),
        Scalar::F32 => Number::F32(f32::from_le_bytes(at(bytes, offset))),
        Scalar::F64 => Number::F64(f64::from_le_bytes(at(bytes, offset))),
    }
}

fn fields_of<'s>(it: &'s Struct, bytes: &[u8]) -> Vec<(&'s str, Value<'s>)> {
    let value = |offset, ty| value_of(ty, &bytes[offset..]);
    it.fields().iter().map(|field| (field.name(), value(field.offset(), field.ty()))).collect()
}

/// The value at the begin of `bytes`.
fn value_of<'s>(ty: &'s Type, bytes: &[u8]) -> Value<'s> {
    match ty {
        Type::Scalar(scalar) => match number(*scalar, bytes, 0) {
            Number::Unsigned(value) => Value::Unsigned(value),
            Number::Signed(value) => Value::Signed(value),
            Number::F32(value) => Value::F32(value),
            Number::F64(value) => Value::F64(value),
        },
        Type::Array { of, length } => {
            let elements = bytes.chunks_exact(of.size()).take(*length);
            Value::Array(elements.map(|element| value_of(of, element)).collect())
        }
        Type::Struct(inner) => Value::Struct(fields_of(inner, bytes)),
    }
}

impl fmt::Display for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line { f, is_first: true };
        self.fields.iter().try_for_each(|(name, value)| line.put((*name).to_owned(), value))
    }
}

/// Writes `path=value` with a space between two of them.
struct Line<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    is_first: bool,
}

impl Line<'_, '_> {
    fn put(&mut self, path: String, value: &Value<'_>) -> fmt::Result {
        match value {
            Value::Struct(fields) => fields
                .iter()
                .try_for_each(|(name, value)| self.put(format!("{path}.{name}"), value)),
            Value::Array(elements) if has_structs(value) => {
                (0..).zip(elements).try_for_each(|(index, value): (usize, _)| {
                    self.put(format!("{path}[{index}]"), value)
                })
            }
            _ => {
                let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
                write!(self.f, "{space}{path}=")?;
                plain(self.f, value)
            }
        }
    }
}

fn has_structs(value: &Value<'_>) -> bool {
    match value {
        Value::Struct(_) => true,
        Value::Array(elements) => elements.first().is_some_and(has_structs),
        _ => false,
    }
}

/// A value without names in it.
fn plain(f: &mut fmt::Formatter<'_>, value: &Value<'_>) -> fmt::Result {
    match value {
        Value::Unsigned(value) => write!(f, "{value}"),
        Value::Signed(value) => write!(f, "{value}"),
        // The shortest digits that are read back as the same number.
        Value::F32(value) => write!(f, "{value:?}"),
        Value::F64(value) => write!(f, "{value:?}"),
        Value::Bytes(bytes) => f.write_str(&hexadecimal(bytes)),
        Value::Array(elements) => {
            f.write_str("[")?;
            for (index, element) in elements.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { "," })?;
                plain(f, element)?;
            }
            f.write_str("]")
        }
        Value::Struct(_) => Ok(()),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a String takes every text");
    }
    text
}

impl Serialize for Decoded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        object(&self.fields, serializer)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::F32(value) if value.is_finite() => serializer.serialize_f32(*value),
            Self::F64(value) if value.is_finite() => serializer.serialize_f64(*value),
            Self::F32(value) => serializer.collect_str(value),
            Self::F64(value) => serializer.collect_str(value),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Struct(fields) => object(fields, serializer),
            Self::Bytes(bytes) => serializer.serialize_str(&hexadecimal(bytes)),
        }
    }
}

fn object<S: Serializer>(fields: &[(&str, Value<'_>)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (name, value) in fields {
        map.serialize_entry(name, value)?;
    }
    map.end()
}
