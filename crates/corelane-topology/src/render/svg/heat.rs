//! The latency matrix beside the drawing: a square for each pair, with its number where it fits.
//!
//! Draws only; the classes in words stand below it.

use super::frame::{text_width, write_text};
use crate::LatencyMatrix;
use crate::render::heatmap::{Scale, class_words, number_words};
use std::fmt::Write;

/// Up to so many CPUs a square has room for a number.
const NUMBERS_MAX: usize = 24;
const LINE: f64 = 18.0;

pub(super) const STYLE: &str = "\
.h0 { fill: #e3f2e1 } .h1 { fill: #cfe8d0 } .h2 { fill: #f3efc3 } .h3 { fill: #f8dfa0 }\n\
.h4 { fill: #f5c28b } .h5 { fill: #eea288 } .h6 { fill: #e08484 }\n\
rect.heat { stroke: none }\n\
@media (prefers-color-scheme: dark) {\n\
  .h0 { fill: #16381d } .h1 { fill: #24512a } .h2 { fill: #514c16 } .h3 { fill: #6b5414 }\n\
  .h4 { fill: #7d4a18 } .h5 { fill: #8a3826 } .h6 { fill: #96262c }\n\
}\n";

pub(super) struct HeatMap<'a> {
    matrix: &'a LatencyMatrix,
    scale: Scale,
}

impl<'a> HeatMap<'a> {
    /// Nothing for a matrix without pairs.
    pub(super) fn of(matrix: &'a LatencyMatrix) -> Option<Self> {
        Scale::of(matrix).map(|scale| Self { matrix, scale })
    }

    fn has_numbers(&self) -> bool {
        self.matrix.cpus().len() <= NUMBERS_MAX
    }

    fn cell(&self) -> f64 {
        if self.has_numbers() { 36.0 } else { 10.0 }
    }

    /// Room for the numbers of the rows.
    fn margin(&self) -> f64 {
        let last = self.matrix.cpus().last().map_or(0, |cpu| cpu.to_string().len());
        text_width(&"0".repeat(last)) + 10.0
    }

    pub(super) fn width(&self) -> f64 {
        self.margin() + self.matrix.cpus().len() as f64 * self.cell()
    }

    /// Writes it below a point; gives the y of what may come next.
    pub(super) fn write(&self, (x, y): (f64, f64), out: &mut String) -> f64 {
        let mut y = y + 12.0;
        write_text(out, (x, y), "label", "one-way cache-line latency in ns");
        y += 10.0;
        let (cell, left, cpus) = (self.cell(), x + self.margin(), self.matrix.cpus());
        if self.has_numbers() {
            y += 12.0;
            for (column, cpu) in cpus.iter().enumerate() {
                let at = (left + (column as f64 + 0.5) * cell, y);
                write_text(out, at, "middle small", &cpu.to_string());
            }
            y += 6.0;
        }
        for (line, row) in cpus.iter().enumerate() {
            let top = y + line as f64 * cell;
            if self.has_numbers() {
                write_text(out, (x, top + cell / 2.0 + 4.0), "small", &row.to_string());
            }
            for (column, other) in cpus.iter().enumerate() {
                self.pair((left + column as f64 * cell, top), (*row, *other), out);
            }
        }
        y += cpus.len() as f64 * cell + LINE;
        for class in self.matrix.classes() {
            let step = self.scale.step(class.one_way_ns);
            let _ = writeln!(
                out,
                "<rect class=\"heat h{step}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"16\" \
                 height=\"12\"/>",
                y - 10.0
            );
            write_text(out, (x + 22.0, y), "small", &class_words(class));
            y += LINE;
        }
        y
    }

    fn pair(&self, (x, y): (f64, f64), (row, column): (usize, usize), out: &mut String) {
        let Some(found) = self.matrix.cell(row, column) else { return };
        let (step, side) = (self.scale.step(found.one_way_ns), self.cell() - 1.0);
        let words = number_words(&found);
        let _ = writeln!(
            out,
            "<g><title>cpus {row} and {column}: {words} ns</title><rect class=\"heat h{step}\" \
             x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\"/>"
        );
        if self.has_numbers() {
            write_text(out, (x + side / 2.0, y + side / 2.0 + 4.0), "middle role", &words);
        }
        out.push_str("</g>\n");
    }
}
