//! The machine as a drawing in SVG: boxes for packages, nodes, caches, cores and threads.
//!
//! It needs no script and nothing from elsewhere, and has a light and a dark dress. What colour
//! says is said by words, brackets or hatching too. Draws only.

mod frame;
mod heat;
mod machine;

use super::RenderStyle;
use super::drawing::{count_words, masks, or_none};
use super::line::Page;
use crate::{KindSource, LatencyMatrix, Plan, Role, Topology};
use frame::{escape, text_width, write_text};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");
/// Diagonal lines: what stands on them may not be used.
const HATCH: &str = "<defs><pattern id=\"hatch\" width=\"7\" height=\"7\" \
    patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
    <rect width=\"7\" height=\"7\"/><path d=\"M0 0V7\"/></pattern></defs>";
const MARGIN: f64 = 16.0;
/// The boxes are no wider, where they can be broken, but for machines with many threads.
const WIDTH_MAX: f64 = 1000.0;
const WIDTH_MAX_MANY: f64 = 2000.0;
const MANY: usize = 64;
const WIDTH_MIN: f64 = 460.0;
const LINE: f64 = 18.0;

/// Draws the machine, with the roles of a plan and the measured latencies when there are some.
///
/// A CPU outside the allowed mask is hatched, dashed and in parentheses. Reasons of a plan show
/// under the pointer.
#[must_use]
pub fn draw_svg(
    topology: &Topology,
    plan: Option<&Plan>,
    matrix: Option<&LatencyMatrix>,
) -> String {
    let frame = machine::machine(topology, plan);
    let is_large = topology.threads.len() > MANY;
    let placed = frame.place(if is_large { WIDTH_MAX_MANY } else { WIDTH_MAX });
    let map = matrix.and_then(heat::HeatMap::of);
    let map_width = map.as_ref().map_or(0.0, heat::HeatMap::width);
    let inner = placed.width.max(WIDTH_MIN).max(map_width);
    let mut body = String::new();
    let mut y = MARGIN + 16.0;
    write_text(&mut body, (MARGIN + 8.0, y), "head", &count_words(topology));
    placed.write((MARGIN, y + 4.0), &mut body);
    y += 4.0 + placed.height + LINE;
    y = legend(topology, plan, (inner, y), &mut body);
    for line in notes(topology, inner) {
        write_text(&mut body, (MARGIN + 8.0, y), "small", &line);
        y += LINE;
    }
    if let Some(map) = &map {
        y = map.write((MARGIN + 8.0, y + 8.0), &mut body);
    }
    let (width, height) = (inner + 2.0 * MARGIN, y + MARGIN - 8.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">Topology of a machine</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>\n{STYLE}{}</style>\n{HATCH}\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n",
        escape(&description(topology, plan)),
        if map.is_some() { heat::STYLE } else { "" },
    );
    out += &body;
    out += "</svg>\n";
    out
}

/// The whole drawing in words.
fn description(topology: &Topology, plan: Option<&Plan>) -> String {
    let mut text =
        format!("{}; allowed cpus: {}", count_words(topology), or_none(&topology.allowed));
    for assignment in plan.iter().flat_map(|plan| &plan.assignments) {
        let _ = write!(text, "; {} on cpu {}", assignment.role, or_none(&assignment.cpus));
    }
    text
}

/// What the dresses of a thread mean, of those that occur.
fn legend(
    topology: &Topology,
    plan: Option<&Plan>,
    (width, mut y): (f64, f64),
    out: &mut String,
) -> f64 {
    let has = |is: fn(&Role) -> bool| {
        plan.is_some_and(|plan| plan.assignments.iter().any(|a| is(&a.role) && !a.cpus.is_empty()))
    };
    let is_narrowed = !topology.online.is_subset(&topology.allowed);
    let entries = [
        ("router", "R: router", has(|role| matches!(role, Role::Router(_)))),
        ("worker", "W: worker", has(|role| matches!(role, Role::Worker(_)))),
        ("control", "ctl: control", has(|role| matches!(role, Role::Control))),
        ("outside", "( ): outside the allowed mask", is_narrowed),
    ];
    let mut x = MARGIN + 8.0;
    for (class, words, _) in entries.into_iter().filter(|(_, _, occurs)| *occurs) {
        let needed = 22.0 + text_width(words);
        if x > MARGIN + 8.0 && x + needed > width {
            (x, y) = (MARGIN + 8.0, y + LINE);
        }
        let _ = writeln!(
            out,
            "<g class=\"thread {class}\"><rect x=\"{x:.1}\" y=\"{:.1}\" width=\"16\" \
             height=\"12\" rx=\"3\"/></g>",
            y - 10.0
        );
        write_text(out, (x + 22.0, y), "small", words);
        x += needed + 14.0;
    }
    if x > MARGIN + 8.0 {
        y += LINE + 2.0;
    }
    y
}

fn notes(topology: &Topology, width: f64) -> Vec<String> {
    let columns = ((width - 16.0) / 6.0) as usize;
    let style = RenderStyle { columns, ..RenderStyle::default() };
    let mut page = Page::new(&style);
    if topology.kinds_source != KindSource::Uniform {
        page.sentence("", "  ", &format!("kinds of cores from: {}", topology.kinds_source));
    }
    masks(topology, &mut page);
    page.finish().lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
