//! A Rust file as the checks see it: text, flat tokens, syntax tree, and which lines are tests.
//!
//! Tokens leave out comments and strings, so that a check for `unsafe` or `todo!` is not fooled
//! by prose that speaks about them.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;

use super::Finding;
use super::tree::TextFile;

/// One identifier, punctuation character, literal or bracket.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

pub(super) struct RustSource {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) tokens: Vec<Token>,
    pub(super) syntax: syn::File,
    /// Lines, counted from 1, that are compiled for tests only.
    test_lines: BTreeSet<usize>,
    /// Files that a `#[cfg(test)] mod name;` of this one brings in.
    test_modules: Vec<String>,
}

impl RustSource {
    pub(super) fn parse(path: &str, text: &str) -> Result<RustSource, Finding> {
        let syntax = syn::parse_file(text).map_err(|error| {
            Finding::new(path, error.span().start().line, format!("cannot be parsed: {error}"))
        })?;
        let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
            Finding::new(path, error.span().start().line, format!("cannot be read: {error}"))
        })?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let (mut test_lines, mut test_modules) = (BTreeSet::new(), Vec::new());
        for item in &syntax.items {
            note_tests(path, item, &mut test_lines, &mut test_modules);
        }
        if is_test_path(path) {
            test_lines.extend(1..=text.lines().count());
        }
        let (path, text) = (path.to_owned(), text.to_owned());
        Ok(RustSource { path, text, tokens, syntax, test_lines, test_modules })
    }

    /// Whether `line` is compiled for tests only.
    pub(super) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.contains(&line)
    }

    /// How many lines are not tests.
    pub(super) fn production_line_count(&self) -> usize {
        self.text.lines().count() - self.test_lines.len()
    }

    /// The first lines of every place where `pattern` stands as consecutive tokens.
    pub(super) fn find(&self, pattern: &[&str]) -> Vec<usize> {
        self.tokens
            .windows(pattern.len())
            .filter(|window| {
                window.iter().zip(pattern).all(|(token, wanted)| token.text == *wanted)
            })
            .map(|window| window[0].line)
            .collect()
    }

    /// The text of `line` and of the one before it, where a justification may stand.
    pub(super) fn is_excused(&self, line: usize, excuse: &str) -> bool {
        self.text.lines().skip(line.saturating_sub(2)).take(2).any(|text| text.contains(excuse))
    }

    /// The folder of the package that holds this file: `crates/name`, `xtask`, or nothing.
    pub(super) fn package_folder(&self) -> &str {
        package_folder(&self.path)
    }
}

/// The folder of the package that holds `path`; empty for the root package.
pub(super) fn package_folder(path: &str) -> &str {
    let depth = match path.split('/').next() {
        Some("crates") => 2,
        Some("benches") if path.starts_with("benches/peers/") => 2,
        Some("xtask") => 1,
        _ => return "",
    };
    path.match_indices('/').nth(depth - 1).map_or("", |(end, _)| &path[..end])
}

/// Parses every `.rs` file; one that does not parse is a finding.
pub(super) fn parse_all(files: &[TextFile]) -> (Vec<RustSource>, Vec<Finding>) {
    let (mut sources, mut findings) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        match RustSource::parse(&file.path, &file.text) {
            Ok(source) => sources.push(source),
            Err(finding) => findings.push(finding),
        }
    }
    let test_modules: BTreeSet<String> =
        sources.iter().flat_map(|source| source.test_modules.iter().cloned()).collect();
    for source in &mut sources {
        if test_modules.contains(&source.path) {
            source.test_lines.extend(1..=source.text.lines().count());
        }
    }
    (sources, findings)
}

fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "benches")
        || path.starts_with("crates/corelane-testkit/")
}

fn note_tests(path: &str, item: &syn::Item, lines: &mut BTreeSet<usize>, files: &mut Vec<String>) {
    let attributes = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        _ => return,
    };
    if !attributes.iter().any(is_test_attribute) {
        return;
    }
    let span = item.span();
    lines.extend(span.start().line..=span.end().line);
    if let syn::Item::Mod(module) = item
        && module.content.is_none()
    {
        let folder = module_folder(path);
        files.push(format!("{folder}{}.rs", module.ident));
        files.push(format!("{folder}{}/mod.rs", module.ident));
    }
}

/// Whether this is `#[cfg(…)]` with the word `test` in it and no `not(test)`.
fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else { return false };
    if !list.path.is_ident("cfg") {
        return false;
    }
    let mut tokens = Vec::new();
    flatten(list.tokens.clone(), &mut tokens);
    let words: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    words.contains(&"test") && !words.windows(3).any(|three| three == ["not", "(", "test"])
}

/// Where the out-of-line modules of `path` lie, with a slash at the end.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let stem = name.trim_end_matches(".rs");
    let parts = match stem {
        "lib" | "main" | "mod" | "build" => vec![folder],
        stem => vec![folder, stem],
    };
    parts.iter().filter(|part| !part.is_empty()).map(|part| format!("{part}/")).collect()
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { text: close.to_owned(), line });
            }
            other => tokens.push(Token { text: other.to_string(), line }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, text: &str) -> RustSource {
        RustSource::parse(path, text).expect("the sample parses")
    }

    #[test]
    fn tokens_leave_out_comments_and_strings() {
        let source = parse("a.rs", "// unsafe\nconst A: &str = \"unsafe\";\nunsafe fn b() {}\n");
        assert_eq!(source.find(&["unsafe"]), [3]);
        assert_eq!(source.find(&["unsafe", "fn", "b"]), [3]);
    }

    #[test]
    fn test_modules_and_test_folders_are_test_lines() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n#[cfg(not(test))]\nmod real {}\n";
        let source = parse("src/lib.rs", text);
        let tests: Vec<bool> = (1..=6).map(|line| source.is_test_line(line)).collect();
        assert_eq!(tests, [false, true, true, true, false, false]);
        assert_eq!(source.production_line_count(), 3);
        assert!(parse("crates/x/tests/a.rs", "fn a() {}\n").is_test_line(1));
    }

    #[test]
    fn a_file_brought_in_under_cfg_test_is_a_test_file() {
        let files = [
            TextFile::new("src/lib.rs", "#[cfg(all(test, loom))]\nmod models;\nmod ring;\n"),
            TextFile::new("src/models.rs", "fn a() {}\n"),
            TextFile::new("src/ring.rs", "#[cfg(test)]\nmod tests;\n"),
            TextFile::new("src/ring/tests.rs", "fn a() {}\n"),
        ];
        let (sources, findings) = parse_all(&files);
        assert_eq!(findings, []);
        let tests: Vec<bool> = sources.iter().map(|source| source.is_test_line(1)).collect();
        assert_eq!(tests, [true, true, true, true]);
        assert!(!sources[0].is_test_line(3));
    }

    #[test]
    fn a_file_that_does_not_parse_is_a_finding() {
        let (_, findings) = parse_all(&[TextFile::new("a.rs", "fn a( {}\n")]);
        assert!(findings[0].message.contains("cannot be parsed"), "{findings:?}");
    }

    #[test]
    fn the_package_folder_is_read_from_the_path() {
        assert_eq!(package_folder("crates/corelane-ring/src/lib.rs"), "crates/corelane-ring");
        assert_eq!(package_folder("xtask/src/main.rs"), "xtask");
        assert_eq!(package_folder("src/lib.rs"), "");
    }
}
