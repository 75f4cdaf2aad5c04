//! Lines over two logarithmic axes: a figure by payload, one line for each name.

use maud::{Markup, html};

use crate::{
    Table,
    chart::{Axis, Chart, Line, Scale},
};

/// Lines with names.
#[derive(Debug, Clone)]
pub struct Curves {
    title: String,
    x_name: String,
    unit: String,
    x_label: fn(f64) -> String,
    y_label: fn(f64) -> String,
    lines: Vec<Line>,
}

impl Curves {
    /// No line yet. `x_label` and `y_label` write values of the two axes.
    pub fn new(
        title: impl Into<String>,
        (x_name, x_label): (&str, fn(f64) -> String),
        (unit, y_label): (&str, fn(f64) -> String),
    ) -> Self {
        let (x_name, unit) = (x_name.to_owned(), unit.to_owned());
        Self { title: title.into(), x_name, unit, x_label, y_label, lines: Vec::new() }
    }

    /// Adds a point to the line of this name, which is begun where there is none.
    pub fn point(mut self, name: &str, x: f64, y: f64) -> Self {
        match self.lines.iter_mut().find(|line| line.name == name) {
            Some(line) => {
                line.points.push((x, y));
                line.points.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
            None => {
                self.lines.push(Line { name: name.into(), points: vec![(x, y)], is_step: false })
            }
        }
        self
    }

    /// Every x of any line, rising.
    fn places(&self) -> Vec<f64> {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let mut places: Vec<f64> = points.map(|point| point.0).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        places
    }

    pub(crate) fn render(&self) -> Markup {
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        let chart = Chart {
            title: self.caption(),
            about: format!("{} by {}; the table has every number.", self.unit, self.x_name),
            x: Axis {
                name: self.x_name.clone(),
                scale: Scale::log(points().map(|point| point.0)),
                label: self.x_label,
                ticks: self.places().into_iter().map(|x| (x, (self.x_label)(x))).collect(),
            },
            y: Axis {
                name: self.unit.clone(),
                scale: Scale::log(points().map(|point| point.1)).widened(1.3),
                label: self.y_label,
                ticks: Vec::new(),
            },
            lines: self.lines.clone(),
            places: Vec::new(),
        };
        html! { (chart.render()) (self.table().behind()) }
    }

    fn caption(&self) -> String {
        match self.unit.as_str() {
            "" => self.title.clone(),
            unit => format!("{} [{unit}]", self.title),
        }
    }

    fn table(&self) -> Table {
        let places = self.places();
        let head = [self.x_name.clone()].into_iter();
        let head = head.chain(self.lines.iter().map(|line| line.name.clone()));
        let row = |x: f64| {
            let cells = self.lines.iter().map(|line| {
                let found = line.points.iter().find(|point| point.0 == x);
                found.map_or_else(|| "–".to_owned(), |point| (self.y_label)(point.1))
            });
            [(self.x_label)(x)].into_iter().chain(cells).collect()
        };
        Table::new(self.caption(), head).rows(places.into_iter().map(row))
    }
}
