//! Conformance suites and the process harness of the tests.
#![deny(unsafe_code)]

pub mod backend;
pub mod kill;
pub mod process;
#[allow(unsafe_code)]
mod trust;

pub use trust::trusted;
