//! What the terminal can show, and progress on stderr.
//!
//! It decides nothing about content. `NO_COLOR`, `CLICOLOR_FORCE` and `COLUMNS` are read here.

use std::{
    env,
    io::{self, ErrorKind, IsTerminal, Write},
};

use corelane_topology::render::RenderStyle;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::CliError;

/// Widest drawing, however wide the terminal.
const COLUMNS_MAX: usize = 100;

/// The style of what goes to stdout.
pub(crate) fn style() -> RenderStyle {
    let stdout = std::io::stdout();
    let is_terminal = stdout.is_terminal();
    let measured = terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0 as usize);
    let stated = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let columns = measured.or(stated).unwrap_or(80).clamp(20, COLUMNS_MAX);
    let has_color = anstream::AutoStream::choice(&stdout) != anstream::ColorChoice::Never;
    let has_unicode = is_terminal && is_utf8();
    RenderStyle { columns, has_color, has_unicode }
}

/// Whether the locale's characters are UTF-8, by the variables that POSIX names, in its order.
fn is_utf8() -> bool {
    let set = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Writes to stdout. A reader that went away wanted no more; anything else is an error.
pub(crate) fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result.map_err(CliError::Stdout)?),
    }
}

/// Tells a line on stderr, as `format!` makes it.
macro_rules! tell {
    ($($text:tt)*) => { $crate::terminal::tell_line(&format!($($text)*)) };
}
pub(crate) use tell;

/// Tells a line on stderr. What of it could command a terminal is replaced, since it may come from
/// tools and names of files.
pub(crate) fn tell_line(text: &str) {
    tell_drawn(&line(text));
}

/// Writes a drawing to stderr. That is commentary: when it is lost, nothing else changes.
pub(crate) fn tell_drawn(text: &str) {
    let _ = anstream::stderr().lock().write_all(text.as_bytes());
}

/// The text as a line that commands no terminal.
fn line(text: &str) -> String {
    text.chars().map(harmless).chain(['\n']).collect()
}

/// A character in place of one that moves, colours or reverses what is shown.
fn harmless(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..' ' => char::from_u32('\u{2400}' as u32 + c as u32).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}' => '\u{fffd}',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ => c,
    }
}

/// A bar on stderr, drawn only on a terminal and only when it is told of progress: no thread of
/// its own ever wakes on a measured core.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template("{msg:>10} [{wide_bar}] {pos}/{len}")
        .expect("because the template is valid");
    bar.set_style(style.progress_chars("=> "));
    bar.set_message(what);
    bar
}

/// Text as it fits the terminal; in a pipe its lines stay as they are.
pub(crate) fn fit(text: &str) -> String {
    match io::stdout().is_terminal() {
        true => format!("{}\n", wrap(text, style().columns)),
        false => text.to_owned(),
    }
}

/// Breaks lines that are longer than the terminal at a space, and keeps their indentation.
pub(crate) fn wrap(text: &str, columns: usize) -> String {
    let mut wrapped = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let mut rest = line.to_owned();
        while visible_width(&rest) > columns {
            let breaks = rest.char_indices().filter(|&(at, c)| c == ' ' && at > indent);
            let fitting = breaks.take_while(|&(at, _)| visible_width(&rest[..at]) <= columns);
            let Some((at, _)) = fitting.last() else { break };
            wrapped += rest[..at].trim_end();
            wrapped.push('\n');
            rest = format!("{}{}", " ".repeat(indent), rest[at..].trim_start());
        }
        wrapped += &rest;
        wrapped.push('\n');
    }
    wrapped.trim_end().to_owned()
}

/// Characters that show: escape sequences do not.
fn visible_width(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_commands_no_terminal() {
        assert_eq!(line("plain äö\t1"), "plain äö\t1\n");
        assert_eq!(line("\x1b]0;pwn\x07\r\x7f"), "\u{241b}]0;pwn\u{2407}\u{240d}\u{2421}\n");
        assert_eq!(line("\u{9b}2J\u{202e}a"), "\u{fffd}2J\u{fffd}a\n");
    }

    #[test]
    fn lines_are_wrapped_at_spaces_and_keep_their_indentation() {
        assert_eq!(wrap("  one two three", 9), "  one two\n  three");
        assert_eq!(wrap("  one", 9), "  one");
        assert_eq!(wrap("unbreakableword", 4), "unbreakableword");
        assert_eq!(wrap("\x1b[1mone\x1b[0m two", 7), "\x1b[1mone\x1b[0m two");
    }
}
