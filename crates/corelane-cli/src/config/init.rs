//! Writes the default file where nothing is yet.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{Exit, terminal};

/// Why there is no default file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum InitError {
    /// Something of this name is there.
    #[error("the file is there already, name another or remove it: path={}", path.display())]
    Exists {
        /// The name that was given.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("the file cannot be written, name another place: path={}", path.display())]
    Unwritable {
        /// The name that was given.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl InitError {
    /// The code of the page that explains it, in `docs/errors`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "CL-1190",
            Self::Unwritable { .. } => "CL-1191",
        }
    }
}

/// Writes the default file, or nothing at all.
pub(super) fn write(path: &Path) -> anyhow::Result<Exit> {
    if let Err(error) = create(path) {
        let source = std::error::Error::source(&error);
        let reason = source.map(|source| format!(": {source}")).unwrap_or_default();
        terminal::tell!("corelane: error[{}]: {error}{reason}", error.code());
        return Ok(Exit::Failed);
    }
    terminal::tell!("{0}: written; check it with: corelane config check {0}", path.display());
    Ok(Exit::Ok)
}

fn create(path: &Path) -> Result<(), InitError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::AlreadyExists => InitError::Exists { path: path.to_owned() },
        _ => InitError::Unwritable { path: path.to_owned(), source },
    };
    let mut file = fs::File::create_new(path).map_err(failed)?;
    let written =
        file.write_all(corelane_config::template().as_bytes()).and_then(|()| file.flush());
    // Half of a file would be mistaken for all of it.
    written.inspect_err(|_| drop(fs::remove_file(path))).map_err(failed)
}
