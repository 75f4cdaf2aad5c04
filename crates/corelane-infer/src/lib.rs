//! Devices, programs, sessions and dispatch with reasons.
//!
//! A [`Backend`] wraps one runtime behind six calls; a [`Program`] is a model or one named
//! kernel; [`choose`] picks the device for a request and says why each other one was refused;
//! a [`Repository`] gives verified model bytes by id.
//!
//! What it does not do: it holds no runtime itself (those are the `corelane-backend-*` crates),
//! knows no transport, reads no environment variable, and never moves work to another device
//! without saying so.
#![forbid(unsafe_code)]

mod backend;
mod config;
mod device;
mod error;
mod manifest;
mod policy;
mod program;
mod repository;
mod tensor;

pub use backend::{Backend, Session, Ticket};
pub use config::{ConfigError, InferConfig};
pub use device::{Device, DeviceKind};
pub use error::{Cause, LoadError, ModelError, RunError, Unavailable};
pub use manifest::{Accuracy, Dim, Manifest, ModelEntry, ModelTensor};
pub use policy::{
    Asked, Choice, Decision, Fallback, Rejected, RejectedBecause, Request, Severity, Snapshot,
    Unmet, choose,
};
pub use program::{ModelSource, Program};
pub use repository::Repository;
pub use tensor::{Dtype, Elements, ElementsMut, TensorSpec, TensorView};
