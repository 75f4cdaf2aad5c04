//! What the measuring process and the processes of the ends say to each other.
//!
//! Packets of JSON over a socket, none of them while messages move. Times are those of the
//! monotonic clock, which all processes of a machine share.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use corelane_shm::fdpass::{Channel, ChannelError};
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    counters::ThreadUse,
    harness::{Part, PassError},
    process::Kind,
    row::RowKey,
    workload::histogram,
};

/// Samples of a packet, so that it stays below the limit of a packet.
pub(super) const SAMPLES_PER_PACKET: usize = 1000;

/// Part of an end in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// Keeps what runs beside the ends.
    Attendant,
    /// Sends, or sends first.
    First,
    /// Receives, or answers.
    Second,
}

/// All that an end has to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Assignment {
    pub(super) key: RowKey,
    pub(super) kind: Kind,
    pub(super) count: u64,
    pub(super) role: Role,
    pub(super) cpu: Option<usize>,
    pub(super) is_spinning: bool,
    /// Receiving ends of this process.
    pub(super) receivers: usize,
    pub(super) folder: PathBuf,
    /// The process whose death is the end of this one.
    pub(super) parent: u32,
    /// Of the descriptors that come along so many are sockets of further ends of this process; the
    /// others lead to the processes of the others.
    pub(super) further: usize,
}

/// What an end is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToEnd {
    /// Open and begin.
    Play(Box<Assignment>),
    /// All have come: go on.
    Go,
    /// The pass is over: close and end.
    Leave,
}

/// What an end tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromEnd {
    /// It waits for the others.
    Arrived,
    /// Round trips that it counted: nanoseconds, and how often.
    Samples(Vec<(u64, u64)>),
    /// It did its part.
    Done(Measure),
    /// It could not.
    Failed(Failure),
}

/// What an end measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Measure {
    span_ns: Option<(u64, u64)>,
    checksum: u64,
    value: f64,
    /// It kept samples, even if there were none to keep.
    has_samples: bool,
    voluntary: u64,
    involuntary: u64,
    waited: Duration,
}

/// Why an end could not do its part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Failure {
    Stalled,
    Panicked,
    Open(String),
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Stalled => Self::Stalled,
            PassError::Panicked => Self::Panicked,
            PassError::Open(what) => Self::Open(what),
            other => Self::Open(other.to_string()),
        }
    }
}

impl From<Failure> for PassError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stalled => Self::Stalled,
            Failure::Panicked => Self::Panicked,
            Failure::Open(what) => Self::Open(what),
        }
    }
}

/// Sends a packet and does not wait for room longer than anybody should take to make it.
pub(super) fn tell<M: Serialize>(
    channel: &Channel,
    message: &M,
    fds: &[std::os::fd::BorrowedFd<'_>],
) -> Result<(), ChannelError> {
    const ROOM: Duration = Duration::from_secs(10);
    let bytes = serde_json::to_vec(message).expect("because every field has a form in JSON");
    channel.send(&bytes, fds, Some(ROOM))
}

/// Reads a packet; one that says nothing known comes from somebody else.
pub(super) fn read<M: DeserializeOwned>(bytes: &[u8]) -> Option<M> {
    serde_json::from_slice(bytes).ok()
}

impl Measure {
    /// What an end measured and what the kernel counted meanwhile, without the samples.
    pub(super) fn new(part: &Part, used: ThreadUse) -> Self {
        let at = Epoch::now();
        Self {
            span_ns: part.span.map(|(start, end)| (at.ns_of(start), at.ns_of(end))),
            checksum: part.checksum,
            value: part.value,
            has_samples: part.histogram.is_some(),
            voluntary: used.voluntary,
            involuntary: used.involuntary,
            waited: used.waited,
        }
    }

    /// The same, as a thread of this process would have measured it.
    pub(super) fn into_part(self, samples: &[(u64, u64)]) -> (Part, ThreadUse) {
        let at = Epoch::now();
        let span = self.span_ns.map(|(start, end)| (at.instant_of(start), at.instant_of(end)));
        let counted = |samples: &[(u64, u64)]| {
            let mut counted: Histogram<u64> = histogram();
            samples.iter().for_each(|&(ns, count)| counted.saturating_record_n(ns, count));
            counted
        };
        let histogram = self.has_samples.then(|| counted(samples));
        let part = Part { span, checksum: self.checksum, histogram, value: self.value };
        let Self { voluntary, involuntary, waited, .. } = self;
        (part, ThreadUse { voluntary, involuntary, waited })
    }
}

/// One moment on both clocks: that of the standard library has no number.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    instant: Instant,
    ns: u64,
}

impl Epoch {
    fn now() -> Self {
        let time = clock_gettime(ClockId::Monotonic);
        Self {
            instant: Instant::now(),
            ns: time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
        }
    }

    fn ns_of(self, instant: Instant) -> u64 {
        self.ns.saturating_sub((self.instant - instant).as_nanos() as u64)
    }

    fn instant_of(self, ns: u64) -> Instant {
        let since = Duration::from_nanos(self.ns.saturating_sub(ns));
        self.instant.checked_sub(since).unwrap_or(self.instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_end_measured_arrives() {
        let end = Instant::now();
        let start = end - Duration::from_micros(250);
        let histogram = Some(histogram());
        let part = Part { span: Some((start, end)), checksum: 7, histogram, value: 1.5 };
        let used = ThreadUse { voluntary: 3, involuntary: 2, waited: Duration::from_nanos(9) };
        let text = serde_json::to_vec(&FromEnd::Done(Measure::new(&part, used))).unwrap();
        let Some(FromEnd::Done(measure)) = read(&text) else { panic!("no such message") };
        let (arrived, arrived_use) = measure.into_part(&[(100, 2), (300, 1)]);
        assert_eq!((arrived.checksum, arrived.value, arrived_use), (7, 1.5, used));
        let (from, to) = arrived.span.unwrap();
        assert_eq!((to - from).as_micros(), 250);
        assert_eq!(arrived.histogram.unwrap().len(), 3);
        // An end may have so few round trips that none is kept.
        let (none, _) = Measure::new(&part, used).into_part(&[]);
        assert_eq!(none.histogram.map(|histogram| histogram.len()), Some(0));
        assert!(read::<FromEnd>(b"{}").is_none());
    }

    #[test]
    fn errors_arrive_as_what_they_were() {
        for error in [PassError::Stalled, PassError::Panicked, PassError::Open("x".into())] {
            let text = error.to_string();
            assert_eq!(PassError::from(Failure::from(error)).to_string(), text);
        }
    }
}
