//! HS-24: an invariant is listed once in `docs/INVARIANTS.md`, and quoted in code.
//!
//! An id is two capital letters, a dash and a number (RB-1 is one). An entry is a line that
//! starts with `- **` and the id. House rules and codes of errors are quoted alike and are none.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::TextFile;

const LIST: &str = "docs/INVARIANTS.md";

/// Written like an invariant, but a house rule or the code of an error.
const OTHERS: [&str; 2] = ["HS-", "CL-"];

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let list = match super::required(files, LIST) {
        Ok(list) => list,
        Err(finding) => return vec![finding],
    };
    let mut findings = Vec::new();
    let mut listed = BTreeMap::new();
    for (line, id) in entries(&list.text) {
        if listed.insert(id, (line, false)).is_some() {
            findings.push(Finding::new(LIST, line, format!("{id} is listed twice")));
        }
    }
    let quoting = |file: &&TextFile| {
        let is_own = file.path.starts_with("xtask/");
        !is_own && (file.path.ends_with(".rs") || file.path.ends_with(".md"))
    };
    for file in files.iter().filter(quoting) {
        for (line, id) in quotes(&file.text) {
            match listed.get_mut(id) {
                Some((_, is_quoted)) => *is_quoted |= file.path.ends_with(".rs"),
                None => {
                    let message = format!("{id} is not listed in {LIST}");
                    findings.push(Finding::new(&file.path, line, message));
                }
            }
        }
    }
    for (id, (line, is_quoted)) in listed {
        if !is_quoted {
            findings.push(Finding::new(LIST, line, format!("{id} is quoted nowhere in code")));
        }
    }
    findings
}

/// Line and id of every entry of the list.
fn entries(text: &str) -> Vec<(usize, &str)> {
    (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| Some((line, id_at_start(text.strip_prefix("- **")?)?)))
        .collect()
}

/// Line and id of everything in `text` that is written like an invariant.
fn quotes(text: &str) -> Vec<(usize, &str)> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut found = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        for (at, _) in text.match_indices('-').filter(|(at, _)| *at >= 2) {
            let start = at - 2;
            let starts_a_word = start == 0 || !is_word(text.as_bytes()[start - 1]);
            if let Some(id) = text.get(start..).and_then(id_at_start)
                && starts_a_word
                && !OTHERS.iter().any(|other| id.starts_with(other))
            {
                found.push((line, id));
            }
        }
    }
    found
}

/// The id that `text` starts with; a version such as in "BY-4.0" is none.
fn id_at_start(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let letters = bytes.get(..2)?.iter().all(u8::is_ascii_uppercase);
    let digits = bytes.get(3..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let end = 3 + digits;
    let next = |at: usize| bytes.get(at).copied().unwrap_or(b' ');
    let is_version = next(end) == b'.' && next(end + 1).is_ascii_digit();
    let ends_the_word = !next(end).is_ascii_alphanumeric() && !is_version;
    (letters && bytes[2] == b'-' && digits > 0 && ends_the_word).then(|| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(list: &str, path: &str, text: &str) -> Vec<String> {
        let files = [TextFile::new(LIST, list), TextFile::new(path, text)];
        check(&files).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_quote_that_is_not_listed_is_found() {
        let list = "- **RB-1**: one writer\n";
        assert_eq!(findings(list, "a.rs", "// RB-1 holds\n"), [""; 0]);
        let expected = ["a.rs:2: RB-2 is not listed in docs/INVARIANTS.md"];
        assert_eq!(findings(list, "a.rs", "// RB-1\n// by RB-2.\n"), expected);
        assert_eq!(findings(list, "docs/a.md", "RB-1, ZZ-9\n").len(), 2);
    }

    #[test]
    fn an_entry_that_no_code_quotes_is_found() {
        let expected = ["docs/INVARIANTS.md:2: RB-1 is quoted nowhere in code"];
        assert_eq!(findings("\n- **RB-1**: one writer\n", "docs/a.md", "RB-1\n"), expected);
    }

    #[test]
    fn an_entry_that_stands_twice_is_found() {
        let list = "- **RB-1**: one writer\n- **RB-1**: again\n";
        assert_eq!(
            findings(list, "a.rs", "// RB-1\n"),
            ["docs/INVARIANTS.md:2: RB-1 is listed twice"]
        );
    }

    #[test]
    fn what_only_looks_alike_is_no_invariant() {
        let text = "// HS-12, CL-0123, UTF-8, SHA-256, CC BY-4.0, X-AB-1, AB-1x, ab-1, A-1, é-1\n";
        assert_eq!(findings("", "a.rs", text), [""; 0]);
    }
}
