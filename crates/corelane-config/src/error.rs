//! What can be wrong with settings: every mistake with its place, its code and its remedy.
//!
//! All mistakes of a load are told at once. How they are drawn is the business of the command line.

use std::{fmt, path::PathBuf};

use thiserror::Error;

use crate::{Place, UnitError, VERSION};

/// Everything that is wrong with the settings; there is at least one mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
    left_out: usize,
}

/// Most mistakes that are told at once; who made as many reads no more.
const MISTAKES_MAX: usize = 50;

/// How much of a value is quoted in an error.
const QUOTED_CHARACTERS_MAX: usize = 80;

/// One mistake and where it is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mistake {
    /// Where, if it is within a text.
    pub place: Option<Place>,
    /// What.
    pub fault: Fault,
}

/// Why settings are refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no such file.
    #[error(
        "there is no such file, name one that exists{}: path={}",
        hint(nearest), path.display()
    )]
    NotFound {
        /// The name that was given.
        path: PathBuf,
        /// A file with nearly this name.
        nearest: Option<PathBuf>,
    },
    /// The name is that of a folder.
    #[error("it is a folder, name a file in it: path={}", path.display())]
    Folder {
        /// The name that was given.
        path: PathBuf,
    },
    /// The name is that of a pipe, a socket or a device.
    #[error(
        "it is no regular file, write the flow to one, or hand it over as /dev/stdin: path={}",
        path.display()
    )]
    NoFile {
        /// The name that was given.
        path: PathBuf,
    },
    /// The system does not let it be read.
    #[error(
        "the file cannot be read, look at its permissions: path={} reason={reason}",
        path.display()
    )]
    Unreadable {
        /// The name that was given.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It is longer than any settings are.
    #[error(
        "the file is longer than {limit_bytes} bytes, so that it is hardly a flow; \
         name another: path={}", path.display()
    )]
    TooLarge {
        /// The name that was given.
        path: PathBuf,
        /// Largest file that is read.
        limit_bytes: u64,
    },
    /// It is no text.
    #[error(
        "the file is not UTF-8, save it as UTF-8: path={} line={line} byte=0x{byte:02x}",
        path.display()
    )]
    NotUtf8 {
        /// The name that was given.
        path: PathBuf,
        /// The line of the first byte that is wrong, from 1.
        line: usize,
        /// That byte.
        byte: u8,
    },
    /// There is nothing in it.
    #[error("the file is empty, begin with `corelane config init`: path={}", path.display())]
    Empty {
        /// The name that was given.
        path: PathBuf,
    },
    /// It is not TOML.
    #[error("this is not TOML, correct it: {reason}")]
    Syntax {
        /// What the parser expected.
        reason: String,
    },
    /// A key or a table is there twice.
    #[error("{key} is there twice, keep one of them")]
    Twice {
        /// The key.
        key: String,
    },
    /// The file does not say for which version it was written.
    #[error("the file does not say its version, write `version = {VERSION}` at its top: path={}",
        path.display())]
    NoVersion {
        /// The file.
        path: PathBuf,
    },
    /// It was written for another version.
    #[error("this build reads version {VERSION} only, use a build that reads it: found={found}")]
    Version {
        /// The version that it says.
        found: i128,
    },
    /// There is no such key.
    #[error("there is no key {key:?} in {table}{}: allowed={}", hint(nearest), allowed.join(", "))]
    UnknownKey {
        /// The key.
        key: String,
        /// The table that it stands in.
        table: String,
        /// The nearest key that there is.
        nearest: Option<String>,
        /// The keys that there are.
        allowed: Vec<String>,
    },
    /// There is no stage of this name.
    #[error("there is no stage {name:?}{}: stages={}", hint(nearest), allowed.join(", "))]
    UnknownStage {
        /// The name.
        name: String,
        /// The nearest name that there is.
        nearest: Option<String>,
        /// The names that there are.
        allowed: Vec<String>,
    },
    /// The value is of another kind.
    #[error("{key} must be {expected}, write one: found={found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The number, size, time or count is too small or too large.
    #[error("{key} must be from {least} to {most}: found={found}")]
    OutOfRange {
        /// The key.
        key: String,
        /// What was given.
        found: String,
        /// The least that is allowed.
        least: String,
        /// The most that is allowed.
        most: String,
    },
    /// The value is none of the names.
    #[error("{key} cannot be {found:?}{}: allowed={}", hint(nearest), allowed.join(", "))]
    UnknownName {
        /// The key.
        key: String,
        /// What was given.
        found: String,
        /// The nearest name that there is.
        nearest: Option<String>,
        /// The names that there are.
        allowed: Vec<String>,
    },
    /// The size or time has no unit, or a wrong one.
    #[error("{key}: {error}")]
    Unit {
        /// The key.
        key: String,
        /// What is wrong with it.
        error: UnitError,
    },
    /// The text cannot be a name, or not a path.
    #[error("{key} {reason}: found={found:?}")]
    Text {
        /// The key.
        key: String,
        /// What was given.
        found: String,
        /// What it must be.
        reason: &'static str,
    },
    /// The regular expression does not compile.
    #[error("{key} is no regular expression, correct it: {reason}")]
    Pattern {
        /// The key.
        key: String,
        /// What the compiler says.
        reason: String,
    },
    /// The text is no list of CPUs.
    #[error("{key} is no list of cpus, write it like \"0-3,8\": {reason}")]
    Cpus {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that must be there is not.
    #[error("{table} has no {key}, add it{}", like(example))]
    Missing {
        /// The key.
        key: String,
        /// The table that lacks it.
        table: String,
        /// How it could be written.
        example: Option<String>,
    },
    /// None of the keys is there of which one must be.
    #[error("{table} needs exactly one of {} and has none", allowed.join(", "))]
    NoChoice {
        /// The table.
        table: String,
        /// The keys.
        allowed: Vec<String>,
    },
    /// Several of the keys are there of which one may be.
    #[error(
        "{table} needs exactly one of {} and has {}, keep one",
        allowed.join(", "), found.join(" and ")
    )]
    Choices {
        /// The table.
        table: String,
        /// The keys that are there.
        found: Vec<String>,
        /// The keys.
        allowed: Vec<String>,
    },
    /// The key goes with others than those that are there.
    #[error("{key} has no effect here, remove it: it goes with {}", with.join(" and "))]
    NoEffect {
        /// The key.
        key: String,
        /// The keys that it goes with.
        with: Vec<String>,
    },
    /// Two stages have one name, or a list has an element twice.
    #[error("{key} has {found:?} already, use another")]
    Repeated {
        /// What has it.
        key: String,
        /// What is repeated.
        found: String,
    },
    /// Two values do not go together.
    #[error("{key} must not be more than {other}, change one of them: {found} > {limit}")]
    Conflict {
        /// The key.
        key: String,
        /// What it says.
        found: String,
        /// The other key.
        other: String,
        /// What that one says.
        limit: String,
    },
    /// An environment variable cannot be a setting.
    #[error("the variable {name} {reason}")]
    Variable {
        /// Its name.
        name: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// An option cannot be a setting.
    #[error("--set takes a key and a value, like --set topology.workers=3: found={found:?}")]
    Flag {
        /// What was given.
        found: String,
    },
}

impl Fault {
    /// The code of the page that explains it, in `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "CL-1001",
            Self::Folder { .. } => "CL-1002",
            Self::NoFile { .. } => "CL-1031",
            Self::Unreadable { .. } => "CL-1003",
            Self::TooLarge { .. } => "CL-1004",
            Self::NotUtf8 { .. } => "CL-1005",
            Self::Empty { .. } => "CL-1006",
            Self::Syntax { .. } => "CL-1007",
            Self::Twice { .. } => "CL-1008",
            Self::NoVersion { .. } => "CL-1009",
            Self::Version { .. } => "CL-1010",
            Self::UnknownKey { .. } => "CL-1011",
            Self::UnknownStage { .. } => "CL-1012",
            Self::WrongType { .. } => "CL-1013",
            Self::OutOfRange { .. } => "CL-1014",
            Self::UnknownName { .. } => "CL-1015",
            Self::Unit { error, .. } => error.code(),
            Self::Text { .. } => "CL-1017",
            Self::Pattern { .. } => "CL-1018",
            Self::Cpus { .. } => "CL-1019",
            Self::Missing { .. } => "CL-1020",
            Self::NoChoice { .. } => "CL-1021",
            Self::Choices { .. } => "CL-1022",
            Self::NoEffect { .. } => "CL-1023",
            Self::Repeated { .. } => "CL-1024",
            Self::Conflict { .. } => "CL-1025",
            Self::Variable { .. } => "CL-1026",
            Self::Flag { .. } => "CL-1027",
        }
    }
}

impl ConfigError {
    /// The mistakes, if there are any.
    pub(crate) fn of(mut mistakes: Vec<Mistake>) -> Result<(), Self> {
        let left_out = mistakes.len().saturating_sub(MISTAKES_MAX);
        mistakes.truncate(MISTAKES_MAX);
        if mistakes.is_empty() { Ok(()) } else { Err(Self { mistakes, left_out }) }
    }

    /// How many mistakes there are beyond those.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The mistakes in the order in which they were found; there is at least one.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The code of the first mistake.
    pub fn code(&self) -> &'static str {
        self.mistakes[0].fault.code()
    }
}

impl From<Fault> for Mistake {
    fn from(fault: Fault) -> Self {
        Self { place: None, fault }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let line_feed = if index == 0 { "" } else { "\n" };
            write!(f, "{line_feed}{mistake}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more, correct these first", self.left_out)?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.fault),
            None => self.fault.fmt(f),
        }
    }
}

/// The name that was probably meant.
pub(crate) fn nearest<'n>(found: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    /// Less likeness than this is chance.
    const LIKENESS_MIN: f64 = 0.75;
    /// A shorter name is like anything.
    const CHARACTERS_MIN: usize = 2;
    let found = found.to_lowercase();
    names
        .filter(|_| found.chars().count() >= CHARACTERS_MIN)
        .map(|name| (strsim::jaro_winkler(&found, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The beginning of a long text.
pub(crate) fn clipped(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn like(example: &Option<String>) -> String {
    example.as_ref().map(|example| format!(", like `{example}`")).unwrap_or_default()
}

fn hint(nearest: &Option<impl AsRef<std::path::Path>>) -> String {
    let name = |name: &std::path::Path| format!(", did you mean {:?}", name.display().to_string());
    nearest.as_ref().map(|nearest| name(nearest.as_ref())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_like_it() {
        let names = ["workers", "routers", "ask_timeout"];
        assert_eq!(nearest("workrs", names.into_iter()), Some("workers"));
        assert_eq!(nearest("Router", names.into_iter()), Some("routers"));
        assert_eq!(nearest("timeout", names.into_iter()), Some("ask_timeout"));
        assert_eq!(nearest("w", names.into_iter()), None);
        assert_eq!(nearest("zzz", names.into_iter()), None);
        assert_eq!(nearest("", names.into_iter()), None);
    }
}
