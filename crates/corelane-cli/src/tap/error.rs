//! Why a topic could not be tapped.

use thiserror::Error;

/// Why a topic could not be tapped.
#[derive(Debug, Error)]
pub(crate) enum TapError {
    /// A lane has one receiver, and nobody reads along.
    #[error("`{name}` is a lane, which has one receiver: tap a topic; `corelane tap` lists them")]
    Lane {
        /// Its name.
        name: String,
    },
    /// A filter needs names of fields.
    #[error("messages of this topic are bytes without fields: leave out --filter")]
    NoFields,
}

impl TapError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Lane { .. } => "CL-1185",
            Self::NoFields => "CL-1186",
        }
    }
}
