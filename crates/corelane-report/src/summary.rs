//! What a reader wants to know first: did it hold, and how fast was it.

use maud::{Markup, html};

/// Verdicts and figures.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    verdicts: Vec<Verdict>,
    figures: Vec<Figure>,
}

/// How a promise came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It held.
    Held,
    /// It did not hold.
    Broken,
    /// It could not be judged here.
    NotJudged,
}

/// A promise and how it came out.
#[derive(Debug, Clone)]
pub struct Verdict {
    outcome: Outcome,
    text: String,
}

/// A figure that matters.
#[derive(Debug, Clone)]
pub struct Figure {
    name: String,
    value: String,
    note: String,
}

impl Verdict {
    /// A promise with its outcome.
    pub fn new(outcome: Outcome, text: impl Into<String>) -> Self {
        Self { outcome, text: text.into() }
    }

    /// A promise that held.
    pub fn held(text: impl Into<String>) -> Self {
        Self::new(Outcome::Held, text)
    }

    /// A promise that did not hold.
    pub fn broken(text: impl Into<String>) -> Self {
        Self::new(Outcome::Broken, text)
    }
}

impl Figure {
    /// A figure with its unit.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), note: String::new() }
    }

    /// Says how the figure was got.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Outcome {
    /// A class, a sign, and the word that says the same.
    fn look(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Held => ("held", "✓", "held"),
            Self::Broken => ("broken", "✗", "did not hold"),
            Self::NotJudged => ("open", "–", "not judged"),
        }
    }
}

impl Summary {
    /// Adds a verdict.
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.verdicts.push(verdict);
        self
    }

    /// Adds a figure.
    pub fn figure(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }

    pub(crate) fn render(&self) -> Markup {
        html! {
            (self.headline())
            @if !self.figures.is_empty() {
                dl.figures {
                    @for figure in &self.figures {
                        div {
                            dt { (figure.name) }
                            dd.value { (figure.value) }
                            @if !figure.note.is_empty() { dd.note { (figure.note) } }
                        }
                    }
                }
            }
            @if !self.verdicts.is_empty() {
                ul.verdicts {
                    @for Verdict { outcome, text } in &self.verdicts {
                        @let (class, sign, word) = outcome.look();
                        li class=(class) {
                            span.sign aria-hidden="true" { (sign) }
                            span { (text) " " span.word { (word) } }
                        }
                    }
                }
            }
        }
    }

    /// One line for who reads no further.
    fn headline(&self) -> Markup {
        let count = |wanted| self.verdicts.iter().filter(|v| v.outcome == wanted).count();
        let (held, broken, open) =
            (count(Outcome::Held), count(Outcome::Broken), count(Outcome::NotJudged));
        let rest = if open > 0 { format!(", {open} not judged") } else { String::new() };
        html! {
            @if broken > 0 {
                p.headline.broken {
                    span aria-hidden="true" { "✗ " }
                    (broken) " of " (held + broken) " promises did not hold" (rest)
                }
            } @else if held > 0 {
                p.headline.held {
                    span aria-hidden="true" { "✓ " } "Everything held: " (held) " of " (held)
                    " promises" (rest)
                }
            }
        }
    }
}
