//! Sizes and times as people write them: a number and its unit.
//!
//! A number without a unit is refused; it would be read as bytes by one and as kilobytes by
//! another.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Units of a size and their bytes, the longest first within a letter.
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Units of a time and their nanoseconds.
const TIMES: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A number of bytes, written as `"1KiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

/// A length of time, written as `"250ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeSpan(u64);

/// Why a text is no size or no time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnitError {
    /// There is no number at its beginning.
    #[error("there is no number before the unit, write it like {example:?}: found={found:?}")]
    Number {
        /// The text.
        found: String,
        /// What it should look like.
        example: &'static str,
    },
    /// There is a number alone.
    #[error("the unit is missing, write one of {allowed}: found={found:?}")]
    Missing {
        /// The text.
        found: String,
        /// The units that there are.
        allowed: String,
    },
    /// There is no such unit.
    #[error("there is no unit {unit:?}, write one of {allowed}: found={found:?}")]
    Unknown {
        /// The text.
        found: String,
        /// What follows the number.
        unit: String,
        /// The units that there are.
        allowed: String,
    },
    /// It does not fit into 64 bits, or is not a whole number of the smallest unit.
    #[error("the number is too large or too fine, it must be whole in {unit}: found={found:?}")]
    Range {
        /// The text.
        found: String,
        /// The smallest unit.
        unit: &'static str,
    },
}

impl ByteSize {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl TimeSpan {
    /// So many nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns)
    }

    /// So many seconds; as many as fit if there are too many.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// The number of nanoseconds.
    pub const fn ns(self) -> u64 {
        self.0
    }

    /// The same as the standard library has it.
    pub const fn duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, SIZES, "64KiB").map(Self)
    }
}

impl FromStr for TimeSpan {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, TIMES, "250ms").map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, SIZES)
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, TIMES)
    }
}

impl TryFrom<String> for ByteSize {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> Self {
        size.to_string()
    }
}

impl From<TimeSpan> for String {
    fn from(span: TimeSpan) -> Self {
        span.to_string()
    }
}

type Units = &'static [(&'static str, u64)];

fn parse(text: &str, units: Units, example: &'static str) -> Result<u64, UnitError> {
    let found = text.to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(UnitError::Number { found, example });
    }
    let unit = unit.trim_start_matches(' ');
    if unit.is_empty() {
        return Err(UnitError::Missing { found, allowed: names(units) });
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let (unit, allowed) = (unit.to_owned(), names(units));
        return Err(UnitError::Unknown { found, unit, allowed });
    };
    scale(&number.replace('_', ""), *factor).ok_or(UnitError::Range { found, unit: units[0].0 })
}

/// A decimal number times the factor, if that is a whole number.
fn scale(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        return Some(whole);
    }
    let parts = fraction.parse::<u128>().ok()?.checked_mul(u128::from(factor))?;
    let one = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let rest = u64::try_from(parts / one).ok().filter(|_| parts.is_multiple_of(one))?;
    whole.checked_add(rest)
}

/// The largest unit in which it is a whole number.
fn write(f: &mut fmt::Formatter<'_>, number: u64, units: Units) -> fmt::Result {
    let fits = |factor: &u64| number.is_multiple_of(*factor) && number >= *factor;
    let best = units.iter().filter(|(_, factor)| fits(factor)).max_by_key(|(_, factor)| factor);
    let (name, factor) = best.unwrap_or(&units[0]);
    write!(f, "{}{name}", number / factor)
}

fn names(units: Units) -> String {
    units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Result<u64, UnitError> {
        text.parse::<ByteSize>().map(ByteSize::bytes)
    }

    fn ns(text: &str) -> Result<u64, UnitError> {
        text.parse::<TimeSpan>().map(TimeSpan::ns)
    }

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        assert_eq!(bytes("1KiB"), Ok(1024));
        assert_eq!(bytes("1.5 KiB"), Ok(1536));
        assert_eq!(bytes("4_000B"), Ok(4000));
        assert_eq!(bytes("2MB"), Ok(2_000_000));
        assert_eq!(bytes("0B"), Ok(0));
        assert_eq!(ns("250ms"), Ok(250_000_000));
        assert_eq!(ns("1.5s"), Ok(1_500_000_000));
        assert_eq!(ns("2min"), Ok(120_000_000_000));
        assert_eq!(ns("0.5us"), Ok(500));
    }

    #[test]
    fn what_is_no_size_says_why() {
        for text in ["", "KiB", "-1KiB", ".5KiB", " 1KiB"] {
            assert!(matches!(bytes(text), Err(UnitError::Number { .. })), "{text}");
        }
        assert!(matches!(bytes("1024"), Err(UnitError::Missing { .. })));
        for text in ["1 parsec", "1kib", "1K", "1KiB ", "5s"] {
            assert!(matches!(bytes(text), Err(UnitError::Unknown { .. })), "{text}");
        }
        for text in ["99999999999999999999B", "20000000000GiB", "0.3B", "1..2B", "1.2.3KiB"] {
            assert!(matches!(bytes(text), Err(UnitError::Range { .. })), "{text}");
        }
        let error = ns("5 parsec").unwrap_err().to_string();
        assert!(error.contains("one of ns, us, ms, s, min, h: found=\"5 parsec\""), "{error}");
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for number in [0, 1, 999, 1000, 1024, 1536, 4000, 1 << 20, 3_600_000_000_000, u64::MAX] {
            assert_eq!(bytes(&ByteSize::new(number).to_string()), Ok(number));
            assert_eq!(ns(&TimeSpan::from_ns(number).to_string()), Ok(number));
        }
        assert_eq!(ByteSize::new(1024).to_string(), "1KiB");
        assert_eq!(TimeSpan::from_secs(90).to_string(), "90s");
        assert_eq!(TimeSpan::from_secs(7200).to_string(), "2h");
    }
}
