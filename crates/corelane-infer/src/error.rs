//! Every way in which finding a device, a model or an answer can fail. No error is swallowed here
//! and none is retried: that is for the caller.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::Dtype;

/// An error of a runtime, kept as the source of ours.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why a backend or one of its devices cannot be used.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The binary was built without it.
    #[error(
        "backend is not compiled in, build with the feature: backend={backend} feature={feature}"
    )]
    NotCompiledIn {
        /// The backend.
        backend: &'static str,
        /// The cargo feature that brings it in.
        feature: &'static str,
    },
    /// The machine lacks the library, the driver or the device.
    #[error(
        "backend is not present on this machine, install what is missing or ask for another \
         device: backend={backend} missing={missing}"
    )]
    NotPresent {
        /// The backend.
        backend: &'static str,
        /// What was looked for and not found.
        missing: String,
    },
    /// Everything is there and it does not work.
    #[error("backend is present but failed, see the cause: backend={backend} cause={cause}")]
    Failed {
        /// The backend.
        backend: &'static str,
        /// What the runtime said.
        #[source]
        cause: Cause,
    },
}

impl Unavailable {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotCompiledIn { .. } => "CL-0701",
            Self::NotPresent { .. } => "CL-0702",
            Self::Failed { .. } => "CL-0703",
        }
    }
}

/// Why a program could not be loaded.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The device cannot be used.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The backend has no such device.
    #[error(
        "no such device in this backend, take one that probe lists: \
         device={device} backend={backend}"
    )]
    UnknownDevice {
        /// The device that was named.
        device: String,
        /// The backend that was asked.
        backend: &'static str,
    },
    /// The file of the model could not be had.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The bytes are no model that this runtime can prepare.
    #[error(
        "model cannot be prepared, it is damaged or uses what the runtime lacks, compare its \
         sha256 with the manifest: backend={backend} bytes={bytes} cause={cause}"
    )]
    NotAModel {
        /// The backend.
        backend: &'static str,
        /// Bytes that were given.
        bytes: u64,
        /// What the runtime said.
        #[source]
        cause: Cause,
    },
    /// An axis other than the leading one has no extent.
    #[error(
        "model leaves an axis open that is not the leading one, export it with a fixed extent: \
         tensor={tensor} shape={shape}"
    )]
    OpenDimension {
        /// The tensor.
        tensor: String,
        /// Its shape as the model has it.
        shape: String,
    },
    /// The model fixes its leading axis at another extent.
    #[error(
        "model has a fixed leading axis, load it with that batch: tensor={tensor} found={found} \
         asked={asked}"
    )]
    FixedBatch {
        /// The tensor.
        tensor: String,
        /// The extent in the model.
        found: usize,
        /// The batch that was asked for.
        asked: usize,
    },
    /// An input or output has an element type that does not cross the backend boundary.
    #[error(
        "element type is not supported at the edge of a model, export it with f32, u8 or i64: \
         tensor={tensor} found={found}"
    )]
    Dtype {
        /// The tensor.
        tensor: String,
        /// Its type as the runtime calls it.
        found: String,
    },
    /// A tensor at the edge of the model would be larger than the backend allows.
    #[error(
        "tensor is too large, load the model with a smaller batch: tensor={tensor} \
         shape={shape:?} limit_bytes={limit}"
    )]
    Oversized {
        /// The tensor.
        tensor: String,
        /// Its shape at the batch that was asked for.
        shape: Vec<usize>,
        /// Bytes allowed.
        limit: u64,
    },
    /// The backend does not run this sort of program.
    #[error(
        "backend does not run this program, choose another: backend={backend} program={program}"
    )]
    ProgramUnsupported {
        /// The backend.
        backend: &'static str,
        /// The program.
        program: String,
    },
    /// As many sessions are open as the backend allows.
    #[error("too many open sessions, close one: backend={backend} limit={limit}")]
    SessionLimit {
        /// The backend.
        backend: &'static str,
        /// Its limit.
        limit: usize,
    },
}

impl LoadError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(cause) => cause.code(),
            Self::UnknownDevice { .. } => "CL-0711",
            Self::Model(cause) => cause.code(),
            Self::NotAModel { .. } => "CL-0712",
            Self::OpenDimension { .. } => "CL-0713",
            Self::FixedBatch { .. } => "CL-0714",
            Self::Dtype { .. } => "CL-0715",
            Self::Oversized { .. } => "CL-0716",
            Self::ProgramUnsupported { .. } => "CL-0717",
            Self::SessionLimit { .. } => "CL-0718",
        }
    }
}

/// Why a run did not give its outputs.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The session was closed or never was in this backend.
    #[error("session is not open in this backend, load the program again: session={session}")]
    Closed {
        /// The handle.
        session: u64,
    },
    /// The session has as many runs in flight as it can.
    #[error("session is busy, wait for its last run first: session={session} limit={limit}")]
    Busy {
        /// The handle.
        session: u64,
        /// Runs that may be in flight.
        limit: usize,
    },
    /// The ticket has no outputs left.
    #[error(
        "no such run is in flight, its outputs were taken already: session={session} \
         sequence={sequence}"
    )]
    NotRunning {
        /// The handle.
        session: u64,
        /// The run.
        sequence: u64,
    },
    /// Not as many tensors as the program has.
    #[error(
        "wrong number of tensors, give one per entry of the session: \
         found={found} expected={expected}"
    )]
    Count {
        /// Tensors that were given.
        found: usize,
        /// Tensors that the session has.
        expected: usize,
    },
    /// The element type differs.
    #[error("wrong element type, convert it: tensor={tensor} found={found} expected={expected}")]
    Dtype {
        /// The tensor.
        tensor: String,
        /// The type that was given.
        found: Dtype,
        /// The type of the session.
        expected: Dtype,
    },
    /// The shape differs.
    #[error(
        "wrong shape, reshape it or load the program with another batch: tensor={tensor} \
         found={found:?} expected={expected:?}"
    )]
    Shape {
        /// The tensor.
        tensor: String,
        /// The shape that was given.
        found: Vec<usize>,
        /// The shape of the session.
        expected: Vec<usize>,
    },
    /// The buffer does not hold as many elements as the shape says.
    #[error(
        "wrong number of elements, size the buffer by the shape: \
         tensor={tensor} found={found} expected={expected}"
    )]
    Length {
        /// The tensor.
        tensor: String,
        /// Elements in the buffer.
        found: usize,
        /// Elements of the shape.
        expected: usize,
    },
    /// The runtime refused or failed.
    #[error("run failed in the runtime, see the cause: session={session} cause={cause}")]
    Failed {
        /// The handle.
        session: u64,
        /// What the runtime said.
        #[source]
        cause: Cause,
    },
}

impl RunError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "CL-0721",
            Self::Busy { .. } => "CL-0722",
            Self::NotRunning { .. } => "CL-0723",
            Self::Count { .. } => "CL-0724",
            Self::Dtype { .. } => "CL-0725",
            Self::Shape { .. } => "CL-0726",
            Self::Length { .. } => "CL-0727",
            Self::Failed { .. } => "CL-0728",
        }
    }
}

/// Why verified model bytes could not be had.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There is no such file.
    #[error("file is missing, restore it or correct the path: path={path}")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is there and cannot be read.
    #[error("file cannot be read, check its permissions: path={path} cause={cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: Cause,
    },
    /// The file is larger than is allowed.
    #[error(
        "file is too large, raise the limit if it is meant to be: \
         path={path} found={found} limit={limit}"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        found: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The manifest is not valid TOML of the known form.
    #[error("manifest is invalid, correct it: cause={cause}")]
    Manifest {
        /// What the parser said, with line and column.
        #[source]
        cause: Cause,
    },
    /// The manifest has a version that this build does not know.
    #[error(
        "manifest has an unknown version, use a matching build: found={found} expected={expected}"
    )]
    ManifestVersion {
        /// The version in the file.
        found: u32,
        /// The version this build reads.
        expected: u32,
    },
    /// A value in the manifest breaks a rule.
    #[error(
        "manifest entry is invalid, correct it: id={id} field={field} found={found} rule={rule}"
    )]
    Entry {
        /// The model.
        id: String,
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it has to be.
        rule: &'static str,
    },
    /// The manifest has no such model.
    #[error("no such model in the manifest, choose a known one: id={id} known={known:?}")]
    Unknown {
        /// What was asked for, with its version when one was given.
        id: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The file is shorter than the manifest says.
    #[error("model is truncated, fetch it again: id={id} found={found} expected={expected}")]
    Truncated {
        /// The model.
        id: String,
        /// Its bytes.
        found: u64,
        /// Bytes in the manifest.
        expected: u64,
    },
    /// The file is longer than the manifest says.
    #[error(
        "model is longer than its manifest says, fetch it again: \
         id={id} found={found} expected={expected}"
    )]
    Overlong {
        /// The model.
        id: String,
        /// Its bytes.
        found: u64,
        /// Bytes in the manifest.
        expected: u64,
    },
    /// The content is not what the manifest describes.
    #[error(
        "model does not match its hash, fetch it again or write a new manifest: \
         id={id} found={found} expected={expected}"
    )]
    HashMismatch {
        /// The model.
        id: String,
        /// Its sha256.
        found: String,
        /// The sha256 in the manifest.
        expected: String,
    },
}

impl ModelError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "CL-0731",
            Self::Unreadable { .. } => "CL-0732",
            Self::TooLarge { .. } => "CL-0733",
            Self::Manifest { .. } => "CL-0734",
            Self::ManifestVersion { .. } => "CL-0735",
            Self::Entry { .. } => "CL-0736",
            Self::Unknown { .. } => "CL-0737",
            Self::Truncated { .. } => "CL-0738",
            Self::Overlong { .. } => "CL-0739",
            Self::HashMismatch { .. } => "CL-0740",
        }
    }
}
