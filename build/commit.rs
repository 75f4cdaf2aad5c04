//! Reads the commit of a checkout from its `.git` folder, without starting git.
//!
//! Worktrees, detached heads and packed references are understood. What is not (no checkout, no
//! commit yet, another storage format) has no commit; nothing here fails a build.

use std::fs;
use std::path::{Path, PathBuf};

/// The commit that is checked out, and the files whose change means another commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkout {
    /// The full hash, or nothing when it cannot be told.
    pub(crate) commit: Option<String>,
    /// Existing files and folders to watch; a missing one would make cargo run the script always.
    pub(crate) watched: Vec<PathBuf>,
}

/// Looks at `root/.git` only: a copy inside somebody else's checkout has no commit of its own.
pub(crate) fn read(root: &Path) -> Checkout {
    let Some(folder) = git_folder(root) else { return Checkout::default() };
    let shared = match text(&folder.join("commondir")) {
        Some(path) => folder.join(path),
        None => folder.clone(),
    };
    let head = folder.join("HEAD");
    let Some(content) = text(&head) else { return Checkout::default() };
    let Some(name) = content.strip_prefix("ref: ") else {
        return Checkout { commit: hash(&content), watched: vec![head] };
    };
    let (loose, packed) = (shared.join(name), shared.join("packed-refs"));
    let commit = text(&loose).and_then(|content| hash(&content)).or_else(|| {
        text(&packed)?.lines().find_map(|line| hash(line.strip_suffix(name)?.strip_suffix(' ')?))
    });
    // The nearest existing folder notices a reference that has yet to be written.
    let reference = loose.ancestors().find(|path| path.exists()).map(Path::to_path_buf);
    let watched = [Some(head), reference, Some(packed)].into_iter().flatten();
    Checkout { commit, watched: watched.filter(|path| path.exists()).collect() }
}

/// `.git` itself, or the folder that a worktree's `.git` file names.
fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    Some(root.join(text(&git)?.strip_prefix("gitdir: ")?))
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|content| content.trim().to_owned())
}

fn hash(content: &str) -> Option<String> {
    let is_hash =
        matches!(content.len(), 40 | 64) && content.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| content.to_owned())
}
