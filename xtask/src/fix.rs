//! `xtask fix`: writes the index of the error codes, and lets rustfmt and clippy change what they
//! can. It commits nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tidy;

/// What each run passes to cargo, in order: clippy first, since its edits want formatting.
const RUNS: &[&[&str]] = &[
    &["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"],
    &["fmt", "--all"],
];

/// Applies every fixer and says whether all of them succeeded.
pub(crate) fn run(root: &Path) -> Result<bool> {
    tidy::write_index(root)?;
    for arguments in RUNS {
        let status = Command::new("cargo")
            .args(*arguments)
            .current_dir(root)
            .status()
            .with_context(|| format!("cannot start cargo {}", arguments[0]))?;
        if !status.success() {
            return Ok(false);
        }
    }
    Ok(true)
}
