//! HS-4: every file opens with `//!`. It does not judge what the sentence says.

use super::Finding;
use super::source::RustSource;

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    let first = source.text.lines().next().unwrap_or("");
    if first.strip_prefix("//!").is_some_and(|sentence| !sentence.trim().is_empty()) {
        return Vec::new();
    }
    vec![Finding::new(&source.path, 1, "the file does not open with `//!` and a sentence (HS-4)")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&RustSource::parse("a.rs", text).expect("the sample parses")).len()
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(count("//! Rings.\nfn a() {}\n"), 0);
        assert_eq!(count("fn a() {}\n"), 1);
        assert_eq!(count("//!\nfn a() {}\n"), 1);
        assert_eq!(count("// Rings.\nfn a() {}\n"), 1);
        assert_eq!(count(""), 1);
    }
}
