//! Watching, signalling and reaping processes through pidfds, which never mean another process.
//!
//! It starts no process and restarts none: that is the supervisor's job.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};

pub use rustix::process::Signal;

use crate::poll::poll_any;

/// Why a process could not be watched, signalled or reaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The process has ended and was reaped, or never was.
    #[error("process is gone call={call}; nothing is left to watch or signal")]
    Gone {
        /// The call that told.
        call: &'static str,
    },
    /// Only the parent can reap.
    #[error("process is not a child of this one; its own parent must reap it")]
    NotAChild,
    /// The kernel does not know the call or the option.
    #[error("kernel does not support {call}; watch the socket's end of file instead")]
    NotSupported {
        /// What is missing.
        call: &'static str,
    },
    /// The system refused the call.
    #[error("{call} failed for a process; see the cause, often a missing permission")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ProcessError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "CL-0341",
            Self::NotAChild => "CL-0342",
            Self::NotSupported { .. } => "CL-0343",
            Self::Os { .. } => "CL-0344",
        }
    }
}

impl ProcessError {
    pub(crate) fn from_errno(call: &'static str, errno: Errno) -> Self {
        match errno {
            Errno::SRCH => Self::Gone { call },
            Errno::CHILD => Self::NotAChild,
            Errno::NOSYS | Errno::NOPROTOOPT => Self::NotSupported { call },
            errno => Self::Os { call, source: errno.into() },
        }
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A descriptor that stands for one process, also after it has ended.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens a process by its id.
    ///
    /// Safe for own children, whose ids stay taken until they are reaped; for others prefer
    /// [`Channel::peer_pidfd`](crate::fdpass::Channel::peer_pidfd).
    ///
    /// # Errors
    ///
    /// - [`ProcessError::Gone`] when there is no such process.
    /// - [`ProcessError::NotSupported`] on kernels before 5.3, [`ProcessError::Os`] otherwise.
    pub fn open(pid: u32) -> Result<Self, ProcessError> {
        let call = "pidfd_open";
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(ProcessError::Gone { call })?;
        pidfd_open(pid, PidfdFlags::empty())
            .map(Self)
            .map_err(|errno| ProcessError::from_errno(call, errno))
    }

    /// Takes over a pidfd that came from elsewhere.
    pub fn from_owned(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// - [`ProcessError::Gone`] when it was reaped already, [`ProcessError::Os`] otherwise.
    pub fn kill(&self, signal: Signal) -> Result<(), ProcessError> {
        pidfd_send_signal(&self.0, signal)
            .map_err(|errno| ProcessError::from_errno("pidfd_send_signal", errno))
    }

    /// Waits until the process has ended (true) or `timeout` has passed (false; `None` waits for
    /// ever). Works for any process and reaps nothing.
    ///
    /// # Errors
    ///
    /// - [`ProcessError::Os`] when the system refuses.
    pub fn wait_exit(&self, timeout: Option<Duration>) -> Result<bool, ProcessError> {
        poll_any(&[self.0.as_fd()], timeout)
            .map(|ready| !ready.is_empty())
            .map_err(|source| ProcessError::Os { call: "poll", source })
    }

    /// Reaps a child that has ended and says how; `None` while it runs. Does not wait.
    ///
    /// # Errors
    ///
    /// - [`ProcessError::NotAChild`] when it is another's, or was reaped already.
    /// - [`ProcessError::Os`] when the system refuses.
    pub fn reap(&self) -> Result<Option<ExitReason>, ProcessError> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = retry_on_intr(|| waitid(WaitId::PidFd(self.0.as_fd()), options))
            .map_err(|errno| ProcessError::from_errno("waitid", errno))?;
        Ok(status.and_then(|status| {
            let code = status.exit_status().map(ExitReason::Code);
            code.or_else(|| status.terminating_signal().map(ExitReason::Signal))
        }))
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped through the pidfd")]
    fn a_child_is_seen_signalled_and_reaped() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pidfd = PidFd::open(child.id()).unwrap();
        assert!(!pidfd.wait_exit(Some(Duration::ZERO)).unwrap());
        assert_eq!(pidfd.reap().unwrap(), None);
        pidfd.kill(Signal::KILL).unwrap();
        assert!(pidfd.wait_exit(None).unwrap());
        assert_eq!(pidfd.reap().unwrap(), Some(ExitReason::Signal(9)));
        assert!(matches!(pidfd.reap(), Err(ProcessError::NotAChild)));
        assert!(matches!(pidfd.kill(Signal::KILL), Err(ProcessError::Gone { .. })));
        drop(child.stdin.take());
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "reaped through the pidfd")]
    fn an_exit_code_is_told() {
        let child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pidfd = PidFd::open(child.id()).unwrap();
        assert!(pidfd.wait_exit(None).unwrap());
        assert_eq!(pidfd.reap().unwrap(), Some(ExitReason::Code(7)));
    }

    #[test]
    fn impossible_ids_and_strangers_are_refused() {
        for pid in [0, u32::MAX, i32::MAX as u32] {
            assert!(matches!(PidFd::open(pid), Err(ProcessError::Gone { .. })), "pid={pid}");
        }
        let own = PidFd::open(std::process::id()).unwrap();
        assert!(matches!(own.reap(), Err(ProcessError::NotAChild)));
    }

    #[test]
    fn an_unknown_option_is_not_supported() {
        let error = ProcessError::from_errno("getsockopt(SO_PEERPIDFD)", Errno::NOPROTOOPT);
        assert!(matches!(error, ProcessError::NotSupported { .. }));
    }
}
