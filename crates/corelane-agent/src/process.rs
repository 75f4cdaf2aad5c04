//! Command-line tools as workers of an agent: a thin adapter around one process at a time.
//!
//! A [`Tool`] says what to run and within which bounds. [`Tool::run`] starts a process for one
//! record: the record is its standard input, its standard output is the answer. A [`Conversation`]
//! keeps one process and speaks with it line by line.
//!
//! A tool runs in a process group of its own. The whole group is killed as soon as the tool itself
//! has ended, overstays or is dropped, so that nothing that it forked stays. A [`Leash`] kills what
//! is left when the process that started it dies, however it dies.
//!
//! What it does not do: it interprets no output, restarts nothing by itself, and changes neither
//! the user nor the limits of a tool. It blocks its caller: use it in a thread of its own.

mod child;
mod conversation;
mod leash;
#[cfg(test)]
mod tests;

use std::{ffi::OsString, io, sync::Arc, time::Duration};

use thiserror::Error;

use child::Child;
pub use conversation::Conversation;
pub use leash::{Leash, MARK, kill_marked};

/// Bytes of a tool's standard error that are kept: the last ones.
pub const STDERR_BYTES_MAX: usize = 2048;

/// A command-line tool and its bounds.
#[derive(Debug, Clone)]
pub struct Tool {
    /// The program, found in the search path if it has no slash.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Longest answer; the tool is killed when it writes more.
    pub output_bytes_max: usize,
    /// How long it may take for one answer before it is killed.
    pub deadline: Duration,
    /// What kills it when this process dies.
    pub leash: Option<Arc<Leash>>,
}

/// How a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Why a tool gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToolError {
    /// There is no such program.
    #[error("{program}: there is no such program: install it, or write its whole path")]
    NotFound {
        /// What was to be run.
        program: String,
    },
    /// It may not be run.
    #[error("{program}: it may not be run: make it executable (chmod +x), or name another")]
    NotExecutable {
        /// What was to be run.
        program: String,
    },
    /// The system refused to start it.
    #[error("{program}: it could not be started: {source}: raise the limits of this process")]
    Start {
        /// What was to be run.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended badly, or before its answer was complete.
    #[error("{program}: ended with {end}{}: run it by hand with the same input", said(.stderr))]
    Ended {
        /// What was run.
        program: String,
        /// How it ended.
        end: End,
        /// The last that it wrote to its standard error.
        stderr: String,
    },
    /// It wrote more than an answer may have; it was killed.
    #[error("{program}: its answer is longer than {max} bytes: raise limits.record_bytes_max")]
    TooLong {
        /// What was run.
        program: String,
        /// Bytes that an answer may have.
        max: usize,
    },
    /// It did not answer in time; it was killed.
    #[error(
        "{program}: no answer within {} ms{}: raise limits.ask_timeout, or let it write each line \
         at once (`stdbuf -oL`)",
        .deadline.as_millis(), said(.stderr)
    )]
    TooLate {
        /// What was run.
        program: String,
        /// How long it had.
        deadline: Duration,
        /// The last that it wrote to its standard error.
        stderr: String,
    },
    /// A record with a line break cannot be one line of a conversation.
    #[error("{program}: the record has a line break: use each = \"line\" for records like it")]
    LineBreak {
        /// What was to be asked.
        program: String,
    },
    /// It wrote more than one line for a record, or wrote without being asked; it was killed.
    #[error(
        "{program}: wrote {found:?}, which nobody asked for: each = \"stream\" needs one line for \
         each record, use each = \"line\""
    )]
    Unasked {
        /// What was run.
        program: String,
        /// The beginning of what it wrote.
        found: String,
    },
    /// The system refused to carry its input or output.
    #[error("{program}: its input or output failed: {source}: raise the limits of this process")]
    Pipe {
        /// What was run.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

impl ToolError {
    /// Number of this error in the catalogue, `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "CL-0650",
            Self::NotExecutable { .. } => "CL-0651",
            Self::Start { .. } => "CL-0652",
            Self::Ended { .. } => "CL-0653",
            Self::TooLong { .. } => "CL-0654",
            Self::TooLate { .. } => "CL-0655",
            Self::LineBreak { .. } => "CL-0656",
            Self::Pipe { .. } => "CL-0657",
            Self::Unasked { .. } => "CL-0658",
        }
    }
}

/// The last line of what a tool said, as part of a sentence.
fn said(stderr: &str) -> String {
    match stderr.trim().lines().last() {
        Some(line) => format!(" ({})", line.trim()),
        None => String::new(),
    }
}

impl Tool {
    /// Runs the tool for one record and returns what it wrote, less one line break at the end.
    ///
    /// What a process that it forked writes after the tool itself has ended does not count.
    ///
    /// # Errors
    /// - [`ToolError`]: a bullet per variant, but for [`ToolError::LineBreak`] and
    ///   [`ToolError::Unasked`]; nothing is left running.
    pub fn run(&self, record: &[u8]) -> Result<Vec<u8>, ToolError> {
        let mut child = Child::start(self)?;
        let end = child.feed_until_end(self, record)?;
        if end != End::Code(0) {
            let (program, stderr) = (self.name(), child.stderr_text());
            return Err(ToolError::Ended { program, end, stderr });
        }
        let mut answer = std::mem::take(&mut child.stdout);
        if answer.last() == Some(&b'\n') {
            answer.pop();
        }
        Ok(answer)
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn pipe_error(&self, source: io::Error) -> ToolError {
        ToolError::Pipe { program: self.name(), source }
    }
}
