//! How a flow runs: processes, places, output, limits, supervision. Everything has a default.

use std::path::PathBuf;

use corelane_agent::supervisor::{self, Backoff, RestartBudget, SupervisorConfig};
use corelane_topology::CpuSet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, TimeSpan, shape::fields};

/// How many processes and threads there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-order" = fields::<Self>()))]
pub struct Topology {
    /// Worker processes.
    #[schemars(range(min = 1, max = 64))]
    pub workers: u32,
    /// Router threads; without it the machine decides.
    #[schemars(range(min = 1, max = 16), example = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routers: Option<u32>,
}

/// Where workers and routers run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-order" = fields::<Self>()))]
pub struct Placement {
    /// Whether each has a core of its own.
    pub pin: bool,
    /// The CPUs to choose from, in the kernel's format; without it, all that are allowed.
    #[serde(with = "cpus", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "corelane-cpus"), example = &"0-3,8")]
    pub cpus: Option<CpuSet>,
}

/// Where the answers go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-order" = fields::<Self>()))]
pub struct Output {
    /// The file that they are written to; without it, the standard output.
    #[schemars(length(min = 1), example = &"out.jsonl")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// How an answer is written.
    pub format: Format,
    /// The page about the run; without it there is none.
    #[schemars(length(min = 1), example = &"corelane-report.html")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<PathBuf>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As it is, a line each.
    #[default]
    Text,
    /// As an object of JSON, a line each.
    Json,
}

/// What is refused, and how long an answer is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-order" = fields::<Self>()))]
pub struct Limits {
    /// Longest item and longest answer; a longer one is an error that is told and counted.
    #[schemars(extend("x-min" = "1B", "x-max" = "4000B"))]
    pub record_bytes_max: ByteSize,
    /// Questions that wait for an answer at once.
    #[schemars(range(min = 1, max = 4096))]
    pub open_questions: u32,
    /// How long an answer is waited for before the question is asked again.
    #[schemars(extend("x-min" = "1ms", "x-max" = "1h"))]
    pub ask_timeout: TimeSpan,
}

/// How often workers are started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-order" = fields::<Self>()))]
pub struct Supervision {
    /// Which workers share a restart.
    pub strategy: Strategy,
    /// Restarts within the window before the flow fails; with 0 it fails at once.
    #[schemars(range(min = 0, max = 1000))]
    pub restarts_max: u32,
    /// Length of the window.
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub window: TimeSpan,
    /// How long the second restart of a worker waits; the first does not, later ones wait twice
    /// as long each time.
    #[schemars(extend("x-min" = "0ns", "x-max" = "1h"))]
    pub backoff_first: TimeSpan,
    /// Longest wait.
    #[schemars(extend("x-min" = "0ns", "x-max" = "1h"))]
    pub backoff_max: TimeSpan,
}

/// Which workers share a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// A set of CPUs as text.
mod cpus {
    use corelane_topology::CpuSet;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        cpus: &Option<CpuSet>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match cpus {
            Some(cpus) => serializer.collect_str(cpus),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<CpuSet>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
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
