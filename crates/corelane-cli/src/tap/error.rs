//! Why a topic or lane could not be tapped.

use thiserror::Error;

/// Why a topic or lane could not be tapped.
#[derive(Debug, Error)]
pub(crate) enum TapError {
    /// What was sent before the tap came is gone.
    #[error("`{name}` is a lane, which keeps no history: leave out --history")]
    NoHistory {
        /// Its name.
        name: String,
    },
    /// A filter needs names of fields.
    #[error("messages of `{name}` are bytes without fields: leave out --filter")]
    NoFields {
        /// Name of the topic or lane.
        name: String,
    },
}

impl TapError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoFields { .. } => "CL-1186",
            Self::NoHistory { .. } => "CL-1187",
        }
    }
}
