//! What the participant's thread keeps for an end, and how that end hears that it changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use corelane_shm::SegmentError;

use crate::doorbell::Ringer;
use crate::event_count::EventCount;

/// A state that one thread changes and another looks at, without waiting while nothing is new.
#[derive(Debug)]
pub(crate) struct News<T> {
    state: Mutex<T>,
    /// Raised with each change.
    version: AtomicU64,
    /// Raised with it, for an end that sleeps.
    pub(crate) bell: EventCount,
    /// Rung with it, for ends that wait by a descriptor: by seat.
    ringers: Mutex<BTreeMap<usize, Arc<Ringer>>>,
    changed: Condvar,
}

impl<T: Default> News<T> {
    pub(crate) fn new() -> Result<Self, SegmentError> {
        Ok(Self {
            state: Mutex::default(),
            version: AtomicU64::new(0),
            bell: EventCount::new()?,
            ringers: Mutex::default(),
            changed: Condvar::new(),
        })
    }
}

impl<T> News<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Differs from every one before once something has changed.
    #[inline(always)]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whoever looks finds a change from here on.
    pub(crate) fn raise(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Whoever sleeps looks.
    pub(crate) fn wake(&self) {
        self.bell.raise();
        self.ringers().values().for_each(|ringer| ringer.ring());
        self.changed.notify_all();
    }

    /// Tells of a change.
    pub(crate) fn tell(&self) {
        self.raise();
        self.wake();
    }

    /// Waits for changes until `is_done`; false when that did not come before the deadline.
    pub(crate) fn wait_until(&self, deadline: Instant, is_done: impl Fn(&T) -> bool) -> bool {
        let mut state = self.lock();
        while !is_done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn ringers(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<Ringer>>> {
        self.ringers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever has this seat is rung from here on.
    pub(crate) fn listen(&self, seat: usize, ringer: Arc<Ringer>) {
        self.ringers().insert(seat, ringer);
    }

    /// Whoever had this seat is rung no more.
    pub(crate) fn hush(&self, seat: usize) {
        self.ringers().remove(&seat);
    }
}
