//! A copy of the checkout in which code may be changed, and the loom models run over it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Longest time for the models of one change.
const TIMEOUT_S: u32 = 600;
/// What `timeout` exits with when it had to end the command.
const TIMED_OUT: i32 = 124;

/// How the models judge a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Caught,
    Survived,
    /// Neither passed nor failed in time; not enough to call the change caught.
    Undecided,
}

/// The copy.
pub(crate) struct Scratch {
    folder: PathBuf,
    target: PathBuf,
    models: Vec<String>,
}

impl Scratch {
    /// Copies the files that git knows or would, as they are now, and lists the models.
    pub(crate) fn new(root: &Path) -> Result<Scratch> {
        let base = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), PathBuf::from)
            .join("orderings");
        let folder = base.join("checkout");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("cannot empty the scratch copy")?;
        }
        copy(root, &folder)?;
        let mut scratch = Scratch { folder, target: base.join("target"), models: Vec::new() };
        let listed = scratch.cargo(&["loom", "--", "--list"]).stderr(Stdio::inherit()).output()?;
        ensure!(listed.status.success(), "the models do not build: run ci/loom");
        scratch.models = listed_tests(&String::from_utf8_lossy(&listed.stdout));
        ensure!(!scratch.models.is_empty(), "no test of corelane-ring has loom in its name");
        Ok(scratch)
    }

    /// Every loom model, by its path.
    pub(crate) fn models(&self) -> &[String] {
        &self.models
    }

    /// Runs models over the unchanged copy; they must pass, or no verdict means anything.
    ///
    /// # Errors
    /// When one of them fails.
    pub(crate) fn check(&self, models: &[String]) -> Result<()> {
        let verdict = self.run(models)?;
        ensure!(verdict == Verdict::Survived, "the models fail without a change: {verdict:?}");
        Ok(())
    }

    /// Puts `text` in the place of a file, runs the models and puts the file back.
    pub(crate) fn judge(&self, file: &str, text: &str, models: &[String]) -> Result<Verdict> {
        let path = self.folder.join(file);
        let before = std::fs::read(&path).with_context(|| format!("cannot read {file}"))?;
        std::fs::write(&path, text).with_context(|| format!("cannot change {file}"))?;
        let verdict = self.run(models);
        std::fs::write(&path, before).with_context(|| format!("cannot put {file} back"))?;
        verdict
    }

    fn run(&self, models: &[String]) -> Result<Verdict> {
        let built = self.cargo(&["--no-run", "--quiet"]).output()?;
        let errors = String::from_utf8_lossy(&built.stderr);
        ensure!(built.status.success(), "the change does not build, so it says nothing: {errors}");
        let mut command = self.cargo(&["--quiet", "--", "--exact"]);
        command.args(models).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().context("cannot start the models")?;
        Ok(match status.code() {
            Some(0) => Verdict::Survived,
            Some(TIMED_OUT) => Verdict::Undecided,
            _ => Verdict::Caught,
        })
    }

    /// `cargo test` of the ring's library under loom, ended with its children after the limit.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after", "5", &TIMEOUT_S.to_string(), "cargo", "test", "--locked"]);
        command.args(["--release", "--package", "corelane-ring", "--lib"]).args(arguments);
        command.current_dir(&self.folder).env("CARGO_TARGET_DIR", &self.target);
        command.env("RUSTFLAGS", "--cfg loom").env_remove("CARGO_ENCODED_RUSTFLAGS");
        command.env_remove("CARGO_MANIFEST_DIR");
        command
    }
}

fn copy(root: &Path, folder: &Path) -> Result<()> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot start git")?;
    ensure!(listed.status.success(), "git does not list the files of the checkout");
    let listed = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
    for file in listed.split_terminator('\0').filter(|file| root.join(file).is_file()) {
        let to = folder.join(file);
        std::fs::create_dir_all(to.parent().unwrap_or(folder))?;
        std::fs::copy(root.join(file), to).with_context(|| format!("cannot copy {file}"))?;
    }
    Ok(())
}

/// The names in the output of `--list`.
fn listed_tests(output: &str) -> Vec<String> {
    output.lines().filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_a_list_of_tests() {
        let output = "loom_models::a: test\nspsc::loom::b: test\n\n2 tests, 0 benchmarks\n";
        assert_eq!(listed_tests(output), ["loom_models::a", "spsc::loom::b"]);
        assert_eq!(listed_tests("0 tests, 0 benchmarks\n"), [""; 0]);
    }
}
