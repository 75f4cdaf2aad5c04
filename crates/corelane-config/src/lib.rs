//! Settings of a flow: what a file says, which layer said it, and what is wrong with it.
//!
//! The types of `file` and `settings` are the one source of keys, documentation, ranges and
//! defaults; the checks, the schema for editors and the default file are read from them. A load
//! lays the layers over each other ([`Layers`]), tells every mistake at once with its place and
//! what was probably meant ([`ConfigError`]), and keeps the origin of every value ([`Settings`]).
//!
//! It starts nothing, prints nothing, and opens no file but those of the layers.
//!
//! # Examples
//! ```
//! use corelane_config::{Layers, Origin, load};
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("flow.toml");
//! let text = "version = 1\n[input]\nlines = \"-\"\n[[agents]]\nname = \"warn\"\nmatch = 'WARN'\n";
//! std::fs::write(&file, text)?;
//!
//! let flags = vec!["topology.workers=3".to_owned()];
//! let loaded = load(&Layers { flags, ..Layers::of_file(&file) })?;
//! assert_eq!(loaded.config.topology.workers, 3);
//! let origins = loaded.settings.origins();
//! assert_eq!(origins["agents.warn.match"], Origin::File { path: file.clone(), line: 6 });
//! assert_eq!(origins["limits.open_questions"], Origin::Default);
//!
//! std::fs::write(&file, text.replace("match", "mach"))?;
//! let error = load(&Layers::of_file(&file)).unwrap_err();
//! assert_eq!(error.code(), "CL-1011");
//! assert!(error.to_string().contains("flow.toml:6:1: there is no key \"mach\" in [[agents]]"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod check;
mod error;
mod file;
mod flow;
mod layers;
mod merge;
mod rules;
mod settings;
mod shape;
mod show;
mod source;
mod template;
mod tree;
mod units;

pub use error::{ConfigError, Fault, Mistake};
pub use file::VERSION;
pub use flow::{Alarm, Config, Digits, Each, Input, Lines, Metric, Model, Stage, Work};
pub use layers::{Layers, Loaded, load, settings};
pub use settings::{Format, Limits, Output, Placement, Strategy, Supervision, Topology};
pub use shape::schema;
pub use show::{Origin, Settings};
pub use source::{FILE_BYTES_MAX, Place, Source, SourceKind};
pub use template::template;
pub use units::{ByteSize, TimeSpan, UnitError};
