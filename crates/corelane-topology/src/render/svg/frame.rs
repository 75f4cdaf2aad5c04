//! Boxes within boxes: sizes from the inside out, rows that wrap at a width, and the SVG of it.
//!
//! Knows nothing of topologies. Lengths are in pixels of the drawing.

use std::fmt::Write;

/// Between a box and what it holds, and between two boxes.
const GAP: f64 = 8.0;
/// A line of a label.
const LINE: f64 = 16.0;
/// Room for a character of a label; generous, as the font is the viewer's.
const CHARACTER: f64 = 6.7;

/// A box with a label, and boxes or lines of text in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    /// Style classes of its rectangle.
    pub(super) class: String,
    /// Lines at its top, left.
    pub(super) label: Vec<String>,
    /// Lines in its middle, each with a style class.
    pub(super) words: Vec<(&'static str, String)>,
    /// What a pointer over it shows.
    pub(super) tip: String,
    /// The boxes in it.
    pub(super) children: Vec<Frame>,
    /// Whether it takes the room that its row has left.
    pub(super) is_elastic: bool,
    /// It is never narrower.
    pub(super) width_min: f64,
}

/// A frame with its size, and its place in the box around it.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    frame: &'a Frame,
    x: f64,
    y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    children: Vec<Placed<'a>>,
}

/// Room that a text needs.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

impl Frame {
    /// Gives sizes and places; nothing is wider than `width_max` unless one word is.
    pub(super) fn place(&self, width_max: f64) -> Placed<'_> {
        let head = match self.label.len() {
            0 => GAP,
            lines => 6.0 + lines as f64 * LINE + 2.0,
        };
        let children: Vec<Placed<'_>> =
            self.children.iter().map(|child| child.place(width_max - 2.0 * GAP)).collect();
        let label = self.label.iter().map(|line| text_width(line)).fold(0.0, f64::max);
        let words = self.words.iter().map(|(_, line)| text_width(line)).fold(0.0, f64::max);
        let text = (label + 2.0 * GAP).max(words + GAP).max(self.width_min);
        let (children, content_width, content_height) =
            flow(children, width_max - 2.0 * GAP, text - 2.0 * GAP, head);
        let lines = self.words.len() as f64 * LINE;
        let height = match (self.children.is_empty(), self.words.is_empty()) {
            (false, _) => head + content_height + GAP,
            (true, false) => lines + 10.0,
            (true, true) => head + 4.0,
        };
        let width = match self.children.is_empty() {
            true => text,
            false => text.max(content_width + 2.0 * GAP),
        };
        Placed { frame: self, x: 0.0, y: 0.0, width, height, children }
    }
}

/// Fills rows from the left, then deals out what the widest row leaves to those that take it.
fn flow<'a>(
    children: Vec<Placed<'a>>,
    width_max: f64,
    width_min: f64,
    top: f64,
) -> (Vec<Placed<'a>>, f64, f64) {
    let mut rows: Vec<(Vec<Placed<'a>>, f64)> = Vec::new();
    for child in children {
        match rows.last_mut() {
            Some((row, width)) if *width + GAP + child.width <= width_max => {
                *width += GAP + child.width;
                row.push(child);
            }
            _ => {
                let width = child.width;
                rows.push((vec![child], width));
            }
        }
    }
    let widest = rows.iter().map(|(_, width)| *width).fold(width_min, f64::max);
    let (mut placed, mut y) = (Vec::new(), 0.0);
    for (row, width) in rows {
        let height = row.iter().map(|child| child.height).fold(0.0, f64::max);
        let elastic = row.iter().filter(|child| child.frame.is_elastic).count();
        let extra = if elastic == 0 { 0.0 } else { (widest - width) / elastic as f64 };
        let mut x = GAP;
        for mut child in row {
            if child.frame.is_elastic {
                child.widen(extra);
            }
            (child.x, child.y) = (x, top + y);
            child.heighten(height - child.height);
            x += child.width + GAP;
            placed.push(child);
        }
        y += height + GAP;
    }
    (placed, widest, (y - GAP).max(0.0))
}

impl Placed<'_> {
    /// Takes more room, and gives it on where a single elastic box fills its row.
    fn widen(&mut self, extra: f64) {
        self.width += extra;
        for index in 0..self.children.len() {
            let (is_elastic, y) = (self.children[index].frame.is_elastic, self.children[index].y);
            let in_row = self.children.iter().filter(|other| other.y == y).count();
            if is_elastic && in_row == 1 {
                self.children[index].widen(extra);
            }
        }
    }

    /// Grows to the height of its row, and what it holds with it where that is one row.
    fn heighten(&mut self, extra: f64) {
        self.height += extra;
        let y = self.children.first().map(|child| child.y);
        if self.children.iter().all(|child| Some(child.y) == y) {
            self.children.iter_mut().for_each(|child| child.heighten(extra));
        }
    }

    /// Writes the box and all in it, moved by the place of the box around it.
    pub(super) fn write(&self, (left, top): (f64, f64), out: &mut String) {
        let (x, y) = (left + self.x, top + self.y);
        let Self { frame, width, height, .. } = self;
        let _ = writeln!(out, "<g class=\"{}\">", frame.class);
        if !frame.tip.is_empty() {
            let _ = writeln!(out, "<title>{}</title>", escape(&frame.tip));
        }
        if !frame.class.is_empty() {
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
                 rx=\"4\"/>"
            );
        }
        for (line, text) in frame.label.iter().enumerate() {
            let (x, y) = (x + GAP, y + 18.0 + line as f64 * LINE);
            let class = if line == 0 { "label" } else { "note" };
            write_text(out, (x, y), class, text);
        }
        let lines = frame.words.len() as f64 * LINE;
        for (line, (class, text)) in frame.words.iter().enumerate() {
            let y = y + (height - lines) / 2.0 + 12.5 + line as f64 * LINE;
            write_text(out, (x + width / 2.0, y), &format!("middle {class}"), text);
        }
        for child in &self.children {
            child.write((x, y), out);
        }
        out.push_str("</g>\n");
    }
}

/// Writes one line of text; `y` is its base line.
pub(super) fn write_text(out: &mut String, (x, y): (f64, f64), class: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>");
}

/// The text as XML has it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(width: f64) -> Frame {
        let words = vec![("cpu", "1".to_owned())];
        Frame { class: "leaf".into(), words, width_min: width, ..Frame::default() }
    }

    fn row(children: Vec<Frame>, is_elastic: bool) -> Frame {
        Frame { class: "row".into(), children, is_elastic, ..Frame::default() }
    }

    /// Whether every box lies in the one around it, and no two beside each other overlap.
    fn assert_apart(placed: &Placed<'_>) {
        for (index, child) in placed.children.iter().enumerate() {
            assert!(child.x >= 0.0 && child.x + child.width <= placed.width + 0.01, "{placed:#?}");
            assert!(child.y >= 0.0 && child.y + child.height <= placed.height, "{placed:#?}");
            for other in &placed.children[index + 1..] {
                let is_right = child.x + child.width <= other.x;
                let is_below = child.y + child.height <= other.y;
                assert!(is_right || is_below, "{placed:#?}");
            }
            assert_apart(child);
        }
    }

    #[test]
    fn rows_wrap_and_nothing_overlaps() {
        let frame = row((0..7).map(|i| leaf(60.0 + 10.0 * i as f64)).collect(), false);
        let placed = frame.place(300.0);
        assert!(placed.width <= 300.0, "{placed:#?}");
        let rows = placed.children.iter().map(|child| child.y as u64);
        assert_eq!(rows.collect::<std::collections::BTreeSet<_>>().len(), 3, "{placed:#?}");
        assert_apart(&placed);
    }

    #[test]
    fn elastic_boxes_share_what_is_left() {
        let inner = |width| row(vec![row(vec![leaf(width)], true)], true);
        let frame = row(vec![inner(100.0), inner(250.0)], false);
        let placed = frame.place(300.0);
        assert_eq!(placed.children[0].width, placed.children[1].width);
        let innermost = |placed: &Placed<'_>| placed.children[0].width;
        assert_eq!(innermost(&placed.children[0]), innermost(&placed.children[1]));
        assert_apart(&placed);
    }

    #[test]
    fn text_cannot_end_the_element_it_stands_in() {
        assert_eq!(escape("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }
}
