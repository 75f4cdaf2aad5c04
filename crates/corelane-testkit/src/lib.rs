//! Conformance suites and the process harness of the tests.

pub mod backend;
