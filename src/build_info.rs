//! What this build was made from and with. It says nothing about the machine it runs on.

use std::fmt;

/// The facts that `build.rs` wrote down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildInfo {
    /// Version of the package.
    pub version: &'static str,
    /// Full hash of the commit that was checked out, or "unknown" outside a checkout. Changes
    /// that were not committed do not show.
    pub commit: &'static str,
    /// Target triple.
    pub target: &'static str,
    /// "debug" or "release", whichever the profile derives from.
    pub profile: &'static str,
    /// What the compiler says about itself.
    pub rustc: &'static str,
}

/// The build information of this library.
pub const BUILD: BuildInfo = BuildInfo {
    version: env!("CARGO_PKG_VERSION"),
    commit: env!("CORELANE_COMMIT"),
    target: env!("CORELANE_TARGET"),
    profile: env!("CORELANE_PROFILE"),
    rustc: env!("CORELANE_RUSTC"),
};

impl fmt::Display for BuildInfo {
    /// One line, as `--version` prints it after the name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BuildInfo { version, commit, target, profile, rustc } = self;
        let short = commit.get(..12).unwrap_or(commit);
        write!(f, "{version} ({short}, {target}, {profile}, {rustc})")
    }
}

#[cfg(test)]
#[path = "../build/commit.rs"]
mod commit;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::commit::{Checkout, read};
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    /// A folder of its own per test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("corelane-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).expect("the temporary folder is writable");
            Folder(path)
        }

        fn write(&self, path: &str, content: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("writable");
            fs::write(path, content).expect("writable");
        }

        fn checkout(&self, commit: Option<&str>, watched: &[&str]) -> Checkout {
            let watched = watched.iter().map(|path| self.0.join(path)).collect();
            Checkout { commit: commit.map(str::to_owned), watched }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_build_is_of_this_checkout() {
        let checkout = read(Path::new(env!("CARGO_MANIFEST_DIR")));
        assert_eq!(BUILD.commit, checkout.commit.as_deref().unwrap_or("unknown"));
        assert!(BUILD.rustc.starts_with("rustc "), "{BUILD}");
        assert_ne!(BUILD.target, "unknown");
    }

    #[test]
    fn it_prints_on_one_line_with_a_short_commit() {
        let build = BuildInfo { version: "1.2.3", commit: HASH, ..BUILD };
        let text = build.to_string();
        assert!(text.starts_with("1.2.3 (0123456789ab, "), "{text}");
        assert_eq!(BuildInfo { commit: "unknown", ..BUILD }.to_string().lines().count(), 1);
    }

    #[test]
    fn no_checkout_has_no_commit_and_nothing_to_watch() {
        let folder = Folder::new("none");
        assert_eq!(read(&folder.0), Checkout::default());
    }

    #[test]
    fn a_branch_is_read_loose_before_packed() {
        let folder = Folder::new("branch");
        folder.write(".git/HEAD", "ref: refs/heads/main\n");
        folder.write(".git/refs/heads/other", HASH);
        let unborn = folder.checkout(None, &[".git/HEAD", ".git/refs/heads"]);
        assert_eq!(read(&folder.0), unborn);
        folder.write(".git/packed-refs", &format!("# pack-refs\n{HASH} refs/heads/main\n"));
        let packed = [".git/HEAD", ".git/refs/heads", ".git/packed-refs"];
        assert_eq!(read(&folder.0), folder.checkout(Some(HASH), &packed));
        let newer = HASH.replace('0', "9");
        folder.write(".git/refs/heads/main", &format!("{newer}\n"));
        let loose = [".git/HEAD", ".git/refs/heads/main", ".git/packed-refs"];
        assert_eq!(read(&folder.0), folder.checkout(Some(&newer), &loose));
    }

    #[test]
    fn a_detached_head_is_the_commit_itself() {
        let folder = Folder::new("detached");
        folder.write(".git/HEAD", HASH);
        assert_eq!(read(&folder.0), folder.checkout(Some(HASH), &[".git/HEAD"]));
        folder.write(".git/HEAD", "not a hash\n");
        assert_eq!(read(&folder.0), folder.checkout(None, &[".git/HEAD"]));
    }

    #[test]
    fn a_worktree_shares_the_references_of_its_repository() {
        let folder = Folder::new("worktree");
        folder.write("tree/.git", "gitdir: ../main/.git/worktrees/tree\n");
        folder.write("main/.git/worktrees/tree/HEAD", "ref: refs/heads/side\n");
        folder.write("main/.git/worktrees/tree/commondir", "../..\n");
        folder.write("main/.git/refs/heads/side", HASH);
        let checkout = read(&folder.0.join("tree"));
        assert_eq!(checkout.commit.as_deref(), Some(HASH));
        assert_eq!(checkout.watched.len(), 2);
    }
}
