//! HS-8: no file is named after a word that says nothing. It does not look at other names.

use super::Finding;
use super::source::RustSource;

const EMPTY_WORDS: &[&str] =
    &["manager", "helper", "helpers", "util", "utils", "common", "data", "misc"];

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    let stem = source.path.trim_end_matches(".rs");
    stem.split(['/', '_', '-'])
        .filter(|word| EMPTY_WORDS.contains(word))
        .map(|word| {
            Finding::new(&source.path, 1, format!("`{word}` in a file name says nothing (HS-8)"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str) -> usize {
        check(&RustSource::parse(path, "//! A.\n").expect("the sample parses")).len()
    }

    #[test]
    fn an_empty_word_is_found_as_a_whole_word() {
        assert_eq!(count("crates/corelane-ring/src/ring_util.rs"), 1);
        assert_eq!(count("crates/corelane-ring/src/common/ring.rs"), 1);
        assert_eq!(count("crates/corelane-ring/src/utility_curve.rs"), 0);
    }
}
