//! The end of a wait on the monotonic clock, so that a retried call does not start over.
//!
//! It only tells the time; it waits for nothing.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A point on `CLOCK_MONOTONIC`, or never.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Duration>);

impl Deadline {
    /// `timeout` from now; never for `None` and for times beyond the clock's range.
    pub(crate) fn after(timeout: Option<Duration>) -> Self {
        let end = timeout.and_then(|timeout| now().checked_add(timeout));
        Self(end.filter(|&end| Timespec::try_from(end).is_ok()))
    }

    /// Time left, zero once it has passed, `None` for never.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.0.map(|end| end.saturating_sub(now()))
    }

    /// Time left in the form that system calls take.
    pub(crate) fn remaining_timespec(self) -> Option<Timespec> {
        self.remaining().and_then(|left| Timespec::try_from(left).ok())
    }

    /// The point itself in the form that system calls take.
    pub(crate) fn absolute_timespec(self) -> Option<Timespec> {
        self.0.and_then(|end| Timespec::try_from(end).ok())
    }

    /// Whether the time is up.
    pub(crate) fn is_past(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }
}

fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic))
        .expect("the monotonic clock is not negative because it counts from boot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_past_and_never_is_not() {
        assert!(Deadline::after(Some(Duration::ZERO)).is_past());
        assert!(!Deadline::after(None).is_past());
        assert!(Deadline::after(Some(Duration::MAX)).absolute_timespec().is_none());
        let hour = Deadline::after(Some(Duration::from_secs(3600)));
        assert!(!hour.is_past());
        assert!(hour.remaining().is_some_and(|left| left <= Duration::from_secs(3600)));
    }
}
