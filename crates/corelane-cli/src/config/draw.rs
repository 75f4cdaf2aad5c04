//! Draws mistakes: the text, the line that it is in, and what of it is wrong.
//!
//! Colours are drawn always; the stream takes them out where nobody wants them.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use corelane_config::{ConfigError, Mistake, Place, SourceKind};

/// Columns of a drawing that goes to no terminal.
const COLUMNS: usize = 120;

/// All mistakes, each with its code and its place.
pub(super) fn mistakes(error: &ConfigError) -> String {
    let measured = terminal_size::terminal_size_of(std::io::stderr());
    let columns = measured.map_or(COLUMNS, |(width, _)| width.0.into());
    let renderer = Renderer::styled().term_width(columns);
    let mut text = String::new();
    for mistake in error.mistakes() {
        let _ = writeln!(text, "{}", renderer.render(&[group(mistake)]));
    }
    if error.left_out() > 0 {
        let _ = writeln!(text, "corelane: and {} more, correct these first", error.left_out());
    }
    text
}

fn group(mistake: &Mistake) -> Group<'_> {
    let level = Level::ERROR.with_name("corelane: error");
    let title = level.primary_title(mistake.fault.to_string()).id(mistake.fault.code());
    match &mistake.place {
        Some(place) => title.element(snippet(place)),
        None => Group::with_title(title),
    }
}

/// The source with the place marked; a name in place of a path where it is no file.
fn snippet(place: &Place) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
    let source = place.source();
    let mark = AnnotationKind::Primary.span(place.span());
    let snippet = Snippet::source(source.text()).annotation(mark);
    match source.kind() {
        SourceKind::File(path) => snippet.path(path.display().to_string()),
        SourceKind::Variable(_) => snippet.path("environment").line_numbering(false),
        SourceKind::Flag => snippet.path("command line").line_numbering(false),
    }
}
