//! A steady schedule: when the next reading is due, and how many were missed.
//!
//! Ticks lie at whole multiples of the period from the start, so that lateness never adds up. Times
//! are passed in.

use std::time::{Duration, Instant};

/// Ticks at a fixed rate.
#[derive(Debug)]
pub(super) struct Schedule {
    start: Instant,
    rate_hz: u32,
    /// The tick that is due next, from 1.
    next: u64,
}

impl Schedule {
    /// The first tick is due one period after `start`; a rate of 0 counts as 1.
    pub(super) fn new(start: Instant, rate_hz: u32) -> Self {
        Self { start, rate_hz: rate_hz.max(1), next: 1 }
    }

    /// Time until the next tick; zero when it is due.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.at(self.next).saturating_duration_since(now)
    }

    /// Takes the tick that is due at `now`: its number, and how many before it were missed because
    /// a whole period had passed. Nothing when none is due.
    pub(super) fn take(&mut self, now: Instant) -> Option<(u64, u64)> {
        if now < self.at(self.next) {
            return None;
        }
        let mut tick = self.next;
        while now >= self.at(tick + 1) {
            // A long stop is passed over at once, all but the last step.
            let behind = now.saturating_duration_since(self.at(tick + 1)).as_secs();
            tick += 1 + behind.saturating_sub(1) * u64::from(self.rate_hz);
        }
        let missed = tick - self.next;
        self.next = tick + 1;
        Some((tick, missed))
    }

    fn at(&self, tick: u64) -> Instant {
        let rate = u64::from(self.rate_hz);
        let rest_ns = (tick % rate) * 1_000_000_000 / rate;
        self.start + Duration::new(tick / rate, rest_ns as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_lie_at_multiples_of_the_period() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, 100);
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(schedule.take(at(9)), None);
        assert_eq!(schedule.left(at(9)), Duration::from_millis(1));
        assert_eq!(schedule.take(at(19)), Some((1, 0)));
        assert_eq!(schedule.left(at(19)), Duration::from_millis(1));
        assert_eq!(schedule.take(at(20)), Some((2, 0)));
        // Three periods passed: the reading is that of tick 5, and 3 and 4 were missed.
        assert_eq!(schedule.take(at(55)), Some((5, 2)));
        assert_eq!(schedule.take(at(55)), None);
    }

    #[test]
    fn a_stopped_machine_misses_what_it_missed() {
        let start = Instant::now();
        for rate in [1, 3, 100, 1000] {
            let mut schedule = Schedule::new(start, rate);
            let (tick, missed) = schedule.take(start + Duration::from_secs(10_000)).unwrap();
            assert_eq!((tick, missed), (10_000 * u64::from(rate), tick - 1));
        }
    }
}
