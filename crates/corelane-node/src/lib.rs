//! The node: the process that hosts a fabric, and the clients that attach to it.
//!
//! A [`Node`] starts the routers, listens on a Unix socket, starts and supervises worker processes,
//! and hands lanes over to whoever it knows. A [`Client`] is the other end: it attaches, offers its
//! own sealed segment and gets an endpoint. After that no message makes a system call while both
//! sides are awake. A worker is a process that the node starts; a guest is one that it does not,
//! and it gets a place where the configuration has one. A [`Lifeline`] ends the waits of a client
//! whose node is gone.
//!
//! What it does not do: it moves no message itself, knows no agent's work, and keeps nothing on
//! disk but its socket.
//!
//! ```text
//! client                                  node
//!   | hello {protocol, layout, product}     |  credentials, versions, is it expected?
//!   | ------------------------------------> |
//!   | welcome {client, lanes, agents} + fd  |  the node's sealed segment for this client
//!   | <------------------------------------ |
//!   | lanes {} + fd                         |  the client's sealed segment
//!   | ------------------------------------> |
//!   | ready {}            or refused {...}  |
//!   | <------------------------------------ |
//!   | report / report-lost / command / stop |
//! ```
#![forbid(unsafe_code)]

mod children;
mod client;
pub mod control;
mod driver;
mod guests;
mod handshake;
mod lanes;
mod lifeline;
mod node;

pub use children::WorkerSpec;
pub use client::{AttachError, Client, Link};
pub use lifeline::{Lifeline, WaitError};
pub use node::{Node, NodeConfig, NodeError, NodeEvent, RouterPlace};
