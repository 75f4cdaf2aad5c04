//! Every error has a code `CL-0123`, a page in `docs/errors/` and a test that produces it.
//!
//! It reads what the text shows: that the test named by a page exists and speaks of the code or
//! of the variant. Whether the test is a good one is for readers.

use std::collections::BTreeMap;

use super::Finding;
use super::error_types::{self, CodedVariant};
use super::source::{RustSource, package_folder};
use super::tree::TextFile;

const FOLDER: &str = "docs/errors/";
const INDEX: &str = "docs/errors/README.md";
/// The list of types whose codes the binary prints.
const PRINTED: &str = "crates/corelane-cli/src/codes.rs";
const HEADINGS: [&str; 3] = ["What happened", "Why", "What to do"];

/// The first two digits of a crate's codes.
const RANGES: &[(&str, &str)] = &[
    ("corelane-topology", "01"),
    ("corelane-ring", "02"),
    ("corelane-shm", "03"),
    ("corelane-transport", "04"),
    ("corelane-router", "05"),
    ("corelane-agent", "06"),
    ("corelane-infer", "07"),
    ("corelane-backend-tract", "07"),
    ("corelane-plugin", "07"),
    ("corelane-node", "08"),
    ("corelane-bench", "09"),
    ("corelane-config", "10"),
    ("corelane-cli", "11"),
    ("corelane-report", "12"),
];

/// A code where the sources give it to an error.
struct Definition<'a> {
    code: String,
    source: &'a RustSource,
    line: usize,
}

pub(super) fn check(files: &[TextFile], sources: &[RustSource]) -> Vec<Finding> {
    let definitions = definitions(sources);
    let mut findings = Vec::new();
    let mut first: BTreeMap<&str, &Definition<'_>> = BTreeMap::new();
    for definition in &definitions {
        let Definition { code, source, line } = definition;
        let finding = |message: String| Finding::new(&source.path, *line, message);
        if let Some(other) = first.insert(code, definition) {
            let place = format!("{}:{}", other.source.path, other.line);
            findings.push(finding(format!("{code} is given twice, first in {place}")));
        }
        let range = range_of(&source.path);
        if range.is_none_or(|range| !code.starts_with(&format!("CL-{range}"))) {
            let range = range.map_or_else(|| "none".to_owned(), |range| format!("CL-{range}.."));
            findings.push(finding(format!("{code} is outside the crate's range, {range}")));
        }
        let page = format!("{FOLDER}{code}.md");
        if !files.iter().any(|file| file.path == page) {
            findings.push(finding(format!("{code} has no page {page}")));
        }
    }
    let variants = error_types::variants(sources);
    let pages = files.iter().filter(|file| code_of_page(&file.path).is_some());
    for page in pages.clone() {
        let code = code_of_page(&page.path).unwrap_or_default();
        if !first.contains_key(code) {
            let message = format!("no error in the sources has the code {code}");
            findings.push(Finding::new(&page.path, 1, message));
        }
        findings.extend(check_form(page, code));
        findings.extend(check_test(page, code, sources, &variants));
    }
    if !definitions.is_empty() {
        findings.extend(check_index(files, pages));
        findings.extend(error_types::check(files, sources, PRINTED));
    }
    findings
}

/// Every string literal of production code that is a code and nothing else.
fn definitions(sources: &[RustSource]) -> Vec<Definition<'_>> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| is_product(&source.path)) {
        for token in &source.tokens {
            let code = token.text.trim_matches('"');
            if token.text.len() == code.len() + 2
                && is_code(code)
                && !source.is_test_line(token.line)
            {
                found.push(Definition { code: code.to_owned(), source, line: token.line });
            }
        }
    }
    found
}

/// Whether a file belongs to a crate whose errors users can meet.
pub(super) fn is_product(path: &str) -> bool {
    path.starts_with("crates/") && path.contains("/src/") && range_of(path).is_some()
}

fn range_of(path: &str) -> Option<&'static str> {
    let package = package_folder(path).strip_prefix("crates/")?;
    RANGES.iter().find(|(name, _)| *name == package).map(|(_, range)| *range)
}

pub(super) fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix("CL-");
    digits.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn code_of_page(path: &str) -> Option<&str> {
    let code = path.strip_prefix(FOLDER)?.strip_suffix(".md")?;
    is_code(code).then_some(code)
}

fn title(page: &TextFile) -> &str {
    page.text.lines().next().unwrap_or_default().trim_start_matches("# ")
}

/// Title, three sections, and something in each of them.
fn check_form(page: &TextFile, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut finding =
        |line, message: String| findings.push(Finding::new(&page.path, line, message));
    if !page.text.starts_with(&format!("# {code}: ")) {
        finding(1, format!("the first line is not `# {code}: …`"));
    }
    for heading in HEADINGS {
        let is_heading = |line: &str| line.trim_start_matches(['#', '*', ' ']).starts_with(heading);
        let mut lines = page.text.lines().skip_while(|line| !is_heading(line));
        if lines.next().is_none() {
            finding(1, format!("the section `{heading}` is missing"));
        } else if lines.find(|line| !line.trim().is_empty()).is_none_or(|l| l.starts_with('#')) {
            finding(1, format!("the section `{heading}` is empty"));
        }
    }
    findings
}

/// The last line names a test that exists and speaks of the code or of the variant.
fn check_test(
    page: &TextFile,
    code: &str,
    sources: &[RustSource],
    variants: &[CodedVariant],
) -> Vec<Finding> {
    let lines = (1..).zip(page.text.lines());
    let Some((line, last)) = lines.filter(|(_, line)| !line.trim().is_empty()).last() else {
        return Vec::new();
    };
    let finding = |message: String| vec![Finding::new(&page.path, line, message)];
    let quoted: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
    let [path, test] = quoted[..] else {
        return finding("the last line does not name a test as `path.rs`, `function`".to_owned());
    };
    let Some(source) = sources.iter().find(|source| source.path == path) else {
        return finding(format!("the file of its test is not there: {path}"));
    };
    let Some(body) = body_of_test(source, test) else {
        return finding(format!("{path} has no test `{test}`"));
    };
    let known = variants.iter().find(|variant| variant.code == code);
    let speaks = body.iter().any(|token| {
        token.text.contains(code) || known.is_some_and(|known| known.name == token.text)
    });
    match speaks {
        true => Vec::new(),
        false => {
            let name = known.map_or("its error", |known| known.name.as_str());
            finding(format!("`{test}` speaks neither of {code} nor of `{name}`"))
        }
    }
}

/// The tokens of a test's body.
fn body_of_test<'a>(source: &'a RustSource, name: &str) -> Option<&'a [super::source::Token]> {
    let tokens = &source.tokens;
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
    let mut starts = (0..tokens.len()).filter(|&at| is(at, "fn") && is(at + 1, name));
    let at = starts.find(|&at| {
        // Between the function and the end of the item before it stand its attributes.
        let attributes = (0..at).rev().take_while(|&at| !is(at, "}") && !is(at, ";"));
        attributes.into_iter().any(|at| is(at, "[") && is(at + 1, "test") && is(at + 2, "]"))
    })?;
    let open = (at..tokens.len()).find(|&at| is(at, "{"))?;
    let mut depth = 0;
    for end in open..tokens.len() {
        depth += i32::from(is(end, "{")) - i32::from(is(end, "}"));
        if depth == 0 {
            return Some(&tokens[open..end]);
        }
    }
    None
}

/// The row of a page in the index.
fn row(page: &TextFile) -> Option<String> {
    let code = code_of_page(&page.path)?;
    let text = title(page).trim_start_matches(code).trim_start_matches(": ");
    Some(format!("| [{code}]({code}.md) | {} |", text.replace('|', "\\|")))
}

/// The index has the row of every page, and no other.
fn check_index<'a>(files: &[TextFile], pages: impl Iterator<Item = &'a TextFile>) -> Vec<Finding> {
    let index = match super::required(files, INDEX) {
        Ok(index) => index,
        Err(finding) => return vec![finding],
    };
    let rows: Vec<String> = pages.filter_map(row).collect();
    let found: Vec<&str> = index.text.lines().filter(|line| line.starts_with("| [CL-")).collect();
    let wrong = rows.iter().map(String::as_str).zip(&found).find(|(row, found)| row != *found);
    let first = match wrong {
        Some((row, _)) => row,
        None if rows.len() == found.len() => return Vec::new(),
        None => rows.get(found.len()).map_or("fewer rows", String::as_str),
    };
    let message =
        format!("rows are not those of the pages, `cargo xtask fix` writes them: {first}");
    vec![Finding::new(INDEX, 1, message)]
}

/// The index with the rows of these pages.
pub(super) fn index(files: &[TextFile]) -> Option<(&'static str, String)> {
    let text = &files.iter().find(|file| file.path == INDEX)?.text;
    let is_row = |line: &&str| line.starts_with("| [CL-");
    let head = text.lines().take_while(|line| !is_row(line));
    let tail = text.lines().skip_while(|line| !is_row(line)).skip_while(is_row);
    let rows: Vec<String> = files.iter().filter_map(row).collect();
    let lines = head.chain(rows.iter().map(String::as_str)).chain(tail);
    Some((INDEX, lines.map(|line| format!("{line}\n")).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: &str = "//! A.\n/// E.\n#[derive(Debug, Error)]\npub enum RingError {\n    \
        /// F.\n    Full,\n}\nimpl RingError {\n    /// C.\n    pub fn code(&self) -> &'static str \
        {\n        match self {\n            Self::Full => \"CL-0201\",\n        }\n    }\n}\n";
    const TEST: &str = "#[test]\n#[allow(a)]\nfn it_fills() \
        {\n    assert_eq!(send(), Err(RingError::Full));\n}\n\
        #[test]\nfn other() {}\nfn no_test() { RingError::Full; }\n";
    const PAGE: &str = "# CL-0201: ring is full\n\n## What happened\nA.\n\n## Why\nB.\n\n\
        ## What to do\nC.\n\nProduced by `crates/corelane-ring/tests/a.rs`: `it_fills`.\n";
    const ROWS: &str = "| code | message |\n|---|---|\n| [CL-0201](CL-0201.md) | ring is full |\n";

    /// What is found when these files take the place of the good ones, or come beside them.
    fn findings(changed: &[(&str, &str)]) -> Vec<String> {
        let mut files = BTreeMap::from([
            ("crates/corelane-ring/src/error.rs", ERROR),
            ("crates/corelane-ring/tests/a.rs", TEST),
            ("crates/corelane-cli/Cargo.toml", "[dependencies]\n"),
            ("docs/errors/CL-0201.md", PAGE),
            (INDEX, ROWS),
            (PRINTED, "//! A.\n"),
        ]);
        files.extend(changed.iter().copied());
        let files: Vec<TextFile> = files
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(path, text)| TextFile::new(path, text))
            .collect();
        let (sources, _) = crate::tidy::source::parse_all(&files);
        check(&files, &sources).iter().map(Finding::to_string).collect()
    }

    #[track_caller]
    fn finds(changed: &[(&str, &str)], expected: &str) {
        let found = findings(changed);
        assert!(found.iter().any(|line| line.contains(expected)), "{expected}: {found:#?}");
    }

    #[test]
    fn good_errors_pass() {
        assert_eq!(findings(&[]), [""; 0]);
    }

    #[test]
    fn a_code_that_is_given_twice_or_outside_its_range_is_found() {
        let twice = ERROR.replace("RingError", "OtherError");
        finds(&[("crates/corelane-ring/src/other.rs", &twice)], "CL-0201 is given twice");
        finds(&[("crates/corelane-shm/src/error.rs", ERROR)], "outside the crate's range, CL-03");
        let test = "//! A.\n#[cfg(test)]\nmod tests {\n    const A: &str = \"CL-0201\";\n}\n";
        assert_eq!(findings(&[("crates/corelane-shm/src/a.rs", test)]), [""; 0]);
    }

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_found() {
        finds(&[("docs/errors/CL-0201.md", "")], "has no page docs/errors/CL-0201.md");
        let page = PAGE.replace("0201", "0202");
        finds(&[("docs/errors/CL-0202.md", &page)], "no error in the sources has the code CL-0202");
    }

    #[test]
    fn a_page_of_another_form_is_found() {
        let page = |from: &str, to: &str| PAGE.replace(from, to);
        let at = "docs/errors/CL-0201.md";
        finds(&[(at, &page("# CL-0201: ", "# "))], "the first line is not");
        finds(&[(at, &page("## Why", "## When"))], "the section `Why` is missing");
        finds(&[(at, &page("B.", ""))], "the section `Why` is empty");
    }

    #[test]
    fn a_test_that_is_not_there_or_speaks_of_something_else_is_found() {
        let page = |from: &str, to: &str| PAGE.replace(from, to);
        let at = "docs/errors/CL-0201.md";
        finds(&[(at, &page("`it_fills`.", "`it_fills`.\n\nMore."))], "does not name a test");
        finds(&[(at, &page("`it_fills`", "it"))], "does not name a test");
        finds(&[(at, &page("tests/a.rs", "tests/b.rs"))], "not there");
        finds(&[(at, &page("it_fills", "it_is_gone"))], "has no test `it_is_gone`");
        finds(&[(at, &page("it_fills", "no_test"))], "has no test `no_test`");
        finds(&[(at, &page("it_fills", "other"))], "neither of CL-0201 nor of `Full`");
    }

    #[test]
    fn an_index_with_other_rows_is_found_and_rewritten() {
        for rows in ["", "x | [CL-0201]\n", "| [CL-0201](CL-0201.md) | ring was full |\n"] {
            let rows = format!("Intro\n{rows}");
            finds(&[(INDEX, &rows)], "`cargo xtask fix` writes them");
        }
        let old = "Intro\n| [CL-0101](CL-0101.md) | gone |\nOutro\n";
        let files = [TextFile::new(INDEX, old), TextFile::new("docs/errors/CL-0201.md", PAGE)];
        let (_, text) = index(&files).expect("there is an index");
        assert_eq!(text, "Intro\n| [CL-0201](CL-0201.md) | ring is full |\nOutro\n");
    }
}
