//! The child's side: its channel to the survivor, and the marks around its operation.

use std::{os::fd::AsFd, process};

use corelane_shm::fdpass::Channel;
use nix::sys::signal::{Signal, raise};

use super::arguments;

/// Raised before the operation and after it; a child that nobody traces dies of it.
pub(super) const MARK: Signal = Signal::SIGUSR1;

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

    /// Waits for the end: the survivor kills this process, or has gone.
    pub(super) fn end(self) -> ! {
        while self.channel.recv(None).is_ok() {}
        process::exit(0);
    }
}
