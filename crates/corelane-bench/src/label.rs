//! How near the two CPUs were during a pass, by the bare ping-pong around it.
//!
//! A hypervisor moves virtual CPUs, and then the same code takes three times as long: passes of
//! different labels are not mixed. The bounds come from the figures of current server machines,
//! whose round trips are bimodal: 100 to 130 ns within a cache domain, 300 to 400 ns across.

use serde::{Deserialize, Serialize};

/// Two hardware threads of one core take less than this for a round trip.
const SIBLING_BELOW_NS: f64 = 60.0;
/// Two cores with a common last-level cache take less than this.
const NEAR_BELOW_NS: f64 = 200.0;
/// Two cores without one take at least this; between the two nobody can tell.
const FAR_FROM_NS: f64 = 260.0;
/// Rows are judged by their near passes when there are so many.
const NEAR_PASSES_MIN: usize = 3;

/// Distance of the two CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Cores with a common last-level cache.
    Near,
    /// Two hardware threads of one core.
    Sibling,
    /// Cores without a common cache.
    Far,
    /// It changed during the pass, or lies between near and far.
    Mixed,
}

impl Label {
    /// Name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Sibling => "sibling",
            Self::Far => "far",
            Self::Mixed => "mixed",
        }
    }

    /// The label of one ping-pong over one line.
    pub fn of_round_trip(ns: f64) -> Self {
        match ns {
            _ if ns < SIBLING_BELOW_NS => Self::Sibling,
            _ if ns < NEAR_BELOW_NS => Self::Near,
            _ if ns >= FAR_FROM_NS => Self::Far,
            _ => Self::Mixed,
        }
    }

    /// The label of a pass by the ping-pongs before and after it.
    pub fn of_pass(before_ns: f64, after_ns: f64) -> Self {
        let (before, after) = (Self::of_round_trip(before_ns), Self::of_round_trip(after_ns));
        if before == after { before } else { Self::Mixed }
    }

    /// Which passes count: the near ones when there are at least three, else the most frequent.
    pub fn to_judge_by(labels: &[Self]) -> Option<Self> {
        let count = |label: Self| labels.iter().filter(|other| **other == label).count();
        if count(Self::Near) >= NEAR_PASSES_MIN {
            return Some(Self::Near);
        }
        // Of equally frequent labels the first of the enumeration wins.
        labels.iter().copied().max_by_key(|label| (count(*label), std::cmp::Reverse(*label)))
    }
}

#[cfg(test)]
mod tests {
    use super::Label::{self, Far, Mixed, Near, Sibling};

    #[test]
    fn a_pass_is_labelled_by_both_sides() {
        assert_eq!(Label::of_pass(40.0, 45.0), Sibling);
        assert_eq!(Label::of_pass(110.0, 130.0), Near);
        assert_eq!(Label::of_pass(310.0, 390.0), Far);
        assert_eq!(Label::of_pass(110.0, 390.0), Mixed);
        assert_eq!(Label::of_pass(230.0, 230.0), Mixed);
    }

    #[test]
    fn three_near_passes_judge_before_the_majority() {
        assert_eq!(Label::to_judge_by(&[Far, Near, Far, Near, Far, Far, Near]), Some(Near));
        assert_eq!(Label::to_judge_by(&[Far, Near, Far, Near, Far]), Some(Far));
        assert_eq!(Label::to_judge_by(&[Far, Near]), Some(Near));
        assert_eq!(Label::to_judge_by(&[Mixed, Far]), Some(Far));
        assert_eq!(Label::to_judge_by(&[]), None);
    }
}
