//! The page around the sections: head, style, contents, remarks, foot.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{Section, target::MARK};

const STYLE: &str = include_str!("page.css");
/// Nothing but what is in the page may be loaded or run, whatever found its way into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
                      base-uri 'none'; form-action 'none'";
/// The lane and its two ends, in the colours of the curves.
const EMBLEM: &str = "<svg class=\"emblem\" viewBox=\"0 0 40 24\" aria-hidden=\"true\">\
    <title>corelane</title>\
    <path d=\"M4 6h32M4 12h32M4 18h32\"></path><circle cx=\"10\" cy=\"6\" r=\"3.2\"/>\
    <circle cx=\"28\" cy=\"12\" r=\"3.2\"/><circle cx=\"17\" cy=\"18\" r=\"3.2\"/></svg>";

/// A page of a run.
#[derive(Debug, Clone)]
pub struct Page {
    title: String,
    subtitle: String,
    sections: Vec<Section>,
    remarks: Vec<String>,
    foot: String,
}

impl Page {
    /// A page without sections.
    pub fn new(title: impl Into<String>) -> Self {
        let (subtitle, foot) = (String::new(), String::new());
        Self { title: title.into(), subtitle, sections: Vec::new(), remarks: Vec::new(), foot }
    }

    /// Sets the line below the title: which machine, when.
    pub fn subtitle(mut self, text: impl Into<String>) -> Self {
        self.subtitle = text.into();
        self
    }

    /// Adds a section.
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Adds a section if there is one.
    pub fn optional(mut self, section: Option<Section>) -> Self {
        self.sections.extend(section);
        self
    }

    /// Says what was not measured, or what a reader has to know besides.
    pub fn remark(mut self, text: impl Into<String>) -> Self {
        self.remarks.push(text.into());
        self
    }

    /// Sets the last line: which program made the page.
    pub fn foot(mut self, text: impl Into<String>) -> Self {
        self.foot = text.into();
        self
    }

    /// The page as text: the same values give the same bytes.
    pub fn render(&self) -> String {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="generator" content=(MARK);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    link rel="icon" href="data:,";
                    title { (self.title) @if !self.subtitle.is_empty() { ": " (self.subtitle) } }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        (PreEscaped(EMBLEM))
                        div {
                            h1 { (self.title) }
                            @if !self.subtitle.is_empty() { p.subtitle { (self.subtitle) } }
                        }
                    }
                    (self.contents())
                    main {
                        @for (index, section) in self.sections.iter().enumerate() {
                            (section.render(index))
                        }
                        (self.render_remarks())
                    }
                    @if !self.foot.is_empty() { footer { p { (self.foot) } } }
                }
            }
        }
        .into_string()
    }

    fn contents(&self) -> Markup {
        html! {
            @if self.sections.len() > 2 {
                nav aria-label="Contents" {
                    @for (index, section) in self.sections.iter().enumerate() {
                        a href=(format!("#{}", section.anchor(index))) { (section.title()) }
                        " "
                    }
                }
            }
        }
    }

    fn render_remarks(&self) -> Markup {
        html! {
            @if !self.remarks.is_empty() {
                section.remarks id="remarks" {
                    h2 { "Remarks" }
                    ul { @for remark in &self.remarks { li { (remark) } } }
                }
            }
        }
    }
}
