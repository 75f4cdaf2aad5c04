//! Messages between processes: past every router, over *topics* and *lanes*, or by way of a node.
//!
//! A [`Participant`] finds the others at an exchange, a socket whose path they know. It publishes
//! and subscribes to [topics](topic), any number of ends each, and has the two ends of direct
//! [lanes](lane); both over sealed shared memory, and a message makes no system call while nobody
//! sleeps. What typed messages look like in memory, how two builds compare that, and how people
//! read them, stands in [`schema`].
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("exchange.sock");
//! use std::time::Duration;
//!
//! use corelane_transport::Participant;
//! use corelane_transport::topic::{PublishOptions, SubscribeOptions};
//!
//! // Mostly in another process.
//! let there = Participant::open(&path)?;
//! let mut readings = there.subscribe_bytes("readings", SubscribeOptions::RELIABLE)?;
//!
//! let here = Participant::open(&path)?;
//! let mut publisher = here.publish_bytes("readings", &PublishOptions::default())?;
//! publisher.publish(b"21.5")?;
//!
//! let reading = readings.receive(Duration::from_secs(10))?.expect("because it was published");
//! assert_eq!(&*reading, b"21.5");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! By way of a node, an [`Endpoint`] is a client's side: it sends [envelopes](Envelope) to any
//! agent and receives what is addressed to its own. A [`Port`] is one pairing of a client with a
//! router, and looks the same from both sides: per priority one lane out and one lane in, each the
//! `latency` ring of `corelane-ring` over a sealed segment of its producer. The same code serves
//! two threads of one process and two processes; there is no second path.
//!
//! ```text
//! client's segment (client writes, node reads)      node's segment for that client (the reverse)
//! +-------------+-------------+---                  +-------------+-------------+---
//! | section r0  | section r1  | ...                 | section r0  | section r1  | ...
//! +-------------+-------------+---                  +-------------+-------------+---
//! section: | sleep | bell | cursor x 3 | (pad) | lane high | lane normal | lane low |
//! ```
//!
//! What it does not do: it routes nothing, queues nothing beyond its rings and logs, and an
//! envelope carries no payload larger than a slot. Only a participant starts a thread, one, which
//! no message goes through.
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
