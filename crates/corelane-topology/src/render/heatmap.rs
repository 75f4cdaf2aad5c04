//! The latency matrix as a heat map: numbers when they fit, shades when not, classes at last.
//!
//! Draws only; nothing is measured here.

use super::RenderStyle;
use super::line::{Page, Span};
use crate::{Cell, CellOrigin, ClassSummary, LatencyMatrix};

/// Grounds from near to far.
const GROUNDS: [u8; 7] = [22, 28, 64, 100, 136, 130, 124];
const SHADES_ASCII: [char; 7] = ['.', ':', '-', '=', '+', '#', '@'];
const SHADES_UNICODE: [char; 7] = ['·', '░', '░', '▒', '▒', '▓', '█'];
/// A number takes this many columns at least, its derived mark and a space included.
const NUMBER_WIDTH_MIN: usize = 5;

/// Draws the matrix in the largest form that fits the width.
///
/// # Units
/// Nanoseconds one way. A `~` marks a number derived from other pairs of the same class.
#[must_use]
pub fn draw_matrix(matrix: &LatencyMatrix, style: &RenderStyle) -> String {
    let mut page = Page::new(style);
    let Some(scale) = Scale::of(matrix) else {
        page.sentence("", "", "no pair of cpus has a latency: nothing to draw");
        return page.finish();
    };
    page.sentence("", "", "one-way cache-line latency in ns");
    let cpus = matrix.cpus();
    let label = cpus.last().map_or(1, |cpu| cpu.to_string().len());
    let number = NUMBER_WIDTH_MIN.max(label + 1).max(format!("{:.0}", scale.max).len() + 2);
    if label + number * cpus.len() <= style.columns {
        numbers(matrix, &scale, style, (label, number), &mut page);
    } else if label + 1 + cpus.len() <= style.columns {
        shades(matrix, &scale, style, label, &mut page);
    }
    classes(matrix, &scale, style, &mut page);
    page.finish()
}

/// From the fastest to the slowest pair.
pub(super) struct Scale {
    min: f64,
    max: f64,
}

impl Scale {
    /// Nothing for a matrix without pairs.
    pub(super) fn of(matrix: &LatencyMatrix) -> Option<Self> {
        let scale =
            |scale: Option<Self>, class: &ClassSummary| {
                let (min, max) = (class.one_way_ns_min, class.one_way_ns_max);
                Some(scale.map_or(Self { min, max }, |s| Self {
                    min: s.min.min(min),
                    max: s.max.max(max),
                }))
            };
        matrix.classes().fold(None, scale)
    }

    /// 0 for the nearest, 6 for the farthest; logarithmic, as the steps of a hierarchy are.
    pub(super) fn step(&self, ns: f64) -> usize {
        let (min, ns) = (self.min.max(1.0), ns.max(1.0));
        let span = (self.max.max(1.0) / min).ln();
        // Less than a tenth apart is one colour: noise should not look like a border.
        if span < 0.1 {
            return 0;
        }
        let last = GROUNDS.len() - 1;
        (((ns / min).ln() / span * last as f64).round() as usize).min(last)
    }
}

fn numbers(
    matrix: &LatencyMatrix,
    scale: &Scale,
    style: &RenderStyle,
    (label, width): (usize, usize),
    page: &mut Page<'_>,
) {
    let dot = if style.has_unicode { "·" } else { "." };
    let head = matrix.cpus().iter().map(|cpu| Span::plain(format!("{cpu:>width$}")));
    page.line(std::iter::once(Span::plain(" ".repeat(label))).chain(head));
    for row in matrix.cpus() {
        let mut spans = vec![Span::plain(format!("{row:>label$}"))];
        for column in matrix.cpus() {
            match matrix.cell(*row, *column) {
                Some(cell) => {
                    let text = format!("{:>width$}", number_words(&cell));
                    spans.push(Span::on(text, GROUNDS[scale.step(cell.one_way_ns)]));
                }
                None => spans.push(Span::plain(format!("{dot:>width$}"))),
            }
        }
        page.line(spans);
    }
}

/// The nanoseconds; `~` marks a derived number.
pub(super) fn number_words(cell: &Cell) -> String {
    let mark = if cell.origin == CellOrigin::Derived { "~" } else { "" };
    format!("{mark}{:.0}", cell.one_way_ns)
}

fn shades(
    matrix: &LatencyMatrix,
    scale: &Scale,
    style: &RenderStyle,
    label: usize,
    page: &mut Page<'_>,
) {
    for row in matrix.cpus() {
        let mut spans = vec![Span::plain(format!("{row:>label$} "))];
        for column in matrix.cpus() {
            spans.push(match matrix.cell(*row, *column) {
                Some(cell) => shade(scale.step(cell.one_way_ns), style),
                None => Span::plain(" "),
            });
        }
        page.line(spans);
    }
}

fn shade(step: usize, style: &RenderStyle) -> Span {
    let shades = if style.has_unicode { SHADES_UNICODE } else { SHADES_ASCII };
    Span::on(shades[step].to_string(), GROUNDS[step])
}

/// One line for each class: the legend of the map, and all there is when the map does not fit.
fn classes(matrix: &LatencyMatrix, scale: &Scale, style: &RenderStyle, page: &mut Page<'_>) {
    for summary in matrix.classes() {
        let text = class_words(summary);
        page.line([shade(scale.step(summary.one_way_ns), style), Span::plain(format!(" {text}"))]);
    }
}

/// "shared cache: 44 ns, 41 to 51 in 6 pairs".
pub(super) fn class_words(summary: &ClassSummary) -> String {
    let class = summary.class;
    let kinds = match (class.kind_fast.letter(), class.kind_slow.letter()) {
        ('C', 'C') => String::new(),
        (fast, slow) => format!(" {fast}-{slow}"),
    };
    let range = match summary.pairs_measured {
        1 => "1 pair".to_owned(),
        count => {
            let (min, max) = (summary.one_way_ns_min, summary.one_way_ns_max);
            format!("{min:.0} to {max:.0} in {count} pairs")
        }
    };
    format!("{}{kinds}: {:.0} ns, {range}", class.relation, summary.one_way_ns)
}
