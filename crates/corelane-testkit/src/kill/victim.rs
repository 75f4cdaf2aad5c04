//! The survivor's hand on a child: start, step, kill, reap.

use std::{
    os::fd::OwnedFd,
    process::{Command, Stdio},
};

use corelane_shm::fdpass::{Channel, pair};
use nix::{
    errno::Errno,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use super::{arguments::CHILD, check, stage::MARK};

/// Where a child stands after it was let go on for a bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// Within the operation.
    Point,
    /// At the mark behind the operation.
    End,
}

/// How far a child goes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// One instruction.
    Instruction,
    /// To the entry or the return of its next system call.
    SystemCall,
}

/// A child process, killed and reaped at the latest when this is dropped.
#[derive(Debug)]
pub struct Victim {
    channel: Channel,
    pid: Pid,
    /// The thread that plays its part.
    thread: Pid,
    is_traced: bool,
    is_reaped: bool,
}

impl Victim {
    /// Starts this binary again, to run `test` as the child of `case`.
    #[expect(clippy::zombie_processes, reason = "reaped by its id")]
    pub(super) fn start(test: &str, case: u64) -> Self {
        let (channel, theirs) = pair().expect("because descriptors are left");
        let program = std::env::current_exe().expect("a test knows its binary");
        let child = Command::new(program)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .arg(format!("{CHILD}={case}"))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("the child of {test} did not start: {error}"));
        let pid = Pid::from_raw(child.id().cast_signed());
        let mut victim = Self { channel, pid, thread: pid, is_traced: false, is_reaped: false };
        let told = victim.channel.recv(None).expect("because the child tells its thread").bytes;
        let told = told.try_into().expect("because a thread id has four bytes");
        victim.thread = Pid::from_raw(i32::from_ne_bytes(told));
        victim
    }

    /// Traces it from here on; it dies when this process does.
    pub(super) fn trace(&mut self) -> Result<(), Errno> {
        let options = Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD;
        ptrace::seize(self.thread, options)?;
        self.is_traced = true;
        Ok(())
    }

    /// Lets it play its part.
    pub(super) fn begin(&self) {
        self.channel.send(b"begin", &[], None).expect("because the child waits for this");
    }

    /// The channel to it.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    /// Waits until it stands at the first mark.
    pub(super) fn wait_for_mark(&mut self) -> Result<(), String> {
        loop {
            match self.wait()? {
                WaitStatus::Stopped(_, MARK) => return Ok(()),
                WaitStatus::Stopped(_, signal) => self.go(ptrace::cont(self.thread, signal))?,
                other => return Err(format!("the child ended before its operation: {other:?}")),
            }
        }
    }

    /// Lets it go on, from the first mark or from where it stands.
    pub(super) fn step(&mut self, pace: Pace) -> Result<Reached, String> {
        let mut signal = None;
        loop {
            self.go(match pace {
                Pace::Instruction => ptrace::step(self.thread, signal),
                Pace::SystemCall => ptrace::syscall(self.thread, signal),
            })?;
            signal = match self.wait()? {
                WaitStatus::Stopped(_, MARK) => return Ok(Reached::End),
                WaitStatus::Stopped(_, Signal::SIGTRAP) | WaitStatus::PtraceSyscall(_) => {
                    return Ok(Reached::Point);
                }
                WaitStatus::Stopped(_, signal) => Some(signal),
                WaitStatus::PtraceEvent(..) => None,
                other => return Err(format!("the child ended in its operation: {other:?}")),
            };
        }
    }

    /// Kills it, at whatever it is, and reaps it.
    ///
    /// # Errors
    /// When something else had ended it before.
    pub fn kill(&mut self) -> Result<(), String> {
        let killed = kill(self.pid, Signal::SIGKILL);
        killed.map_err(|errno| format!("the child cannot be killed: {errno}"))?;
        // The thread is reported to who traces it, before its process is reported to its parent.
        while self.is_traced {
            match self.wait()? {
                // A stop that was on its way.
                WaitStatus::Stopped(..)
                | WaitStatus::PtraceEvent(..)
                | WaitStatus::PtraceSyscall(_) => {}
                WaitStatus::Signaled(_, Signal::SIGKILL, _) => self.is_traced = false,
                other => return Err(format!("the child ended before it was killed: {other:?}")),
            }
        }
        let status = wait_for(self.pid)?;
        self.is_reaped = true;
        let is_killed = matches!(status, WaitStatus::Signaled(_, Signal::SIGKILL, _));
        check(is_killed, || format!("the child ended before it was killed: {status:?}"))
    }

    fn go(&self, outcome: Result<(), Errno>) -> Result<(), String> {
        outcome.map_err(|errno| format!("the child pid={} cannot be traced: {errno}", self.pid))
    }

    /// Waits for news of the thread.
    fn wait(&mut self) -> Result<WaitStatus, String> {
        let status = wait_for(self.thread)?;
        if matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..)) {
            self.is_traced = false;
        }
        Ok(status)
    }
}

fn wait_for(id: Pid) -> Result<WaitStatus, String> {
    loop {
        match waitpid(id, Some(WaitPidFlag::__WALL)) {
            Err(Errno::EINTR) => {}
            outcome => {
                return outcome.map_err(|errno| format!("the child id={id} is gone: {errno}"));
            }
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if !self.is_reaped {
            // Whatever it says: it is not left behind.
            let _ = self.kill();
        }
    }
}
