//! Machine model, cache-line latency and core placement.
//!
//! In order of use: [`Topology::read`] builds the model from a sysfs tree, [`measure_matrix`]
//! times a cache line between cores, [`plan`] chooses cores for routers, workers and control and
//! says why, [`pin_current_thread`] applies one choice, [`render`] draws all of it.
//!
//! The crate changes nothing on the machine except the affinity of the calling thread, reads no
//! environment variable, and does not print.
#![forbid(unsafe_code)]

mod cpuset;
mod error;
mod kinds;
mod matrix;
mod model;
mod pin;
mod pingpong;
mod plan;
mod read;
pub mod render;
mod sysroot;
#[cfg(test)]
mod testing;

pub use cpuset::{CPU_NUMBER_MAX, CpuSet, ParseCpuSetError};
pub use error::{MeasureError, PinError, TopologyError};
pub use matrix::{
    Cell, CellOrigin, ClassSummary, LatencyMatrix, MATRIX_CPUS_FULL_MAX, MatrixProgress, PairClass,
    measure_matrix,
};
pub use model::{
    AllowedSource, Cache, CacheKind, Core, CpuKind, HardwareThread, KindSource, NumaNode, Package,
    Relation, Topology,
};
pub use pin::{allowed_cpus, pin_current_thread, pin_current_thread_to};
pub use pingpong::{PingPong, PingPongOptions, measure_pingpong, measure_pingpong_floating};
pub use plan::{
    Assignment, Plan, PlanRequest, ROUTERS_SUGGESTED_MAX, Rejected, Role, Sharing,
    SuggestedRequest, plan,
};
pub use sysroot::SysRoot;
