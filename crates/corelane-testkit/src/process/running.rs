//! A started process under the watchdog: signals, waiting for it, and what it printed.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use corelane_shm::process::{PidFd, Signal};

use super::{Place, Process, capture::Capture};

/// Between two looks at a condition that nobody announces.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A process that runs in a place.
#[derive(Debug)]
pub struct Running<'place> {
    place: &'place Place,
    child: Child,
    pidfd: PidFd,
    stdout: Capture,
    stderr: Capture,
    deadline: Instant,
}

/// How a process ended and what it printed.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed to stdout.
    pub stdout: String,
    /// What it and the processes that it started printed to stderr.
    pub stderr: String,
}

impl Ended {
    /// The exit code as a shell shows it: 128 and the signal for a process that one ended.
    pub fn code(&self) -> i32 {
        let signal = self.status.signal().map(|signal| 128 + signal);
        self.status.code().or(signal).expect("because a process that ended did one or the other")
    }
}

impl<'place> Running<'place> {
    pub(super) fn start(
        place: &'place Place,
        mut command: Command,
        stdout: Capture,
        stderr: Capture,
    ) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
        let pidfd = PidFd::open(child.id()).expect("a child has a pidfd");
        let deadline = Instant::now() + place.watchdog;
        Self { place, child, pidfd, stdout, stderr, deadline }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes that it started, directly or not.
    pub fn descendants(&self) -> Vec<Process> {
        let mut processes = self.place.processes();
        processes.retain(|process| process.pid != self.pid());
        processes
    }

    /// Sends a signal; does nothing when it has ended.
    pub fn signal(&self, signal: Signal) {
        let _ = self.pidfd.kill(signal);
    }

    /// Stops it, and returns once all of its threads stand still.
    ///
    /// # Panics
    /// When it ends before, or the watchdog's time has passed.
    pub fn stand_still(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.pid());
        let is_stopped = |task: &fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // The name before the state may hold anything but ends with the last parenthesis.
            stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
        };
        self.wait_until("its threads stand still", || {
            let mut tasks = fs::read_dir(&tasks).ok()?.flatten();
            tasks.all(|task| is_stopped(&task)).then_some(())
        });
    }

    /// Whether it still runs after that time; returns early when it ends.
    pub fn runs_for(&self, time: Duration) -> bool {
        !self.pidfd.wait_exit(Some(time)).expect("a child can be waited for")
    }

    /// What it printed to stdout so far.
    pub fn stdout_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stdout.so_far()).into_owned()
    }

    /// What it and the processes that it started printed to stderr so far.
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.so_far()).into_owned()
    }

    /// Gives both of its terminals another width.
    ///
    /// # Panics
    /// When its outputs are no terminals.
    pub fn resize(&self, columns: u16) {
        self.stdout.resize(columns);
        self.stderr.resize(columns);
    }

    /// Waits until `look` finds what it looks for.
    ///
    /// # Panics
    /// When the process ends before, or the watchdog's time has passed.
    pub fn wait_until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(self.runs_for(LOOK_EVERY), "it ended before {what}\n{}", self.printed());
            assert!(Instant::now() < self.deadline, "no {what} in time\n{}", self.printed());
        }
    }

    /// Waits until it has ended and nobody that it started can print any more.
    ///
    /// # Panics
    /// When one of them hangs; all are killed before.
    pub fn wait(mut self) -> Ended {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let has_ended = self.pidfd.wait_exit(Some(left)).expect("a child can be waited for")
            && self.stdout.has_ended_by(self.deadline)
            && self.stderr.has_ended_by(self.deadline);
        if !has_ended {
            let processes = self.place.processes();
            self.place.kill_all();
            panic!(
                "hangs after {} s: {processes:?}\n{}",
                self.place.watchdog.as_secs_f64(),
                self.printed()
            );
        }
        let status = self.child.wait().expect("a child can be reaped");
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Ended { status, stdout: text(self.stdout.so_far()), stderr: text(self.stderr.so_far()) }
    }

    fn printed(&self) -> String {
        let text = |capture: &Capture| String::from_utf8_lossy(&capture.so_far()).into_owned();
        format!("stdout:\n{}\nstderr:\n{}", text(&self.stdout), text(&self.stderr))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Does nothing after `wait`; before it, a test failed half way.
        if self.pidfd.kill(Signal::KILL).is_ok() {
            let _ = self.child.wait();
        }
    }
}
