//! What a flow does: where its items come from, and the stages that they pass.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Limits, Output, Placement, Supervision, TimeSpan, Topology};

/// A flow and all of its settings, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Version of the file format.
    pub version: u32,
    /// Where the items come from.
    pub input: Input,
    /// The stages in order; there is at least one.
    pub agents: Vec<Stage>,
    /// How many processes and threads there are.
    pub topology: Topology,
    /// Where they run.
    pub placement: Placement,
    /// Where the answers go.
    pub output: Output,
    /// What is refused or waited for, and how long.
    pub limits: Limits,
    /// How often workers are started again.
    pub supervision: Supervision,
}

/// Where the items of a flow come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The handwritten digits that are built in.
    Digits(Digits),
    /// The lines of a file.
    Lines(Lines),
    /// The lines of a file as it grows.
    Follow {
        /// The file; it need not exist yet.
        file: PathBuf,
        /// When the input ends; without it, at the first signal.
        duration: Option<TimeSpan>,
    },
    /// What this machine says of itself.
    Telemetry {
        /// Readings in a second.
        rate_hz: u32,
        /// What is read each time, none of them twice.
        metrics: Vec<Metric>,
        /// When the input ends; without it, at the first signal.
        duration: Option<TimeSpan>,
    },
}

/// Which of the built-in digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digits {
    /// All of them.
    All,
    /// Those that the model was not trained with.
    HeldOut,
}

/// Where lines are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lines {
    /// The standard input, written as `"-"`.
    Stdin,
    /// A file, to its end.
    File(PathBuf),
}

/// A quantity of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Share of the time that the CPUs were busy since the last reading, 0 to 1.
    Cpu,
    /// Share of the memory that is not available, 0 to 1.
    Memory,
    /// Context switches in a second.
    ContextSwitches,
    /// Interrupts in a second.
    Interrupts,
    /// Bytes that the disks read and wrote in a second.
    Disk,
    /// Bytes that the network interfaces received and sent in a second.
    Network,
    /// Tasks that can run, averaged over a minute.
    Load,
}

/// One stage: agents that do the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Name, unique within the flow.
    pub name: String,
    /// Number of agents, spread over the workers.
    pub count: u32,
    /// What they do.
    pub work: Work,
}

/// What an agent does with an item.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Asks a model.
    Model(Model),
    /// Asks a command-line tool.
    Command {
        /// The tool and its arguments; there is at least the tool.
        argv: Vec<String>,
        /// What a process of it is started for.
        each: Each,
    },
    /// Lets an item through if this regular expression matches; it was compiled once, and is good.
    Match(String),
    /// Lets a reading through if it is far from the ones before.
    Alarm(Alarm),
}

/// Which model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    /// The built-in one that reads digits, written as `"digits"`.
    Digits,
    /// An ONNX file.
    File(PathBuf),
}

/// What a process of a command-line tool is started for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Each {
    /// For each item: the item is its standard input, its standard output is the answer.
    #[default]
    Line,
    /// Once for each agent: a line in, a line out.
    Stream,
}

/// When a reading is an alarm: by the rolling median and the median absolute deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alarm {
    /// Readings that the median is taken over.
    pub window: u32,
    /// How many deviations from the median are an alarm.
    pub threshold: f64,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { window: 200, threshold: 6.0 }
    }
}
