//! Routers: pinned threads that move every message from its sender's lane to its receiver's.
//!
//! [`RoutingTable`] says where an agent lives; it is replaced while the routers run. [`Switch`] is
//! the pure part, one turn over all lanes; [`Router`] is the thread around it. A router copies a
//! record once, checks the copy, and trusts nothing that a client can write.
//!
//! What it does not do: it starts no agent, keeps no queue (a full lane holds its sender back, and
//! a receiver that stays full is dropped to, counted), and never looks into a payload.
#![forbid(unsafe_code)]

mod stats;
mod switch;
mod table;
mod thread;

pub use stats::{RouterStats, RouterTotals};
pub use switch::{ClientId, Detached, STALL_NS, Switch};
pub use table::{CLIENTS_MAX, RoutingTable, SharedTable, TableError};
pub use thread::{Leaving, Router, RouterConfig, RouterError};
