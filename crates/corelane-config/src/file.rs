//! A file as it is written: tables, keys, their documentation, ranges and defaults.
//!
//! This is the one place that the schema, the checks, the default file and the defaults come from,
//! together with the settings. It becomes a [`Config`] once it was checked.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Alarm, Config, Digits, Each, Input, Limits, Lines, Metric, Model, Output, Placement, Stage,
    Supervision, TimeSpan, Topology, Work, shape::fields,
};

/// The version of the format that this build reads.
pub const VERSION: u32 = 1;

/// The text that stands for the standard input.
const STDIN: &str = "-";

/// The text that stands for the built-in model.
const DIGITS: &str = "digits";

/// A flow of agents and how it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A Corelane flow", extend("x-order" = fields::<Self>()))]
pub(crate) struct ConfigTable {
    /// Version of the file format; every file says it.
    #[schemars(range(min = 1, max = 1))]
    pub(crate) version: u32,
    /// Where the items come from: exactly one kind of input.
    pub(crate) input: InputTable,
    /// A stage: agents that do the same. What one stage answers is what the next one is asked, in
    /// the order of the file. Exactly one of model, command, match and alarm.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) agents: Vec<StageTable>,
    /// How many processes and threads there are.
    #[serde(default)]
    pub(crate) topology: Topology,
    /// Where workers and routers run.
    #[serde(default)]
    pub(crate) placement: Placement,
    /// Where the answers go.
    #[serde(default)]
    pub(crate) output: Output,
    /// What is refused, and how long an answer is waited for.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// How often workers are started again.
    #[serde(default)]
    pub(crate) supervision: Supervision,
}

/// Where the items come from: exactly one kind of input.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend(
    "x-order" = fields::<Self>(),
    "x-choice" = { "digits": [], "lines": [], "follow": ["duration"], "telemetry": ["duration"] },
))]
pub(crate) struct InputTable {
    /// The handwritten digits that are built in: all, or those that the model has not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"all")]
    pub(crate) digits: Option<Digits>,
    /// The lines of a file, to its end; "-" is the standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"-")]
    pub(crate) lines: Option<String>,
    /// A file as it grows, also when it is rotated or truncated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"/var/log/app.log")]
    pub(crate) follow: Option<PathBuf>,
    /// What this machine says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = TelemetryTable::default())]
    pub(crate) telemetry: Option<TelemetryTable>,
    /// When follow and telemetry end; without it, Ctrl-C ends them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-min" = "1ms", "x-max" = "8760h"), example = &"60s")]
    pub(crate) duration: Option<TimeSpan>,
}

/// What is read of this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("x-order" = fields::<Self>()))]
pub(crate) struct TelemetryTable {
    /// Readings in a second.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) rate_hz: u32,
    /// What is read each time.
    #[schemars(length(min = 1, max = 7), extend("uniqueItems" = true))]
    pub(crate) metrics: Vec<Metric>,
}

/// A stage: agents that do the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "x-order" = fields::<Self>(),
    "x-choice" = { "model": [], "command": ["each"], "match": [], "alarm": [] },
))]
pub(crate) struct StageTable {
    /// Name of the stage, unique within the flow: letters, digits, '-' and '_'.
    #[schemars(extend("pattern" = "^[A-Za-z0-9_-]{1,64}$", "format" = "corelane-name"))]
    #[schemars(example = &"classify")]
    pub(crate) name: String,
    /// Agents of this stage, spread over the workers.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) count: u32,
    /// Asks a model: "digits" is the built-in one, anything else is the path of an ONNX file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"digits")]
    pub(crate) model: Option<String>,
    /// Asks a command-line tool: its name and its arguments, without a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), example = translate())]
    pub(crate) command: Option<Vec<String>>,
    /// What a process of the command is started for: each line, or once for each agent as a
    /// stream of lines. "line" if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"line")]
    pub(crate) each: Option<Each>,
    /// Lets an item through if this regular expression matches.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "regex"), example = &"ERROR|WARN")]
    pub(crate) pattern: Option<String>,
    /// Lets a reading through if it is far from the median of those before it, counted in median
    /// absolute deviations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = Alarm::default())]
    pub(crate) alarm: Option<Alarm>,
}

impl Default for TelemetryTable {
    fn default() -> Self {
        Self { rate_hz: 100, metrics: vec![Metric::Cpu, Metric::Memory] }
    }
}

/// A command as an example.
fn translate() -> [&'static str; 3] {
    ["tr", "a-z", "A-Z"]
}

fn one() -> u32 {
    1
}

impl ConfigTable {
    /// The checked flow, or nothing if a choice was not made.
    pub(crate) fn into_config(self) -> Option<Config> {
        let agents = self.agents.into_iter().map(StageTable::into_stage).collect::<Option<_>>()?;
        Some(Config {
            version: self.version,
            input: self.input.into_input()?,
            agents,
            topology: self.topology,
            placement: self.placement,
            output: self.output,
            limits: self.limits,
            supervision: self.supervision,
        })
    }
}

impl InputTable {
    fn into_input(self) -> Option<Input> {
        let duration = self.duration;
        match self {
            Self { digits: Some(digits), .. } => Some(Input::Digits(digits)),
            Self { lines: Some(text), .. } if text == STDIN => Some(Input::Lines(Lines::Stdin)),
            Self { lines: Some(text), .. } => Some(Input::Lines(Lines::File(text.into()))),
            Self { follow: Some(file), .. } => Some(Input::Follow { file, duration }),
            Self { telemetry: Some(TelemetryTable { rate_hz, metrics }), .. } => {
                Some(Input::Telemetry { rate_hz, metrics, duration })
            }
            _ => None,
        }
    }
}

impl StageTable {
    fn into_stage(self) -> Option<Stage> {
        let Self { name, count, .. } = self;
        let work = match (self.model, self.command, self.pattern, self.alarm) {
            (Some(text), ..) if text == DIGITS => Work::Model(Model::Digits),
            (Some(text), ..) => Work::Model(Model::File(text.into())),
            (_, Some(argv), ..) => Work::Command { argv, each: self.each.unwrap_or_default() },
            (_, _, Some(pattern), _) => Work::Match(pattern),
            (.., Some(alarm)) => Work::Alarm(alarm),
            _ => return None,
        };
        Some(Stage { name, count, work })
    }
}
