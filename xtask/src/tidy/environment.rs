//! Deliberately absent: only `corelane-config` and `corelane-cli` read environment variables.
//!
//! Build scripts, the chores and tests are free: cargo speaks to them through the environment.

use super::Finding;
use super::source::RustSource;

const READERS: &[&str] = &["crates/corelane-config", "crates/corelane-cli", "xtask"];

/// What reads or changes a variable; `args`, `current_dir` and the like do not.
const CALLS: &[&str] = &["var", "vars", "var_os", "vars_os", "set_var", "remove_var"];

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    let is_build_script = source.path.ends_with("build.rs") || source.path.starts_with("build/");
    if is_build_script || READERS.contains(&source.package_folder()) {
        return Vec::new();
    }
    CALLS
        .iter()
        .flat_map(|call| source.find(&["env", ":", ":", call]))
        .filter(|line| !source.is_test_line(*line))
        .map(|line| {
            let message = "touches the environment; only corelane-config and corelane-cli may";
            Finding::new(&source.path, line, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = RustSource::parse(path, text).expect("the sample parses");
        check(&source).iter().map(|finding| finding.line).collect()
    }

    const READ: &str = "fn a() {\n    std::env::var(\"B\");\n}\n";

    #[test]
    fn a_read_outside_the_two_crates_is_found() {
        assert_eq!(lines("crates/corelane-node/src/lib.rs", READ), [2]);
        assert_eq!(lines("src/main.rs", READ), [2]);
        assert_eq!(lines("src/main.rs", "fn a() { std::env::args(); }\n"), []);
    }

    #[test]
    fn the_readers_build_scripts_and_tests_are_free() {
        assert_eq!(lines("crates/corelane-cli/src/lib.rs", READ), []);
        assert_eq!(lines("build.rs", READ), []);
        assert_eq!(lines("crates/corelane-node/tests/a.rs", READ), []);
    }
}
