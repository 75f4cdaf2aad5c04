//! The embedded CPU backend: ONNX models through tract.
//!
//! Pure Rust and always there: nothing to install, nothing to find at run time. One thread, the
//! caller's; a run is over when `run` returns, so that `wait` only hands the outputs over. The
//! batch is fixed when a model is loaded, so that tract plans with known extents.
//!
//! What it does not do: kernels, devices other than the CPU, element types other than f32, u8 and
//! i64 at the edges of a model.
#![forbid(unsafe_code)]

mod backend;
mod load;
mod session;

pub use backend::TractBackend;
