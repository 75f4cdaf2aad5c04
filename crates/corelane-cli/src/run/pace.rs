//! How many items left when, in a bounded number of steps however long a run takes.

use std::time::Duration;

/// The first length of a step.
const STEP_MIN: Duration = Duration::from_millis(100);
/// When a run needs more steps than this, each becomes twice as long.
const STEPS_MAX: usize = 600;

/// Items in steps of the same length since the start.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    step: Duration,
    counts: Vec<u64>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { step: STEP_MIN, counts: Vec::new() }
    }
}

impl Pace {
    /// Counts an item that left so long after the start.
    pub(super) fn count(&mut self, after: Duration) {
        let at = self.reach(after);
        self.counts[at] += 1;
    }

    /// The run ended so long after the start: from the last item on nothing left.
    pub(super) fn end(&mut self, after: Duration) {
        self.reach(after);
    }

    /// The step of a time, after there are as many.
    fn reach(&mut self, after: Duration) -> usize {
        let mut at = self.index(after);
        while at >= STEPS_MAX {
            self.counts = self.counts.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.step *= 2;
            at = self.index(after);
        }
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        at
    }

    /// The length of a step.
    pub(crate) fn step(&self) -> Duration {
        self.step
    }

    /// Items that left within each step, the last of which may not be over.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    fn index(&self, after: Duration) -> usize {
        usize::try_from(after.as_nanos() / self.step.as_nanos()).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_counted_in_their_step() {
        let mut pace = Pace::default();
        for ms in [0, 99, 100, 350, 350] {
            pace.count(Duration::from_millis(ms));
        }
        assert_eq!((pace.step(), pace.counts()), (STEP_MIN, [2, 1, 0, 2].as_slice()));
        pace.end(Duration::from_millis(620));
        assert_eq!(pace.counts(), [2, 1, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn steps_grow_with_the_run_and_lose_nothing() {
        let mut pace = Pace::default();
        for second in 0..100_000 {
            pace.count(Duration::from_secs(second));
        }
        assert!(pace.counts().len() <= STEPS_MAX);
        assert!(pace.counts().len() > STEPS_MAX / 2);
        assert_eq!(pace.counts().iter().sum::<u64>(), 100_000);
        let per_step = pace.step().as_secs_f64();
        let (_, whole) = pace.counts().split_last().unwrap();
        assert!(whole.iter().all(|&count| (count as f64 - per_step).abs() <= 1.0));
        pace.count(Duration::MAX);
        assert_eq!(pace.counts().iter().sum::<u64>(), 100_001);
    }
}
