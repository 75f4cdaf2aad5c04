//! HS-16: in a crate that loom checks, atomics come from one module, `src/sync.rs`.
//!
//! Code that names `std` or `core` atomics past it would run unchecked in the loom models.

use super::Finding;
use super::source::RustSource;

/// The one file of each loom-checked crate that may name atomics.
const SYNC_MODULES: &[&str] = &["crates/corelane-ring/src/sync.rs"];

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    let Some(module) = SYNC_MODULES.iter().find(|module| {
        module.rsplit_once('/').is_some_and(|(folder, _)| {
            source.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        })
    }) else {
        return Vec::new();
    };
    if source.path == **module {
        return Vec::new();
    }
    let own = ["crate", ":", ":", "sync", ":", ":", "atomic"];
    let through_sync = source.find(&own);
    let mut named = source.find(&["atomic"]);
    named.retain(|line| !through_sync.contains(line));
    named.extend(source.find(&["loom", ":", ":", "sync"]));
    named.sort_unstable();
    named.dedup();
    named
        .into_iter()
        .map(|line| {
            let message = format!("names an atomic; take it from `{module}` (HS-16)");
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
    fn an_atomic_past_the_sync_module_is_found() {
        let ring = "crates/corelane-ring/src/latency.rs";
        assert_eq!(lines(ring, "\nuse core::sync::atomic::AtomicU64;\n"), [2]);
        assert_eq!(lines(ring, "use std::sync::{Arc, atomic::AtomicU64};\n"), [1]);
        assert_eq!(lines(ring, "use loom::sync::Arc;\n"), [1]);
        assert_eq!(lines(ring, "use crate::sync::atomic::AtomicU64;\n"), []);
        assert_eq!(lines(ring, "use crate::sync::AtomicU64;\n"), []);
    }

    #[test]
    fn the_sync_module_and_other_crates_may_name_them() {
        let text = "use core::sync::atomic::AtomicU64;\n";
        assert_eq!(lines("crates/corelane-ring/src/sync.rs", text), []);
        assert_eq!(lines("crates/corelane-topology/src/lib.rs", text), []);
    }
}
