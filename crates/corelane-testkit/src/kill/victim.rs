//! The survivor's hand on a child: start, step, kill, reap.

use std::{
    fs,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    ptr::without_provenance_mut,
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

use super::{
    arguments::CHILD,
    stage::{MARK, MARK_OF_ANOTHER},
};

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
    /// The same, of any of its threads.
    AnySystemCall,
    /// To the breakpoint that is set.
    Breakpoint,
}

/// Where the kernel keeps the instruction pointer among the words of a traced thread.
const USER_INSTRUCTION: Option<usize> = if cfg!(target_arch = "x86_64") { Some(128) } else { None };
/// The same for where an instruction that repeats itself stores to, and for how often.
const USER_REPEATS: Option<[usize; 2]> =
    if cfg!(target_arch = "x86_64") { Some([112, 88]) } else { None };
/// The same for the first of the debug registers.
const USER_BREAKPOINTS: Option<usize> = if cfg!(target_arch = "x86_64") { Some(848) } else { None };

/// A child process, killed and reaped at the latest when this is dropped.
#[derive(Debug)]
pub struct Victim {
    channel: Channel,
    pid: Pid,
    /// The thread that is led: the one that plays its part, or the one that it has named.
    thread: Pid,
    /// In the latter case the one that plays its part: it runs freely, and stands at the mark when
    /// the operation is over.
    player: Option<Pid>,
    is_traced: bool,
    /// The thread that stopped last, where all are traced.
    stopped: Option<Pid>,
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
        let mut victim = Self {
            channel,
            pid,
            thread: pid,
            player: None,
            is_traced: false,
            stopped: None,
            is_reaped: false,
        };
        victim.thread = victim.told_thread().expect("because the child tells its thread");
        victim
    }

    /// The thread that it tells of next.
    fn told_thread(&self) -> Result<Pid, String> {
        let told = self.channel.recv(None).map_err(|error| error.to_string())?.bytes;
        let id = told.try_into().map_err(|_| "a thread id has four bytes")?;
        Ok(Pid::from_raw(i32::from_ne_bytes(id)))
    }

    /// Traces it from here on; it dies when this process does.
    pub(super) fn trace(&mut self) -> Result<(), Errno> {
        ptrace::seize(self.thread, options())?;
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
                WaitStatus::Stopped(_, MARK_OF_ANOTHER) => return self.turn_to_another(),
                WaitStatus::Stopped(_, signal) => self.go(ptrace::cont(self.thread, signal))?,
                other => return Err(format!("the child ended before its operation: {other:?}")),
            }
        }
    }

    /// At the first mark, which speaks of another thread: that one is led from here on. It stands
    /// still before the operation begins, and this one goes on freely.
    fn turn_to_another(&mut self) -> Result<(), String> {
        let another = self.told_thread()?;
        self.go(ptrace::seize(another, options()))?;
        self.go(ptrace::interrupt(another))?;
        wait_for(another)?;
        self.go(ptrace::cont(self.thread, None))?;
        self.player = Some(std::mem::replace(&mut self.thread, another));
        Ok(())
    }

    /// At the first mark: traces its other threads too, and those that it will start.
    pub(super) fn trace_all(&mut self) -> Result<(), String> {
        if self.player.is_some() {
            return Err("all threads are led: there is none to be named".to_owned());
        }
        let options = options() | Options::PTRACE_O_TRACECLONE;
        self.go(ptrace::setoptions(self.thread, options))?;
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid));
        for task in tasks.map_err(|error| format!("the child has no threads: {error}"))? {
            let name = task.map_err(|error| error.to_string())?.file_name();
            let id = name.to_string_lossy().parse().expect("because threads are numbers");
            let thread = Pid::from_raw(id);
            if thread == self.thread {
                continue;
            }
            match ptrace::seize(thread, options) {
                // It has ended meanwhile.
                Err(Errno::ESRCH) => continue,
                seized => self.go(seized)?,
            }
            self.go(ptrace::interrupt(thread))?;
            wait_for(thread)?;
            self.go(ptrace::syscall(thread, None))?;
        }
        self.stopped = Some(self.thread);
        Ok(())
    }

    /// Lets all threads go on until one of them stops at a system call.
    fn step_any(&mut self) -> Result<Reached, String> {
        let mut signal = None;
        loop {
            if let Some(thread) = self.stopped.take() {
                match ptrace::syscall(thread, signal.take()) {
                    // It was ended by another thread.
                    Err(Errno::ESRCH) if thread != self.thread => {}
                    gone => self.go(gone)?,
                }
            }
            let status = wait_for_any()?;
            self.stopped = status.pid();
            match status {
                WaitStatus::Stopped(thread, MARK) if thread == self.thread => {
                    return Ok(Reached::End);
                }
                WaitStatus::PtraceSyscall(_) => return Ok(Reached::Point),
                WaitStatus::Stopped(_, other) => signal = Some(other),
                WaitStatus::PtraceEvent(..) => {}
                WaitStatus::Exited(thread, _) if ![self.pid, self.thread].contains(&thread) => {
                    self.stopped = None;
                }
                other => return Err(format!("the child ended in its operation: {other:?}")),
            }
        }
    }

    /// Lets it go on, from the first mark or from where it stands.
    pub(super) fn step(&mut self, pace: Pace) -> Result<Reached, String> {
        let mut signal = None;
        if pace == Pace::AnySystemCall {
            return self.step_any();
        }
        loop {
            self.go(match pace {
                Pace::Instruction => ptrace::step(self.thread, signal),
                Pace::SystemCall | Pace::AnySystemCall => ptrace::syscall(self.thread, signal),
                Pace::Breakpoint => ptrace::cont(self.thread, signal),
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

    /// Its process.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Address of the instruction that it executes next, where this can be asked.
    pub(super) fn instruction(&self) -> Option<u64> {
        self.user_word(USER_INSTRUCTION?)
    }

    /// At an instruction that repeats a store: where it stores next, and how often it will.
    pub(super) fn repeats_to(&self) -> Option<(u64, u64)> {
        let [to, count] = USER_REPEATS?;
        Some((self.user_word(to)?, self.user_word(count)?))
    }

    fn user_word(&self, address: usize) -> Option<u64> {
        let word = ptrace::read_user(self.thread, without_provenance_mut(address)).ok()?;
        Some(word.cast_unsigned())
    }

    /// Whether breakpoints of the processor can be set in it.
    pub(super) fn has_breakpoints(&self) -> bool {
        self.clear_breakpoint().is_ok()
    }

    /// Takes the breakpoint away.
    pub(super) fn clear_breakpoint(&self) -> Result<(), String> {
        self.set_debug_register(7, 0)
    }

    fn set_debug_register(&self, index: usize, value: u64) -> Result<(), String> {
        let first = USER_BREAKPOINTS.ok_or("this processor has no breakpoints that are known")?;
        let address = without_provenance_mut(first + 8 * index);
        self.go(ptrace::write_user(self.thread, address, value.cast_signed()))
    }

    /// Lets it go on, by one instruction at least, until it is about to execute the one at
    /// `address`, by a breakpoint of the processor.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn step_to(&mut self, address: u64) -> Result<Reached, String> {
        // Off this instruction first, which may be the one.
        self.clear_breakpoint()?;
        let reached = self.step(Pace::Instruction)?;
        if reached == Reached::End || self.instruction() == Some(address) {
            return Ok(reached);
        }
        self.set_debug_register(0, address)?;
        self.set_debug_register(7, 1)?;
        self.step(Pace::Breakpoint)
    }

    /// Kills it, at whatever it is, and reaps it.
    ///
    /// # Errors
    /// When something else had ended it before.
    pub fn kill(&mut self) -> Result<(), String> {
        let killed = kill(self.pid, Signal::SIGKILL);
        killed.map_err(|errno| format!("the child cannot be killed: {errno}"))?;
        // Threads are reported to who traces them, all before their process is to its parent.
        loop {
            match wait_for_any()? {
                WaitStatus::Signaled(id, Signal::SIGKILL, _) if id == self.pid => break,
                // A thread that had ended by itself.
                WaitStatus::Exited(id, _) if id != self.pid => {}
                // A thread, or a stop that was on its way.
                WaitStatus::Signaled(_, Signal::SIGKILL, _)
                | WaitStatus::Stopped(..)
                | WaitStatus::PtraceEvent(..)
                | WaitStatus::PtraceSyscall(_) => {}
                other => return Err(format!("the child ended before it was killed: {other:?}")),
            }
        }
        (self.is_traced, self.is_reaped) = (false, true);
        Ok(())
    }

    fn go(&self, outcome: Result<(), Errno>) -> Result<(), String> {
        outcome.map_err(|errno| format!("the child pid={} cannot be traced: {errno}", self.pid))
    }

    /// Waits for news of the thread, or for the mark behind the operation.
    fn wait(&mut self) -> Result<WaitStatus, String> {
        let status = match self.player {
            None => wait_for(self.thread)?,
            Some(player) => self.wait_beside(player)?,
        };
        if matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..)) {
            self.is_traced = false;
        }
        Ok(status)
    }

    /// The same, while `player` runs freely.
    fn wait_beside(&mut self, player: Pid) -> Result<WaitStatus, String> {
        loop {
            match wait_for_any()? {
                WaitStatus::Stopped(thread, signal) if thread == player && signal != MARK => {
                    self.go(ptrace::cont(player, signal))?;
                }
                WaitStatus::PtraceEvent(thread, ..) if thread == player => {
                    self.go(ptrace::cont(player, None))?;
                }
                // It has nothing more to do, and the operation goes on without it.
                WaitStatus::Exited(thread, _) if thread == self.thread => {}
                status => return Ok(status),
            }
        }
    }
}

fn options() -> Options {
    Options::PTRACE_O_EXITKILL | Options::PTRACE_O_TRACESYSGOOD
}

/// News of any child of this thread, and of any thread that it traces.
fn wait_for_any() -> Result<WaitStatus, String> {
    wait_for(Pid::from_raw(-1))
}

fn wait_for(id: Pid) -> Result<WaitStatus, String> {
    loop {
        match waitpid(id, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
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
