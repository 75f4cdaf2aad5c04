//! Queues between processes: every end in a process of its own, measured as in one process.
//!
//! The measuring process starts its own executable again for each end, and that command calls
//! [`play_end`]. So it never hangs with a queue that does, and nothing that a queue leaves behind,
//! such as threads, meets the next pass. What it says to the ends goes over a socket beside the
//! queue: where to run, when to begin, when to leave. The ends do what threads of one process do,
//! by the same code.
//!
//! ```text
//! measuring process                   process of the sender      process of the receiver
//! start, hand over the assignment --> open, warm up              open, warm up
//! all have come: go               --> send                   --> read, sum up
//! counts, checksum, samples       <-- stay until all is read     leave
//! wait for the last to end
//! ```
//!
//! A process that dies or falls silent ends the pass with an error, and the others with it. The
//! ends die with the measuring process.

mod assignment;
mod attendant;
mod cast;
mod crew;
mod end;
mod meeting;
pub mod ours;
mod pass;
mod peer;
mod play;
pub mod standard;
#[cfg(test)]
mod tests;

pub use attendant::Attendant;
pub use cast::ProcessCast;
pub use end::play_end;
pub use meeting::Meeting;
pub use peer::{Opened, ProcessBulkPeer, ProcessPeer, ProcessSleepingPeer};

pub(crate) use cast::{Entry, Kind};
pub(crate) use pass::pass;

use std::{ffi::OsString, path::PathBuf, time::Duration};

/// An end that says nothing for so long, beyond what its pass may take, hangs.
const SILENCE: Duration = Duration::from_secs(30);

/// The command that starts a process for an end: it has to call [`play_end`] with its stdin.
#[derive(Debug, Clone)]
pub struct EndCommand {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) silence: Duration,
}

impl EndCommand {
    /// A program, usually the running one, and its arguments.
    pub fn new<A: Into<OsString>>(
        program: PathBuf,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program, arguments, silence: SILENCE }
    }
}

/// How the ends of a row come into processes of their own.
#[derive(Debug)]
pub(crate) struct Across {
    pub(crate) command: EndCommand,
    pub(crate) kind: Kind,
    /// Something has to run beside the ends, such as a server.
    pub(crate) is_attended: bool,
    /// The ends or what runs beside them have threads of their own, which want CPU time too.
    pub(crate) has_threads_beside: bool,
}
