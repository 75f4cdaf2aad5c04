//! The end of a test that hangs: after [`WATCHDOG`] without a word the process ends.
//!
//! A survivor that hangs in what the dead left cannot be stopped in any other way. Its children are
//! traced, and die with it.

use std::{
    io::{self, Write},
    process,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
};

use crate::process::WATCHDOG;

/// Watches until it is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    steps: Sender<String>,
}

impl Watchdog {
    pub(super) fn new(test: &str) -> Self {
        let (steps, heard) = mpsc::channel::<String>();
        let mut last = test.to_owned();
        thread::spawn(move || {
            loop {
                match heard.recv_timeout(WATCHDOG) {
                    Ok(step) => last = step,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        // Not by the macro: the test harness would keep what that prints.
                        let seconds = WATCHDOG.as_secs();
                        let _ = writeln!(io::stderr(), "hangs after {seconds} s: {last}");
                        process::abort();
                    }
                }
            }
        });
        Self { steps }
    }

    /// The next step begins; `what` is told when it hangs.
    pub(super) fn pat(&self, what: String) {
        // It listens as long as this lives.
        let _ = self.steps.send(what);
    }
}
