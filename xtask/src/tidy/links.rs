//! Relative links in Markdown lead to a file or folder of the checkout.
//!
//! Web addresses and anchors are not followed, and code blocks are not read.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::TextFile;

pub(super) fn check(files: &[TextFile]) -> Vec<Finding> {
    let mut known: BTreeSet<&str> = BTreeSet::from([""]);
    for file in files {
        known.insert(&file.path);
        known.extend(file.path.match_indices('/').map(|(end, _)| &file.path[..end]));
    }
    files
        .iter()
        .filter(|file| file.path.ends_with(".md"))
        .flat_map(|file| targets(file).into_iter().map(move |target| (file, target)))
        .filter(|(_, (_, target))| !known.contains(target.as_str()))
        .map(|(file, (line, target))| {
            Finding::new(&file.path, line, format!("links to `{target}`, which is not there"))
        })
        .collect()
}

/// Line and resolved path of every relative link of a Markdown file.
pub(super) fn targets(file: &TextFile) -> Vec<(usize, String)> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (line, text) in (1..).zip(file.text.lines()) {
        if text.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let links = raw_targets(text).into_iter().filter_map(|raw| resolve(&file.path, raw));
            found.extend(links.map(|target| (line, target)));
        }
    }
    found
}

/// What stands in `](…)`, and after `]: ` in a reference definition.
fn raw_targets(text: &str) -> Vec<&str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let reference = text
        .starts_with('[')
        .then(|| text.split_once("]: ")?.1.split_whitespace().next())
        .flatten();
    inline.chain(reference).collect()
}

/// The path from the root of the checkout; nothing for a web address or an anchor.
fn resolve(from: &str, raw: &str) -> Option<String> {
    let path = raw.split('#').next().unwrap_or("");
    if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(text: &str) -> Vec<String> {
        let files = [
            TextFile::new("docs/guide/a.md", text),
            TextFile::new("docs/unsafe.md", ""),
            TextFile::new("README.md", ""),
        ];
        check(&files).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let expected = ["docs/guide/a.md:2: links to `docs/gone.md`, which is not there"];
        assert_eq!(missing("\n[a](../unsafe.md) and [b](../gone.md#c)\n"), expected);
        assert_eq!(missing("[a]: gone.md\n").len(), 1);
        assert_eq!(missing("[a](../../../outside.md)\n").len(), 1);
        assert_eq!(missing("[a](/README.md)\n").len(), 1);
    }

    #[test]
    fn links_that_resolve_and_links_that_are_not_relative_pass() {
        let text = "[a](../../README.md) [b](../) [c](./a.md \"title\") [d](#e) \
                    [f](https://example.org/g)\n```\n[h](gone.md)\n```\n";
        assert_eq!(missing(text), [""; 0]);
    }
}
