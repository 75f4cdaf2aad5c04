//! HS-3: a line has at most 100 columns.
//!
//! Longer are only what cannot be broken: a web address, and a row of a documentation table.

use super::Finding;
use super::source::RustSource;

const COLUMNS_MAX: usize = 100;

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    (1..)
        .zip(source.text.lines())
        .map(|(line, text)| (line, text, text.chars().count()))
        .filter(|(_, text, columns)| *columns > COLUMNS_MAX && !is_unbreakable(text))
        .map(|(line, _, columns)| {
            let message = format!("the line has {columns} columns, at most {COLUMNS_MAX} (HS-3)");
            Finding::new(&source.path, line, message)
        })
        .collect()
}

fn is_unbreakable(text: &str) -> bool {
    let text = text.trim_start();
    text.contains("https://") || text.starts_with("//! |") || text.starts_with("/// |")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let source = RustSource::parse("a.rs", text).expect("the sample parses");
        check(&source).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn the_column_after_the_hundredth_is_found() {
        let fits = format!("// {}\n", "ü".repeat(97));
        let wide = format!("\n// {}\n", "ü".repeat(98));
        assert_eq!(lines(&fits), []);
        assert_eq!(lines(&wide), [2]);
        assert_eq!(lines(&format!("// https://{}\n", "x".repeat(98))), []);
        assert_eq!(lines(&format!("//! | {} |\n", "x".repeat(98))), []);
    }
}
