//! Deliberately absent: the wall clock, in each crate that messages, waits and deadlines use.
//!
//! It can jump by years in both directions. Tests are free.

use super::Finding;
use super::source::RustSource;

const MONOTONIC: &[&str] = &[
    "crates/corelane-ring",
    "crates/corelane-shm",
    "crates/corelane-transport",
    "crates/corelane-router",
    "crates/corelane-agent",
    "crates/corelane-node",
];

/// What reads the wall clock, in the standard library, in rustix and in libc.
const CLOCKS: &[&str] =
    &["SystemTime", "UNIX_EPOCH", "Realtime", "RealtimeCoarse", "CLOCK_REALTIME", "gettimeofday"];

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    if !MONOTONIC.contains(&source.package_folder()) {
        return Vec::new();
    }
    let named = CLOCKS.iter().flat_map(|clock| source.find(&[clock]));
    named
        .filter(|line| !source.is_test_line(*line))
        .map(|line| {
            let message = "reads the wall clock, which can jump; take `monotonic_ns` or `Instant`";
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

    #[test]
    fn a_wall_clock_on_the_way_of_a_message_is_found() {
        let read = "use std::time::Instant;\nfn a() { std::time::SystemTime::now(); }\n";
        assert_eq!(lines("crates/corelane-node/src/driver.rs", read), [2]);
        let read = "fn a() { clock_gettime(ClockId::Realtime); }\n";
        assert_eq!(lines("crates/corelane-transport/src/wait.rs", read), [1]);
    }

    #[test]
    fn tests_and_other_crates_are_free() {
        let read = "fn a() { std::time::SystemTime::now(); }\n";
        assert_eq!(lines("crates/corelane-bench/src/machine.rs", read), []);
        assert_eq!(lines("crates/corelane-node/tests/a.rs", read), []);
        assert_eq!(lines("crates/corelane-ring/src/lib.rs", "fn a() { Monotonic; }\n"), []);
    }
}
