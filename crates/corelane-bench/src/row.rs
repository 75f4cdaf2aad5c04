//! What a row is: its workload, peer, ends, mode and place; and the figures that it gives.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is done with a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Messages by value, as many as pass.
    Throughput,
    /// Large payloads that stay in place.
    Bulk,
    /// There and back, one message at a time, both ends awake.
    Latency,
    /// One publisher with many cursors.
    Fanout,
    /// There and back, both ends asleep.
    Wakeup,
}

/// How messages are sent, or which part of them is touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// One by one.
    Single,
    /// In batches of [`BATCH`](crate::BATCH).
    Batch,
    /// Every byte is written and read in place.
    EveryByte,
    /// The first cache line is written and read in place.
    HeaderOnly,
    /// In bursts, as soon as the slowest receiver has room for one; the sender's CPU time counts.
    Bursts,
}

/// Where the threads run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Thread i on allowed CPU i, modulo their number; senders come first.
    Pinned,
    /// Wherever the kernel puts them.
    Floating,
}

/// What makes a row, less the figures.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// What is done.
    pub workload: Workload,
    /// Name of the queue.
    pub peer: String,
    /// Bytes of a message.
    pub payload_bytes: usize,
    /// How.
    pub mode: Mode,
    /// Sending threads.
    pub senders: usize,
    /// Receiving threads; for fan-out one, which drains all cursors.
    pub receivers: usize,
    /// Whether every receiver gets every message.
    pub is_broadcast: bool,
    /// Where.
    pub placement: Placement,
    /// Processes that the ends lie in, over memory or descriptors that processes share; none for
    /// threads of the measuring process.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub processes: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl RowKey {
    /// Measuring threads: one drains all receivers of a process.
    pub fn threads(&self) -> usize {
        match (self.workload, self.processes) {
            (Workload::Fanout, 1..) => self.processes,
            _ => self.senders + self.receivers,
        }
    }
}

impl Workload {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Bulk => "bulk",
            Self::Latency => "latency",
            Self::Fanout => "fanout",
            Self::Wakeup => "wakeup",
        }
    }
}

impl Mode {
    /// Name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batch => "batch",
            Self::EveryByte => "every byte",
            Self::HeaderOnly => "header only",
            Self::Bursts => "bursts",
        }
    }
}

impl Placement {
    /// Name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Floating => "floating",
        }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workload, peer, payload_bytes, mode, placement, .. } = self;
        let (workload, mode, placement) = (workload.name(), mode.name(), placement.name());
        let ends = self.ends();
        let (size, across) = (bytes(*payload_bytes), self.across());
        write!(f, "{workload} {ends} {size} {mode} {placement}{across}: {peer}")
    }
}

impl RowKey {
    /// "3:1", and "1:3 each" when every receiver gets all.
    pub fn ends(&self) -> String {
        let each = if self.is_broadcast { " each" } else { "" };
        format!("{}:{}{each}", self.senders, self.receivers)
    }

    /// ", 2 processes", and nothing for threads of the measuring process.
    pub fn across(&self) -> String {
        match self.processes {
            0 => String::new(),
            1 => ", 1 process".to_owned(),
            count => format!(", {count} processes"),
        }
    }
}

/// A number of bytes, short.
pub fn bytes(count: usize) -> String {
    match count {
        _ if count >= 1 << 20 && count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        _ if count >= 1 << 10 && count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        _ => format!("{count} B"),
    }
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// A figure that a pass gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
}

const RATE: &[Metric] = &[Metric { name: "rate", unit: "M/s", better: Better::Higher }];
const BANDWIDTH: &[Metric] = &[Metric { name: "bandwidth", unit: "GB/s", better: Better::Higher }];
const LATENCY: &[Metric] = &[ns("round_trip"), ns("p50"), ns("p99"), ns("p99.9"), ns("max")];
const WAKEUP: &[Metric] = &[ns("p50"), ns("p99"), ns("p99.9"), ns("max")];
const FANOUT: &[Metric] = &[
    ns("cpu_1_cursor"),
    ns("cpu_2000_cursors"),
    Metric { name: "cpu_ratio", unit: "x", better: Better::Lower },
];

const fn ns(name: &'static str) -> Metric {
    Metric { name, unit: "ns", better: Better::Lower }
}

impl RowKey {
    /// The figures of each pass, in this order.
    pub fn metrics(&self) -> &'static [Metric] {
        match (self.workload, self.mode) {
            (Workload::Throughput, _) | (Workload::Bulk, Mode::HeaderOnly) => RATE,
            (Workload::Bulk, _) => BANDWIDTH,
            (Workload::Latency, _) => LATENCY,
            (Workload::Fanout, Mode::Single) if self.processes > 0 => RATE,
            (Workload::Fanout, _) => FANOUT,
            (Workload::Wakeup, _) => WAKEUP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_itself() {
        let key = RowKey {
            workload: Workload::Throughput,
            peer: "ring".into(),
            payload_bytes: 65_536,
            mode: Mode::Batch,
            senders: 1,
            receivers: 3,
            is_broadcast: true,
            placement: Placement::Pinned,
            processes: 0,
        };
        assert_eq!(key.to_string(), "throughput 1:3 each 64 KiB batch pinned: ring");
        assert_eq!((key.threads(), key.metrics()), (4, RATE));
        assert_eq!([8, 1 << 20, 1_025].map(bytes), ["8 B", "1 MiB", "1025 B"]);
    }
}
