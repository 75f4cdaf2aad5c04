//! What is measured and how long: one typed configuration with one source of defaults.

use serde::{Deserialize, Serialize};

use crate::{
    fanout_peer::FanoutMessage,
    row::{Placement, Workload},
};

/// Payloads that go through a queue by value.
pub const BY_VALUE_BYTES: [usize; 4] = [8, 64, 256, 4096];
/// Smallest and largest payload that stays in place.
pub const BULK_BYTES: std::ops::RangeInclusive<usize> = 4096..=1 << 20;
/// Most measuring threads of a row.
pub const THREADS_MAX: usize = 256;
/// Most processes, beside the publisher's, that the subscribers of a fan-out lie in.
pub const PROCESSES_MAX: usize = 15;

/// What is measured and how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Which workloads.
    pub workloads: Vec<Workload>,
    /// Bytes of a message: those of [`BY_VALUE_BYTES`] by value, those of [`BULK_BYTES`] in place.
    pub payloads: Vec<usize>,
    /// Passes of each row that have to count.
    pub passes: usize,
    /// Length of a pass in milliseconds.
    pub pass_ms: u64,
    /// Length of each of the four bare ping-pongs around a pass in milliseconds.
    pub bracket_ms: u64,
    /// Where threads run.
    pub placements: Vec<Placement>,
    /// Threads of the rows with many ends.
    pub threads: Vec<usize>,
    /// Cursors of the fan-out, beside the single one.
    pub cursors: usize,
    /// Which workloads with ends in processes of their own.
    #[serde(default)]
    pub across_processes: Vec<Workload>,
    /// Subscribers of the fan-out across processes, and processes that they lie in.
    #[serde(default = "spread")]
    pub spread: (usize, usize),
    /// Whether disturbed passes count too.
    pub is_noise_allowed: bool,
}

/// Why options cannot be run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionsError {
    /// A payload is of no workload.
    #[error(
        "payload of {0} bytes is not measured: use 8, 64, 256 or 4096, or for payloads in place a \
         multiple of 64 from 4096 to 1048576"
    )]
    Payload(usize),
    /// No workload takes any of the payloads.
    #[error("no workload takes these payloads: latency goes by value, up to 4096 bytes")]
    NoPayload,
    /// A number of threads cannot be run.
    #[error("rows of {0} threads are not measured: use an even number from 2 to {THREADS_MAX}")]
    Threads(usize),
    /// Too few or too many passes.
    #[error("{0} passes are not possible: use 1 to 1000")]
    Passes(usize),
    /// A pass is too short or too long.
    #[error("a pass of {0} ms is not possible: use 1 to 10000")]
    PassTime(u64),
    /// Subscribers cannot be spread so over processes.
    #[error(
        "{0} subscribers in {1} processes are not possible: use 1 to {PROCESSES_MAX} processes, \
         and the same number of subscribers in each"
    )]
    Spread(usize, usize),
}

impl OptionsError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Payload(_) => "CL-0911",
            Self::NoPayload => "CL-0912",
            Self::Threads(_) => "CL-0913",
            Self::Passes(_) => "CL-0914",
            Self::PassTime(_) => "CL-0915",
            Self::Spread(..) => "CL-0916",
        }
    }
}

/// Subscribers and their processes, without other options.
fn spread() -> (usize, usize) {
    (200, 10)
}

impl Options {
    /// The defaults for a workload on a machine of `cpus` CPUs: threads as many as CPUs, and twice
    /// as many.
    pub fn for_cpus(workloads: Vec<Workload>, cpus: usize) -> Self {
        let cores = cpus.next_multiple_of(2).min(THREADS_MAX / 2);
        Self {
            workloads,
            payloads: vec![8, 64, 256, 4096, 65_536, 1 << 20],
            passes: 5,
            pass_ms: 150,
            bracket_ms: 2,
            placements: vec![Placement::Pinned],
            threads: vec![cores, 2 * cores],
            cursors: 2_000,
            across_processes: Vec::new(),
            spread: spread(),
            is_noise_allowed: false,
        }
    }

    /// Shorter: fewer passes and payloads, for a first look and for tests.
    pub fn quick(mut self) -> Self {
        self.passes = 3;
        self.pass_ms = 40;
        self.payloads = vec![8, 64, 4096];
        self
    }

    /// Checks what no type can say.
    ///
    /// # Errors
    /// One variant of [`OptionsError`] for each option.
    pub fn validate(&self) -> Result<(), OptionsError> {
        let is_bulk = |bytes: &usize| BULK_BYTES.contains(bytes) && bytes.is_multiple_of(64);
        let is_by_value = |bytes: &usize| BY_VALUE_BYTES.contains(bytes);
        let is_unknown = |bytes: &&usize| !is_bulk(bytes) && !is_by_value(bytes);
        if let Some(bytes) = self.payloads.iter().find(is_unknown) {
            return Err(OptionsError::Payload(*bytes));
        }
        let has_row = self.workloads.iter().any(|workload| match workload {
            Workload::Throughput | Workload::Latency => self.payloads.iter().any(is_by_value),
            Workload::Bulk => self.payloads.iter().any(is_bulk),
            Workload::Fanout | Workload::Wakeup => true,
        });
        // Across processes go messages of one size.
        let has_row_across = self.across_processes.iter().any(|workload| match workload {
            Workload::Throughput | Workload::Latency => {
                self.payloads.contains(&FanoutMessage::BYTES)
            }
            Workload::Bulk => self.payloads.iter().any(is_bulk),
            Workload::Fanout | Workload::Wakeup => true,
        });
        if !has_row && !has_row_across {
            return Err(OptionsError::NoPayload);
        }
        let is_possible =
            |count: &usize| (2..=THREADS_MAX).contains(count) && count.is_multiple_of(2);
        if let Some(count) = self.threads.iter().find(|count| !is_possible(count)) {
            return Err(OptionsError::Threads(*count));
        }
        if !(1..=1000).contains(&self.passes) {
            return Err(OptionsError::Passes(self.passes));
        }
        if !(1..=10_000).contains(&self.pass_ms) {
            return Err(OptionsError::PassTime(self.pass_ms));
        }
        let (subscribers, processes) = self.spread;
        let is_even = subscribers > 0 && subscribers.is_multiple_of(processes.max(1));
        if !(1..=PROCESSES_MAX).contains(&processes) || !is_even {
            return Err(OptionsError::Spread(subscribers, processes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_on_any_machine() {
        for cpus in [1, 2, 3, 64, 10_000] {
            let options = Options::for_cpus(vec![Workload::Throughput], cpus);
            assert_eq!(options.validate(), Ok(()), "{options:?}");
            assert_eq!(options.quick().validate(), Ok(()));
        }
        assert_eq!(Options::for_cpus(vec![], 2).threads, [2, 4]);
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let good = Options::for_cpus(vec![Workload::Latency], 2);
        let bulk_only = Options { payloads: vec![65_536], ..good.clone() };
        let cases = [
            (Options { payloads: vec![64, 9], ..good.clone() }, OptionsError::Payload(9)),
            (Options { payloads: vec![65_536], ..good.clone() }, OptionsError::NoPayload),
            (Options { threads: vec![3], ..good.clone() }, OptionsError::Threads(3)),
            (Options { passes: 0, ..good.clone() }, OptionsError::Passes(0)),
            (Options { pass_ms: 0, ..good.clone() }, OptionsError::PassTime(0)),
            (Options { spread: (7, 2), ..good.clone() }, OptionsError::Spread(7, 2)),
            (Options { spread: (16, 16), ..good.clone() }, OptionsError::Spread(16, 16)),
            (Options { spread: (0, 0), ..good.clone() }, OptionsError::Spread(0, 0)),
            (
                Options { across_processes: vec![Workload::Latency], ..bulk_only },
                OptionsError::NoPayload,
            ),
        ];
        for (options, error) in cases {
            assert_eq!(options.validate(), Err(error));
        }
    }
}
