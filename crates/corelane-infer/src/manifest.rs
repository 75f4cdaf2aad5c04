//! The list of models: what `manifest.toml` may say, and whether bytes are what it says.
//!
//! It parses and compares; reading files is `repository`'s part.

use std::path::{Component, Path};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Dtype, ModelError, TensorSpec};

/// The version of the manifest that this build reads.
const VERSION: u32 = 1;

/// All models of one folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this structure.
    pub version: u32,
    /// The models, in no particular order.
    #[serde(rename = "model", default)]
    pub models: Vec<ModelEntry>,
}

/// One version of one model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The name under which programs ask for it.
    pub id: String,
    /// Its version; the highest is the current one.
    pub version: u32,
    /// Its file, relative to the manifest.
    pub file: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in lowercase hexadecimal digits.
    pub sha256: String,
    /// SPDX expression of its licence.
    pub licence: String,
    /// The script that makes it.
    pub trained_by: String,
    /// What it takes, in order.
    #[serde(rename = "input")]
    pub inputs: Vec<ModelTensor>,
    /// What it gives, in order.
    #[serde(rename = "output")]
    pub outputs: Vec<ModelTensor>,
    /// How good it is, where that was measured.
    pub accuracy: Option<Accuracy>,
}

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelTensor {
    /// Its name in the model.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its axes, slowest first.
    pub shape: Vec<Dim>,
}

/// The extent of one axis.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// Known.
    Fixed(usize),
    /// Open until the model is loaded; the only such axis is the batch.
    Open(String),
}

/// Right answers on images that neither the fit nor the choice of the model has seen.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accuracy {
    /// The data set, relative to the manifest.
    pub data: String,
    /// Bytes of the data set.
    pub data_bytes: u64,
    /// SHA-256 of the data set, in lowercase hexadecimal digits.
    pub data_sha256: String,
    /// The first image that counts.
    pub first_image: usize,
    /// Images that count.
    pub images: usize,
    /// Images answered right.
    pub correct: usize,
}

impl Accuracy {
    /// Right answers as a part of all.
    pub fn ratio(&self) -> f64 {
        self.correct as f64 / self.images as f64
    }

    /// Compares bytes with what this entry says of the data set.
    ///
    /// # Errors
    /// As [`ModelEntry::verify`]; the id is the path of the data set.
    pub fn verify_data(&self, bytes: &[u8]) -> Result<(), ModelError> {
        verify(&self.data, self.data_bytes, &self.data_sha256, bytes)
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// - `Manifest`: not TOML, a field is missing or unknown.
    /// - `ManifestVersion`: written for another build.
    /// - `Entry`: a value that cannot be meant.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let manifest: Self =
            toml::from_str(text).map_err(|e| ModelError::Manifest { cause: Arc::new(e) })?;
        if manifest.version != VERSION {
            return Err(ModelError::ManifestVersion { found: manifest.version, expected: VERSION });
        }
        for (position, entry) in manifest.models.iter().enumerate() {
            entry.validate()?;
            let before = &manifest.models[..position];
            if before.iter().any(|e| (&e.id, e.version) == (&entry.id, entry.version)) {
                return Err(entry.invalid("version", entry.version, "listed once for each id"));
            }
        }
        Ok(manifest)
    }

    /// Finds a model, the highest version when none is named.
    ///
    /// # Errors
    /// - `Unknown`: no such model, with those that there are.
    pub fn find(&self, id: &str, version: Option<u32>) -> Result<&ModelEntry, ModelError> {
        self.models
            .iter()
            .filter(|e| e.id == id && version.is_none_or(|v| v == e.version))
            .max_by_key(|e| e.version)
            .ok_or_else(|| ModelError::Unknown {
                id: version.map_or_else(|| id.to_owned(), |v| format!("{id}@{v}")),
                known: self.models.iter().map(|e| format!("{}@{}", e.id, e.version)).collect(),
            })
    }
}

impl ModelEntry {
    /// Compares bytes with what this entry says of them.
    ///
    /// # Errors
    /// - `Truncated`, `Overlong`: another length.
    /// - `HashMismatch`: the same length and another content.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), ModelError> {
        verify(&self.id, self.bytes, &self.sha256, bytes)
    }

    /// The inputs with this batch in place of the open axis.
    pub fn inputs_at(&self, batch: usize) -> Vec<TensorSpec> {
        self.inputs.iter().map(|t| t.at(batch)).collect()
    }

    /// The outputs with this batch in place of the open axis.
    pub fn outputs_at(&self, batch: usize) -> Vec<TensorSpec> {
        self.outputs.iter().map(|t| t.at(batch)).collect()
    }

    fn validate(&self) -> Result<(), ModelError> {
        if self.id.is_empty() {
            return Err(self.invalid("id", "", "not empty"));
        }
        if !is_sha256(&self.sha256) {
            return Err(self.invalid("sha256", &self.sha256, "64 lowercase hexadecimal digits"));
        }
        // A manifest may come with a model from elsewhere: it must not name files outside.
        let inside = |p: &str| {
            !p.is_empty() && Path::new(p).components().all(|c| matches!(c, Component::Normal(_)))
        };
        if !inside(&self.file) {
            return Err(self.invalid("file", &self.file, "a relative path without '..'"));
        }
        let Some(accuracy) = &self.accuracy else { return Ok(()) };
        if !inside(&accuracy.data) {
            return Err(self.invalid("data", &accuracy.data, "a relative path without '..'"));
        }
        if !is_sha256(&accuracy.data_sha256) {
            let rule = "64 lowercase hexadecimal digits";
            return Err(self.invalid("data_sha256", &accuracy.data_sha256, rule));
        }
        if accuracy.images == 0 || accuracy.correct > accuracy.images {
            return Err(self.invalid(
                "correct",
                accuracy.correct,
                "at most images, and images > 0",
            ));
        }
        Ok(())
    }

    fn invalid(&self, field: &'static str, found: impl ToString, rule: &'static str) -> ModelError {
        ModelError::Entry { id: self.id.clone(), field, found: found.to_string(), rule }
    }
}

fn is_sha256(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == 64 && text.bytes().all(hex)
}

/// Compares a file with its length and hash.
fn verify(id: &str, expected: u64, sha256: &str, bytes: &[u8]) -> Result<(), ModelError> {
    let (id, found) = (id.to_owned(), bytes.len() as u64);
    if found < expected {
        return Err(ModelError::Truncated { id, found, expected });
    }
    if found > expected {
        return Err(ModelError::Overlong { id, found, expected });
    }
    let found: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    if found != sha256 {
        return Err(ModelError::HashMismatch { id, found, expected: sha256.to_owned() });
    }
    Ok(())
}

impl ModelTensor {
    fn at(&self, batch: usize) -> TensorSpec {
        let extent = |d: &Dim| match d {
            Dim::Fixed(extent) => *extent,
            Dim::Open(_) => batch,
        };
        TensorSpec {
            name: self.name.clone(),
            dtype: self.dtype,
            shape: self.shape.iter().map(extent).collect(),
        }
    }
}
