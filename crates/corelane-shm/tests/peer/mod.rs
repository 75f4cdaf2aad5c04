//! A second process for a test: the test binary itself, running the same test as the other role.
//!
//! It only starts the process and connects the two; what they say is the test's business.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use corelane_shm::fdpass::{Channel, pair};
use corelane_shm::process::{ExitReason, PidFd, Signal};

/// Extra test-name filter that matches no test and marks the peer.
const MARK: &str = "as-the-peer-process";

/// The peer process, killed and reaped on drop.
pub(crate) struct Peer {
    pub(crate) channel: Channel,
    pub(crate) pidfd: PidFd,
    pub(crate) pid: u32,
}

/// In the peer: the channel to the test that started it.
pub(crate) fn channel_to_parent() -> Option<Channel> {
    let is_peer = std::env::args().any(|argument| argument == MARK);
    is_peer.then(|| {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("stdin is the socket");
        Channel::from(stdin)
    })
}

/// Starts this binary again, to run `test` in the role of the peer.
#[expect(clippy::zombie_processes, reason = "reaped through the pidfd")]
pub(crate) fn start(test: &str) -> Peer {
    let (channel, theirs) = pair().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, MARK, "--nocapture"])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Peer { channel, pidfd: PidFd::open(child.id()).unwrap(), pid: child.id() }
}

impl Peer {
    /// Waits for the peer's own end; its assertions have failed unless this is `Code(0)`.
    pub(crate) fn join(&self) -> ExitReason {
        assert!(self.pidfd.wait_exit(None).unwrap());
        self.pidfd.reap().unwrap().expect("a process that has ended can be reaped")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Does nothing when the test has reaped it already.
        if self.pidfd.kill(Signal::KILL).is_ok() && self.pidfd.wait_exit(None).is_ok() {
            let _ = self.pidfd.reap();
        }
    }
}
