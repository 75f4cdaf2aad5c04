//! Reads the text files of the checkout. It decides which folders count, and judges nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Folders that hold nothing of ours: build output and version control.
const SKIPPED: &[&str] = &["target", ".git", "node_modules"];

/// Endings whose text some check reads; other files count only as targets of links.
const TEXT_ENDINGS: &[&str] = &[".rs", ".md", ".toml"];

/// A file of the checkout; `path` is relative to its root, with `/` between its parts.
#[derive(Debug, Clone)]
pub(super) struct TextFile {
    pub(super) path: String,
    pub(super) text: String,
}

impl TextFile {
    #[cfg(test)]
    pub(super) fn new(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }
}

/// The paths that git tracks; none where the checkout is no repository, as an unpacked archive.
pub(super) fn tracked(root: &Path) -> Result<Vec<String>> {
    if !root.join(".git").exists() {
        return Ok(Vec::new());
    }
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
    let listed = listed.context("cannot start git to list what it tracks")?;
    let reason = String::from_utf8_lossy(&listed.stderr);
    ensure!(listed.status.success(), "git cannot list what it tracks: {}", reason.trim());
    let paths = String::from_utf8_lossy(&listed.stdout);
    Ok(paths.split_terminator('\0').map(str::to_owned).collect())
}

/// All files below `root`, sorted by path.
pub(super) fn read(root: &Path) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let shown = root.join(&folder);
        let entries = fs::read_dir(&shown)
            .with_context(|| format!("cannot list folder={}", shown.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if SKIPPED.iter().any(|skipped| *skipped == name || *skipped == path) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                files.push(TextFile { text: text_of(&entry.path(), &path)?, path });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn text_of(file: &Path, path: &str) -> Result<String> {
    if !TEXT_ENDINGS.iter().any(|ending| path.ends_with(ending)) {
        return Ok(String::new());
    }
    fs::read_to_string(file).with_context(|| format!("cannot read file={path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_its_own_source_and_no_build_output() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let files = read(&root).expect("the checkout is readable");
        let own = files.iter().find(|file| file.path == "xtask/src/tidy/tree.rs");
        assert!(own.is_some_and(|file| file.text.contains("finds_its_own_source")));
        assert!(!files.iter().any(|file| file.path.starts_with("target/")));
        assert!(!files.iter().any(|file| file.path.starts_with(".git/")));
    }
}
