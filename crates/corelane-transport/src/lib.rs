//! Envelopes, and the lanes that carry them between a client and the routers of a node.
//!
//! An [`Endpoint`] is a client's side: it sends to any agent and receives what is addressed to its
//! own. A [`Port`] is one pairing of a client with a router, and looks the same from both sides:
//! per priority one lane out and one lane in, each the `latency` ring of `corelane-ring` over a
//! sealed segment of its producer. The same code serves two threads of one process and two
//! processes; there is no second path.
//!
//! What typed messages look like in memory, how two builds compare that, and how people read them,
//! stands in [`schema`].
//!
//! What it does not do: it neither routes nor queues beyond the rings, carries no payload larger
//! than a slot, and starts no thread.
//!
//! ```text
//! client's segment (client writes, node reads)      node's segment for that client (the reverse)
//! +-------------+-------------+---                  +-------------+-------------+---
//! | section r0  | section r1  | ...                 | section r0  | section r1  | ...
//! +-------------+-------------+---                  +-------------+-------------+---
//! section: | sleep | bell | cursor x 3 | (pad) | lane high | lane normal | lane low |
//! ```
#![forbid(unsafe_code)]

mod doorbell;
mod endpoint;
mod envelope;
mod event_count;
pub mod exchange;
pub mod lane;
mod news;
mod participant;
mod port;
mod random;
pub mod schema;
pub mod strategy;
pub mod topic;
mod wait;

/// What [`schema`] stands on, for packages that derive `Pod` without a dependency of their own.
pub use bytemuck;

pub use doorbell::BellError;
pub use endpoint::{Endpoint, Message, ReceiveError, SendError};
pub use envelope::{
    AgentId, Envelope, Flags, HEADER_BYTES, HEADER_WORDS, LAYOUT_HASH, LAYOUT_VERSION, Malformed,
    Priority,
};
pub use event_count::EventCount;
pub use participant::{Participant, ParticipantError};
pub use port::{
    LaneShape, LaneShapeError, Port, PortError, RECORD_WORDS_MAX, Record, SECTIONS_MAX, sleep,
};
pub use wait::{Idle, WaitPolicy, monotonic_ns};
