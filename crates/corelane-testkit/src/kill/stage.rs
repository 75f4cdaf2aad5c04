//! The child's side: its channel to the survivor, and the marks around its operation.

use std::{fs, os::fd::AsFd, process, thread};

use corelane_shm::fdpass::Channel;
use nix::sys::signal::{Signal, raise};

use super::arguments;

/// Raised before the operation and after it; a child that nobody traces dies of it.
pub(super) const MARK: Signal = Signal::SIGUSR1;
/// Raised instead of the former when another thread is to be led, which is told on the channel.
pub(super) const MARK_OF_ANOTHER: Signal = Signal::SIGUSR2;

/// What a child has.
#[derive(Debug)]
pub struct Stage {
    channel: Channel,
    case: u64,
}

impl Stage {
    /// The stage of this process, if it was started as a child. Returns once the survivor is ready.
    pub(super) fn of_this_process() -> Option<Self> {
        let [case] = arguments::numbers(arguments::CHILD)?;
        let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("stdin is the socket");
        let stage = Self { channel: Channel::from(stdin), case };
        // A test runs on a thread of its own, and that one is traced.
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        let told = stage.channel.send(&thread.to_ne_bytes(), &[], None);
        told.expect("because the survivor listens");
        stage.channel.recv(None).expect("because the survivor says when to begin");
        Some(stage)
    }

    /// The channel to the survivor.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Which case of the test this is.
    pub fn case(&self) -> u64 {
        self.case
    }

    /// Runs the operation that the survivor steps through. Called once.
    pub fn perform<T>(&self, operation: impl FnOnce() -> T) -> T {
        raise(MARK).expect("because a process may signal itself");
        let result = operation();
        raise(MARK).expect("because a process may signal itself");
        result
    }

    /// Runs the operation on this thread, while the survivor steps through what the thread called
    /// `name` does: a part of the work that another thread of the product has. Called once, and
    /// only once that thread was started; it stands still until the operation begins. The operation
    /// is over when it has returned and that thread sleeps, or has ended.
    pub fn perform_on<T>(&self, name: &str, operation: impl FnOnce() -> T) -> T {
        let thread = thread_called(name);
        let told = self.channel.send(&thread.to_ne_bytes(), &[], None);
        told.expect("because the survivor listens");
        raise(MARK_OF_ANOTHER).expect("because a process may signal itself");
        let result = operation();
        while state(thread).is_some_and(|state| state != 'S') {
            thread::yield_now();
        }
        raise(MARK).expect("because a process may signal itself");
        result
    }

    /// Waits for the end: the survivor kills this process, or has gone.
    pub(super) fn end(self) -> ! {
        while self.channel.recv(None).is_ok() {}
        process::exit(0);
    }
}

/// Id of the one thread of this process with this name, which it may not have taken yet.
fn thread_called(name: &str) -> i32 {
    loop {
        let tasks = fs::read_dir("/proc/self/task").expect("/proc is mounted");
        let found: Vec<_> = tasks
            .filter_map(|task| {
                let path = task.ok()?.path();
                let is_it = fs::read_to_string(path.join("comm")).ok()?.trim_end() == name;
                is_it.then_some(path.file_name()?.to_str()?.parse::<i32>().ok()?)
            })
            .collect();
        assert!(found.len() < 2, "threads called {name}: {found:?}");
        if let [id] = found[..] {
            return id;
        }
        thread::yield_now();
    }
}

/// What a thread of this process does, as the kernel says it in one letter; none once it has ended.
fn state(thread: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // Behind the name, which is in brackets and may hold anything.
    stat.rsplit_once(") ")?.1.chars().next().filter(|state| !"XZ".contains(*state))
}
