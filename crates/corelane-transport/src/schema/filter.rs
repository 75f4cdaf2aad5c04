//! Picking messages by their values: `price > 10.5 && name.first[2] <= 3`.
//!
//! ```text
//! filter      all ("||" all)*
//! all         one ("&&" one)*
//! one         "!" one | "(" filter ")" | comparison
//! comparison  path operator number
//! path        name ("." name | "[" digits "]")*
//! operator    == != < <= > >=
//! number      "-"? ("0x" hexadecimal digits | digits ("." digits)? (("e" | "E") sign? digits)?)
//! ```
//!
//! Values are compared as numbers: an integer field with `10.5` exactly. With a field that is an
//! `f32` or `f64` the number is rounded to that type first if it is within its range, so that
//! `x == 0.1` holds for the `0.1` of an `f32`. Whatever is compared with NaN is not equal, and
//! nothing else.
//!
//! It knows no arithmetic, and compares no two fields with each other.

mod bound;
mod parse;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use bound::BoundFilter;

/// Longest text of a filter, in bytes.
const TEXT_BYTES_MAX: usize = 4096;
/// How deep brackets and `!` may lie within each other.
const DEPTH_MAX: usize = 32;

/// A condition on the values of a message, read from text; see the source of this module for what
/// it may say. Its text form can be read again.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Expression);

/// Why a text is no filter, or none for a schema. Places are characters counted from 1.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterError {
    /// Something else stands where it should go on.
    #[error("filter cannot be read at place={place}: {expected} is due, found {found}")]
    Syntax {
        /// Where.
        place: usize,
        /// What could stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A number that neither 64 bits nor an `f64` hold.
    #[error("number at place={place} is too large: {text} is beyond 64 bits and a finite f64")]
    Number {
        /// Where.
        place: usize,
        /// The number.
        text: String,
    },
    /// The schema has no such field.
    #[error("no field `{path}` at place={place}: there are {known}")]
    UnknownField {
        /// Where.
        place: usize,
        /// The part of the path that leads nowhere.
        path: String,
        /// The fields that are there.
        known: String,
    },
    /// The path leads to something that is no number.
    #[error("`{path}` at place={place} is no number: {reason}")]
    NotANumber {
        /// Where.
        place: usize,
        /// The path up to what is meant.
        path: String,
        /// What is there, and what to write.
        reason: String,
    },
    /// The text is too long or too deep.
    #[error("filter has more than {limit} {what}: make it shorter")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
}

impl FilterError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "CL-0435",
            Self::Number { .. } => "CL-0436",
            Self::UnknownField { .. } => "CL-0437",
            Self::NotANumber { .. } => "CL-0438",
            Self::TooLarge { .. } => "CL-0439",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    /// At least two, of which one holds.
    Any(Vec<Expression>),
    /// At least two, of which all hold.
    All(Vec<Expression>),
    Not(Box<Expression>),
    Comparison(Comparison),
}

#[derive(Debug, Clone)]
struct Comparison {
    /// Where it stood in the text: a character, counted from 1.
    place: usize,
    path: Vec<Step>,
    operator: Operator,
    literal: Literal,
}

/// Where it stood is not what it says.
impl PartialEq for Comparison {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.operator, self.literal) == (&other.path, other.operator, other.literal)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Index(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Literal {
    Integer(i128),
    Float(f64),
}

impl Filter {
    /// Reads a filter; the same as [`str::parse`].
    ///
    /// # Errors
    /// - [`FilterError::Syntax`], [`FilterError::Number`], [`FilterError::TooLarge`].
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::filter(text).map(Self)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(parts) => joined(f, parts, " || ", |part| matches!(part, Self::Any(_))),
            Self::All(parts) => {
                joined(f, parts, " && ", |part| matches!(part, Self::Any(_) | Self::All(_)))
            }
            Self::Not(inner) if matches!(**inner, Self::Not(_)) => write!(f, "!{inner}"),
            Self::Not(inner) => write!(f, "!({inner})"),
            Self::Comparison(comparison) => comparison.fmt(f),
        }
    }
}

/// The parts with `between` them, and brackets around those that would be read otherwise.
fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expression],
    between: &str,
    needs_brackets: impl Fn(&Expression) -> bool,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { between })?;
        if needs_brackets(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&path_text(&self.path))?;
        write!(f, " {} ", self.operator.text())?;
        match self.literal {
            Literal::Integer(value) => write!(f, "{value}"),
            // Never without a point or an exponent, so that it is read as the same again.
            Literal::Float(value) => write!(f, "{value:?}"),
        }
    }
}

fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.extend([".", name]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

impl Operator {
    /// Longer texts before those that they begin with.
    const ALL: [Self; 6] = [
        Self::Equal,
        Self::NotEqual,
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::Less,
        Self::Greater,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

#[cfg(test)]
mod tests;
