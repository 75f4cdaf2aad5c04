//! The six calls a runtime has to offer. Nothing here chooses a device: see `policy`.

use crate::{
    Device, ElementsMut, LoadError, Program, RunError, TensorSpec, TensorView, Unavailable,
};

/// A loaded program on a device: what it takes, what it gives, and its handle.
///
/// A plain value: cloning it opens nothing, dropping it closes nothing. Its id is never given
/// twice by one backend, so that a closed session cannot be mistaken for a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The handle, unique within its backend.
    pub id: u64,
    /// Where it runs.
    pub device: Device,
    /// What `run` must be given, in order.
    pub inputs: Vec<TensorSpec>,
    /// What `wait` writes, in order.
    pub outputs: Vec<TensorSpec>,
}

/// A run that was started and whose outputs have not been taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the session takes no further run until the outputs of this one are waited for"]
pub struct Ticket {
    /// The session that runs.
    pub session: u64,
    /// Counts the runs of that session from 1.
    pub sequence: u64,
}

/// One runtime. A value belongs to one thread at a time and is not shared: a pinned worker has
/// its own, so that no call ever waits for another worker.
pub trait Backend: Send {
    /// Lists the devices that can be used now.
    ///
    /// # Errors
    /// - `NotCompiledIn`, `NotPresent`, `Failed`: why there is none.
    fn probe(&self) -> Result<Vec<Device>, Unavailable>;

    /// Prepares a program on a device. May allocate, compile and take long.
    ///
    /// # Errors
    /// - `Unavailable`, `UnknownDevice`: the device cannot be used.
    /// - `Model`: the file named by the program cannot be read.
    /// - `NotAModel`, `OpenDimension`, `FixedBatch`, `Dtype`, `Oversized`, `ProgramUnsupported`:
    ///   this program cannot run on this backend.
    /// - `SessionLimit`: too many sessions are open.
    fn load(&mut self, device: &Device, program: &Program<'_>) -> Result<Session, LoadError>;

    /// Starts one run. The inputs are taken before it returns; the run may still be going on.
    ///
    /// # Errors
    /// - `Closed`: the session is not open in this backend.
    /// - `Busy`: the outputs of the run before have not been waited for.
    /// - `Count`, `Dtype`, `Shape`, `Length`: the inputs are not what the session takes.
    /// - `Failed`: the runtime refused.
    fn run(&mut self, session: &Session, inputs: &[TensorView<'_>]) -> Result<Ticket, RunError>;

    /// Waits for a run to end and writes its outputs into the caller's buffers. After `Count`,
    /// `Dtype` or `Length` the outputs are still there and the call can be made again.
    ///
    /// # Errors
    /// - `Closed`: the session is not open in this backend.
    /// - `NotRunning`: the outputs of this ticket were taken already.
    /// - `Count`, `Dtype`, `Length`: the buffers do not fit.
    /// - `Failed`: the run ended with an error of the runtime.
    fn wait(&mut self, ticket: Ticket, outputs: &mut [ElementsMut<'_>]) -> Result<(), RunError>;

    /// Bytes that the open sessions hold, as far as the backend can account for them.
    fn memory_in_use(&self) -> u64;

    /// Ends a session and frees what it holds; a run in flight is abandoned.
    ///
    /// # Errors
    /// - `Closed`: the session is not open in this backend.
    fn close(&mut self, session: &Session) -> Result<(), RunError>;
}
