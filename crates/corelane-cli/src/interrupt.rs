//! Signals of a user who wants to stop: the first ends a command in order, the second at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::bail;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// Set by the first Ctrl-C, SIGTERM, SIGHUP or SIGQUIT to the number of the signal; the second ends
/// the process at once.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Catches the signals from here on.
    pub(crate) fn install() -> io::Result<Self> {
        let (number, is_set) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            let code = 128 + signal;
            signal_hook::flag::register_conditional_shutdown(signal, code, is_set.clone())?;
            signal_hook::flag::register(signal, is_set.clone())?;
            signal_hook::flag::register_usize(signal, number.clone(), signal as usize)?;
        }
        Ok(Self(number))
    }

    /// An error once the user wants to stop.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => bail!(Interrupted(signal as u8)),
        }
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
