//! From values to places on an axis, and the round values that are written beside it.

/// The lowest and the highest value of an axis, and how it runs between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear { low: f64, high: f64 },
    Log { low: f64, high: f64 },
}

impl Scale {
    /// From zero to a little above the highest value.
    pub(crate) fn from_zero(values: impl Iterator<Item = f64>) -> Self {
        let high = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        Self::Linear { low: 0.0, high: if high > 0.0 { high * 1.08 } else { 1.0 } }
    }

    /// From the lowest to the highest value, with some room between them.
    pub(crate) fn linear(values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite
            .fold((f64::MAX, f64::MIN), |(low, high), v| (f64::min(low, v), f64::max(high, v)));
        match low < high {
            true => Self::Linear { low, high },
            false if low <= high => Self::Linear { low, high: low + 1.0 },
            false => Self::Linear { low: 0.0, high: 1.0 },
        }
    }

    /// From the lowest to the highest positive value, never the same, as a logarithm needs.
    pub(crate) fn log(values: impl Iterator<Item = f64>) -> Self {
        let positive = values.filter(|value| *value > 0.0 && value.is_finite());
        let (low, high) =
            positive.fold((f64::MAX, 0.0), |(low, high), v| (f64::min(low, v), f64::max(high, v)));
        match low < high {
            true => Self::Log { low, high },
            false if high > 0.0 => Self::Log { low: high / 2.0, high: high * 2.0 },
            false => Self::Log { low: 1.0, high: 2.0 },
        }
    }

    /// Room above and below, by a factor.
    pub(crate) fn widened(self, factor: f64) -> Self {
        match self {
            Self::Log { low, high } => Self::Log { low: low / factor, high: high * factor },
            linear => linear,
        }
    }

    /// 0 at the lowest, 1 at the highest. What a logarithm cannot show lies at the lowest.
    pub(crate) fn place(&self, value: f64) -> f64 {
        match *self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => (value.max(low) / low).ln() / (high / low).ln(),
        }
    }

    /// Round values between the ends, about as many as `count`.
    pub(crate) fn ticks(&self, count: usize) -> impl Iterator<Item = f64> + use<> {
        let (low, high, ticks) = match *self {
            Self::Linear { low, high } => (low, high, linear_ticks(low, high, count)),
            Self::Log { low, high } => (low, high, log_ticks(low, high, count)),
        };
        let slack = (high - low) * 1e-9;
        ticks.into_iter().filter(move |at| (low - slack..=high + slack).contains(at))
    }
}

fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let rough = (high - low) / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|digit| digit * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    (first..=first + 2 * count as i64).map(|index| index as f64 * step).collect()
}

fn log_ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = (high / low).log10();
    let digits: &[f64] = match () {
        () if decades * 3.0 <= count as f64 => &[1.0, 2.0, 5.0],
        () if decades * 2.0 <= count as f64 => &[1.0, 3.0],
        () => &[1.0],
    };
    let every = (decades / count.max(1) as f64).ceil().max(1.0) as usize;
    let powers = (first..=last).step_by(every);
    powers.flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_that_a_logarithm_takes() {
        let range = |values: &[f64]| Scale::log(values.iter().copied());
        assert_eq!(range(&[8.0, 0.0, 64.0]), Scale::Log { low: 8.0, high: 64.0 });
        assert_eq!(range(&[8.0]), Scale::Log { low: 4.0, high: 16.0 });
        assert_eq!(range(&[0.0]), Scale::Log { low: 1.0, high: 2.0 });
        assert_eq!(range(&[f64::NAN, f64::INFINITY]), Scale::Log { low: 1.0, high: 2.0 });
    }

    #[test]
    fn places_run_from_end_to_end() {
        let log = Scale::Log { low: 10.0, high: 1000.0 };
        assert_eq!([10.0, 100.0, 1000.0, 0.0].map(|v| log.place(v)), [0.0, 0.5, 1.0, 0.0]);
        let linear = Scale::linear([-5.0, 5.0].into_iter());
        assert_eq!([-5.0, 0.0, 5.0].map(|v| linear.place(v)), [0.0, 0.5, 1.0]);
        assert_eq!(Scale::linear([].into_iter()), Scale::Linear { low: 0.0, high: 1.0 });
        assert_eq!(Scale::from_zero([0.0].into_iter()), Scale::Linear { low: 0.0, high: 1.0 });
    }

    #[test]
    fn ticks_are_round_and_few() {
        let ticks = |scale: Scale| scale.ticks(6).collect::<Vec<_>>();
        assert_eq!(ticks(Scale::Linear { low: 0.0, high: 13.1 }), [0.0, 5.0, 10.0]);
        assert_eq!(ticks(Scale::Linear { low: -7.0, high: 3.0 }), [-6.0, -4.0, -2.0, 0.0, 2.0]);
        assert_eq!(ticks(Scale::Log { low: 30.0, high: 500.0 }), [50.0, 100.0, 200.0, 500.0]);
        assert_eq!(ticks(Scale::Log { low: 1.0, high: 1e5 }).len(), 6);
    }
}
