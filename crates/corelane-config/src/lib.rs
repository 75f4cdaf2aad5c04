//! Settings of a flow: what a file says, which layer said it, and what is wrong with it.
//!
//! It starts nothing and prints nothing.
#![forbid(unsafe_code)]

mod flow;
mod settings;
mod units;

pub use flow::{Alarm, Config, Digits, Each, Input, Lines, Metric, Model, Stage, Work};
pub use settings::{Format, Limits, Output, Placement, Strategy, Supervision, Topology};
pub use units::{ByteSize, TimeSpan, UnitError};
