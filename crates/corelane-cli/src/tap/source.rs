//! What is tapped: a topic or a lane.

use std::time::Duration;

use corelane_transport::lane::{LaneReceiveError, LaneTap};
use corelane_transport::topic::{BytesSubscriber, Origin, ReceiveError};

use crate::terminal;

/// What is tapped.
pub(super) enum Source {
    /// By a lossy subscriber.
    Topic(BytesSubscriber),
    /// By a tap, and the record that it reads.
    Lane { tap: LaneTap, record: Vec<u8> },
}

impl Source {
    /// Whether an end may tell the type of what is sent.
    pub(super) fn has_types(&self) -> bool {
        matches!(self, Self::Topic(_))
    }

    /// What `make` makes of the next message; none when nothing came in time, or something else
    /// was told.
    pub(super) fn receive<T>(
        &mut self,
        timeout: Duration,
        make: impl FnOnce(&[u8], Option<&Origin>) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        match self {
            Self::Topic(subscriber) => match subscriber.receive(timeout) {
                Ok(Some(sample)) => return Ok(Some(make(&sample, Some(&sample.origin))?)),
                Ok(None) | Err(ReceiveError::Lagged { .. }) => {}
                Err(error @ ReceiveError::Sleep(_)) => return Err(error.into()),
                Err(error) => terminal::tell!("tap: {error}"),
            },
            Self::Lane { tap, record } => match tap.receive(record, timeout) {
                Ok(true) => return Ok(Some(make(record, None)?)),
                Ok(false) => {}
                Err(error @ LaneReceiveError::Sleep(_)) => return Err(error.into()),
                Err(error) => terminal::tell!("tap: {error}"),
            },
        }
        Ok(None)
    }

    /// Messages received, and what was missed as it is told.
    pub(super) fn counts(&self) -> (u64, String) {
        match self {
            Self::Topic(subscriber) => {
                (subscriber.received(), format!("missed={}", subscriber.missed()))
            }
            Self::Lane { tap, .. } => {
                let missed = tap.missed();
                let told = format!("missed={} missed_bytes={}", missed.records, missed.bytes);
                (tap.received(), told)
            }
        }
    }
}
