//! `corelane explain`: the page of an error code, or the list of all codes.
//!
//! The pages are those of `docs/errors/`; `build.rs` puts them into the binary.

use std::fmt::Write;

use clap::Args;

use crate::{Exit, error::CliError, terminal};

// The pages in the order of their codes: code and text.
include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Options of `corelane explain`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ExplainArgs {
    /// The code as it was printed, such as CL-0333; its number alone will do.
    code: Option<String>,
}

/// Prints the page of a code; without one, every code and its title.
pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let Some(asked) = &args.code else {
        terminal::write(&list())?;
        return Ok(Exit::Ok);
    };
    match page(asked) {
        Ok(page) => {
            terminal::write(&plain(page, terminal::style().has_color))?;
            Ok(Exit::Ok)
        }
        Err(error) => {
            terminal::tell!("{}", crate::codes::line(&error.into()));
            Ok(Exit::Usage)
        }
    }
}

fn list() -> String {
    let titles = PAGES.iter().map(|(_, page)| page.lines().next().unwrap_or_default());
    titles.fold(String::new(), |list, title| list + title.trim_start_matches("# ") + "\n")
}

/// The page of a code, however it was typed.
fn page(asked: &str) -> Result<&'static str, CliError> {
    let asked_for = asked.trim().trim_end_matches(']').to_ascii_uppercase();
    let number = asked_for.strip_prefix("CL-").unwrap_or(&asked_for).parse::<u32>();
    let distance = |code: &str| {
        let found = code.trim_start_matches("CL-").parse().unwrap_or(0);
        number.as_ref().map_or(found, |number| number.abs_diff(found))
    };
    let (nearest, page) = PAGES
        .iter()
        .min_by_key(|(code, _)| distance(code))
        .expect("because there is at least one page");
    match number.is_ok() && distance(nearest) == 0 {
        true => Ok(page),
        false => Err(CliError::NoSuchCode { asked: asked.to_owned(), nearest }),
    }
}

/// A page for the terminal: without the marks of Markdown, headings bold where there is colour.
fn plain(page: &str, has_color: bool) -> String {
    let mut text = String::new();
    for line in page.lines() {
        let heading = line.trim_start_matches('#');
        let written = match heading.len() < line.len() {
            true if has_color => {
                let bold = anstyle::Style::new().bold();
                writeln!(text, "{bold}{}{bold:#}", heading.trim_start())
            }
            true => writeln!(text, "{}", heading.trim_start()),
            false => writeln!(text, "{}", without_links(line)),
        };
        written.expect("because a string takes any text");
    }
    text
}

/// `[text](target)` becomes `text`.
fn without_links(line: &str) -> String {
    let mut rest = line;
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('[')
        && let Some((name, target)) = after.split_once("](")
        && let Some((_, end)) = target.split_once(')')
    {
        text += before;
        text += name;
        rest = end;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        for asked in ["CL-0333", "cl-0333", "0333", "333", " CL-0333]"] {
            assert!(page(asked).unwrap().starts_with("# CL-0333: "), "{asked}");
        }
    }

    #[test]
    fn the_nearest_code_is_named() {
        for (asked, nearest) in [("CL-0340", "CL-0341"), ("9999999", PAGES[PAGES.len() - 1].0)] {
            let error = page(asked).unwrap_err();
            assert_eq!(error.code(), "CL-1103");
            assert!(error.to_string().contains(nearest), "{error}");
        }
        for asked in ["", "CL", "0333x", "-333", "CL333", "99999999999999"] {
            assert!(page(asked).is_err(), "{asked}");
        }
    }

    #[test]
    fn a_page_loses_its_marks_and_keeps_its_text() {
        let page = "# CL-0001: a\n\n## Why\nSee [b](b.md) and [c](c.md), not [d].\n";
        assert_eq!(plain(page, false), "CL-0001: a\n\nWhy\nSee b and c, not [d].\n");
        assert!(plain(page, true).starts_with("\u{1b}[1mCL-0001: a\u{1b}[0m\n"));
    }

    #[test]
    fn the_list_has_a_line_for_each_page() {
        assert_eq!(list().lines().count(), PAGES.len());
        assert!(list().lines().all(|line| line.starts_with("CL-")), "{}", list());
    }
}
