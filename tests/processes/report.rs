//! The promised part of `corelane.demo/1`, typed: what does not parse was not promised.

use serde::Deserialize;

use corelane_testkit::process::Ended;

/// Fields that issue and README name, and a few that these tests look at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Report {
    pub(crate) schema: String,
    pub(crate) images: u32,
    pub(crate) answered: u32,
    pub(crate) redelivered: u32,
    pub(crate) duplicates: u32,
    pub(crate) lost: u32,
    pub(crate) accuracy: f64,
    pub(crate) routed_msgs_per_s: f64,
    pub(crate) cross_process_share: f64,
    pub(crate) corrupt: u64,
    pub(crate) rtt_ns: RoundTrip,
    pub(crate) pingpong_ns: f64,
    pub(crate) recovery_ms: Option<f64>,
    pub(crate) killed_after: u32,
    pub(crate) routers: u32,
    pub(crate) workers: u32,
    pub(crate) agents: u32,
    pub(crate) is_pinned: bool,
    pub(crate) machine: Machine,
    pub(crate) elapsed_s: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct RoundTrip {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Machine {
    pub(crate) allowed_cpus: String,
}

impl Report {
    /// The one document on stdout of a run that ended well and said nothing else.
    #[track_caller]
    pub(crate) fn of(ended: &Ended) -> Self {
        assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        Self::parse(ended)
    }

    /// The one document on stdout of a run that may have had more to say.
    #[track_caller]
    pub(crate) fn parse(ended: &Ended) -> Self {
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}\n{}", ended.stdout))
    }

    /// What holds for every run, wherever and however it runs.
    #[track_caller]
    pub(crate) fn assert_held(&self) {
        assert_eq!(self.schema, "corelane.demo/1");
        assert_eq!((self.images, self.answered), (1797, 1797), "{self:?}");
        assert_eq!((self.lost, self.duplicates, self.corrupt), (0, 0, 0), "{self:?}");
        assert!((0.95..=1.0).contains(&self.accuracy), "{self:?}");
        assert!(self.routed_msgs_per_s > 0.0, "{self:?}");
        let RoundTrip { p50, p99, p999, max } = self.rtt_ns;
        assert!(0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max, "{self:?}");
        assert!(self.pingpong_ns > 0.0 && self.elapsed_s > 0.0, "{self:?}");
        assert!(self.redelivered <= 64, "{self:?}");
        assert_eq!(self.redelivered > 0, self.recovery_ms.is_some_and(|ms| ms > 0.0), "{self:?}");
    }
}
