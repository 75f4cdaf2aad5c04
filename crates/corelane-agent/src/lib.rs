//! Agents: what they are, the workers that host them, asks that end exactly once, supervision.
//!
//! [`Agent`] is a state machine behind a panic boundary; a [`Worker`] hands it its messages one
//! after the other. An [`Asker`] asks from outside, and keeps its questions until they are
//! answered. [`process`] runs command-line tools. [`supervisor`] decides what is started and
//! stopped, and does neither itself.
//!
//! What it does not do: it knows no model and no file format, starts no worker (the node does) and
//! has no queue per agent.
#![forbid(unsafe_code)]

mod agent;
pub mod ask;
mod asker;
pub mod process;
pub mod supervisor;
mod worker;

pub use agent::{Agent, Command, Context, Deferred, QUEUED_MAX, Reporter, TellError, Waker};
pub use asker::{Answered, Asker, AskerError};
pub use worker::{Worker, WorkerError, WorkerHandle, WorkerTotals};
