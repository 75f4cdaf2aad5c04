//! A failure and the way back: numbered events over a count that they change.

use maud::{Markup, html};

use crate::{
    Table,
    chart::{Axis, Chart, Line, Scale},
    format,
};

/// Points of a line that its table shows, at most, evenly spread; the events have all of theirs.
const ROWS_MAX: usize = 60;

/// Events in milliseconds around a moment, with lines of counts.
#[derive(Debug, Clone)]
pub struct Timeline {
    title: String,
    origin: String,
    events: Vec<Event>,
    lines: Vec<Line>,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    at_ms: f64,
    name: String,
    note: String,
}

impl Event {
    /// An event at a time that counts from the timeline's origin.
    pub fn new(at_ms: f64, name: impl Into<String>) -> Self {
        Self { at_ms, name: name.into(), note: String::new() }
    }

    /// Says more about it.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Timeline {
    /// No event yet; `origin` names the moment that times count from, such as "the kill".
    pub fn new(title: impl Into<String>, origin: impl Into<String>) -> Self {
        let (title, origin) = (title.into(), origin.into());
        Self { title, origin, events: Vec::new(), lines: Vec::new() }
    }

    /// Adds an event.
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self.events.sort_by(|a, b| a.at_ms.total_cmp(&b.at_ms));
        self
    }

    /// Adds counts over time: milliseconds and how many from then on.
    pub fn counts(
        mut self,
        name: impl Into<String>,
        counts: impl IntoIterator<Item = (f64, u64)>,
    ) -> Self {
        let points = counts.into_iter().map(|(at_ms, count)| (at_ms, count as f64)).collect();
        self.lines.push(Line { name: name.into(), points, is_step: true });
        self
    }

    pub(crate) fn render(&self) -> Markup {
        let times = self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.0));
        let times = times.chain(self.events.iter().map(|event| event.at_ms));
        let counts = self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.1));
        let names = self.lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>();
        let chart = Chart {
            title: format!("{}: {}", self.title, names.join(", ")),
            about: self.about(),
            x: Axis {
                name: format!("milliseconds from {}", self.origin),
                scale: Scale::linear(times),
                label: format::short,
                ticks: Vec::new(),
            },
            y: Axis {
                name: names.join(", "),
                scale: Scale::from_zero(counts),
                label: format::short,
                ticks: Vec::new(),
            },
            lines: self.lines.clone(),
            places: self.events.iter().map(|event| event.at_ms).collect(),
        };
        html! {
            (chart.render())
            ol.events {
                @for event in &self.events {
                    li {
                        b { (event.name) }
                        " " span.time { (milliseconds(event.at_ms)) }
                        @if !event.note.is_empty() { br; (event.note) }
                    }
                }
            }
            @for line in &self.lines { (self.table(line).behind()) }
        }
    }

    /// The picture in words.
    fn about(&self) -> String {
        let events = self.events.iter().map(|event| {
            let after = milliseconds(event.at_ms);
            format!("{} at {after}.", event.name)
        });
        events.collect::<Vec<_>>().join(" ")
    }

    fn table(&self, line: &Line) -> Table {
        let every = line.points.len().div_ceil(ROWS_MAX).max(1);
        let shown = line.points.iter().step_by(every);
        let spread = if every > 1 { format!(", every {every}th change") } else { String::new() };
        let caption = format!("{} over time{spread}", line.name);
        let head = [format!("milliseconds from {}", self.origin), line.name.clone()];
        let row = |(at_ms, count): &(f64, f64)| vec![format!("{at_ms:.2}"), count.to_string()];
        Table::new(caption, head).rows(shown.map(row))
    }
}

fn milliseconds(at_ms: f64) -> String {
    format!("{at_ms:+.1} ms")
}
