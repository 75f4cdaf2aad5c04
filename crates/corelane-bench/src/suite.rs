//! The rows of a run: which workloads, payloads, ends and places a peer has.
//!
//! Peers are added by type; every one runs through the same code. `run` measures them.

use std::{io, sync::Arc, time::Duration};

use corelane_topology::allowed_cpus;

use crate::{
    bulk_peer::BulkPeer,
    fanout_peer::{FanoutMessage, FanoutPeer},
    harness::{PassFn, Stage},
    options::{BULK_BYTES, Options, OptionsError},
    peer::{Delivery, Peer, SleepingPeer},
    process::{self, Across, EndCommand, Entry, Kind, ProcessCast},
    row::{Mode, Placement, RowKey, Workload},
    workload::{bulk, fanout, latency, throughput, wakeup},
};

/// The payload of rows with more than two ends, if it is among those asked for.
const MANY_ENDS_BYTES: usize = 64;

/// Why a suite cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// The options are not possible.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// Nobody knows which CPUs may be used.
    #[error("allowed cpus cannot be read, check seccomp: {0}")]
    Cpus(#[source] io::Error),
}

impl SuiteError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Options(cause) => cause.code(),
            Self::Cpus(_) => "CL-0901",
        }
    }
}

/// Rows to be measured together.
#[derive(Debug)]
pub struct Suite {
    pub(crate) options: Options,
    pub(crate) cpus: Vec<usize>,
    pub(crate) rows: Vec<PlannedRow>,
    pub(crate) is_pardoned: fn(&RowKey) -> bool,
    /// What a reader has to know before anything was measured.
    pub(crate) remarks: Vec<String>,
}

/// A row before it is measured.
#[derive(Debug, Clone)]
pub(crate) struct PlannedRow {
    pub(crate) stage: Stage,
    pub(crate) pass: PassFn,
}

impl Suite {
    /// An empty suite.
    ///
    /// # Errors
    /// - [`SuiteError::Options`]: the options are not possible.
    /// - [`SuiteError::Cpus`]: the allowed CPUs cannot be read.
    pub fn new(options: Options) -> Result<Self, SuiteError> {
        options.validate()?;
        let cpus = allowed_cpus().map_err(SuiteError::Cpus)?.iter().collect();
        let (rows, remarks) = (Vec::new(), Vec::new());
        Ok(Self { options, cpus, rows, is_pardoned: |_| false, remarks })
    }

    /// Repeats passes in which no message moved for ten seconds, of the rows that `is_pardoned`
    /// names, and says so in the report. Of all others such a pass ends the run: a queue that loses
    /// a message is broken. Across processes the report tells whatever keeps such a row from its
    /// passes, and the run goes on without it.
    pub fn pardon_stalls(&mut self, is_pardoned: fn(&RowKey) -> bool) {
        self.is_pardoned = is_pardoned;
    }

    /// What will be measured, in the order in which it was added.
    pub fn rows(&self) -> impl Iterator<Item = &RowKey> {
        self.rows.iter().map(|row| &row.stage.key)
    }

    /// Adds a queue of messages: its throughput and latency rows.
    pub fn add_queue<P: Peer>(&mut self) {
        for payload_bytes in self.options.payloads.clone() {
            match payload_bytes {
                8 => self.add_messages::<P, 1>(),
                64 => self.add_messages::<P, 8>(),
                256 => self.add_messages::<P, 32>(),
                4096 => self.add_messages::<P, 512>(),
                _ => {}
            }
        }
    }

    /// Adds a queue of messages whose ends wait within it: its throughput rows only.
    ///
    /// Round trips ask for an answer at once, which such an end does not give.
    pub fn add_waiting_queue<P: Peer>(&mut self) {
        let asked_for = self.options.workloads.clone();
        self.options.workloads.retain(|workload| *workload == Workload::Throughput);
        self.add_queue::<P>();
        self.options.workloads = asked_for;
    }

    /// Adds a hand-over of large payloads.
    pub fn add_bulk<P: BulkPeer>(&mut self) {
        for payload_bytes in self.options.payloads.clone() {
            if BULK_BYTES.contains(&payload_bytes) {
                for mode in [Mode::EveryByte, Mode::HeaderOnly] {
                    let key = key(Workload::Bulk, P::NAME, payload_bytes, mode);
                    self.add(key, bulk::pass::<P>);
                }
            }
        }
    }

    /// Adds a broadcast with very many cursors.
    pub fn add_fanout<P: FanoutPeer>(&mut self) {
        let key = key(Workload::Fanout, P::NAME, FanoutMessage::BYTES, Mode::Single);
        self.add(RowKey { is_broadcast: true, ..key }, fanout::pass::<P>);
    }

    /// Adds a queue whose ends sleep.
    pub fn add_sleeping<P: SleepingPeer>(&mut self) {
        let key = key(Workload::Wakeup, P::NAME, 8, Mode::Single);
        self.add(key, wakeup::pass::<P>);
    }

    fn add_messages<P: Peer, const WORDS: usize>(&mut self) {
        let payload_bytes = WORDS * 8;
        let is_broadcast = P::DELIVERY == Delivery::Each;
        let single = key(Workload::Throughput, P::NAME, payload_bytes, Mode::Single);
        self.add(
            RowKey { workload: Workload::Latency, ..single.clone() },
            latency::pass::<P, WORDS>,
        );
        for (senders, receivers) in self.ends::<P>(payload_bytes) {
            for mode in [Mode::Single, Mode::Batch] {
                if mode == Mode::Single || P::HAS_BATCHES {
                    // One receiver gets everything either way: such rows can be compared.
                    let is_broadcast = is_broadcast && receivers > 1;
                    let key = RowKey { mode, senders, receivers, is_broadcast, ..single.clone() };
                    self.add(key, throughput::pass::<P, WORDS>);
                }
            }
        }
    }

    /// One to one, and with many ends what the peer serves of the numbers of threads asked for.
    fn ends<P: Peer>(&self, payload_bytes: usize) -> Vec<(usize, usize)> {
        let payloads = &self.options.payloads;
        let many_ends_bytes = match payloads.contains(&MANY_ENDS_BYTES) {
            true => Some(MANY_ENDS_BYTES),
            false => payloads.iter().copied().min(),
        };
        let mut ends = vec![(1, 1)];
        for &threads in &self.options.threads {
            let many = match P::DELIVERY {
                Delivery::One => vec![(threads - 1, 1), (threads / 2, threads / 2)],
                Delivery::Each => vec![(1, threads - 1)],
            };
            ends.extend(many.into_iter().filter(|_| many_ends_bytes == Some(payload_bytes)));
        }
        let (senders_max, receivers_max) = P::ENDS_MAX;
        ends.retain(|(senders, receivers)| *senders <= senders_max && *receivers <= receivers_max);
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// Adds a row in every placement, if its workload was asked for.
    fn add(&mut self, key: RowKey, pass: PassFn) {
        if !self.options.workloads.contains(&key.workload) {
            return;
        }
        for &placement in &self.options.placements {
            let key = RowKey { placement, ..key.clone() };
            let (cpus, cursors) = (self.cpus.clone(), self.options.cursors);
            let stage = Stage { key, cpus, cursors, across: None };
            self.rows.push(PlannedRow { stage, pass });
        }
    }

    /// Adds the rows of all queues of a list whose ends lie in processes of their own, which
    /// `command` starts. What cannot be measured here is told in the report.
    pub fn add_processes(&mut self, cast: &ProcessCast, command: &EndCommand) {
        for (name, reason) in &cast.absent {
            self.remarks.push(format!("{name}: not measured: {reason}"));
        }
        for entry in &cast.entries {
            match (entry.probe)() {
                Ok(()) => self.add_across(entry, command),
                Err(reason) => {
                    let remark = format!("{}: not measured: {reason}", entry.name);
                    if !self.remarks.contains(&remark) {
                        self.remarks.push(remark);
                    }
                }
            }
        }
    }

    /// Adds the rows of one queue across processes.
    fn add_across(&mut self, entry: &Entry, command: &EndCommand) {
        let mut command = command.clone();
        // The number of messages is found by passes that may take longer than was asked for.
        command.silence += Duration::from_millis(8 * self.options.pass_ms);
        let across = Arc::new(Across {
            command,
            kind: entry.kind,
            is_attended: entry.is_attended,
            has_threads_beside: entry.has_threads_beside,
        });
        let keys = keys_across(entry, &self.options);
        for key in keys.iter().filter(|key| self.options.across_processes.contains(&key.workload)) {
            for &placement in &self.options.placements {
                let key = RowKey { placement, ..key.clone() };
                let (cpus, across) = (self.cpus.clone(), Some(across.clone()));
                let stage = Stage { key, cpus, cursors: 0, across };
                self.rows.push(PlannedRow { stage, pass: process::pass });
            }
        }
    }
}

/// What a queue across processes is measured in.
fn keys_across(entry: &Entry, options: &Options) -> Vec<RowKey> {
    let row = |workload, payload_bytes, mode| {
        let key = key(workload, entry.name, payload_bytes, mode);
        RowKey { processes: 2, ..key }
    };
    let has_messages = options.payloads.contains(&FanoutMessage::BYTES);
    let mut keys = Vec::new();
    match entry.kind {
        Kind::Sleeping => keys.push(row(Workload::Wakeup, 8, Mode::Single)),
        Kind::Bulk => {
            for &payload in options.payloads.iter().filter(|bytes| BULK_BYTES.contains(bytes)) {
                keys.push(row(Workload::Bulk, payload, Mode::EveryByte));
                keys.push(row(Workload::Bulk, payload, Mode::HeaderOnly));
            }
        }
        Kind::Messages => {
            if has_messages {
                let mut pairs = vec![
                    row(Workload::Latency, FanoutMessage::BYTES, Mode::Single),
                    row(Workload::Throughput, FanoutMessage::BYTES, Mode::Single),
                ];
                if entry.has_batches {
                    pairs.push(row(Workload::Throughput, FanoutMessage::BYTES, Mode::Batch));
                }
                if entry.in_one_process {
                    let within = pairs.iter().map(|key| RowKey { processes: 1, ..key.clone() });
                    pairs.extend(within.collect::<Vec<_>>());
                }
                keys.extend(pairs);
            }
            if entry.fans_out {
                let (receivers, processes) = options.spread;
                let key = row(Workload::Fanout, FanoutMessage::BYTES, Mode::Single);
                let key = RowKey { processes: 1 + processes, is_broadcast: true, ..key };
                keys.push(RowKey { receivers, ..key.clone() });
                if entry.has_cursors {
                    let receivers = (options.cursors / processes).max(1) * processes;
                    keys.push(RowKey { receivers, mode: Mode::Bursts, ..key });
                }
            }
        }
    }
    keys
}

/// A row with one end of each kind.
fn key(workload: Workload, peer: &str, payload_bytes: usize, mode: Mode) -> RowKey {
    RowKey {
        workload,
        peer: peer.to_owned(),
        payload_bytes,
        mode,
        senders: 1,
        receivers: 1,
        is_broadcast: false,
        placement: Placement::Pinned,
        processes: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        in_place::HandOver,
        standard::{Pipe, StdChannel, StdEach},
    };

    fn suite(workload: Workload) -> Suite {
        let mut options = Options::for_cpus(vec![workload], 2);
        options.payloads = vec![8, 64, 65_536];
        let mut suite = Suite::new(options).unwrap();
        suite.add_queue::<StdChannel>();
        suite.add_queue::<StdEach>();
        suite.add_bulk::<HandOver>();
        suite.add_fanout::<StdEach>();
        suite.add_sleeping::<Pipe>();
        suite
    }

    #[test]
    fn a_peer_has_the_rows_that_it_serves() {
        let rows = |workload| suite(workload).rows().map(RowKey::to_string).collect::<Vec<_>>();
        assert_eq!(
            rows(Workload::Throughput),
            [
                "throughput 1:1 8 B single pinned: std mpsc",
                "throughput 1:1 64 B single pinned: std mpsc",
                "throughput 3:1 64 B single pinned: std mpsc",
                "throughput 1:1 8 B single pinned: std mpsc, one each",
                "throughput 1:1 64 B single pinned: std mpsc, one each",
                "throughput 1:3 each 64 B single pinned: std mpsc, one each",
            ]
        );
        assert_eq!(rows(Workload::Latency).len(), 4);
        assert_eq!(rows(Workload::Bulk).len(), 2);
        assert_eq!(
            rows(Workload::Fanout),
            ["fanout 1:1 each 64 B single pinned: std mpsc, one each"]
        );
        assert_eq!(rows(Workload::Wakeup), ["wakeup 1:1 8 B single pinned: pipe"]);
    }

    #[test]
    fn every_placement_is_a_row() {
        let mut options = Options::for_cpus(vec![Workload::Wakeup], 2);
        options.placements = vec![Placement::Pinned, Placement::Floating];
        let mut suite = Suite::new(options).unwrap();
        suite.add_sleeping::<Pipe>();
        assert_eq!(suite.rows().count(), 2);
    }
}
