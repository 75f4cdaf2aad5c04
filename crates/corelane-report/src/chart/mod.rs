//! Lines over two axes as inline SVG: once for a wide window, once for a phone.

mod scale;

use maud::{Markup, html};

pub(crate) use scale::Scale;

/// Colours of curves, each with its dashes, so that eight curves differ without colour.
const LOOKS: usize = 8;
/// The marks of the looks, as the legend shows them.
const SIGNS: [&str; LOOKS] = ["●", "■", "▲", "◆", "○", "□", "△", "◇"];
/// Marks on a curve, at most.
const MARKS_MAX: usize = 12;
/// Points of a curve that are drawn, at most; its table has them all.
const POINTS_MAX: usize = 500;
/// Width of a character in the pictures, for the room that texts need.
const CHARACTER: f64 = 7.2;

/// One of the two sizes that a picture is drawn in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) class: &'static str,
    pub(crate) width: f64,
    pub(crate) height: f64,
    left: f64,
}

/// Wide windows and paper, then phones.
pub(crate) const VIEWS: [View; 2] = [
    View { class: "wide", width: 880.0, height: 330.0, left: 68.0 },
    View { class: "narrow", width: 380.0, height: 300.0, left: 58.0 },
];
const RIGHT: f64 = 22.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Height of a row of numbered marks above the curves.
const MARK_ROW: f64 = 22.0;

/// A picture of lines.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What a reader who does not see it should know.
    pub(crate) about: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    /// Numbered places on the lower axis.
    pub(crate) places: Vec<f64>,
}

/// An axis.
pub(crate) struct Axis {
    pub(crate) name: String,
    pub(crate) scale: Scale,
    pub(crate) label: fn(f64) -> String,
    /// Places with a text; by the scale where there are none.
    pub(crate) ticks: Vec<(f64, String)>,
}

/// A line.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Stands still between two points and then jumps.
    pub(crate) is_step: bool,
}

impl Chart {
    pub(crate) fn render(&self) -> Markup {
        html! {
            figure {
                figcaption { (self.title) }
                (legend(self.lines.iter().map(|line| line.name.as_str())))
                @for view in VIEWS { (self.draw(view)) }
            }
        }
    }

    fn draw(&self, view: View) -> Markup {
        let rows = self.place_rows(view);
        let mark_rows = rows.iter().map(|(_, row)| row + 1).max().unwrap_or(0);
        let top = TOP + mark_rows as f64 * MARK_ROW;
        let height = view.height + mark_rows as f64 * MARK_ROW;
        let frame = Frame { view, top, bottom: height - BOTTOM };
        let size = format!("0 0 {} {height}", view.width);
        html! {
            svg class=(format!("chart {}", view.class)) viewBox=(size) role="img" {
                title { (self.title) }
                desc { (self.about) }
                (self.draw_y_axis(&frame))
                (self.draw_x_axis(&frame))
                @for (index, line) in self.lines.iter().enumerate() {
                    (self.draw_line(&frame, line, index))
                }
                @for (number, (x, row)) in rows.iter().enumerate() {
                    @let y = TOP + 8.0 + *row as f64 * MARK_ROW;
                    line.place x1=(px(*x)) x2=(px(*x)) y1=(px(y)) y2=(px(frame.bottom)) {}
                    circle.place cx=(px(*x)) cy=(px(y)) r="9" {}
                    text.place x=(px(*x)) y=(px(y + 4.5)) text-anchor="middle" { (number + 1) }
                }
            }
        }
    }

    /// Where each numbered place goes: its x, and the row that has room for it.
    fn place_rows(&self, view: View) -> Vec<(f64, usize)> {
        let frame = Frame { view, top: 0.0, bottom: 0.0 };
        let mut ends: Vec<f64> = Vec::new();
        let place = |&at: &f64| {
            let x = frame.x(&self.x.scale, at);
            let row = ends.iter().position(|end| *end + 20.0 <= x).unwrap_or(ends.len());
            match ends.get_mut(row) {
                Some(end) => *end = x,
                None => ends.push(x),
            }
            (x, row)
        };
        self.places.iter().map(place).collect()
    }

    fn draw_y_axis(&self, frame: &Frame) -> Markup {
        let (left, right) = (frame.view.left, frame.view.width - RIGHT);
        html! {
            @for (at, text) in self.y.ticks(6) {
                @let y = frame.y(&self.y.scale, at);
                line.grid x1=(px(left)) x2=(px(right)) y1=(px(y)) y2=(px(y)) {}
                text x=(px(left - 8.0)) y=(px(y + 4.5)) text-anchor="end" { (text) }
            }
        }
    }

    fn draw_x_axis(&self, frame: &Frame) -> Markup {
        let (left, right) = (frame.view.left, frame.view.width - RIGHT);
        let y = px(frame.bottom);
        let mut end = f64::MIN;
        let has_room = |(at, text): &(f64, String)| {
            let (x, half) = (frame.x(&self.x.scale, *at), text.chars().count() as f64 * CHARACTER);
            let half = half / 2.0;
            let fits = x - half >= end + 6.0 && x + half <= frame.view.width;
            end = if fits { x + half } else { end };
            fits
        };
        let ticks: Vec<_> = self.x.ticks(8).into_iter().filter(has_room).collect();
        html! {
            line.axis x1=(px(left)) x2=(px(right)) y1=(y) y2=(y) {}
            @for (at, text) in ticks {
                @let x = px(frame.x(&self.x.scale, at));
                line.axis x1=(x) x2=(x) y1=(y) y2=(px(frame.bottom + 5.0)) {}
                text x=(x) y=(px(frame.bottom + 20.0)) text-anchor="middle" { (text) }
            }
            text.name x=(px((left + right) / 2.0)) y=(px(frame.bottom + 40.0))
                text-anchor="middle" { (self.x.name) }
        }
    }

    fn draw_line(&self, frame: &Frame, line: &Line, index: usize) -> Markup {
        let place = |&(x, y): &(f64, f64)| {
            let (x, y) = (frame.x(&self.x.scale, x), frame.y(&self.y.scale, y));
            (x.is_finite() && y.is_finite()).then_some((x, y))
        };
        let every = line.points.len().div_ceil(POINTS_MAX).max(1);
        let kept = line.points.iter().step_by(every).chain(line.points.last());
        let mut points: Vec<(f64, f64)> = kept.filter_map(place).collect();
        points.dedup();
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            path += &match (index, line.is_step) {
                (0, _) => format!("M{} {}", px(*x), px(*y)),
                (_, true) => format!("H{}V{}", px(*x), px(*y)),
                (_, false) => format!("L{} {}", px(*x), px(*y)),
            };
        }
        let every = points.len().div_ceil(MARKS_MAX).max(1);
        // The last one is the maximum, or the end.
        let marked = points.iter().rev().step_by(every).map(|&(x, y)| mark(mark_of(index), x, y));
        let marked: Vec<Markup> = if line.is_step { Vec::new() } else { marked.collect() };
        html! {
            g class=(format!("k{}", index % LOOKS)) {
                path.line d=(path) {}
                @for mark in marked { (mark) }
            }
        }
    }
}

impl Axis {
    fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        match self.ticks.is_empty() {
            true => self.scale.ticks(count).map(|at| (at, (self.label)(at))).collect(),
            false => self.ticks.clone(),
        }
    }
}

/// Where the lines go in one view.
struct Frame {
    view: View,
    top: f64,
    bottom: f64,
}

impl Frame {
    fn x(&self, scale: &Scale, value: f64) -> f64 {
        self.view.left + scale.place(value) * (self.view.width - RIGHT - self.view.left)
    }

    fn y(&self, scale: &Scale, value: f64) -> f64 {
        self.bottom - scale.place(value) * (self.bottom - self.top)
    }
}

/// The names of curves with their signs; a single curve has its name in the caption.
pub(crate) fn legend<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Markup {
    html! {
        @if names.len() > 1 {
            ul.legend {
                @for (index, name) in names.enumerate() {
                    li {
                        span.sign.{"k" (index % LOOKS)} aria-hidden="true" {
                            (SIGNS[mark_of(index)])
                        }
                        (name)
                    }
                }
            }
        }
    }
}

/// The mark of a curve: from the ninth on, colour and dashes come again with another mark.
fn mark_of(index: usize) -> usize {
    (index + 5 * (index / LOOKS)) % LOOKS
}

/// A mark around a point.
fn mark(look: usize, x: f64, y: f64) -> Markup {
    let class = if look < LOOKS / 2 { "full" } else { "hollow" };
    let path = match look % 4 {
        0 => return html! { circle class=(class) cx=(px(x)) cy=(px(y)) r="3.6" {} },
        1 => format!("M{} {}h6.6v6.6h-6.6z", px(x - 3.3), px(y - 3.3)),
        2 => format!("M{} {}l4.2 7.4h-8.4z", px(x), px(y - 4.4)),
        _ => format!("M{} {}l4.4 4.4l-4.4 4.4l-4.4-4.4z", px(x), px(y - 4.4)),
    };
    html! { path class=(class) d=(path) {} }
}

/// A coordinate, to a tenth.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A text as part of an anchor.
pub(crate) fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let slug: String = text.chars().map(plain).collect();
    slug.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}
