//! A set of logical CPU numbers in the kernel's list format ("0-3,8").
//!
//! Does not touch any thread: see `pin` for that.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The largest CPU number a list may name; it keeps a broken range from filling the memory.
pub const CPU_NUMBER_MAX: usize = 65_535;

/// A set of logical CPUs, iterated in rising order.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuSet(BTreeSet<usize>);

/// A list that is not in the kernel's format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("cpu list is not readable, expected numbers and ranges like 0-3,8: item={item:?} {reason}")]
pub struct ParseCpuSetError {
    /// The part between two commas that was refused.
    pub item: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl ParseCpuSetError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0131"
    }
}

impl CpuSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set that holds one CPU.
    #[must_use]
    pub fn single(cpu: usize) -> Self {
        Self::from_iter([cpu])
    }

    /// Adds a CPU.
    pub fn insert(&mut self, cpu: usize) {
        self.0.insert(cpu);
    }

    /// Whether the CPU is in the set.
    #[must_use]
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.contains(&cpu)
    }

    /// The number of CPUs in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no CPU is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest CPU number.
    #[must_use]
    pub fn first(&self) -> Option<usize> {
        self.0.first().copied()
    }

    /// The highest CPU number.
    #[must_use]
    pub fn last(&self) -> Option<usize> {
        self.0.last().copied()
    }

    /// The CPUs in rising order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().copied()
    }

    /// The CPUs that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.iter().filter(|cpu| other.contains(*cpu)).collect()
    }

    /// The CPUs of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.iter().filter(|cpu| !other.contains(*cpu)).collect()
    }

    /// Whether every CPU of this set is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
}

impl FromIterator<usize> for CpuSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Self {
        Self(cpus.into_iter().collect())
    }
}

impl Extend<usize> for CpuSet {
    fn extend<I: IntoIterator<Item = usize>>(&mut self, cpus: I) {
        self.0.extend(cpus);
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while cpus.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

impl FromStr for CpuSet {
    type Err = ParseCpuSetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::new());
        }
        let mut set = BTreeSet::new();
        for item in text.split(',') {
            let refused = |reason| ParseCpuSetError { item: item.to_owned(), reason };
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let first = cpu_number(first).map_err(refused)?;
            let last = cpu_number(last).map_err(refused)?;
            if first > last {
                return Err(refused("range runs backwards"));
            }
            set.extend(first..=last);
        }
        Ok(Self(set))
    }
}

fn cpu_number(text: &str) -> Result<usize, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("not a cpu number");
    }
    match text.parse() {
        Ok(cpu) if cpu <= CPU_NUMBER_MAX => Ok(cpu),
        _ => Err("cpu number above the limit of 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_print_as_the_kernel_prints_them() {
        for (text, printed, count) in
            [("0-3,8\n", "0-3,8", 5), ("", "", 0), ("8,0,1", "0-1,8", 3), ("65535", "65535", 1)]
        {
            let set: CpuSet = text.parse().unwrap();
            assert_eq!((set.to_string().as_str(), set.len()), (printed, count));
        }
    }

    #[test]
    fn broken_lists_name_the_item() {
        for text in
            ["0-", "abc", "-1", "3-1", "0,,1", "0-3,", "+1", "0-65536", "1 2", "0x3", "1-2-3"]
        {
            let error = text.parse::<CpuSet>().unwrap_err();
            assert!(text.contains(&error.item), "{text}: {error}");
        }
    }

    #[test]
    fn set_operations() {
        let a: CpuSet = "0-3,8".parse().unwrap();
        let b: CpuSet = "2-9".parse().unwrap();
        assert_eq!(a.intersection(&b).to_string(), "2-3,8");
        assert_eq!(a.difference(&b).to_string(), "0-1");
        assert!(a.intersection(&b).is_subset(&a) && !a.is_subset(&b));
    }

    proptest! {
        #[test]
        fn parse_is_the_inverse_of_print(
            cpus in prop::collection::btree_set(0..5_000usize, 0..200),
        ) {
            let set = CpuSet::from_iter(cpus.iter().copied());
            prop_assert_eq!(&set.to_string().parse::<CpuSet>().unwrap(), &set);
            prop_assert!(set.iter().eq(cpus));
        }

        #[test]
        fn parse_never_panics(text in "[0-9,\\- a]{0,12}") {
            if let Ok(set) = text.parse::<CpuSet>() {
                prop_assert_eq!(set.to_string().parse::<CpuSet>().unwrap(), set);
            }
        }
    }
}
