//! The `corelane` binary: build information and the command line, nothing else.
#![forbid(unsafe_code)]

use std::{process::ExitCode, sync::LazyLock};

static VERSION: LazyLock<String> = LazyLock::new(|| corelane::BUILD.to_string());

fn main() -> ExitCode {
    corelane_cli::main(&VERSION)
}
