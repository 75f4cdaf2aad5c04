//! What is attacked, with what, and how often.

use std::collections::BTreeMap;
use std::fmt;

use corelane_shm::WordsRw;
use fastrand::Rng;

/// Mutations of each field.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub(crate) fn count(&mut self, field: &'static str) {
        *self.0.entry(field).or_default() += 1;
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Every field that is named was attacked often.
    pub(crate) fn check(&self, mutations: u64) {
        assert!(self.total() >= mutations, "only {} mutations", self.total());
        let least = mutations / self.0.len() as u64 / 20;
        for (field, count) in &self.0 {
            assert!(*count >= least, "{field} was attacked {count} times only");
        }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = self.0.iter().map(|(field, count)| format!("{field}={count}"));
        write!(f, "{}", fields.by_ref().collect::<Vec<_>>().join(" "))
    }
}

/// A run of words that a hostile peer writes.
#[derive(Clone)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) words: WordsRw,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Field {
    pub(crate) fn new(name: &'static str, words: &WordsRw, first: usize, count: usize) -> Self {
        Self { name, words: words.clone(), first, count }
    }

    /// Writes one word of it: anything, or what is nearly right.
    pub(crate) fn mutate(&self, rng: &mut Rng, coverage: &mut Coverage) {
        let index = self.first + rng.usize(..self.count);
        let before = self.words.load_relaxed(index);
        let value = match rng.u8(..12) {
            0 => rng.u64(..),
            1 => u64::MAX,
            2 => 0,
            3 => 1 << rng.u8(..64),
            4 => before ^ (1 << rng.u8(..64)),
            5 => before.wrapping_add(rng.u64(..100)),
            6 => before.wrapping_sub(rng.u64(..100)),
            7 => rng.u64(..64),
            8 => (rng.u64(..4) << 32) | rng.u64(..64),
            9 => before.rotate_left(32),
            10 => (rng.u64(..4) << 56) | rng.u64(..64),
            _ => rng.u64(..4_096),
        };
        self.words.store_release(index, value);
        coverage.count(self.name);
    }
}

/// Writes one word of one of the fields.
pub(crate) fn mutate_one(fields: &[Field], rng: &mut Rng, coverage: &mut Coverage) {
    fields[rng.usize(..fields.len())].mutate(rng, coverage);
}

impl Coverage {
    pub(crate) fn merge(&mut self, other: Self) {
        for (field, count) in other.0 {
            *self.0.entry(field).or_default() += count;
        }
    }
}
