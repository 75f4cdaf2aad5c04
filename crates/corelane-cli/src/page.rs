//! What the pages of all commands have in common: their name, their first and their last line.

use std::{path::PathBuf, sync::OnceLock, time::SystemTime};

use corelane_bench::Machine;
use corelane_report::utc;

/// Where a page goes when nobody names a file.
pub(crate) const PAGE_NAME: &str = "corelane-report.html";

static VERSION: OnceLock<&str> = OnceLock::new();

/// Notes what `--version` prints.
pub(crate) fn set_version(version: &'static str) {
    // Whoever was first said the same: there is one binary in a process.
    let _ = VERSION.set(version);
}

/// A path that can be one: `-` would become a file of that name, and nothing is none.
pub(crate) fn page_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("a page and a graph go to a file; /dev/stdout is one".to_owned()),
        "" => Err("a page and a graph need the name of a file".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

/// Which machine, and when.
pub(crate) fn subtitle(machine: &Machine) -> String {
    format!("{}, {}", machine.cpu, utc(SystemTime::now()))
}

/// Which program made the page.
pub(crate) fn foot() -> String {
    let version = VERSION.get().copied().unwrap_or(env!("CARGO_PKG_VERSION"));
    format!("Made by corelane {version}. This page needs no network and can be passed on as it is.")
}
