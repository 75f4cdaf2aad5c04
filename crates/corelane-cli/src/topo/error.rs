//! What can go wrong in `corelane topo` beside reading and measuring.

use std::{io, path::PathBuf};

/// Why there is nothing to show, or nowhere to draw.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopoError {
    /// The root holds no machine.
    #[error(
        "no cpu is found under {root}: give the folder that holds sys/devices/system/cpu, or mount \
         /sys",
        root = root.display()
    )]
    NoMachine {
        /// The folder that was read.
        root: PathBuf,
    },
    /// The drawing could not be written.
    #[error("drawing cannot be written, give a path in a folder that is there: {path}: {source}",
            path = path.display())]
    Drawing {
        /// Where it should have gone.
        path: PathBuf,
        /// The answer of the system.
        source: io::Error,
    },
}

impl TopoError {
    /// Its number in the catalogue under `docs/errors`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoMachine { .. } => "CL-1170",
            Self::Drawing { .. } => "CL-1171",
        }
    }
}
