//! HS-20 and HS-27: no `todo!`, `unimplemented!` or `dbg!`; no ignored test; no test that sleeps.
//!
//! A sleep that does not synchronise is excused by a comment on its line or the line above:
//! `// tidy: sleep because …`.

use super::Finding;
use super::source::RustSource;

const MACROS: &[&str] = &["todo", "unimplemented", "dbg"];
const EXCUSE: &str = "// tidy: sleep because ";

pub(super) fn check(source: &RustSource) -> Vec<Finding> {
    let finding = |line, message: &str| Finding::new(&source.path, line, message);
    let mut findings = Vec::new();
    for name in MACROS {
        for line in source.find(&[name, "!"]) {
            findings.push(finding(line, &format!("`{name}!` is left over (HS-20)")));
        }
    }
    for line in source.find(&["#", "[", "ignore"]) {
        findings.push(finding(line, "an ignored test hides what it would find (HS-27)"));
    }
    for line in sleeps(source) {
        if source.is_test_line(line) && !source.is_excused(line, EXCUSE) {
            let message = "a test sleeps; wait for the event, or say `// tidy: sleep because …`";
            findings.push(finding(line, message));
        }
    }
    findings
}

/// Lines that call a sleep: by its path, or bare after an import.
fn sleeps(source: &RustSource) -> Vec<usize> {
    let text = |at: usize| source.tokens.get(at).map_or("", |token| token.text.as_str());
    (0..source.tokens.len())
        .filter(|at| text(*at) == "sleep" && text(at + 1) == "(")
        .filter(|at| match at.checked_sub(1).map_or("", text) {
            "fn" | "." => false,
            ":" => at.checked_sub(3).is_some_and(|before| text(before) == "thread"),
            _ => true,
        })
        .map(|at| source.tokens[at].line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = RustSource::parse(path, text).expect("the sample parses");
        check(&source).iter().map(|finding| finding.line).collect()
    }

    const TEST: &str = "crates/corelane-shm/tests/a.rs";
    const CODE: &str = "crates/corelane-shm/src/a.rs";

    #[test]
    fn what_was_left_over_is_found_everywhere() {
        assert_eq!(lines(CODE, "fn a() {\n    todo!();\n}\n"), [2]);
        assert_eq!(lines(CODE, "fn a() { unimplemented!(\"b\") }\n"), [1]);
        assert_eq!(lines(TEST, "fn a() { dbg!(1); }\n"), [1]);
        assert_eq!(lines(TEST, "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n"), [2]);
        assert_eq!(lines(CODE, "// todo!() and dbg!(1)\nfn todo() {}\n"), []);
    }

    #[test]
    fn a_sleep_in_a_test_is_found_unless_it_is_excused() {
        let sleep = "fn a() {\n    std::thread::sleep(b);\n}\n";
        assert_eq!(lines(TEST, sleep), [2]);
        assert_eq!(lines(CODE, sleep), []);
        assert_eq!(lines(TEST, "fn a() { sleep(b); }\n"), [1]);
        assert_eq!(lines(TEST, "fn a() { bell.sleep(b); }\n"), []);
        let excused = "fn a() {\n    // tidy: sleep because b\n    thread::sleep(b);\n}\n";
        assert_eq!(lines(TEST, excused), []);
        let bare = "fn a() {\n    // tidy: sleep\n    thread::sleep(b);\n}\n";
        assert_eq!(lines(TEST, bare), [3]);
    }
}
