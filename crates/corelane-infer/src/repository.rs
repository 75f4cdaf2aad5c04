//! Verified model bytes by id, from a folder with a manifest. It caches and downloads nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Manifest, ModelEntry, ModelError};

/// The name of the list in the folder.
const MANIFEST_FILE: &str = "manifest.toml";
/// Largest manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// A folder of models.
#[derive(Debug, Clone)]
pub struct Repository {
    folder: PathBuf,
    manifest: Manifest,
    model_bytes_max: u64,
}

impl Repository {
    /// Reads the manifest of a folder; models above `model_bytes_max` will be refused.
    ///
    /// # Errors
    /// - `Missing`, `Unreadable`, `TooLarge`: the manifest file cannot be had.
    /// - `Manifest`, `ManifestVersion`, `Entry`: it says what it must not.
    pub fn open(folder: impl Into<PathBuf>, model_bytes_max: u64) -> Result<Self, ModelError> {
        let folder = folder.into();
        let text = read_limited(&folder.join(MANIFEST_FILE), MANIFEST_BYTES_MAX)?;
        let text =
            String::from_utf8(text).map_err(|e| ModelError::Manifest { cause: Arc::new(e) })?;
        Ok(Self { manifest: Manifest::parse(&text)?, folder, model_bytes_max })
    }

    /// What there is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the file of an entry is.
    pub fn path(&self, entry: &ModelEntry) -> PathBuf {
        self.folder.join(&entry.file)
    }

    /// Reads a model, the highest version when none is named, and checks its length and hash.
    ///
    /// # Errors
    /// - `Unknown`: the manifest does not list it.
    /// - `Missing`, `Unreadable`, `TooLarge`: the file cannot be had.
    /// - `Truncated`, `Overlong`, `HashMismatch`: it is not what the manifest says.
    pub fn read(
        &self,
        id: &str,
        version: Option<u32>,
    ) -> Result<(&ModelEntry, Vec<u8>), ModelError> {
        let entry = self.manifest.find(id, version)?;
        let bytes = read_limited(&self.path(entry), self.model_bytes_max)?;
        entry.verify(&bytes)?;
        Ok((entry, bytes))
    }
}

/// Reads a file of at most `limit` bytes; one that grows meanwhile is refused too.
pub(crate) fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, ModelError> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => ModelError::Missing { path: path.to_owned() },
        _ => ModelError::Unreadable { path: path.to_owned(), cause: Arc::new(e) },
    };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let too_large = |found| ModelError::TooLarge { path: path.to_owned(), found, limit };
    if length > limit {
        return Err(too_large(length));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}
