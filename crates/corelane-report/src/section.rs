//! A section: a heading, a few sentences, and the parts below them.

use maud::{Markup, html};

use crate::{
    Bars, Curves, Facts, Layout, Matrix, Percentiles, Rate, Summary, Table, Timeline, chart::slug,
};

/// One heading of a page and what stands below it.
#[derive(Debug, Clone)]
pub struct Section {
    title: String,
    texts: Vec<String>,
    parts: Vec<Part>,
}

/// What a section can hold.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Part {
    /// Verdicts and the figures that matter most.
    Summary(Summary),
    /// The heat map of the latencies between cores.
    Matrix(Matrix),
    /// The machine and who runs where.
    Layout(Layout),
    /// Curves of percentiles, up to the maximum.
    Percentiles(Percentiles),
    /// Something per second over time.
    Rate(Rate),
    /// A failure and the way back.
    Timeline(Timeline),
    /// Names and values.
    Facts(Facts),
    /// Medians with their intervals.
    Bars(Bars),
    /// Lines over two logarithmic axes.
    Curves(Curves),
    /// A table by itself.
    Table(Table),
}

macro_rules! part_from {
    ($($part:ident)*) => {$(
        impl From<$part> for Part {
            fn from(part: $part) -> Self {
                Self::$part(part)
            }
        }
    )*};
}

part_from!(Summary Matrix Layout Percentiles Rate Timeline Facts Bars Curves Table);

impl Section {
    /// A section without anything below its heading.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), texts: Vec::new(), parts: Vec::new() }
    }

    /// Adds a paragraph; all of them stand above the parts.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.texts.push(text.into());
        self
    }

    /// Adds a part.
    pub fn part(mut self, part: impl Into<Part>) -> Self {
        self.parts.push(part.into());
        self
    }

    /// Adds a part if it was measured.
    pub fn optional(self, part: Option<impl Into<Part>>) -> Self {
        match part {
            Some(part) => self.part(part),
            None => self,
        }
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    pub(crate) fn anchor(&self, index: usize) -> String {
        format!("s{index}-{}", slug(&self.title))
    }

    pub(crate) fn render(&self, index: usize) -> Markup {
        html! {
            section id=(self.anchor(index)) {
                h2 { (self.title) }
                @for text in &self.texts { p { (text) } }
                @for part in &self.parts { (part.render()) }
            }
        }
    }
}

impl Part {
    fn render(&self) -> Markup {
        match self {
            Self::Summary(part) => part.render(),
            Self::Matrix(part) => part.render(),
            Self::Layout(part) => part.render(),
            Self::Percentiles(part) => part.render(),
            Self::Rate(part) => part.render(),
            Self::Timeline(part) => part.render(),
            Self::Facts(part) => part.render(),
            Self::Bars(part) => part.render(),
            Self::Curves(part) => part.render(),
            Self::Table(part) => part.render(),
        }
    }
}
