//! When a reading is far from the ones before it: rolling median and median absolute deviation.
//!
//! The window holds the last `window` readings *before* the one that is judged; until it is full
//! nothing is judged. With the median `m` of the window and `MAD = median(|x_i - m|)`, a reading
//! `x` scores `0.6745 (x - m) / MAD`, the modified z-score of Iglewicz and Hoaglin, *How to Detect
//! and Handle Outliers* (1993); over a rolling window this is the Hampel identifier. 0.6745 is the
//! third quartile of the normal distribution, so that the score of normal readings is in units of
//! their standard deviation. A score whose size is above the threshold is an alarm.
//!
//! Where more than half of the window is one value, MAD is 0 and says nothing. Then the mean
//! absolute deviation stands in, as `(x - m) / (1.253314 mean(|x_i - m|))`; and where all of the
//! window is one value, any other scores infinity.
//!
//! What it does not do: it knows no time, no series and no format.

use std::collections::VecDeque;

/// Third quartile of the standard normal distribution.
const QUARTILE: f64 = 0.6745;
/// Square root of half of pi: standard deviation over mean absolute deviation, if normal.
const OVER_MEAN: f64 = 1.253_314;

/// The detector of one series.
#[derive(Debug, Clone)]
pub(super) struct Detector {
    window: usize,
    threshold: f64,
    /// In the order of their arrival.
    arrived: VecDeque<f64>,
    /// The same in ascending order.
    sorted: Vec<f64>,
    deviations: Vec<f64>,
}

/// What a reading is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Judged {
    /// The window was not full yet.
    Early,
    /// Near the ones before.
    Calm,
    /// Far from them.
    Alarm(Reading),
}

/// Why a reading is an alarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// Median of the window.
    pub(super) median: f64,
    /// Median absolute deviation of the window.
    pub(super) mad: f64,
    /// Modified z-score; infinite over a window of one value.
    pub(super) score: f64,
}

impl Detector {
    /// A detector with an empty window; a window of 0 counts as 1.
    pub(super) fn new(window: usize, threshold: f64) -> Self {
        let window = window.max(1);
        let (arrived, sorted) = (VecDeque::with_capacity(window), Vec::with_capacity(window));
        Self { window, threshold, arrived, sorted, deviations: Vec::with_capacity(window) }
    }

    /// Judges a finite reading by those before it, then takes it into the window. O(window).
    pub(super) fn judge(&mut self, value: f64) -> Judged {
        let judged = match self.arrived.len() < self.window {
            true => Judged::Early,
            false => self.score(value),
        };
        self.take_in(value);
        judged
    }

    fn score(&mut self, value: f64) -> Judged {
        let median = middle(&self.sorted);
        self.deviations.clear();
        self.deviations.extend(self.sorted.iter().map(|other| (other - median).abs()));
        let mean = self.deviations.iter().sum::<f64>() / self.deviations.len() as f64;
        self.deviations.sort_unstable_by(f64::total_cmp);
        let mad = middle(&self.deviations);
        let distance = value - median;
        let score = if distance == 0.0 {
            0.0
        } else if mad > 0.0 {
            QUARTILE * distance / mad
        } else {
            // Over a mean of 0 this is infinite, with the sign of the distance.
            distance / (OVER_MEAN * mean)
        };
        match score.abs() > self.threshold {
            true => Judged::Alarm(Reading { median, mad, score }),
            false => Judged::Calm,
        }
    }

    fn take_in(&mut self, value: f64) {
        let place = |sorted: &[f64], value: f64| {
            sorted.partition_point(|other| other.total_cmp(&value).is_lt())
        };
        if self.arrived.len() == self.window
            && let Some(oldest) = self.arrived.pop_front()
        {
            self.sorted.remove(place(&self.sorted, oldest));
        }
        self.arrived.push_back(value);
        self.sorted.insert(place(&self.sorted, value), value);
    }
}

/// The middle of sorted values; the mean of the two in the middle when their number is even.
fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

/// Share of alarms among normal readings whose deviation is known: `erfc(threshold / sqrt(2))`.
///
/// The deviation of a window is an estimate, so that a real share is larger, by more the smaller
/// the window. By the Chebyshev fit of Press et al., *Numerical Recipes* (2nd ed., 6.2), whose
/// relative error is below 1.2e-7.
pub(super) fn normal_share(threshold: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let z = threshold.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let sum = FIT.iter().rev().fold(0.0, |sum, term| sum * t + term);
    t * (sum - z * z).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_that_of_the_definition() {
        let mut detector = Detector::new(5, 3.5);
        for value in [1.0, 5.0, 2.0, 4.0, 3.0] {
            assert_eq!(detector.judge(value), Judged::Early);
        }
        // Median 3, deviations 2 2 1 1 0: MAD 1.
        let Judged::Alarm(reading) = detector.judge(10.0) else { panic!("10 is far from 1 to 5") };
        assert_eq!((reading.median, reading.mad), (3.0, 1.0));
        assert!((reading.score - 0.6745 * 7.0).abs() < 1e-12);
        // The window is 5 2 4 3 10 now: median 4, MAD 1.
        assert_eq!(detector.judge(9.0), Judged::Calm);
        assert!(matches!(detector.judge(-20.0), Judged::Alarm(r) if r.score < -3.5));
    }

    #[test]
    fn a_window_of_an_even_size_has_the_mean_of_its_middle() {
        let mut detector = Detector::new(4, 3.0);
        for value in [1.0, 2.0, 4.0, 9.0] {
            detector.judge(value);
        }
        // Median 3, deviations 2 1 1 6: MAD 1.5.
        let Judged::Alarm(reading) = detector.judge(100.0) else { panic!("100 is far") };
        assert_eq!((reading.median, reading.mad), (3.0, 1.5));
    }

    #[test]
    fn without_a_median_deviation_the_mean_one_stands_in() {
        let mut detector = Detector::new(5, 3.0);
        for value in [0.0, 0.0, 0.0, 0.0, 5.0] {
            detector.judge(value);
        }
        // MAD 0, mean deviation 1.
        assert_eq!(detector.clone().judge(3.0), Judged::Calm);
        let Judged::Alarm(reading) = detector.judge(4.0) else { panic!("4 is beyond 3 x 1.2533") };
        assert!((reading.score - 4.0 / 1.253_314).abs() < 1e-12 && reading.mad == 0.0);
    }

    #[test]
    fn over_a_window_of_one_value_any_other_is_an_alarm() {
        let mut detector = Detector::new(3, 6.0);
        for _ in 0..4 {
            assert!(matches!(detector.judge(7.0), Judged::Early | Judged::Calm));
        }
        let Judged::Alarm(reading) = detector.judge(6.9) else { panic!("6.9 is not 7") };
        assert_eq!(reading.score, f64::NEG_INFINITY);
    }

    #[test]
    fn the_window_rolls() {
        let (mut detector, mut random) = (Detector::new(7, 2.0), fastrand::Rng::with_seed(3));
        let values: Vec<f64> = (0..500).map(|_| random.f64()).collect();
        for (index, value) in values.iter().enumerate() {
            detector.judge(*value);
            let mut last = values[(index + 1).saturating_sub(7)..=index].to_vec();
            last.sort_unstable_by(f64::total_cmp);
            assert_eq!(detector.sorted, last);
        }
    }

    #[test]
    fn the_share_of_a_normal_distribution_is_that_of_the_tables() {
        for (threshold, share) in
            [(1.0, 0.317_310_5), (2.0, 0.045_500_26), (3.5, 4.652_582e-4), (6.0, 1.973_175e-9)]
        {
            let found = normal_share(threshold);
            assert!((found / share - 1.0).abs() < 1e-6, "{threshold}: {found} {share}");
        }
        assert!((normal_share(0.0) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn normal_readings_give_about_the_normal_share() {
        let (mut detector, mut random) = (Detector::new(200, 3.0), fastrand::Rng::with_seed(1));
        let mut normal = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        let judged: Vec<_> = (0..20_200).map(|_| detector.judge(normal())).collect();
        let alarms = judged.iter().filter(|j| matches!(j, Judged::Alarm(_))).count() as f64;
        let share = alarms / 20_000.0;
        assert!(share > 0.0 && share < 3.0 * normal_share(3.0), "{share}");
    }
}
