//! What kills the tools of a process that died: a watcher, itself a process.
//!
//! The watcher holds the reading end of a pipe whose other end only the watched process has, so
//! that it reads the end of the pipe when that process is gone, however it ended. A process between
//! fork and exec has a copy of that end too; so at the end of the pipe every tool carries its mark,
//! a variable of its environment, and so does all that it forked. The watcher kills whoever carries
//! the mark until there is nobody left, or only who does not die.
//!
//! What it does not do: it cannot find a process that removed the mark from its own environment
//! before it started another program.

use std::{
    fs,
    io::{self, Read},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::Duration,
};

use corelane_shm::process::{PidFd, Signal};

/// Variable that the tools of a leash carry.
pub const MARK: &str = "CORELANE_LEASH";
/// Between two looks for processes that are still there.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Most looks, some ten seconds: a process that waits for a device cannot be killed meanwhile. It
/// dies by the signals that it has by then.
const LOOKS_MAX: u32 = 10_000;

/// A running watcher of this process. Dropping it ends it, after what is left of the tools.
#[derive(Debug)]
pub struct Leash {
    mark: String,
    pipe: Option<ChildStdin>,
    watcher: Child,
}

impl Leash {
    /// Starts the watcher: `command` has to call [`kill_marked`] with its standard input and
    /// `mark`, which no other leash of this machine may have.
    ///
    /// # Errors
    /// - What the system says when it cannot be started.
    pub fn start(mut command: Command, mark: String) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let mut watcher = command.spawn()?;
        let pipe = watcher.stdin.take();
        Ok(Self { mark, pipe, watcher })
    }

    pub(super) fn mark(&self) -> &str {
        &self.mark
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.watcher.wait();
    }
}

/// The watcher's work: waits until `pipe` ends, then kills every process that carries `mark`.
pub fn kill_marked(mut pipe: impl Read, mark: &str) {
    let mut byte = [0];
    loop {
        match pipe.read(&mut byte) {
            Ok(0) => break,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
            _ => {}
        }
    }
    for _ in 0..LOOKS_MAX {
        if !kill_all(mark) {
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Whether there was anybody to kill.
fn kill_all(mark: &str) -> bool {
    let mut has_found = false;
    let own = std::process::id();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = pid.filter(|pid| *pid != own && is_marked(*pid, mark)) else { continue };
        // The pidfd stands for one process; the second look says that it is still the same.
        if let Ok(pidfd) = PidFd::open(pid)
            && is_marked(pid, mark)
        {
            has_found |= pidfd.kill(Signal::KILL).is_ok();
        }
    }
    has_found
}

fn is_marked(pid: u32, mark: &str) -> bool {
    let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let mut entries = environment.split(|byte| *byte == 0);
    entries.any(|entry| {
        let rest = entry.strip_prefix(MARK.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        // A tool may be a fabric with tools of its own: its marks follow ours.
        rest.is_some_and(|marks| marks.split(|byte| *byte == b':').any(|m| m == mark.as_bytes()))
    })
}
