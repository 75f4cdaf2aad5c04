//! Corelane: a hardware-aware fabric for fleets of cooperating agents.

mod build_info;

pub use build_info::{BUILD, BuildInfo};
