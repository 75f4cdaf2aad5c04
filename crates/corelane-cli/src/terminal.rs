//! What the terminal can show, and progress on stderr.
//!
//! It decides nothing about content. `NO_COLOR`, `CLICOLOR_FORCE` and `COLUMNS` are read here.

use std::{
    env,
    io::{ErrorKind, IsTerminal, Write},
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
