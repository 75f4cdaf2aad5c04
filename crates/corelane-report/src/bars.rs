//! Bars: a median for each name, as long as it is, with a whisker from low to high.

use maud::{Markup, html};

use crate::{
    Table,
    chart::{Scale, VIEWS, View, px},
    format,
};

const ROW: f64 = 34.0;
/// Rows of the narrow picture have the name above the bar.
const ROW_NARROW: f64 = 48.0;
const THICK: f64 = 18.0;
/// Room for the names of the wide picture, at most; longer names are cut there.
const NAMES_MAX: f64 = 300.0;
const CHARACTER: f64 = 7.4;
/// Room for the number behind a bar.
const NUMBER: f64 = 66.0;

/// Medians of one figure.
#[derive(Debug, Clone)]
pub struct Bars {
    title: String,
    unit: String,
    label: fn(f64) -> String,
    bars: Vec<Bar>,
}

/// One median and its interval.
#[derive(Debug, Clone)]
pub struct Bar {
    name: String,
    low: f64,
    median: f64,
    high: f64,
}

impl Bar {
    /// A median between the ends of its interval.
    pub fn new(name: impl Into<String>, [low, median, high]: [f64; 3]) -> Self {
        Self { name: name.into(), low, median, high }
    }
}

impl Bars {
    /// No bar yet.
    pub fn new(title: impl Into<String>, unit: impl Into<String>) -> Self {
        let (title, unit) = (title.into(), unit.into());
        Self { title, unit, label: format::short, bars: Vec::new() }
    }

    /// Writes values this way.
    pub fn label(mut self, label: fn(f64) -> String) -> Self {
        self.label = label;
        self
    }

    /// Adds a bar.
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bars.push(bar);
        self
    }

    pub(crate) fn render(&self) -> Markup {
        if self.bars.is_empty() {
            return html! { p { (self.title) ": nothing was measured." } };
        }
        html! {
            figure {
                figcaption { (self.title) " [" (self.unit) "]" }
                @for view in VIEWS { (self.draw(view)) }
            }
            (self.table().behind())
        }
    }

    fn draw(&self, view: View) -> Markup {
        let is_narrow = view.class == "narrow";
        let row = if is_narrow { ROW_NARROW } else { ROW };
        let longest = self.bars.iter().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
        let names = match is_narrow {
            true => 2.0,
            false => (longest as f64 * CHARACTER + 14.0).min(NAMES_MAX),
        };
        let scale = Scale::from_zero(self.bars.iter().map(|bar| bar.high.max(bar.median)));
        let width = view.width - names - NUMBER;
        let at = |value: f64| names + scale.place(value).clamp(0.0, 1.0) * width;
        let size = format!("0 0 {} {}", view.width, row * self.bars.len() as f64 + 6.0);
        html! {
            svg class=(format!("chart {}", view.class)) viewBox=(size) role="img" {
                title { (self.title) }
                desc { (self.about()) }
                @for (index, bar) in self.bars.iter().enumerate() {
                    @let bottom = row * (index as f64 + 1.0);
                    @let (top, middle) = (bottom - THICK, bottom - THICK / 2.0);
                    @if is_narrow {
                        text x="2" y=(px(top - 7.0)) { (cut(&bar.name, view.width)) }
                    } @else {
                        text x=(px(names - 10.0)) y=(px(middle + 4.5)) text-anchor="end" {
                            (cut(&bar.name, names))
                        }
                    }
                    rect.bar x=(px(names)) y=(px(top)) width=(px(at(bar.median) - names))
                        height=(px(THICK)) {}
                    path.whisker d=(whisker(at(bar.low), at(bar.high), middle)) {}
                    text x=(px(at(bar.high.max(bar.median)) + 8.0)) y=(px(middle + 4.5)) {
                        ((self.label)(bar.median))
                    }
                }
            }
        }
    }

    /// The picture in words.
    fn about(&self) -> String {
        let word = |bar: &Bar| format!("{}: {} {}.", bar.name, (self.label)(bar.median), self.unit);
        self.bars.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn table(&self) -> Table {
        let row = |bar: &Bar| {
            let figures = [bar.median, bar.low, bar.high].map(self.label);
            [bar.name.clone()].into_iter().chain(figures).collect()
        };
        let caption = format!("{} [{}]", self.title, self.unit);
        Table::new(caption, ["name", "median", "low", "high"]).rows(self.bars.iter().map(row))
    }
}

/// A name as far as there is room; the table has it whole.
fn cut(name: &str, room: f64) -> String {
    let count = ((room - 14.0) / CHARACTER) as usize;
    match name.chars().count() > count + 1 {
        true => name.chars().take(count.saturating_sub(1)).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

fn whisker(low: f64, high: f64, y: f64) -> String {
    let [top, bottom] = [y - 4.0, y + 4.0].map(px);
    let [low, high, y] = [low, high, y].map(px);
    format!("M{low} {y}H{high}M{low} {top}V{bottom}M{high} {top}V{bottom}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_median() {
        let bars = Bars::new("rate", "M/s")
            .bar(Bar::new("one", [1.0, 2.0, 3.0]))
            .bar(Bar::new("two", [4.0, 4.0, 4.0]));
        let svg = bars.draw(VIEWS[0]).into_string();
        assert!(svg.contains("one") && svg.contains("two"), "{svg}");
        let widths: Vec<f64> = svg
            .split("<rect")
            .skip(1)
            .filter_map(|rect| rect.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert!((widths[1] / widths[0] - 2.0).abs() < 0.05, "{widths:?}");
    }

    #[test]
    fn long_names_are_cut_in_the_picture_and_whole_in_the_table() {
        let name = "a_queue_whose_name_is_longer_than_any_picture_has_room_for";
        let bars = Bars::new("rate", "M/s").bar(Bar::new(name, [1.0, 2.0, 3.0]));
        let page = bars.render().into_string();
        assert!(page.contains("a_queue_whose_name_is_longer_than_any_p"), "{page}");
        assert!(page.contains('…') && page.contains(&format!("<th scope=\"row\">{name}</th>")));
    }
}
