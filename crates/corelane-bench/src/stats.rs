//! The median of a few passes, and how sure it is: an interval of order statistics.
//!
//! No distribution is assumed: the interval from the k-th lowest to the k-th highest of n values
//! holds the true median with a probability that only depends on n and k.

/// The interval is the narrowest one that is at least this sure.
const CONFIDENCE_MIN: f64 = 0.9;

/// Median and interval of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The middle value, or the mean of the two in the middle.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Probability that the interval holds the true median.
    pub confidence: f64,
}

/// Summarises values; `None` without any.
pub fn summarise(values: &[f64]) -> Option<Summary> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    let (below, above) = (sorted.get(count.checked_sub(1)? / 2)?, sorted.get(count / 2)?);
    let cut = (1..count.div_ceil(2))
        .take_while(|&cut| confidence(count, cut) >= CONFIDENCE_MIN)
        .last()
        .unwrap_or(0);
    Some(Summary {
        median: (below + above) / 2.0,
        low: sorted[cut],
        high: sorted[count - 1 - cut],
        confidence: confidence(count, cut),
    })
}

/// How sure the interval is that leaves out `cut` of `count` values on each side: the chance that
/// neither `cut` or fewer values lie below the true median nor as few above.
fn confidence(count: usize, cut: usize) -> f64 {
    let mut ways = 1.0;
    let mut outside = 0.0;
    for below in 0..=cut {
        outside += ways;
        ways *= (count - below) as f64 / (below + 1) as f64;
    }
    (1.0 - 2.0 * outside / 2f64.powi(count as i32)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(summarise(&[]), None);
        let one = summarise(&[3.0]).unwrap();
        assert_eq!((one.median, one.low, one.high, one.confidence), (3.0, 3.0, 3.0, 0.0));
        assert_eq!(summarise(&[4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(summarise(&[9.0, 1.0, 4.0]).unwrap().median, 4.0);
    }

    #[test]
    fn five_passes_give_their_whole_range_with_94_percent() {
        let summary = summarise(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!((summary.median, summary.low, summary.high), (3.0, 1.0, 5.0));
        assert_eq!(summary.confidence, 1.0 - 2.0 / 32.0);
    }

    #[test]
    fn more_passes_leave_out_the_extremes() {
        // Nine values: without the two on each side, 1 - 2 (1 + 9) / 512 of all cases.
        let values: Vec<f64> = (1..=9).map(f64::from).collect();
        let summary = summarise(&values).unwrap();
        assert_eq!((summary.low, summary.median, summary.high), (2.0, 5.0, 8.0));
        assert!((summary.confidence - (1.0 - 20.0 / 512.0)).abs() < 1e-12);
        let many: Vec<f64> = (0..101).map(f64::from).collect();
        let summary = summarise(&many).unwrap();
        assert!(summary.low > 35.0 && summary.high < 65.0 && summary.confidence >= 0.9);
    }
}
