//! A filter whose fields were looked up: offsets instead of names, so that nothing is searched and
//! nothing allocated for a message.

use std::cmp::Ordering;

use super::super::decode::{DecodeError, Number, number};
use super::super::layout::{Scalar, Schema, Struct, Type};
use super::{Comparison, Expression, Filter, FilterError, Literal, Operator, Step, path_text};

/// Names that the error about an unknown field lists.
const KNOWN_FIELDS_TOLD: usize = 16;

/// A [`Filter`] for the messages of one schema.
#[derive(Debug, Clone)]
pub struct BoundFilter {
    schema: Schema,
    root: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Any(Vec<Test>),
    All(Vec<Test>),
    Not(Box<Test>),
    Number { offset: usize, scalar: Scalar, operator: Operator, literal: Literal },
}

impl Filter {
    /// Looks up the fields of the filter in a schema.
    ///
    /// # Errors
    /// - [`FilterError::UnknownField`]: the schema has no such field.
    /// - [`FilterError::NotANumber`]: a path ends at a struct or an array, goes on behind a number,
    ///   or names an element that the array does not have.
    pub fn bind(&self, schema: &Schema) -> Result<BoundFilter, FilterError> {
        Ok(BoundFilter { schema: schema.clone(), root: bind(&self.0, schema)? })
    }
}

impl BoundFilter {
    /// Whether the filter holds for a message. Does not allocate.
    ///
    /// # Errors
    /// - [`DecodeError::Length`]: `bytes` are not as many as a message has.
    pub fn matches(&self, bytes: &[u8]) -> Result<bool, DecodeError> {
        self.schema.check_length(bytes)?;
        Ok(self.root.holds(bytes))
    }
}

impl Test {
    fn holds(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Any(tests) => tests.iter().any(|test| test.holds(bytes)),
            Self::All(tests) => tests.iter().all(|test| test.holds(bytes)),
            Self::Not(test) => !test.holds(bytes),
            Self::Number { offset, scalar, operator, literal } => {
                operator.holds(order(number(*scalar, bytes, *offset), *literal))
            }
        }
    }
}

impl Operator {
    /// Whether it holds between numbers in this order; NaN has none.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order.is_some_and(Ordering::is_eq),
            Self::NotEqual => !order.is_some_and(Ordering::is_eq),
            Self::Less => order.is_some_and(Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order.is_some_and(Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

fn order(number: Number, literal: Literal) -> Option<Ordering> {
    let integer = match number {
        Number::F64(value) => return value.partial_cmp(&as_f64(literal)),
        Number::F32(value) => {
            let rounded = match literal {
                Literal::Integer(value) => value as f32,
                Literal::Float(value) => value as f32,
            };
            // No finite f32 is as large: rounded, it would be equal to an infinite value.
            let is_beyond = rounded.is_infinite();
            let literal = if is_beyond { as_f64(literal) } else { f64::from(rounded) };
            return f64::from(value).partial_cmp(&literal);
        }
        Number::Unsigned(value) => i128::from(value),
        Number::Signed(value) => i128::from(value),
    };
    match literal {
        Literal::Integer(value) => Some(integer.cmp(&value)),
        // The integer part decides, except where it is the same and the literal goes on behind the
        // point. A literal beyond 128 bits is cut to the nearest, which no field reaches.
        Literal::Float(value) => {
            let below = integer.cmp(&(value.floor() as i128));
            let is_cut = value.floor() < value;
            Some(if below.is_eq() && is_cut { Ordering::Less } else { below })
        }
    }
}

fn as_f64(literal: Literal) -> f64 {
    match literal {
        Literal::Integer(value) => value as f64,
        Literal::Float(value) => value,
    }
}

fn bind(expression: &Expression, schema: &Schema) -> Result<Test, FilterError> {
    let each = |parts: &[Expression]| {
        parts.iter().map(|part| bind(part, schema)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match expression {
        Expression::Any(parts) => Test::Any(each(parts)?),
        Expression::All(parts) => Test::All(each(parts)?),
        Expression::Not(inner) => Test::Not(Box::new(bind(inner, schema)?)),
        Expression::Comparison(comparison) => {
            let (offset, scalar) = find(comparison, schema)?;
            let (operator, literal) = (comparison.operator, comparison.literal);
            Test::Number { offset, scalar, operator, literal }
        }
    })
}

/// What a path has led to so far.
#[derive(Clone, Copy)]
enum Place<'s> {
    /// The whole message: no struct when it is raw bytes.
    Message(Option<&'s Struct>),
    Value(&'s Type),
}

/// Offset and type of the number that a path leads to.
fn find(comparison: &Comparison, schema: &Schema) -> Result<(usize, Scalar), FilterError> {
    let (mut offset, mut place) = (0, Place::Message(schema.message()));
    for (index, step) in comparison.path.iter().enumerate() {
        let so_far = || path_text(&comparison.path[..index]);
        let (ty, distance) = match (place, step) {
            (Place::Message(it), Step::Field(_)) => field(it, comparison, index)?,
            (Place::Value(Type::Struct(inner)), Step::Field(_)) => {
                field(Some(inner), comparison, index)?
            }
            (Place::Value(Type::Array { of, length }), Step::Index(element)) => {
                if element >= length {
                    let reason = format!("it has {length} elements, counted from 0");
                    return Err(not_a_number(comparison, index + 1, reason));
                }
                (&**of, element * of.size())
            }
            (Place::Value(ty), _) => {
                let reason = format!("`{}` is {}, see what follows it", so_far(), article(ty));
                return Err(not_a_number(comparison, index + 1, reason));
            }
            (Place::Message(_), Step::Index(_)) => unreachable!("a path begins with a name"),
        };
        offset += distance;
        place = Place::Value(ty);
    }
    match place {
        Place::Value(Type::Scalar(scalar)) => Ok((offset, *scalar)),
        Place::Value(ty) => {
            let more =
                if matches!(ty, Type::Array { .. }) { "an element as [0]" } else { "a field" };
            let reason = format!("it is {}, name {more} of it", article(ty));
            Err(not_a_number(comparison, comparison.path.len(), reason))
        }
        Place::Message(_) => unreachable!("a path has at least one name"),
    }
}

fn article(ty: &Type) -> String {
    match ty {
        Type::Scalar(_) => format!("a number ({ty})"),
        Type::Array { .. } => format!("an array ({ty})"),
        Type::Struct(_) => format!("a {ty}"),
    }
}

fn not_a_number(comparison: &Comparison, steps: usize, reason: String) -> FilterError {
    let path = path_text(&comparison.path[..steps]);
    FilterError::NotANumber { place: comparison.place, path, reason }
}

/// Type and offset of the field that a step names.
fn field<'s>(
    it: Option<&'s Struct>,
    comparison: &Comparison,
    index: usize,
) -> Result<(&'s Type, usize), FilterError> {
    let Step::Field(name) = &comparison.path[index] else {
        unreachable!("the caller looked that it is a name");
    };
    if let Some(field) = it.and_then(|it| it.field(name)) {
        return Ok((field.ty(), field.offset()));
    }
    let fields = it.map_or(&[][..], Struct::fields);
    let names = fields.iter().take(KNOWN_FIELDS_TOLD);
    let mut known: Vec<_> = names.map(|field| format!("`{}`", field.name())).collect();
    match fields.len() {
        0 => known.push("none in raw bytes".to_owned()),
        count if count > KNOWN_FIELDS_TOLD => known.push(format!("… ({count} in all)")),
        _ => {}
    }
    let known = known.join(", ");
    let path = path_text(&comparison.path[..=index]);
    Err(FilterError::UnknownField { place: comparison.place, path, known })
}
