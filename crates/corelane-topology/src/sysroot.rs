//! The directory under which `/sys` and `/proc` are looked for.
//!
//! Reading is all it does; what a file means is decided in `read` and `kinds`.

use crate::{CpuSet, TopologyError};
use std::fmt::Display;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// No file that is read here is longer than this; the rest of a longer one is not looked at.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where to read a machine from: the live one (`/`), or a recorded tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysRoot {
    path: PathBuf,
    allowed: Option<CpuSet>,
}

impl Default for SysRoot {
    fn default() -> Self {
        Self::new("/")
    }
}

impl SysRoot {
    /// A root directory that holds `sys` and `proc`; `/` is the live machine.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), allowed: None }
    }

    /// States the allowed CPUs instead of asking the thread or the recorded tree.
    #[must_use]
    pub fn with_allowed(mut self, allowed: CpuSet) -> Self {
        self.allowed = Some(allowed);
        self
    }

    /// Whether this is the machine we run on, so that its CPUs can be pinned and measured.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.path == Path::new("/")
    }

    pub(crate) fn allowed(&self) -> Option<&CpuSet> {
        self.allowed.as_ref()
    }

    /// The text of a file; `None` when it is absent or the kernel will not give it.
    pub(crate) fn text(&self, relative: &str) -> Result<Option<String>, TopologyError> {
        let path = self.path.join(relative);
        let Ok(file) = fs::File::open(&path) else { return Ok(None) };
        let mut bytes = Vec::new();
        if file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).is_err() {
            return Ok(None);
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Err(self.broken(relative, &text, "not text"))
            }
        }
    }

    /// The parsed content of a file; `None` when it is absent.
    pub(crate) fn field<T>(&self, relative: &str) -> Result<Option<T>, TopologyError>
    where
        T: FromStr<Err: Display>,
    {
        let Some(text) = self.text(relative)? else { return Ok(None) };
        text.parse().map(Some).map_err(|reason| self.broken(relative, &text, reason))
    }

    /// The numbers N of the entries `prefixN` of a directory, rising; `None` without a directory.
    pub(crate) fn numbered(&self, relative: &str, prefix: &str) -> Option<CpuSet> {
        let entries = fs::read_dir(self.path.join(relative)).ok()?;
        let number = |entry: fs::DirEntry| {
            let digits = entry.file_name().to_str()?.strip_prefix(prefix)?.to_owned();
            digits.parse::<usize>().ok().filter(|n| *n <= crate::CPU_NUMBER_MAX)
        };
        Some(entries.flatten().filter_map(number).collect())
    }

    pub(crate) fn broken(&self, relative: &str, text: &str, reason: impl Display) -> TopologyError {
        TopologyError::Content {
            path: self.path.join(relative),
            text: text.chars().take(80).collect(),
            reason: reason.to_string(),
        }
    }
}
