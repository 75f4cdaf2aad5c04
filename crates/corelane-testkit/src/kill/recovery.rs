//! How long it takes from a kill to the first record of the next generation.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// The times of one run: each contains the reaping, the start of a process, and its attachment.
#[derive(Debug)]
pub struct Recovery {
    killed: Option<Instant>,
    deaths: u64,
    times: Vec<Duration>,
}

impl Recovery {
    pub(super) fn new() -> Self {
        Self { killed: None, deaths: 0, times: Vec::new() }
    }

    /// A child is killed now.
    pub(super) fn killing(&mut self) {
        self.deaths += 1;
        // A generation without a record makes the recovery from the death before it no shorter.
        self.killed.get_or_insert_with(Instant::now);
    }

    /// The first record of a generation is here.
    pub(super) fn first_record(&mut self) {
        self.times.extend(self.killed.take().map(|killed| killed.elapsed()));
    }

    /// Children that died.
    pub fn deaths(&self) -> u64 {
        self.deaths
    }

    /// Times that were measured.
    pub fn count(&self) -> usize {
        self.times.len()
    }

    /// The time that this share of the recoveries did not exceed, from 0 to 1; zero without any.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let rank = (share * times.len() as f64).ceil() as usize;
        times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// One line of JSON, from which a row of the bench report can be made.
    pub fn json(&self) -> String {
        let shares = [0.5, 0.9, 0.99, 1.0];
        let [p50, p90, p99, max] = shares.map(|share| self.quantile(share).as_nanos() as u64);
        serde_json::json!({
            "schema": "corelane.kill-recovery/1", "deaths": self.deaths, "samples": self.count(),
            "recovery_ns": { "p50": p50, "p90": p90, "p99": p99, "max": max },
        })
        .to_string()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| self.quantile(share));
        let (deaths, count) = (self.deaths, self.count());
        write!(
            f,
            "{deaths} deaths, recovery of {count}: p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let mut recovery = Recovery::new();
        assert_eq!(recovery.quantile(0.99), Duration::ZERO);
        recovery.times = (1..=200).rev().map(Duration::from_micros).collect();
        assert_eq!(recovery.quantile(0.5), Duration::from_micros(100));
        assert_eq!(recovery.quantile(0.99), Duration::from_micros(198));
        assert_eq!(recovery.quantile(1.0), Duration::from_micros(200));
        for told in [r#""p90":180000"#, r#""p99":198000"#] {
            assert!(recovery.json().contains(told), "{}", recovery.json());
        }
    }

    #[test]
    fn a_generation_without_a_record_belongs_to_the_recovery_before() {
        let mut recovery = Recovery::new();
        recovery.first_record();
        assert_eq!(recovery.count(), 0, "nobody had died");
        recovery.killing();
        recovery.killing();
        recovery.first_record();
        recovery.first_record();
        assert_eq!((recovery.deaths(), recovery.count()), (2, 1));
    }
}
