//! From text to an expression: the grammar of [`super`], with the place of what does not fit.

use winnow::Parser;
use winnow::ascii::{digit1, hex_digit1, multispace0};
use winnow::combinator::{alt, not, opt, preceded};
use winnow::error::ParserError;
use winnow::stream::{LocatingSlice, Location, Stateful, Stream};
use winnow::token::{one_of, take_while};

use super::{
    Comparison, DEPTH_MAX, Expression, FilterError, Literal, Operator, Step, TEXT_BYTES_MAX,
};

type Input<'t> = Stateful<LocatingSlice<&'t str>, State<'t>>;

#[derive(Debug, Clone, Copy)]
struct State<'t> {
    /// All of it, to count places.
    text: &'t str,
    /// How many brackets and `!` are open.
    depth: usize,
}

/// What did not fit, and the byte at which it stands.
#[derive(Debug)]
struct Fault {
    at: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Expected(&'static str),
    Number(String),
    Depth,
}

impl ParserError<Input<'_>> for Fault {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        expected(input, "a condition")
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

pub(super) fn filter(text: &str) -> Result<Expression, FilterError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(FilterError::TooLarge { what: "bytes", limit: TEXT_BYTES_MAX });
    }
    let mut input = Input { input: LocatingSlice::new(text), state: State { text, depth: 0 } };
    whole(&mut input).map_err(|fault| told(text, fault))
}

/// The error as people read it.
fn told(text: &str, fault: Fault) -> FilterError {
    let rest = text[fault.at..].trim_start();
    let place = place(text, text.len() - rest.len());
    match fault.kind {
        Kind::Expected(expected) => {
            let is_end = |c: char| c.is_whitespace() || "()[]&|".contains(c);
            let word = rest.split(is_end).next().filter(|word| !word.is_empty());
            let found = match (word, rest.chars().next()) {
                (Some(word), _) => format!("`{}`", word.chars().take(24).collect::<String>()),
                (None, Some(other)) => format!("`{other}`"),
                (None, None) => "the end".to_owned(),
            };
            FilterError::Syntax { place, expected, found }
        }
        Kind::Number(text) => FilterError::Number { place, text },
        Kind::Depth => {
            FilterError::TooLarge { what: "brackets and `!` in each other", limit: DEPTH_MAX }
        }
    }
}

/// Which character, counted from 1, begins at a byte.
fn place(text: &str, at: usize) -> usize {
    text[..at].chars().count() + 1
}

fn expected(input: &Input<'_>, what: &'static str) -> Fault {
    Fault { at: input.current_token_start(), kind: Kind::Expected(what) }
}

fn whole(input: &mut Input<'_>) -> Result<Expression, Fault> {
    let expression = any(input)?;
    if input.eof_offset() != 0 {
        return Err(expected(input, "`&&`, `||` or the end"));
    }
    Ok(expression)
}

/// A text that stands for itself, and the space around it.
fn token(input: &mut Input<'_>, text: &'static str) -> bool {
    let found: Result<_, Fault> = opt((multispace0, text, multispace0)).parse_next(input);
    matches!(found, Ok(Some(_)))
}

fn any(input: &mut Input<'_>) -> Result<Expression, Fault> {
    let mut parts = vec![all(input)?];
    while token(input, "||") {
        parts.push(all(input)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
}

fn all(input: &mut Input<'_>) -> Result<Expression, Fault> {
    let mut parts = vec![one(input)?];
    while token(input, "&&") {
        parts.push(one(input)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
}

fn one(input: &mut Input<'_>) -> Result<Expression, Fault> {
    space(input)?;
    let at = input.current_token_start();
    let is_not = token(input, "!");
    if !is_not && !token(input, "(") {
        return comparison(input).map(Expression::Comparison);
    }
    if input.state.depth == DEPTH_MAX {
        return Err(Fault { at, kind: Kind::Depth });
    }
    input.state.depth += 1;
    let inner = if is_not {
        // A bracket right behind `!` does not count: it is printed where a text may have none.
        let inner = if token(input, "(") { bracketed(input)? } else { one(input)? };
        Expression::Not(Box::new(inner))
    } else {
        bracketed(input)?
    };
    input.state.depth -= 1;
    Ok(inner)
}

/// What follows an opening bracket, and the closing one.
fn bracketed(input: &mut Input<'_>) -> Result<Expression, Fault> {
    let inner = any(input)?;
    if !token(input, ")") {
        return Err(expected(input, "`&&`, `||` or `)`"));
    }
    Ok(inner)
}

fn comparison(input: &mut Input<'_>) -> Result<Comparison, Fault> {
    let place = place(input.state.text, input.current_token_start());
    let path = path(input)?;
    space(input)?;
    let is = |operator: &Operator| token(input, operator.text());
    let Some(operator) = Operator::ALL.into_iter().find(is) else {
        return Err(expected(input, "`==`, `!=`, `<`, `<=`, `>` or `>=`"));
    };
    let literal = literal(input)?;
    space(input)?;
    Ok(Comparison { place, path, operator, literal })
}

fn path(input: &mut Input<'_>) -> Result<Vec<Step>, Fault> {
    let mut path = vec![field(input)?];
    loop {
        if token(input, ".") {
            path.push(field(input)?);
        } else if token(input, "[") {
            let start = input.current_token_start();
            let digits = digit1::<_, Fault>.parse_next(input);
            let digits: &str = digits.map_err(|_| expected(input, "the number of an element"))?;
            let too_large = || Fault { at: start, kind: Kind::Number(digits.to_owned()) };
            path.push(Step::Index(digits.parse().map_err(|_| too_large())?));
            if !token(input, "]") {
                return Err(expected(input, "`]`"));
            }
        } else {
            return Ok(path);
        }
    }
}

fn field(input: &mut Input<'_>) -> Result<Step, Fault> {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: Result<&str, Fault> = (one_of(start), take_while(0.., rest)).take().parse_next(input);
    name.map(|name| Step::Field(name.to_owned()))
        .map_err(|_| expected(input, "the name of a field"))
}

fn literal(input: &mut Input<'_>) -> Result<Literal, Fault> {
    let start = input.checkpoint();
    let at = input.current_token_start();
    let mut number = (opt('-'), alt((hexadecimal, decimal)), not(one_of(is_word))).take();
    let text: Result<&str, Fault> = number.parse_next(input);
    let text = text.map_err(|_| {
        input.reset(&start);
        expected(input, "a number")
    })?;
    let too_large = || Fault { at, kind: Kind::Number(text.to_owned()) };
    let digits = text.trim_start_matches('-');
    let sign = if digits.len() == text.len() { 1 } else { -1 };
    let integer = match digits.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16),
        None if digits.contains(['.', 'e', 'E']) => {
            let value: f64 = text.parse().map_err(|_| too_large())?;
            return if value.is_finite() { Ok(Literal::Float(value)) } else { Err(too_large()) };
        }
        None => digits.parse(),
    };
    let value = sign * integer.map_err(|_| too_large())?;
    let range = i128::from(i64::MIN)..=i128::from(u64::MAX);
    if range.contains(&value) { Ok(Literal::Integer(value)) } else { Err(too_large()) }
}

fn hexadecimal<'t>(input: &mut Input<'t>) -> Result<&'t str, Fault> {
    preceded("0x", hex_digit1).parse_next(input)
}

fn decimal<'t>(input: &mut Input<'t>) -> Result<&'t str, Fault> {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    (digit1, opt(('.', digit1)), opt(exponent)).take().parse_next(input)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '.'
}

fn space(input: &mut Input<'_>) -> Result<(), Fault> {
    multispace0.void().parse_next(input)
}
