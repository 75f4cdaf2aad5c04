//! What the product carries within the binary: the digits, the model and its manifest.
//!
//! Hashes are checked at start, so that a damaged binary says so instead of guessing digits.

use anyhow::Context;
use corelane_infer::Manifest;

/// 1,797 images; the format is described in `models/data/README.md`.
pub(crate) const DIGITS: &[u8] = include_bytes!("../../../models/data/digits.bin");
const MODEL: &[u8] = include_bytes!("../../../models/digits/1/model.onnx");
const MANIFEST: &str = include_str!("../../../models/manifest.toml");

/// The bytes of the digits model, verified against the manifest.
pub(crate) fn model() -> anyhow::Result<&'static [u8]> {
    let manifest = Manifest::parse(MANIFEST).context("manifest within the binary")?;
    let entry = manifest.find("digits", Some(1)).context("manifest within the binary")?;
    entry.verify(MODEL).context("model within the binary")?;
    Ok(MODEL)
}
