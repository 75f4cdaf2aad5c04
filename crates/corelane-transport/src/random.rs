//! Numbers that two processes do not share.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that nobody else draws and nobody can foretell, never 0. It comes from the system's
/// randomness: generators that seed themselves by the clock agree now and then when many processes
/// start at once.
pub(crate) fn number() -> u64 {
    loop {
        let number = RandomState::new().build_hasher().finish();
        if number != 0 {
            return number;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn threads_that_start_at_once_draw_different_numbers() {
        let threads: Vec<_> =
            (0..16).map(|_| thread::spawn(|| [(); 100].map(|()| number()))).collect();
        let drawn = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        let drawn: HashSet<u64> = drawn.collect();
        assert_eq!(drawn.len(), 1_600);
        assert!(!drawn.contains(&0));
    }
}
