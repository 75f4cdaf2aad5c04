//! Measures queues beside each other: workloads, passes, statistics, reports.
//!
//! It knows no queue but those given as a [`Peer`], so that ours and the rivals run through the
//! very same code. In order of use: [`Options`] say what is measured, a [`Suite`] collects the rows
//! of all peers, `Suite::run` gives a [`Report`], and [`compare`], [`duels`], [`table`] and
//! [`html`] read it. It changes nothing on the machine, reads no environment variable and does not
//! print.
//!
//! # What a pass is
//!
//! ```text
//! ping-pong | open queues, warm up | start line | count messages, checksum | ping-pong
//! one, two lines                   '-- timed: start to last message read --'
//! ```
//!
//! Passes of all rows are interleaved. One that was disturbed is repeated; a row that gets too few
//! clean ones ends the run ([`RunError::Noisy`]). Passes with near and far CPUs are never mixed.
//!
//! # Example
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use corelane_bench::{Options, Step, Suite, Workload, ours::WordRing, standard::StdChannel};
//!
//! let mut options = Options::for_cpus(vec![Workload::Throughput], 2).quick();
//! (options.pass_ms, options.is_noise_allowed, options.payloads) = (2, true, vec![64]);
//! let mut suite = Suite::new(options)?;
//! suite.add_queue::<WordRing>();
//! suite.add_queue::<StdChannel>();
//! let report = suite.run(&mut |_: &Step<'_>| ControlFlow::Continue(()))?;
//! assert!(report.rows.iter().all(|row| row.median > 0.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(unsafe_code)]

mod bracket;
mod bulk_peer;
mod counters;
mod fanout_peer;
mod harness;
pub mod html;
#[allow(unsafe_code)]
mod in_place;
mod label;
mod machine;
mod noise;
mod options;
pub mod ours;
mod patience;
mod peer;
pub mod process;
mod report;
mod row;
mod run;
pub mod standard;
mod stats;
mod suite;
mod summary;
pub mod table;
#[cfg(test)]
mod testing;
mod verdict;
mod workload;

pub use bulk_peer::{BulkPeer, BulkReceiver, BulkSender};
pub use fanout_peer::{FanoutMessage, FanoutPeer};
pub use harness::PassError;
pub use in_place::{
    DeliversOnce, HandOver, HandOverReceiver, HandOverSender, Pooled, PooledReceiver, PooledSender,
};
pub use label::Label;
pub use machine::Machine;
pub use noise::{Disturbance, Observed, disturbances};
pub use options::{BULK_BYTES, BY_VALUE_BYTES, Options, OptionsError, PROCESSES_MAX, THREADS_MAX};
pub use peer::{
    Delivery, Ends, Message, Payload, Peer, Receiver, Sender, SleepingPeer, SleepingReceiver,
    SleepingSender,
};
pub use report::{LabelPasses, Report, ReportError, Row, SCHEMA};
pub use row::{Better, Metric, Mode, Placement, RowKey, Workload, bytes};
pub use run::{Progress, RunError, Step};
pub use stats::{Summary, summarise};
pub use suite::{Suite, SuiteError};
pub use verdict::{CompareError, Comparison, Duel, Regression, compare, duels, within_one_process};
pub use workload::throughput::BATCH;
