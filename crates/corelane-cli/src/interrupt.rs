//! Signals of a user who wants to stop: the first ends a command in order, the second at once.
//!
//! A thread takes them, so that the second one can clean up: a handler may do next to nothing. The
//! thread sleeps in a read until a signal comes, and is on no measured core.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    thread,
};

use anyhow::bail;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
    low_level,
};

/// Knows the first Ctrl-C, SIGTERM, SIGHUP or SIGQUIT; the second ends the process at once.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Number of the first signal; 0 before.
    first: AtomicI32,
    /// The one file of this process that would outlive it.
    socket: Mutex<Option<PathBuf>>,
}

impl Interrupt {
    /// Catches the signals from here on.
    pub(crate) fn install() -> io::Result<Self> {
        let state = Arc::new(State::default());
        let seen = state.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
        thread::Builder::new().name("corelane-signal".into()).spawn(move || {
            for signal in signals.forever() {
                let first =
                    seen.first.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
                if first.is_err() {
                    seen.end(signal);
                }
            }
        })?;
        Ok(Self(state))
    }

    /// An error once the user wants to stop.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.0.first.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => bail!(Interrupted(signal as u8)),
        }
    }

    /// Runs `bind`, which makes a socket at `path`, a path of this process alone. A second signal
    /// waits until that is done, and removes the socket then.
    pub(crate) fn binding<T, E>(
        &self,
        path: &Path,
        bind: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut socket = self.0.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = bind()?;
        *socket = Some(path.to_owned());
        Ok(bound)
    }
}

impl State {
    /// Ends the process without waiting for anybody. Its workers end with it: each asked the
    /// kernel for that.
    fn end(&self, signal: i32) {
        // Held to the end, so that no socket is made after this look.
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = socket.as_deref() {
            // The run may have removed it already.
            let _ = fs::remove_file(path);
        }
        low_level::exit(128 + signal);
    }
}

/// What ends a command that was interrupted: the number of the signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted by signal {0}")]
pub(crate) struct Interrupted(pub(crate) u8);

impl Interrupted {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub(crate) fn code(&self) -> &'static str {
        "CL-1104"
    }
}
