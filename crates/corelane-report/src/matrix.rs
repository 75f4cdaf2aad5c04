//! The heat map: how long a cache line takes from each CPU to each other.

use corelane_topology::{CellOrigin, ClassSummary, CpuKind, LatencyMatrix};
use maud::{Markup, html};

use crate::{
    Table,
    chart::{VIEWS, View, px},
    format,
};

/// Up to so many CPUs the table has a row and a column for each.
const FULL_TABLE_MAX: usize = 16;
/// Shades of the map, from near to far.
const SHADES: usize = 7;
/// Room for the numbers beside and above the map.
const MARGIN: f64 = 34.0;
const CELL_MAX: f64 = 60.0;
/// Side of the map, at most: a square as wide as the page would fill more than a window.
const SIDE_MAX: f64 = 600.0;
/// Smallest cell that has room for its number.
const CELL_WITH_TEXT: f64 = 30.0;

/// One-way latencies between CPUs.
#[derive(Debug, Clone)]
pub struct Matrix {
    cpus: Vec<usize>,
    /// Row by row.
    cells: Vec<Option<MatrixCell>>,
    classes: Vec<Vec<String>>,
}

/// The latency of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatrixCell {
    /// Nanoseconds one way.
    pub one_way_ns: f64,
    /// Taken from pairs that are alike, and not measured itself.
    pub is_derived: bool,
}

impl Matrix {
    /// The matrix of these CPUs; `cell` is asked for each ordered pair of two.
    pub fn new(cpus: Vec<usize>, cell: impl Fn(usize, usize) -> Option<MatrixCell>) -> Self {
        let pairs = cpus.iter().flat_map(|&a| cpus.iter().map(move |&b| (a, b)));
        let cells = pairs.map(|(a, b)| if a == b { None } else { cell(a, b) }).collect();
        Self { cpus, cells, classes: Vec::new() }
    }

    /// What was measured on this machine.
    pub fn of(measured: &LatencyMatrix) -> Self {
        let cell = |a, b| {
            let cell = measured.cell(a, b)?;
            let is_derived = cell.origin != CellOrigin::Measured;
            Some(MatrixCell { one_way_ns: cell.one_way_ns, is_derived })
        };
        let mut matrix = Self::new(measured.cpus().to_vec(), cell);
        matrix.classes = measured.classes().map(class_row).collect();
        matrix
    }

    fn cell(&self, row: usize, column: usize) -> Option<MatrixCell> {
        self.cells.get(row * self.cpus.len() + column).copied().flatten()
    }

    /// The nearest and the farthest pair.
    fn range(&self) -> Option<(f64, f64)> {
        let known = self.cells.iter().flatten().map(|cell| cell.one_way_ns);
        known.fold(None, |range, ns| {
            let (low, high) = range.unwrap_or((ns, ns));
            Some((f64::min(low, ns), f64::max(high, ns)))
        })
    }

    pub(crate) fn render(&self) -> Markup {
        let Some((low, high)) = self.range() else {
            return html! { p { "There is one cpu: nothing to measure between cores." } };
        };
        let shades = Shades { low, high };
        html! {
            figure.matrix {
                figcaption { "One-way cache-line latency between cpus [ns]" }
                (shades.legend())
                @for view in VIEWS { (self.draw(view, &shades)) }
            }
            @if self.cells.iter().flatten().any(|cell| cell.is_derived) {
                p.note { "~ marks the median of pairs that are alike; the pair itself was not \
                          measured." }
            }
            (self.table().behind())
            @if !self.classes.is_empty() { (self.class_table().behind()) }
        }
    }

    fn draw(&self, view: View, shades: &Shades) -> Markup {
        let count = self.cpus.len();
        let size = ((view.width.min(SIDE_MAX) - MARGIN - 2.0) / count as f64).min(CELL_MAX);
        let side = MARGIN + size * count as f64 + 2.0;
        let every = (30.0 / size).ceil().max(1.0) as usize;
        let middle = |index: usize| MARGIN + size * (index as f64 + 0.5);
        let nearest = format::nanoseconds(shades.low);
        let farthest = format::nanoseconds(shades.high);
        html! {
            // No wider than the map needs: a small one would be blown up.
            svg class=(format!("chart {}", view.class)) viewBox=(format!("0 0 {0} {0}", px(side)))
                style=(format!("max-width:{}px", px(side))) role="img" {
                title { "Heat map of the latency between " (count) " cpus" }
                desc { "Nearest pair " (nearest) ", farthest pair " (farthest) " one way." }
                @for (index, cpu) in self.cpus.iter().enumerate().step_by(every) {
                    text x=(px(middle(index))) y=(px(MARGIN - 10.0)) text-anchor="middle" { (cpu) }
                    text x=(px(MARGIN - 8.0)) y=(px(middle(index) + 4.5)) text-anchor="end" {
                        (cpu)
                    }
                }
                @for (shade, path) in self.paths(shades, size).iter().enumerate() {
                    @if !path.is_empty() { path class=(format!("h{shade}")) d=(path) {} }
                }
                @if size >= CELL_WITH_TEXT {
                    @for row in 0..count { @for column in 0..count {
                        (self.number(row, column, shades, (middle(column), middle(row))))
                    } }
                }
            }
        }
    }

    fn number(&self, row: usize, column: usize, shades: &Shades, (x, y): (f64, f64)) -> Markup {
        let (class, text) = match self.cell(row, column) {
            Some(cell) => (format!("t{}", shades.of(cell.one_way_ns)), text_of(cell)),
            None => ("none".to_owned(), "·".to_owned()),
        };
        html! {
            text class=(class) x=(px(x)) y=(px(y + 4.5)) text-anchor="middle" { (text) }
        }
    }

    /// One path for each shade: neighbours of a row that are alike are one stripe.
    fn paths(&self, shades: &Shades, size: f64) -> [String; SHADES] {
        let mut paths = [const { String::new() }; SHADES];
        let count = self.cpus.len();
        for row in 0..count {
            let shade = |column| self.cell(row, column).map(|cell| shades.of(cell.one_way_ns));
            let mut column = 0;
            while column < count {
                let start = column;
                column += 1;
                let Some(index) = shade(start) else { continue };
                // Cells with numbers are apart, so that each can be seen.
                while size < CELL_WITH_TEXT && column < count && shade(column) == Some(index) {
                    column += 1;
                }
                let gap = if size >= CELL_WITH_TEXT { 1.5 } else { 0.0 };
                let (x, y) = (MARGIN + size * start as f64, MARGIN + size * row as f64);
                let (width, height) = (size * (column - start) as f64 - gap, size - gap);
                let [x, y, width, height] = [x, y, width, height].map(px);
                paths[index] += &format!("M{x} {y}h{width}v{height}h-{width}z");
            }
        }
        paths
    }

    fn table(&self) -> Table {
        if self.cpus.len() <= FULL_TABLE_MAX {
            let head = ["cpu".to_owned()].into_iter();
            let head = head.chain(self.cpus.iter().map(ToString::to_string));
            let row = |(row, cpu): (usize, &usize)| {
                let cell = |column| self.cell(row, column).map_or_else(|| "·".to_owned(), text_of);
                let cells = (0..self.cpus.len()).map(cell);
                [cpu.to_string()].into_iter().chain(cells).collect()
            };
            let caption = "nanoseconds one way between cpus";
            return Table::new(caption, head).rows(self.cpus.iter().enumerate().map(row));
        }
        let mut pairs = Vec::new();
        for (row, a) in self.cpus.iter().enumerate() {
            for (column, b) in self.cpus.iter().enumerate().skip(row + 1) {
                let measured = self.cell(row, column).filter(|cell| !cell.is_derived);
                pairs.extend(
                    measured.map(|cell| {
                        vec![format!("{a} and {b}"), format!("{:.1}", cell.one_way_ns)]
                    }),
                );
            }
        }
        Table::new("pairs of cpus that were measured", ["cpus", "ns one way"]).rows(pairs)
    }

    fn class_table(&self) -> Table {
        let head = ["pairs that are alike", "measured", "fastest", "median", "slowest"];
        Table::new("pairs by how near they are, nanoseconds one way", head)
            .rows(self.classes.iter().cloned())
    }
}

fn text_of(cell: MatrixCell) -> String {
    let about = if cell.is_derived { "~" } else { "" };
    format!("{about}{:.0}", cell.one_way_ns)
}

fn class_row(summary: &ClassSummary) -> Vec<String> {
    let ClassSummary { class, pairs_measured, .. } = summary;
    let mut name = class.relation.to_string();
    if class.kind_fast != CpuKind::Uniform || class.kind_slow != CpuKind::Uniform {
        name += &format!(", {} to {}", class.kind_fast, class.kind_slow);
    }
    if let Some(distance) = class.node_distance.filter(|distance| *distance > 10) {
        name += &format!(", node distance {distance}");
    }
    let times = [summary.one_way_ns_min, summary.one_way_ns, summary.one_way_ns_max];
    let times = times.map(|ns| format!("{ns:.1}"));
    [name, pairs_measured.to_string()].into_iter().chain(times).collect()
}

fn span_of(low: f64, high: f64) -> String {
    let [low, high] = [low, high].map(|ns| format!("{ns:.0}"));
    if low == high { format!("{low} ns") } else { format!("{low} to {high} ns") }
}

/// Which shade a latency has: steps of equal factors between the nearest and the farthest.
struct Shades {
    low: f64,
    high: f64,
}

impl Shades {
    /// Shades that differ: fewer where all pairs are nearly the same.
    fn count(&self) -> usize {
        let factor = self.high / self.low.max(f64::MIN_POSITIVE);
        // A shade is at least a twentieth apart from the next.
        ((factor.ln() / 1.05f64.ln()).floor() as usize).clamp(1, SHADES)
    }

    fn of(&self, ns: f64) -> usize {
        let count = self.count();
        let place = (ns / self.low).ln() / (self.high / self.low).ln();
        match count {
            1 => 1,
            _ => ((place * count as f64) as usize).min(count - 1) * (SHADES - 1) / (count - 1),
        }
    }

    fn legend(&self) -> Markup {
        let count = self.count();
        let bound = |step: usize| {
            let part = step as f64 / count as f64;
            self.low * (self.high / self.low).powf(part)
        };
        let shade = |step: usize| match count {
            1 => 1,
            _ => step * (SHADES - 1) / (count - 1),
        };
        html! {
            ul.legend.shades {
                @for step in 0..count {
                    li {
                        span.swatch.{"b" (shade(step))} aria-hidden="true" {}
                        (span_of(bound(step), bound(step + 1)))
                    }
                }
            }
        }
    }
}
