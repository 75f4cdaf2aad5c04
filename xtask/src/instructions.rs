//! `xtask instructions`: what a message costs in instructions, beside the recorded counts.
//!
//! valgrind counts two runs of `examples/operations.rs` of `corelane-ring`, the second with twice
//! the messages; the difference is the messages' alone. It is the same on every run, which no time
//! is. What is compared and how it is written down stands in `record`.

mod record;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use record::{Record, Rows};

const RECORD: &str = "crates/corelane-ring/instructions.toml";
/// Messages of the first run; the second has as many digits.
const MESSAGES: u64 = 16_384;

/// Counts every operation and compares, or writes the counts down as the new record.
///
/// # Errors
/// When the program cannot be built or counted, or the record cannot be read or written.
pub(crate) fn run(root: &Path, is_written: bool) -> Result<bool> {
    let path = root.join(RECORD);
    let (rustc, target) = compiler()?;
    let recorded = match is_written {
        true => None,
        false => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {RECORD}: make it with --write"))?;
            Some(Record::parse(&text).with_context(|| format!("cannot use {RECORD}"))?)
        }
    };
    if let Some(reason) = recorded.as_ref().and_then(|record| record.other(&rustc, &target)) {
        println!("skipped: {reason}");
        return Ok(true);
    }
    let rows = count_all(&build(root)?)?;
    let Some(recorded) = recorded else {
        let record = Record { rustc, target, rows };
        std::fs::write(&path, record.to_text())
            .with_context(|| format!("cannot write {RECORD}"))?;
        println!("{}wrote {RECORD}", record::table(&record.rows, &record.rows));
        return Ok(true);
    };
    print!("{}", record::table(&recorded.rows, &rows));
    let differences = record::differences(&recorded.rows, &rows);
    for difference in &differences {
        println!("{difference}");
    }
    Ok(!differences.iter().any(record::Difference::is_failure))
}

/// Version and target of the compiler that cargo uses here.
fn compiler() -> Result<(String, String)> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = output(Command::new(rustc).arg("-vV"))?.0;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
            .with_context(|| format!("rustc -vV has no {name}"))
    };
    Ok((field("release:")?, field("host:")?))
}

/// Builds the program and says where it is.
///
/// One codegen unit, and no flags from outside: what is inlined must not depend on either.
fn build(root: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--release", "--quiet", "--package", "corelane-ring"]);
    cargo.args(["--example", "operations", "--message-format", "json-render-diagnostics"]);
    cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(flags);
    }
    let (messages, _) = output(cargo.current_dir(root))?;
    record::executable(&messages).context("cargo did not say where it put the program")
}

fn count_all(program: &Path) -> Result<Rows> {
    let (names, _) = output(&mut Command::new(program))?;
    let rows = names.lines().map(|name| {
        let (once, twice) = (count(program, name, 1)?, count(program, name, 2)?);
        ensure!(twice > once, "operation={name} costs nothing: the compiler removed it");
        Ok((name.to_owned(), (twice - once) as f64 / MESSAGES as f64))
    });
    rows.collect()
}

/// Instructions of one run.
fn count(program: &Path, name: &str, times: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let (_, report) = output(valgrind.arg(name).arg((times * MESSAGES).to_string()))?;
    record::collected(&report).with_context(|| format!("valgrind gave no total: {report}"))
}

/// Standard output and standard error of a command that must succeed.
fn output(command: &mut Command) -> Result<(String, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command
        .output()
        .with_context(|| format!("cannot start {program}: install it with scripts/setup"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if !done.status.success() {
        bail!("{program} ended with {}: {}", done.status, text(&done.stderr));
    }
    Ok((text(&done.stdout), text(&done.stderr)))
}
