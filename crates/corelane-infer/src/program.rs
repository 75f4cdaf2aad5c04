//! What can be run: a model, or one kernel by name.
//!
//! A program borrows; a backend copies what it keeps. Nothing here looks inside a model.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::path::Path;

use crate::ModelError;
use crate::repository::read_limited;

/// Where the bytes of a model are.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ModelSource<'a> {
    /// In memory, best taken from `Repository::read`, which has verified them.
    Bytes(&'a [u8]),
    /// In a file that the backend reads itself, unverified.
    Path(&'a Path),
}

impl<'a> ModelSource<'a> {
    /// The bytes, for a backend that parses them itself.
    ///
    /// # Errors
    /// - `Missing`, `Unreadable`, `TooLarge`: the file cannot be had.
    pub fn read(&self, bytes_max: u64) -> Result<Cow<'a, [u8]>, ModelError> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Path(path) => read_limited(path, bytes_max).map(Cow::Owned),
        }
    }
}

/// A unit of dispatch.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Program<'a> {
    /// A whole model.
    Model {
        /// Its bytes.
        source: ModelSource<'a>,
        /// The extent given to the leading axis where the model leaves it open.
        batch: NonZeroUsize,
    },
    /// One kernel of `kernels/`, by name.
    Kernel {
        /// The name of its folder.
        name: &'a str,
    },
}
