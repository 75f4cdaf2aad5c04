//! What is done with the queues of a peer: one pass of each workload.
//!
//! A pass opens fresh queues, warms them up, and moves a fixed number of messages whose checksum
//! the reader has to meet.

pub(crate) mod bulk;
pub(crate) mod fanout;
pub(crate) mod latency;
pub(crate) mod throughput;
pub(crate) mod wakeup;

use hdrhistogram::Histogram;

/// Memory of a queue, so that all of it stays in the second-level cache,
const QUEUE_BYTES: usize = 128 << 10;
/// and its limits in messages.
const CAPACITY: std::ops::RangeInclusive<usize> = 64..=1024;

/// Capacity of the queues for messages of this size.
fn capacity(payload_bytes: usize) -> usize {
    (QUEUE_BYTES / payload_bytes.max(1)).clamp(*CAPACITY.start(), *CAPACITY.end())
}

/// Sum of the checksums of the messages 1 to `last` of `words` words: word i of message n is
/// (2 i + 1) n.
fn checksum_up_to(last: u64, words: usize) -> u64 {
    let numbers = u128::from(last) * (u128::from(last) + 1) / 2;
    (numbers as u64).wrapping_mul((words * words) as u64)
}

/// A histogram that any round trip fits, with three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("because three digits are possible")
}

/// Median, 99 %, 99.9 % and maximum.
fn percentiles(histogram: &Histogram<u64>) -> [f64; 4] {
    [0.5, 0.99, 0.999, 1.0].map(|quantile| histogram.value_at_quantile(quantile) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    #[test]
    fn the_expected_checksum_is_that_of_the_messages() {
        let sum = (1..=100).map(|n| Message::<8>::new(n).checksum());
        assert_eq!(checksum_up_to(100, 8), sum.fold(0, u64::wrapping_add));
        assert_eq!(checksum_up_to(3, 1), 6);
    }

    #[test]
    fn queues_have_a_sensible_capacity() {
        assert_eq!([8, 64, 256, 4096, 1 << 20].map(capacity), [1024, 1024, 512, 64, 64]);
    }
}
