//! What the two processes are told on the command line, as extra filters that match no test.
//!
//! Nothing else of a test's command line can be chosen freely, and no variable is inherited by
//! accident.

use std::str::FromStr;

/// Marks the child, and says which case of the test it plays.
pub(super) const CHILD: &str = "kill-child";
/// In the survivor: begin with this case and this point. Two numbers.
pub(super) const FROM: &str = "kill-from";
/// In the survivor: 1 for every instruction where the gate leaves some out.
pub(super) const ALL: &str = "kill-all";
/// In the survivor: how many random kills.
pub(super) const ROUNDS: &str = "kill-rounds";
/// In the survivor: the seed of the random kills.
pub(super) const SEED: &str = "kill-seed";

/// The numbers behind `name=`, separated by colons, if this process was given any.
pub(super) fn numbers<const COUNT: usize>(name: &str) -> Option<[u64; COUNT]> {
    find(std::env::args(), name)
}

fn find<const COUNT: usize>(
    arguments: impl Iterator<Item = String>,
    name: &str,
) -> Option<[u64; COUNT]> {
    let text = arguments.filter_map(|argument| {
        let (found, numbers) = argument.split_once('=')?;
        (found == name).then(|| numbers.to_owned())
    });
    let numbers: Option<Vec<u64>> =
        text.last()?.split(':').map(|number| u64::from_str(number).ok()).collect();
    numbers?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_name_and_their_count() {
        let line = || ["test", "--exact", "kill-from=2:71", "kill-seed=9"].map(str::to_owned);
        assert_eq!(find(line().into_iter(), FROM), Some([2, 71]));
        assert_eq!(find(line().into_iter(), SEED), Some([9]));
        assert_eq!(find::<1>(line().into_iter(), FROM), None);
        assert_eq!(find::<1>(line().into_iter(), CHILD), None);
    }
}
