//! A peer whose ends park in the queue when they must wait, instead of turning to the engine.
//!
//! It matters with more threads than CPUs, where a thread that spins keeps away the one it waits
//! for. The park is bounded, so that an end whose other side is done comes back.

use std::time::Duration;

/// Longest park. Whoever waits is woken long before, unless the other side is done.
pub(crate) const PATIENCE: Duration = Duration::from_millis(5);

/// An end that parks.
#[derive(Debug, Clone)]
pub(crate) struct Parking<E>(pub(crate) E);
