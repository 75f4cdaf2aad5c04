//! Deliberately absent: `corelane-ring` knows no operating system.
//!
//! This looks at what the source names; `layers` looks at its dependencies.

use super::Finding;
use super::source::RustSource;

const OS_FREE_FOLDER: &str = "crates/corelane-ring/src/";

/// Parts of `std` that lead to a system call.
const OS_MODULES: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread", "time"];

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    if !source.path.starts_with(OS_FREE_FOLDER) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        if token.text != "std" || source.is_test_line(token.line) {
            continue;
        }
        for module in std_modules(&source.tokens[at..]) {
            if OS_MODULES.contains(&module) {
                let message = format!("`std::{module}`: this crate knows no operating system");
                findings.push(Finding::new(&source.path, token.line, message));
            }
        }
    }
    findings
}

/// The modules named after `std`: one in `std::fs`, several in `std::{fs, net}`.
fn std_modules(tokens: &[super::source::Token]) -> Vec<&str> {
    let mut after = tokens.iter().map(|token| token.text.as_str()).skip(1);
    if (after.next(), after.next()) != (Some(":"), Some(":")) {
        return Vec::new();
    }
    match after.next() {
        Some("{") => after.take_while(|text| *text != ";").collect(),
        Some(module) => vec![module],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = RustSource::parse(path, text).expect("the sample parses");
        check(&source).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_module_of_std_that_makes_system_calls_is_found() {
        let ring = "crates/corelane-ring/src/lib.rs";
        assert_eq!(lines(ring, "\nuse std::fs::File;\n"), [2]);
        assert_eq!(lines(ring, "use std::{fmt, net};\n"), [1]);
        assert_eq!(lines(ring, "fn a() { std::process::exit(1) }\n"), [1]);
        assert_eq!(lines(ring, "use std::fmt;\nuse core::time::Duration;\n"), []);
    }

    #[test]
    fn tests_and_other_crates_may_use_the_system() {
        let text = "#[cfg(test)]\nmod tests {\n    use std::thread;\n}\n";
        assert_eq!(lines("crates/corelane-ring/src/lib.rs", text), []);
        assert_eq!(lines("crates/corelane-shm/src/lib.rs", "use std::fs;\n"), []);
    }
}
