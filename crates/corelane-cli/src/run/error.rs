//! Why a run does not begin, or ends before its input.

use std::{io, path::PathBuf};

use corelane_infer::ModelError;
use thiserror::Error;

/// What is wrong with a run, apart from its settings and its agents.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    /// The answers cannot be written.
    #[error("answers cannot be written to {place}: {source}: make room, or name another file")]
    Output { place: String, source: io::Error },
    /// The input cannot be read.
    #[error("input cannot be read from {place}: {source}: check the file, or name another")]
    Input { place: String, source: io::Error },
    /// What is written would replace a file that the run itself uses.
    #[error("{name} is {other} itself: {}: name another file", .file.display())]
    SameFile { name: &'static str, other: String, file: PathBuf },
    /// Two documents would go to the standard output.
    #[error("--json and the answers both go to stdout: set output.file, or leave out --json")]
    JsonAmongAnswers,
    /// There are more agents than a fabric of this command has.
    #[error("the stages have {found} agents, a run has at most {max}: lower their counts")]
    TooManyAgents { found: u64, max: u64 },
    /// A stage has no model.
    #[error("model of stage {stage} cannot be read: {source}")]
    Model { stage: String, source: ModelError },
}

impl RunError {
    /// Number of this error in the catalogue, `docs/errors`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Output { .. } => "CL-1150",
            Self::Input { .. } => "CL-1151",
            Self::SameFile { .. } => "CL-1152",
            Self::JsonAmongAnswers => "CL-1153",
            Self::TooManyAgents { .. } => "CL-1154",
            Self::Model { source, .. } => source.code(),
        }
    }
}
