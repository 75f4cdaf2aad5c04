//! One process of a tool: started in a group of its own, fed and read without blocking, and killed
//! with its whole group when it is dropped.
//!
//! The group is killed before the tool is reaped: until then its number cannot mean another group.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{self, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use corelane_shm::process::PidFd;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    process::{Pid, Signal, kill_process_group},
};

use super::{End, MARK, STDERR_BYTES_MAX, Tool, ToolError};

/// A running tool.
pub(super) struct Child {
    child: process::Child,
    pidfd: PidFd,
    pub(super) stdin: Option<ChildStdin>,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    /// What it wrote and nobody has taken yet.
    pub(super) stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// It has taken something in since this was last set to false.
    pub(super) is_fed: bool,
    is_reaped: bool,
}

/// What woke a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woke {
    /// Something was read or written.
    Moved,
    /// It has ended, and all that it wrote is read.
    Ended,
}

impl Child {
    pub(super) fn start(tool: &Tool) -> Result<Self, ToolError> {
        let mut command = Command::new(&tool.program);
        command.args(&tool.args).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(leash) = &tool.leash {
            command.env(MARK, leash.mark());
        }
        let program = || tool.name();
        let mut child = command.spawn().map_err(|source| match source.kind() {
            ErrorKind::NotFound => ToolError::NotFound { program: program() },
            ErrorKind::PermissionDenied => ToolError::NotExecutable { program: program() },
            _ if source.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
                ToolError::NotExecutable { program: program() }
            }
            _ => ToolError::Start { program: program(), source },
        })?;
        let pidfd = match PidFd::open(child.id()) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                // Without a pidfd it could not be watched: it must not live on.
                let _ = child.kill();
                let _ = child.wait();
                let source = io::Error::other(error);
                return Err(ToolError::Start { program: program(), source });
            }
        };
        let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (Vec::new(), Vec::new());
        let (is_fed, is_reaped) = (false, false);
        let child = Self { child, pidfd, stdin, out, err, stdout, stderr, is_fed, is_reaped };
        child.unblock().map_err(|source| tool.pipe_error(source))?;
        Ok(child)
    }

    fn unblock(&self) -> io::Result<()> {
        let ends = [
            self.stdin.as_ref().map(AsFd::as_fd),
            self.out.as_ref().map(AsFd::as_fd),
            self.err.as_ref().map(AsFd::as_fd),
        ];
        for fd in ends.into_iter().flatten() {
            fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
        }
        Ok(())
    }

    /// Writes `record`, closes its input, and reads until it has ended.
    pub(super) fn feed_until_end(&mut self, tool: &Tool, record: &[u8]) -> Result<End, ToolError> {
        let (mut rest, deadline) = (record, Instant::now() + tool.deadline);
        loop {
            if rest.is_empty() {
                self.stdin = None;
            }
            let woke = self.turn(tool, &mut rest, deadline)?;
            if self.stdout.len() > tool.output_bytes_max + 1 {
                let (program, max) = (tool.name(), tool.output_bytes_max);
                return Err(ToolError::TooLong { program, max });
            }
            if woke == Woke::Ended {
                return self.end().map_err(|source| tool.pipe_error(source));
            }
        }
    }

    /// Waits until something moves, and moves what can be moved of `rest` and of its outputs.
    pub(super) fn turn(
        &mut self,
        tool: &Tool,
        rest: &mut &[u8],
        deadline: Instant,
    ) -> Result<Woke, ToolError> {
        let broken = |source| tool.pipe_error(source);
        // Before the wait: one that never stops writing is never waited for.
        let is_late = Instant::now() >= deadline;
        let is_ready = self.wait(!rest.is_empty(), deadline).map_err(broken)?;
        let has_ended = self.has_ended().map_err(broken)?;
        if !has_ended && (is_late || !is_ready) {
            let (program, deadline) = (tool.name(), tool.deadline);
            let stderr = self.stderr_text();
            return Err(ToolError::TooLate { program, deadline, stderr });
        }
        if has_ended {
            // Whoever it forked writes no more, and holds no pipe open.
            self.kill_group();
        }
        if !rest.is_empty() {
            self.write(rest).map_err(broken)?;
        }
        self.read(tool.output_bytes_max).map_err(broken)?;
        Ok(if has_ended { Woke::Ended } else { Woke::Moved })
    }

    /// Waits for output until then, and takes in what is there; with a time that is over it does
    /// not wait.
    pub(super) fn look(&mut self, max: usize, until: Instant) -> io::Result<Woke> {
        loop {
            let is_over = !self.wait(false, until)? || Instant::now() >= until;
            let has_ended = self.has_ended()?;
            if has_ended {
                self.kill_group();
            }
            self.read(max)?;
            match has_ended {
                true => return Ok(Woke::Ended),
                false if is_over || !self.stdout.is_empty() => return Ok(Woke::Moved),
                false => {}
            }
        }
    }

    /// To be looked at before reading: what it wrote before its end is in the pipes by then.
    fn has_ended(&self) -> io::Result<bool> {
        self.pidfd.wait_exit(Some(Duration::ZERO)).map_err(io::Error::other)
    }

    /// False when the deadline has passed.
    fn wait(&self, has_input: bool, deadline: Instant) -> io::Result<bool> {
        fn entry(fd: BorrowedFd<'_>, flags: PollFlags) -> PollFd<'_> {
            PollFd::from_borrowed_fd(fd, flags)
        }
        let mut entries = vec![entry(self.pidfd.as_fd(), PollFlags::IN)];
        entries.extend(self.out.iter().map(|end| entry(end.as_fd(), PollFlags::IN)));
        entries.extend(self.err.iter().map(|end| entry(end.as_fd(), PollFlags::IN)));
        if has_input {
            entries.extend(self.stdin.iter().map(|end| entry(end.as_fd(), PollFlags::OUT)));
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).ok();
            match poll(&mut entries, left.as_ref()) {
                Err(Errno::INTR) => {}
                result => return Ok(result? > 0),
            }
        }
    }

    fn write(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        let Some(stdin) = &mut self.stdin else {
            *rest = &[];
            return Ok(());
        };
        match stdin.write(rest) {
            Ok(count) => (*rest, self.is_fed) = (&rest[count..], true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // It wants no more input; that is its right.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.stdin = None;
                *rest = &[];
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads what is there; of its standard output not much more than `max`.
    fn read(&mut self, max: usize) -> io::Result<()> {
        let mut chunk = [0; 4096];
        while let Some(out) = &mut self.out
            && self.stdout.len() <= max + 1
        {
            match out.read(&mut chunk) {
                Ok(0) => self.out = None,
                Ok(count) => self.stdout.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        // A few chunks at a time: one that never stops complaining still meets its deadline.
        for _ in 0..16 {
            let Some(err) = &mut self.err else { break };
            match err.read(&mut chunk) {
                Ok(0) => self.err = None,
                Ok(count) => self.stderr.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            let surplus = self.stderr.len().saturating_sub(STDERR_BYTES_MAX);
            self.stderr.drain(..surplus);
        }
        Ok(())
    }

    /// How it ended; call it when it has.
    pub(super) fn end(&mut self) -> io::Result<End> {
        self.kill_group();
        let status = self.child.wait()?;
        self.is_reaped = true;
        let signal = status.signal().map(End::Signal);
        Ok(status.code().map(End::Code).or(signal).unwrap_or(End::Code(-1)))
    }

    pub(super) fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    fn kill_group(&self) {
        if !self.is_reaped
            && let Some(group) = Pid::from_raw(self.child.id() as i32)
        {
            // Nobody is left in it: nothing to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.kill_group();
            let _ = self.child.wait();
        }
    }
}
