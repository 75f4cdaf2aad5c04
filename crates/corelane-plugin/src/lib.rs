//! The plugin contract: so far, a model served as an agent.
//!
//! A [`ModelService`] holds one loaded session and its buffers; any number of [`ModelAgent`]s of
//! the same worker share it. It names no backend crate: the host hands one in.
//!
//! What it does not do: it batches nothing, loads no file, and moves no work to another device.
#![forbid(unsafe_code)]

mod model_agent;
mod service;

pub use model_agent::ModelAgent;
pub use service::{ModelService, ServiceError};
