//! Figures kept under a name, one file each, in the user's state folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::Context;
use corelane_bench::{CompareError, Machine, Report};

use crate::error::CliError;

/// Longest name.
const NAME_BYTES_MAX: usize = 64;

/// A name that is a safe file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaselineName(String);

impl FromStr for BaselineName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_name = (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.chars().all(is_plain)
            && !text.starts_with('.');
        match is_name {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "a name has 1 to {NAME_BYTES_MAX} letters, digits, '-', '_' and '.', and does not \
                 begin with '.'"
            )),
        }
    }
}

/// The figures of this name, if they are of this machine.
pub(super) fn load(name: &BaselineName) -> anyhow::Result<Report> {
    let path = path(name)?;
    let text = fs::read_to_string(&path).map_err(|source| {
        let (name, path) = (name.0.clone(), path.clone());
        CliError::BaselineRead { name, path, source }
    })?;
    let report = Report::from_json(&text).with_context(|| path.display().to_string())?;
    if let Some(difference) = Machine::look().difference(&report.machine) {
        return Err(CompareError::OtherMachine(difference).into());
    }
    Ok(report)
}

/// Keeps figures; a file of this name is replaced whole.
pub(super) fn save(name: &BaselineName, report: &Report) -> anyhow::Result<()> {
    let path = path(name)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let unfinished = folder.join(format!(".{}.{}", name.0, std::process::id()));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&unfinished, report.to_json()))
        .and_then(|()| fs::rename(&unfinished, &path));
    Ok(written.map_err(|source| CliError::BaselineKeep { path, source })?)
}

fn path(name: &BaselineName) -> anyhow::Result<PathBuf> {
    let folder = |variable| env::var_os(variable).filter(|folder| !folder.is_empty());
    let state = folder("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(folder("HOME")?).join(".local/state")));
    let state = state.ok_or(CliError::NoStateFolder)?;
    Ok(state.join("corelane/bench").join(format!("{}.json", name.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_safe_file_name() {
        for good in ["main", "v1.2-rc_3", &"x".repeat(64)] {
            assert!(good.parse::<BaselineName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<BaselineName>().is_err(), "{bad}");
        }
    }
}
