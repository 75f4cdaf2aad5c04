//! Something per second over time, in steps of the same length.

use std::time::Duration;

use maud::{Markup, html};

use crate::{
    Table,
    chart::{Axis, Chart, Line, Scale},
    format,
};

/// A line for each name; the steps of all of them begin together.
#[derive(Debug, Clone)]
pub struct Rate {
    title: String,
    unit: String,
    step: Duration,
    lines: Vec<(String, Vec<f64>)>,
}

impl Rate {
    /// No line yet; a value of a line is a count within one `step`.
    pub fn new(title: impl Into<String>, unit: impl Into<String>, step: Duration) -> Self {
        Self { title: title.into(), unit: unit.into(), step, lines: Vec::new() }
    }

    /// Adds a line from what was counted in each step.
    pub fn counts(
        mut self,
        name: impl Into<String>,
        counts: impl IntoIterator<Item = u64>,
    ) -> Self {
        let seconds = self.step.as_secs_f64().max(f64::MIN_POSITIVE);
        let rates = counts.into_iter().map(|count| count as f64 / seconds).collect();
        self.lines.push((name.into(), rates));
        self
    }

    pub(crate) fn render(&self) -> Markup {
        let step = self.step.as_secs_f64();
        // A step holds until the next begins, the last one until its end.
        let line = |(name, rates): &(String, Vec<f64>)| {
            let points = rates.iter().chain(rates.last()).enumerate();
            let points = points.map(|(index, rate)| (index as f64 * step, *rate)).collect();
            Line { name: name.clone(), points, is_step: true }
        };
        let lines: Vec<Line> = self.lines.iter().map(line).collect();
        let rates = self.lines.iter().flat_map(|(_, rates)| rates.iter().copied());
        let end = lines.iter().map(|line| line.points.len()).max().unwrap_or(0);
        if end < 2 {
            return html! { p { (self.title) ": nothing was counted." } };
        }
        let chart = Chart {
            title: format!("{} [{} per second]", self.title, self.unit),
            about: self.about(),
            x: Axis {
                name: format!("seconds, in steps of {}", format::nanoseconds(step * 1e9)),
                scale: Scale::Linear { low: 0.0, high: (end - 1) as f64 * step },
                label: format::short,
                ticks: Vec::new(),
            },
            y: Axis {
                name: self.unit.clone(),
                scale: Scale::from_zero(rates),
                label: format::short,
                ticks: Vec::new(),
            },
            lines,
            places: Vec::new(),
        };
        html! { (chart.render()) (self.table().behind()) }
    }

    /// The picture in words.
    fn about(&self) -> String {
        let words =
            self.lines.iter().filter(|(_, rates)| !rates.is_empty()).map(|(name, rates)| {
                let low = rates.iter().copied().fold(f64::MAX, f64::min);
                let high = rates.iter().copied().fold(0.0, f64::max);
                let mean = rates.iter().sum::<f64>() / rates.len() as f64;
                let [low, high, mean] = [low, high, mean].map(format::short);
                let unit = &self.unit;
                format!("{name}: {mean} {unit} per second on average, from {low} to {high}.")
            });
        words.collect::<Vec<_>>().join(" ")
    }

    fn table(&self) -> Table {
        let head = ["from second".to_owned()].into_iter();
        let head = head.chain(self.lines.iter().map(|(name, _)| name.clone()));
        let longest = self.lines.iter().map(|(_, rates)| rates.len()).max().unwrap_or(0);
        let row = |index: usize| {
            let cells = self.lines.iter().map(|(_, rates)| {
                rates.get(index).map_or_else(|| "–".to_owned(), |rate| format::short(*rate))
            });
            let start = format::short(index as f64 * self.step.as_secs_f64());
            [start].into_iter().chain(cells).collect()
        };
        let caption = format!("{} per second", self.unit);
        Table::new(caption, head).rows((0..longest).map(row))
    }
}
