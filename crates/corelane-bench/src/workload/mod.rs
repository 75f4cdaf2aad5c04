//! What is done with the queues of a peer: one pass of each workload.
//!
//! A pass opens fresh queues, warms them up, and moves a fixed number of messages whose checksum
//! the reader has to meet.

pub(crate) mod bulk;
pub(crate) mod fanout;
pub(crate) mod latency;
#[cfg(test)]
mod tests;
pub(crate) mod throughput;
pub(crate) mod wakeup;

use hdrhistogram::Histogram;

/// Memory of a queue, so that all of it stays in the second-level cache,
const QUEUE_BYTES: usize = 128 << 10;
/// and its limits in messages.
const CAPACITY: std::ops::RangeInclusive<usize> = 64..=1024;

/// Capacity of the queues for messages of this size.
pub(crate) fn capacity(payload_bytes: usize) -> usize {
    (QUEUE_BYTES / payload_bytes.max(1)).clamp(*CAPACITY.start(), *CAPACITY.end())
}

/// Sum of the checksums of the messages 1 to `last` of `words` words: word i of message n is
/// (2 i + 1) n.
pub(crate) fn checksum_up_to(last: u64, words: usize) -> u64 {
    let numbers = u128::from(last) * (u128::from(last) + 1) / 2;
    (numbers as u64).wrapping_mul((words * words) as u64)
}

/// Slowest round trip that is told from slower ones: more than a stalled pass takes.
const ROUND_TRIP_NS_MAX: u64 = 100_000_000_000;

/// A histogram that any round trip fits, with three digits. It never grows while it is filled.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(ROUND_TRIP_NS_MAX, 3).expect("because the bounds are possible")
}

/// Median, 99 %, 99.9 % and maximum.
fn percentiles(histogram: &Histogram<u64>) -> [f64; 4] {
    [0.5, 0.99, 0.999, 1.0].map(|quantile| histogram.value_at_quantile(quantile) as f64)
}
