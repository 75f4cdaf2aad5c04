//! How a measuring thread waits for the other side: the same for every peer.
//!
//! A thread with a CPU of its own spins; one that shares spins a little and then yields. None
//! sleeps, and none waits for ever: a queue that stops moving ends the run.

use std::{
    hint, thread,
    time::{Duration, Instant},
};

use crate::harness::PassError;

/// Fruitless looks of a thread that shares its CPU before it yields.
const SPINS_BEFORE_YIELD: u32 = 64;
/// Fruitless looks between two looks at the clock.
const LOOKS_PER_CLOCK: u32 = 1 << 16;
/// A queue that moved nothing for so long never will.
const STALLED_AFTER: Duration = Duration::from_secs(10);

/// Counts fruitless looks.
#[derive(Debug)]
pub(crate) struct Patience {
    is_spinning: bool,
    fruitless: u32,
    since: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(is_spinning: bool) -> Self {
        Self { is_spinning, fruitless: 0, since: None }
    }

    /// Waits after a fruitless look; an error when there were too many in a row.
    #[inline]
    pub(crate) fn wait(&mut self) -> Result<(), PassError> {
        self.fruitless += 1;
        if self.fruitless.is_multiple_of(LOOKS_PER_CLOCK) {
            self.check_clock()?;
        }
        if self.is_spinning || self.fruitless < SPINS_BEFORE_YIELD {
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
        Ok(())
    }

    /// Starts anew after a look that was not fruitless.
    #[inline]
    pub(crate) fn reset(&mut self) {
        self.fruitless = 0;
        self.since = None;
    }

    #[cold]
    fn check_clock(&mut self) -> Result<(), PassError> {
        let since = *self.since.get_or_insert_with(Instant::now);
        // The count must not end before the clock does; where it restarts makes no difference.
        self.fruitless = SPINS_BEFORE_YIELD;
        if since.elapsed() < STALLED_AFTER { Ok(()) } else { Err(PassError::Stalled) }
    }
}
