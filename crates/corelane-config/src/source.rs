//! Where text came from, and places within it.
//!
//! Reading a file is here too, because what cannot be read has no place but a name.

use std::{
    fmt, fs,
    io::{ErrorKind, Read},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Fault, Origin};

/// Largest file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// A text that settings were read from.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    kind: SourceKind,
    text: String,
}

/// What a text is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// The content of a file.
    File(PathBuf),
    /// An environment variable of this name, as `NAME=value`.
    Variable(String),
    /// An option of the command line, as `--set key=value`.
    Flag,
}

/// A part of a source.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    pub(crate) source: Arc<Source>,
    pub(crate) span: Range<usize>,
}

impl Source {
    pub(crate) fn new(kind: SourceKind, text: String) -> Arc<Self> {
        Arc::new(Self { kind, text })
    }

    /// The content of a file, or why there is none.
    pub(crate) fn read(path: &Path) -> Result<Arc<Self>, Fault> {
        let bytes = bytes(path)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Fault::TooLarge { path: path.to_owned(), limit_bytes: FILE_BYTES_MAX });
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = &error.as_bytes()[..valid];
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            Fault::NotUtf8 { path: path.to_owned(), line, byte: error.as_bytes()[valid] }
        })?;
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            return Err(Fault::Empty { path: path.to_owned() });
        }
        Ok(Self::new(SourceKind::File(path.to_owned()), text))
    }

    /// What it is.
    pub fn kind(&self) -> &SourceKind {
        &self.kind
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// At most one byte more than the limit. A pipe is read where it was handed over, under `/dev`;
/// opening one that lies elsewhere would wait for its writer.
fn bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    let path_owned = path.to_owned();
    let is_handed_over = path.starts_with("/dev") || path.starts_with("/proc");
    let mut bytes = Vec::new();
    let result = fs::metadata(path).and_then(|found| match found.is_dir() {
        true => Err(ErrorKind::IsADirectory.into()),
        false => Ok(found.is_file() || is_handed_over),
    });
    if matches!(result, Ok(false)) {
        return Err(Fault::NoFile { path: path_owned });
    }
    let read = |_| fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    let result = result.and_then(read);
    match result {
        Ok(_) => Ok(bytes),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            Err(Fault::NotFound { nearest: neighbour(path), path: path_owned })
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            Err(Fault::Folder { path: path_owned })
        }
        Err(error) => Err(Fault::Unreadable { path: path_owned, reason: error.to_string() }),
    }
}

/// A TOML file of the same folder with nearly this name.
fn neighbour(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    // A folder may hold any number of files; the first thousands will do for a hint.
    let names = entries.take(4096).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| name.ends_with(".toml")).collect();
    let nearest = crate::error::nearest(name, names.iter().map(String::as_str))?;
    Some(path.with_file_name(nearest))
}

impl Place {
    /// Where the text came from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The bytes of the text.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        1 + self.before().matches('\n').count()
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        let before = self.before();
        1 + before[before.rfind('\n').map_or(0, |end| end + 1)..].chars().count()
    }

    fn before(&self) -> &str {
        self.source.text.get(..self.span.start).unwrap_or(&self.source.text)
    }

    /// The text itself, if it stands on one line.
    pub(crate) fn text(&self) -> Option<&str> {
        self.source.text.get(self.span.clone()).filter(|text| !text.contains('\n'))
    }

    pub(crate) fn origin(&self) -> Origin {
        match &self.source.kind {
            SourceKind::File(path) => Origin::File { path: path.clone(), line: self.line() },
            SourceKind::Variable(name) => Origin::Variable { name: name.clone() },
            SourceKind::Flag => Origin::Flag { text: self.source.text.clone() },
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// `flow.toml:7:1`, the name of a variable, or an option as it was given.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source.kind {
            SourceKind::File(path) => {
                write!(f, "{}:{}:{}", path.display(), self.line(), self.column())
            }
            SourceKind::Variable(name) => f.write_str(name),
            SourceKind::Flag => f.write_str(&self.source.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters() {
        let kind = SourceKind::File("flow.toml".into());
        let source = Source::new(kind, "ä = 1\nöö = x\n".to_owned());
        let at = |start| Place { source: source.clone(), span: start..start + 1 };
        assert_eq!(at(0).to_string(), "flow.toml:1:1");
        assert_eq!(at(3).to_string(), "flow.toml:1:3");
        assert_eq!(at(source.text().find('x').unwrap()).to_string(), "flow.toml:2:6");
        assert_eq!(at(source.text().len()).to_string(), "flow.toml:3:1");
    }
}
