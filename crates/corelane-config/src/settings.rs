//! How a flow runs: processes, places, output, limits, supervision. Everything has a default.

use std::path::PathBuf;

use corelane_agent::supervisor::{self, Backoff, RestartBudget, SupervisorConfig};
use corelane_topology::CpuSet;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, TimeSpan};

/// How many processes and threads there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Topology {
    /// Worker processes.
    pub workers: u32,
    /// Router threads; without it the machine decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routers: Option<u32>,
}

/// Where workers and routers run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Whether each has a core of its own.
    pub pin: bool,
    /// The CPUs to choose from; without it, all that are allowed. Never empty.
    pub cpus: Option<CpuSet>,
}

/// Where the answers go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// The file that they are written to; without it, the standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// How an answer is written.
    pub format: Format,
    /// The page about the run; without it there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<PathBuf>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As it is, a line each.
    #[default]
    Text,
    /// As an object of JSON, a line each.
    Json,
}

/// What is refused, and how long an answer is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest item and longest answer.
    pub record_bytes_max: ByteSize,
    /// Questions that wait for an answer at once.
    pub open_questions: u32,
    /// How long an answer is waited for before the question is asked again.
    pub ask_timeout: TimeSpan,
}

/// How often workers are started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Supervision {
    /// Which workers share a restart.
    pub strategy: Strategy,
    /// Restarts within the window before the flow fails; with 0 it fails at once.
    pub restarts_max: u32,
    /// Length of the window.
    pub window: TimeSpan,
    /// How long the second restart of a worker waits; the first does not, later ones wait twice
    /// as long each time.
    pub backoff_first: TimeSpan,
    /// Longest wait.
    pub backoff_max: TimeSpan,
}

/// Which workers share a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Only the one that failed.
    #[default]
    OneForOne,
    /// All of them.
    OneForAll,
    /// The one that failed and those after it.
    RestForOne,
}

impl Default for Topology {
    fn default() -> Self {
        Self { workers: 2, routers: None }
    }
}

impl Default for Placement {
    fn default() -> Self {
        Self { pin: true, cpus: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes_max: ByteSize::new(1024),
            open_questions: 64,
            ask_timeout: TimeSpan::from_secs(5),
        }
    }
}

impl Default for Supervision {
    fn default() -> Self {
        SupervisorConfig::default().into()
    }
}

impl From<SupervisorConfig> for Supervision {
    fn from(config: SupervisorConfig) -> Self {
        let SupervisorConfig { strategy, budget, backoff } = config;
        Self {
            strategy: match strategy {
                supervisor::Strategy::OneForOne => Strategy::OneForOne,
                supervisor::Strategy::OneForAll => Strategy::OneForAll,
                supervisor::Strategy::RestForOne => Strategy::RestForOne,
            },
            restarts_max: budget.restarts_max,
            window: TimeSpan::from_ns(budget.window_ns),
            backoff_first: TimeSpan::from_ns(backoff.first_ns),
            backoff_max: TimeSpan::from_ns(backoff.cap_ns),
        }
    }
}

impl From<&Supervision> for SupervisorConfig {
    fn from(config: &Supervision) -> Self {
        let Supervision { strategy, restarts_max, window, backoff_first, backoff_max } = *config;
        Self {
            strategy: match strategy {
                Strategy::OneForOne => supervisor::Strategy::OneForOne,
                Strategy::OneForAll => supervisor::Strategy::OneForAll,
                Strategy::RestForOne => supervisor::Strategy::RestForOne,
            },
            budget: RestartBudget { restarts_max, window_ns: window.ns() },
            backoff: Backoff { first_ns: backoff_first.ns(), cap_ns: backoff_max.ns() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supervision_is_that_of_the_supervisor() {
        let defaults = SupervisorConfig::default();
        assert_eq!(SupervisorConfig::from(&Supervision::from(defaults)), defaults);
        for strategy in [supervisor::Strategy::OneForAll, supervisor::Strategy::RestForOne] {
            let config = SupervisorConfig { strategy, ..defaults };
            assert_eq!(SupervisorConfig::from(&Supervision::from(config)), config);
        }
    }
}
