//! A page of lines made of coloured spans, kept within the width.
//!
//! Knows nothing of topologies.

use super::RenderStyle;
use anstyle::{Ansi256Color, Style};

/// A piece of text with an optional style.
#[derive(Debug, Clone)]
pub(super) struct Span {
    text: String,
    style: Style,
}

impl Span {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    pub(super) fn colored(text: impl Into<String>, foreground: u8) -> Self {
        let style = Style::new().fg_color(Some(Ansi256Color(foreground).into()));
        Self { text: text.into(), style }
    }

    /// White on a coloured ground.
    pub(super) fn on(text: impl Into<String>, ground: u8) -> Self {
        let style = Style::new()
            .fg_color(Some(Ansi256Color(15).into()))
            .bg_color(Some(Ansi256Color(ground).into()));
        Self { text: text.into(), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Lines that are added from top to bottom.
pub(super) struct Page<'a> {
    style: &'a RenderStyle,
    text: String,
}

impl<'a> Page<'a> {
    pub(super) fn new(style: &'a RenderStyle) -> Self {
        Self { style, text: String::new() }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// One line; what does not fit is cut off.
    pub(super) fn line(&mut self, spans: impl IntoIterator<Item = Span>) {
        let mut room = self.style.columns;
        let mut line = String::new();
        for span in spans {
            let text: String = span.text.chars().take(room).collect();
            room -= text.chars().count();
            match self.style.has_color && span.style != Style::new() && !text.is_empty() {
                true => line += &format!("{}{text}{:#}", span.style, span.style),
                false => line += &text,
            }
        }
        self.text += line.trim_end();
        self.text.push('\n');
    }

    /// Items one after the other; every line but the first opens with `indent`.
    pub(super) fn flow(
        &mut self,
        first: &str,
        indent: &str,
        items: impl IntoIterator<Item = Span>,
    ) {
        let mut line = vec![Span::plain(first)];
        let mut width = line[0].width();
        let mut is_open = false;
        for item in items {
            let gap = usize::from(is_open);
            if is_open && width + gap + item.width() > self.style.columns {
                self.line(line);
                line = vec![Span::plain(indent)];
                width = line[0].width();
            } else if is_open {
                line.push(Span::plain(" "));
                width += 1;
            }
            width += item.width();
            line.push(item);
            is_open = true;
        }
        self.line(line);
    }

    /// A sentence, broken at spaces.
    pub(super) fn sentence(&mut self, first: &str, indent: &str, text: &str) {
        self.flow(first, indent, text.split(' ').map(Span::plain));
    }
}
