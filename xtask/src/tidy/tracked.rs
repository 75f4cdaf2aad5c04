//! What a build makes is never committed: it is the machine's, and it weighs on every clone.

use super::Finding;

const FOLDERS: &[&str] = &["target", "node_modules", "__pycache__"];
const ENDINGS: &[&str] = &[".o", ".a", ".so", ".rlib", ".rmeta", ".pyc"];

/// Judges the paths that git tracks.
pub(super) fn check(tracked: &[String]) -> Vec<Finding> {
    let message = "build output is committed; take it out with `git rm --cached` and ignore it";
    let is_output = |path: &&String| {
        let mut folders = path.split('/').rev().skip(1);
        folders.any(|folder| FOLDERS.contains(&folder))
            || ENDINGS.iter().any(|ending| path.ends_with(ending))
    };
    tracked.iter().filter(is_output).map(|path| Finding::new(path, 1, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_output_is_found_wherever_it_lies() {
        let tracked = ["benches/peers/target/debug/a.d", "src/lib.rs", "ci/target", "a/b.rlib"];
        let found = check(&tracked.map(str::to_owned));
        let paths: Vec<_> = found.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(paths, ["benches/peers/target/debug/a.d", "a/b.rlib"]);
    }
}
