//! Curves of percentiles: the rarer by ten, the farther right by as much, up to the maximum.

use maud::{Markup, html};

use crate::{
    Table,
    chart::{Axis, Chart, Line, Scale},
    format,
};

/// Percentiles of one kind of measurement, a curve for each condition.
#[derive(Debug, Clone)]
pub struct Percentiles {
    title: String,
    unit: String,
    curves: Vec<Curve>,
}

#[derive(Debug, Clone)]
struct Curve {
    name: String,
    samples: u64,
    /// Quantile and value, rising; quantile 1 is the slowest.
    points: Vec<(f64, f64)>,
}

/// Quantiles of a curve up to 90 %; beyond it goes on by tens.
const FIRST: [f64; 9] = [0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9];
/// Rows of the table: enough to read the curve without the picture.
const SHOWN: [f64; 8] = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1.0];

impl Percentiles {
    /// No curve yet. A `unit` of "ns" is shown in the unit that suits each value.
    pub fn new(title: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { title: title.into(), unit: unit.into(), curves: Vec::new() }
    }

    /// Adds the curve of so many samples; `value_at` is asked for quantiles from 0 to 1.
    pub fn curve(
        mut self,
        name: impl Into<String>,
        samples: u64,
        value_at: impl Fn(f64) -> f64,
    ) -> Self {
        let mut quantiles = FIRST.to_vec();
        let mut rest = 0.1;
        // Only as far as there are samples: beyond them there is the maximum alone.
        while rest * samples as f64 > 1.0 {
            quantiles.extend([0.8, 0.5, 0.35, 0.2, 0.1].map(|part| 1.0 - rest * part));
            rest /= 10.0;
        }
        quantiles.retain(|quantile| (1.0 - quantile) * samples as f64 >= 1.0);
        quantiles.push(1.0);
        let points = quantiles.into_iter().map(|quantile| (quantile, value_at(quantile)));
        let curve = Curve { name: name.into(), samples, points: points.collect() };
        self.curves.push(curve);
        self
    }

    /// Adds a curve of points that are known: quantile and value.
    pub fn points(
        mut self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        let mut points: Vec<(f64, f64)> = points.into_iter().collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        // As many as the rarest quantile but the maximum needs.
        let rarest = points.iter().rev().find(|(at, _)| *at < 1.0).map_or(0.0, |(at, _)| *at);
        let samples = (10.0 / (1.0 - rarest)).round() as u64;
        self.curves.push(Curve { name: name.into(), samples, points });
        self
    }

    fn text(&self, value: f64) -> String {
        match self.unit.as_str() {
            "ns" => format::nanoseconds(value),
            unit => format!("{} {unit}", format::short(value)),
        }
    }

    pub(crate) fn render(&self) -> Markup {
        let measured = || self.curves.iter().filter(|curve| curve.samples > 0);
        let lines: Vec<Line> = measured().map(Curve::line).collect();
        if lines.is_empty() {
            return html! { p { (self.title) ": nothing was measured." } };
        }
        let end = measured().map(|curve| curve.samples.max(2)).max().unwrap_or(2) as f64;
        let values = lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
        let chart = Chart {
            title: self.title.clone(),
            about: self.about(),
            x: Axis {
                name: "percentile; the rightmost mark of a curve is its slowest".into(),
                scale: Scale::Log { low: 1.0, high: end },
                label: format::short,
                ticks: ticks(end),
            },
            y: Axis {
                name: self.unit.clone(),
                scale: Scale::log(values).widened(1.3),
                label: if self.unit == "ns" { format::nanoseconds } else { format::short },
                ticks: Vec::new(),
            },
            lines,
            places: Vec::new(),
        };
        html! { (chart.render()) (self.table().behind()) }
    }

    /// The picture in words.
    fn about(&self) -> String {
        let words = self.curves.iter().filter_map(|curve| {
            let [median, rare, slowest] = [0.5, 0.99, 1.0].map(|at| curve.at(at));
            let (median, slowest) = (self.text(median?), self.text(slowest?));
            let rare = rare.map_or(String::new(), |rare| format!(", 99 % {}", self.text(rare)));
            Some(format!("{}: median {median}{rare}, slowest {slowest}.", curve.name))
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn table(&self) -> Table {
        let head = ["percentile".to_owned()].into_iter();
        let head = head.chain(self.curves.iter().map(|curve| curve.name.clone()));
        let is_known = |at: &f64| self.curves.iter().any(|curve| curve.at(*at).is_some());
        let row = |at: f64| {
            let cells = self
                .curves
                .iter()
                .map(|curve| curve.at(at).map_or_else(|| "–".to_owned(), |value| self.text(value)));
            [name_of(at)].into_iter().chain(cells).collect()
        };
        let samples = self.curves.iter().map(|curve| format::count(curve.samples));
        let samples = ["samples".to_owned()].into_iter().chain(samples);
        let is_counted = self.curves.iter().all(|curve| curve.is_counted());
        let table = Table::new(self.title.clone(), head);
        let table = table.rows(SHOWN.into_iter().filter(is_known).map(row));
        if is_counted { table.row(samples) } else { table }
    }
}

impl Curve {
    /// The value at a quantile that was asked for.
    fn at(&self, quantile: f64) -> Option<f64> {
        let found = self.points.iter().find(|(at, _)| (at - quantile).abs() < 1e-9);
        found.map(|(_, value)| *value)
    }

    /// Whether the number of samples is known and not guessed from the points.
    fn is_counted(&self) -> bool {
        self.points.first().is_some_and(|(at, _)| *at == 0.0)
    }

    fn line(&self) -> Line {
        let end = self.samples.max(2) as f64;
        let place = |&(at, value): &(f64, f64)| {
            let x = if at < 1.0 { (1.0 / (1.0 - at)).min(end) } else { end };
            (x, value)
        };
        let points = self.points.iter().map(place).collect();
        Line { name: self.name.clone(), points, is_step: false }
    }
}

/// The percentiles by tens, and the maximum where it has room.
fn ticks(end: f64) -> Vec<(f64, String)> {
    let powers = (1..).map(|power| 10f64.powi(power)).take_while(|x| *x * 3.0 <= end);
    let ticks = [1.0, 2.0].into_iter().filter(|x| *x * 2.0 <= end).chain(powers);
    let text = |x: f64| (x, if x == 1.0 { "min".to_owned() } else { name_of(1.0 - 1.0 / x) });
    ticks.map(text).chain([(end, "max".to_owned())]).collect()
}

fn name_of(quantile: f64) -> String {
    match quantile {
        0.0 => "fastest".to_owned(),
        1.0 => "slowest".to_owned(),
        _ => {
            let text = format!("{:.6}", quantile * 100.0);
            format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}
