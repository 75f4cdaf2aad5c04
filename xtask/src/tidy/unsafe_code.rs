//! HS-14: `unsafe` stands only in the files that `docs/unsafe.md` lists.
//!
//! A crate without a listed file forbids it. An entry is a line that starts with ``- `path`:``;
//! one whose file is gone or holds no `unsafe` is stale. Whether a SAFETY comment is an argument
//! is for readers; clippy only sees that there is one.

use super::Finding;
use super::source::{RustSource, package_folder};
use super::tree::TextFile;

const LIST: &str = "docs/unsafe.md";

/// Folders below a package whose targets are no crates of the product.
const FREE_FOLDERS: &[&str] = &["tests", "benches", "examples"];

pub(super) fn check(files: &[TextFile], sources: &[RustSource]) -> Vec<Finding> {
    let listed = match super::required(files, LIST) {
        Ok(list) => entries(&list.text),
        Err(finding) => return vec![finding],
    };
    let mut findings = Vec::new();
    for source in sources {
        let unsafe_lines = source.find(&["unsafe"]);
        if let Some(line) = unsafe_lines.first()
            && !listed.iter().any(|(_, path)| *path == source.path)
        {
            let message = format!("`unsafe` in a file that {LIST} does not list (HS-14)");
            findings.push(Finding::new(&source.path, *line, message));
        }
        if is_crate_root(&source.path) && !forbids(source) && !lists_crate(&listed, &source.path) {
            let message = format!("`#![forbid(unsafe_code)]` is missing, or an entry in {LIST}");
            findings.push(Finding::new(&source.path, 1, message));
        }
    }
    for (line, path) in &listed {
        let source = sources.iter().find(|source| source.path == *path);
        if source.is_none_or(|source| source.find(&["unsafe"]).is_empty()) {
            findings.push(Finding::new(LIST, *line, format!("`{path}` holds no `unsafe`")));
        }
    }
    findings
}

/// Line and path of every entry of the list.
fn entries(text: &str) -> Vec<(usize, &str)> {
    (1..)
        .zip(text.lines())
        .filter_map(|(line, text)| {
            let (path, _) = text.strip_prefix("- `")?.split_once("`:")?;
            Some((line, path))
        })
        .collect()
}

fn is_crate_root(path: &str) -> bool {
    let inside = path.strip_prefix(package_folder(path)).unwrap_or(path).trim_start_matches('/');
    matches!(inside, "src/lib.rs" | "src/main.rs" | "build.rs") || inside.starts_with("src/bin/")
}

fn forbids(source: &RustSource) -> bool {
    let attribute = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
    !source.find(&attribute).is_empty()
}

/// Whether the list names a file that is compiled into the crate with this root.
fn lists_crate(listed: &[(usize, &str)], root: &str) -> bool {
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    // A package may itself lie in a folder of that name, as the rivals' one does.
    let is_free = |rest: &str| rest.split('/').any(|part| FREE_FOLDERS.contains(&part));
    let mut inside = listed.iter().filter_map(|(_, path)| path.strip_prefix(&format!("{folder}/")));
    inside.any(|rest| !is_free(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORBID: &str = "//! A.\n#![forbid(unsafe_code)]\n";

    fn findings(list: &str, rust: &[(&str, &str)]) -> Vec<String> {
        let files = [TextFile::new(LIST, list)];
        let sources: Vec<RustSource> = rust
            .iter()
            .map(|(path, text)| RustSource::parse(path, text).expect("the sample parses"))
            .collect();
        check(&files, &sources).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn unsafe_in_a_file_that_is_not_listed_is_found() {
        let raw = ("crates/a/src/raw.rs", "//! A.\nunsafe fn b() {}\n");
        let text = findings("", &[raw]);
        assert!(text[0].starts_with("crates/a/src/raw.rs:2: `unsafe` in a file"), "{text:?}");
        assert_eq!(findings("- `crates/a/src/raw.rs`: why\n", &[raw]), [""; 0]);
    }

    #[test]
    fn a_crate_that_is_not_listed_must_forbid_unsafe() {
        assert_eq!(findings("", &[("crates/a/src/lib.rs", FORBID)]), [""; 0]);
        assert_eq!(findings("", &[("crates/a/src/lib.rs", "//! A.\n")]).len(), 1);
        assert_eq!(findings("", &[("src/main.rs", "//! A.\n")]).len(), 1);
        assert_eq!(findings("", &[("crates/a/src/b.rs", "//! A.\n")]), [""; 0]);
    }

    #[test]
    fn a_listed_crate_need_not_forbid_it_but_its_neighbours_must() {
        let list = "- `crates/a/src/raw.rs`: why\n";
        let raw = ("crates/a/src/raw.rs", "//! A.\nunsafe fn b() {}\n");
        assert_eq!(findings(list, &[raw, ("crates/a/src/lib.rs", "//! A.\n")]), [""; 0]);
        assert_eq!(findings(list, &[raw, ("crates/ab/src/lib.rs", "//! A.\n")]).len(), 1);
        let raw = ("benches/a/src/raw.rs", "//! A.\nunsafe fn b() {}\n");
        let list = "- `benches/a/src/raw.rs`: why\n";
        assert_eq!(findings(list, &[raw, ("benches/a/src/main.rs", "//! A.\n")]), [""; 0]);
    }

    #[test]
    fn a_stale_entry_is_found() {
        let safe = ("crates/a/src/raw.rs", "//! A.\n");
        let list = "\n- `crates/a/src/raw.rs`: why\n";
        let expected = ["docs/unsafe.md:2: `crates/a/src/raw.rs` holds no `unsafe`"];
        assert_eq!(findings(list, &[safe]), expected);
        assert_eq!(findings(list, &[]), expected);
    }
}
