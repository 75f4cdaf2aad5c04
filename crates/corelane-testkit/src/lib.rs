//! Conformance suites and the process harness of the tests.
#![forbid(unsafe_code)]

pub mod backend;
pub mod process;
