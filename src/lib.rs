//! Corelane: a hardware-aware fabric for fleets of cooperating agents.
//!
//! Messages travel over pinned rings in sealed shared memory; a node hosts the routers and
//! supervises worker processes; agents answer, with a model where one is needed. This package
//! re-exports the crates that it is made of; `docs/ARCHITECTURE.md` is the map.
//!
//! A fabric within one process, with one agent that answers:
//!
//! ```
//! use corelane::agent::{Agent, Asker, Context, Worker};
//! use corelane::node::{Node, NodeConfig, RouterPlace};
//! use corelane::transport::{AgentId, LaneShape, Message, WaitPolicy};
//!
//! struct Shout;
//!
//! impl Agent for Shout {
//!     fn on_message(&mut self, cx: &mut Context<'_>, message: &Message) {
//!         let answer = message.payload().to_ascii_uppercase();
//!         cx.reply(&answer).expect("because the answer is as short as the question");
//!     }
//! }
//!
//! let folder = tempfile::tempdir()?;
//! let node = Node::start(
//!     NodeConfig {
//!         socket: folder.path().join("node.sock"),
//!         routers: vec![RouterPlace { cpus: None, wait: WaitPolicy::SHARED }],
//!         lanes: LaneShape::new(64, 2)?,
//!         workers: vec![],
//!         supervision: Default::default(),
//!     },
//!     |event| eprintln!("{event:?}"),
//! )?;
//!
//! let (shout, me) = (AgentId(1), AgentId(2));
//! let endpoint = node.attach_local(1..2)?;
//! let (ready, handle) = std::sync::mpsc::channel();
//! let worker = std::thread::spawn(move || {
//!     let worker = Worker::new(endpoint, shout, vec![Box::new(Shout)], Box::new(|_| {}))?;
//!     ready.send(worker.handle()).expect("because the other end waits below");
//!     worker.run(WaitPolicy::SHARED)
//! });
//! let handle = handle.recv()?;
//!
//! let mut asker = Asker::new(me, 0, node.attach_local(2..3)?, 16);
//! asker.ask(shout, 5_000_000_000, 0)?;
//! let answer = loop {
//!     asker.pump(|_key| b"hello")?;
//!     if let Some(answer) = asker.answer()? {
//!         break answer.payload?.to_vec();
//!     }
//! };
//! assert_eq!(answer, b"HELLO");
//!
//! handle.stop();
//! worker.join().expect("because the worker does not panic")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod build_info;

pub use build_info::{BUILD, BuildInfo};
pub use corelane_agent as agent;
pub use corelane_config as config;
pub use corelane_infer as infer;
pub use corelane_node as node;
pub use corelane_plugin as plugin;
pub use corelane_ring as ring;
pub use corelane_router as router;
pub use corelane_shm as shm;
pub use corelane_topology as topology;
pub use corelane_transport as transport;
