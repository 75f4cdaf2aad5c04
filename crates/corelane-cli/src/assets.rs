//! What the product carries within the binary: the digits, the model and its manifest.
//!
//! Hashes are checked at start, so that a damaged binary says so instead of guessing digits.

use anyhow::Context;
use corelane_infer::{Manifest, ModelEntry};

/// 1,797 images; the format is described in `models/data/README.md`.
const DIGITS: &[u8] = include_bytes!("../../../models/data/digits.bin");
const MODEL: &[u8] = include_bytes!("../../../models/digits/1/model.onnx");
const MANIFEST: &str = include_str!("../../../models/manifest.toml");

/// The bytes of the digits model, verified against the manifest.
pub(crate) fn model() -> anyhow::Result<&'static [u8]> {
    entry()?.verify(MODEL).context("model within the binary")?;
    Ok(MODEL)
}

/// The bytes of the digits, verified against the manifest.
pub(crate) fn digits() -> anyhow::Result<&'static [u8]> {
    let accuracy = entry()?.accuracy.context("manifest within the binary names no digits")?;
    accuracy.verify_data(DIGITS).context("digits within the binary")?;
    Ok(DIGITS)
}

fn entry() -> anyhow::Result<ModelEntry> {
    let manifest = Manifest::parse(MANIFEST).context("manifest within the binary")?;
    let entry = manifest.find("digits", Some(1)).context("manifest within the binary")?;
    Ok(entry.clone())
}
