//! Worker processes: what to start, and what is known of one that was started.
//!
//! It decides nothing: the supervisor does.

use std::{
    error::Error,
    ffi::OsString,
    io,
    ops::Range,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use corelane_agent::supervisor::{ExitReason, Generation};
use corelane_shm::process::{self, PidFd};

/// A worker process that a node starts, supervises and starts again.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// Program to run.
    pub program: PathBuf,
    /// Its arguments; `--socket PATH` is added.
    pub args: Vec<OsString>,
    /// Addresses of the agents that it hosts.
    pub agents: Range<u32>,
}

/// A started worker.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) generation: Generation,
    pub(crate) pid: u32,
    pub(crate) pidfd: PidFd,
    /// It attached and its lanes are in use.
    pub(crate) is_up: bool,
    /// When patience ends: with its start, or with its stop.
    pub(crate) deadline_ns: Option<u64>,
}

impl WorkerSpec {
    /// Starts the process in a group of its own, so that a Ctrl-C reaches the node alone.
    pub(crate) fn spawn(&self, socket: &Path, generation: Generation) -> io::Result<Child> {
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .arg("--socket")
            .arg(socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pid = child.id();
        match PidFd::open(pid) {
            Ok(pidfd) => Ok(Child { generation, pid, pidfd, is_up: false, deadline_ns: None }),
            Err(error) => {
                // Without a pidfd it could not be watched: it must not live on.
                child.kill()?;
                child.wait()?;
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                Err(io::Error::other(format!("{error}{cause}")))
            }
        }
    }
}

/// The supervisor's word for how a process ended.
pub(crate) fn exit_reason(exit: process::ExitReason) -> ExitReason {
    match exit {
        process::ExitReason::Code(0) => ExitReason::Normal,
        process::ExitReason::Code(code) => ExitReason::Failed { code },
        process::ExitReason::Signal(signal) => ExitReason::Signal { signal },
    }
}
