//! A run as one HTML page that needs nothing else: no network, no script, no font, no other file.
//!
//! In order of use: [`Target::prepare`] looks before the work whether the page can be written
//! there, a [`Page`] collects [`Section`]s of [`Part`]s, [`Page::render`] is a pure function from
//! them to text, and [`Target::write`] puts it in its place whole or not at all.
//!
//! Every part takes plain values, shows a picture, and has a table with every number behind it.
//! A part that was not measured is left out, and [`Page::remark`] says so. Pictures are drawn
//! twice, for a wide window and for a phone, because text of a picture that shrinks cannot be read.
//! Nothing is told by colour alone: curves differ in marks and dashes, cells carry numbers.
//!
//! All text that comes from outside goes through the escaping of the library maud. The pictures are
//! drawn here and not by a chart library, so that they take their colours from the page, light or
//! dark, and carry a title and a description for who cannot see them.
//!
//! The crate measures nothing and reads no clock; it writes one file, in [`Target`].
//!
//! # Example
//!
//! ```
//! use corelane_report::{Facts, Figure, Page, Percentiles, Section, Summary, Verdict};
//!
//! let summary = Summary::default()
//!     .verdict(Verdict::held("every question is answered"))
//!     .figure(Figure::new("Answers", "12,000").note("in 1.2 s"));
//! let curve = Percentiles::new("From question to answer", "ns")
//!     .curve("classify", 12_000, |quantile| 900.0 + 4_000.0 * quantile * quantile);
//! let page = Page::new("corelane run")
//!     .subtitle("examples/digits.toml")
//!     .section(Section::new("Summary").part(summary))
//!     .section(Section::new("Latency").part(curve))
//!     .section(Section::new("Machine").part(Facts::default().fact("CPU", "<script>")))
//!     .remark("throughput was not recorded: the run was shorter than 100 ms");
//! let html = page.render();
//! assert!(html.starts_with("<!DOCTYPE html>") && !html.contains("<script>"));
//! ```
#![forbid(unsafe_code)]

mod bars;
mod chart;
mod curves;
mod facts;
mod format;
mod layout;
mod matrix;
mod page;
mod percentiles;
mod rate;
mod section;
mod summary;
mod table;
mod target;
mod timeline;

pub use bars::{Bar, Bars};
pub use curves::Curves;
pub use facts::Facts;
pub use format::{count, nanoseconds, short, utc};
pub use layout::{CoreTile, Layout, PlacedRole};
pub use matrix::{Matrix, MatrixCell};
pub use page::Page;
pub use percentiles::Percentiles;
pub use rate::Rate;
pub use section::{Part, Section};
pub use summary::{Figure, Outcome, Summary, Verdict};
pub use table::Table;
pub use target::{PageError, Target};
pub use timeline::{Event, Timeline};
