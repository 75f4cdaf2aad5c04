//! What tells a client's threads that their node is gone, while they wait at their lanes.
//!
//! A lane says nothing about the life of its node: a dead one only falls silent. The socket does,
//! and a thread that listens there rings at an event count that the others sleep on as well. It
//! attaches to no other node: that is its caller's to decide.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use corelane_shm::{fdpass::Channel, futex::FutexError};
use corelane_transport::{Endpoint, EventCount};
use thiserror::Error;

use crate::client::{AttachError, Client, Link};

/// Why a wait ended without what was waited for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The node is gone. What it had delivered can still be received; nothing else will come.
    #[error("node is gone and what was on its way is lost: attach to the next node")]
    NodeGone,
    /// The kernel refuses to wait.
    #[error(transparent)]
    Sleep(#[from] FutexError),
}

impl WaitError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NodeGone => "CL-0815",
            Self::Sleep(cause) => cause.code(),
        }
    }
}

#[derive(Debug)]
struct Cut {
    is_cut: AtomicBool,
    bell: EventCount,
}

/// The link of an attached client. Dropping it detaches the client.
#[derive(Debug)]
pub struct Lifeline {
    channel: Arc<Channel>,
    cut: Arc<Cut>,
    listener: Option<thread::JoinHandle<()>>,
}

impl Lifeline {
    pub(crate) fn start(
        client: Client,
        mut on_link: impl FnMut(Link) + Send + 'static,
    ) -> Result<Self, AttachError> {
        let cut = Arc::new(Cut { is_cut: AtomicBool::new(false), bell: EventCount::new()? });
        let channel = client.channel().clone();
        let seen = cut.clone();
        let listener = thread::Builder::new().name("corelane-link".into()).spawn(move || {
            loop {
                match client.listen() {
                    Link::NodeGone => break,
                    link => on_link(link),
                }
            }
            seen.is_cut.store(true, Ordering::Release);
            seen.bell.raise();
            on_link(Link::NodeGone);
        });
        let listener = Some(listener.map_err(AttachError::Thread)?);
        Ok(Self { channel, cut, listener })
    }

    /// An error once the node is gone.
    ///
    /// # Errors
    /// - [`WaitError::NodeGone`].
    pub fn check(&self) -> Result<(), WaitError> {
        if self.cut.is_cut.load(Ordering::Acquire) { Err(WaitError::NodeGone) } else { Ok(()) }
    }

    /// Sleeps until a message arrives, `timeout` passes, or the node is gone. May park.
    ///
    /// # Errors
    /// - [`WaitError::NodeGone`]: now or before; receive what is left, then attach again.
    /// - [`WaitError::Sleep`]: the kernel refuses to wait.
    pub fn sleep(&self, endpoint: &mut Endpoint, timeout: Duration) -> Result<(), WaitError> {
        // The count first: a node that goes between the two looks has raised it.
        let seen = self.cut.bell.now();
        self.check()?;
        endpoint.sleep(Some(self.cut.bell.waiter(seen)), timeout)?;
        self.check()
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.channel.shutdown();
        if let Some(listener) = self.listener.take() {
            // A panic of `on_link` was printed by its thread.
            let _ = listener.join();
        }
    }
}
