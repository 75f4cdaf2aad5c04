//! Servers that some rivals need: whether they are installed, and how one is started for a pass.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use corelane_bench::process::{Attendant, Meeting, Opened};

/// A server that does not answer within this time never will.
const START: Duration = Duration::from_secs(10);
/// Between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(2);

/// Whether a program can be started at all.
///
/// # Errors
/// A sentence that says that it cannot.
pub(super) fn probe(program: &str) -> Result<(), String> {
    let version = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match version {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{program} is not installed ({error})")),
    }
}

/// Starts a server, which dies with this process, and returns once `is_up` says that it answers.
pub(super) fn start(
    program: &str,
    arguments: &[&str],
    mut is_up: impl FnMut() -> bool,
) -> Opened<Attendant> {
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", program])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut server = Attendant::Program(child);
    let since = Instant::now();
    while !is_up() {
        if let Attendant::Program(child) = &mut server
            && let Some(status) = child.try_wait()?
        {
            return Err(format!("{program} ended at once: {status}").into());
        }
        if since.elapsed() > START {
            return Err(format!("{program} does not answer").into());
        }
        // tidy: sleep because nobody but the server's own socket says that it is up.
        thread::sleep(LOOK);
    }
    Ok(server)
}

/// Where the server of this pass has its socket.
pub(super) fn socket(meeting: &Meeting) -> PathBuf {
    meeting.folder().join("server.sock")
}
