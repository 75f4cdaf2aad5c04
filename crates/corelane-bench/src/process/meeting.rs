//! How the ends of a queue in different processes find each other.

use std::{
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use corelane_shm::fdpass::{Channel, ChannelError, Packet};

/// An end that is not told anything for so long while it opens gives up.
const OPENING: Duration = Duration::from_secs(20);

/// What an end knows of the others while it is opened.
#[derive(Debug)]
pub struct Meeting {
    pub(super) lane: usize,
    pub(super) folder: PathBuf,
    pub(super) others: Vec<Channel>,
    pub(super) payload_bytes: usize,
    pub(super) capacity: usize,
    pub(super) receivers: usize,
    pub(super) receivers_in_all: usize,
}

impl Meeting {
    /// Which of the queues of the pass this is: a round trip has one there and one back.
    pub fn lane(&self) -> usize {
        self.lane
    }

    /// A folder of this pass, removed after it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A name that no other queue on this machine has at this time: letters, digits and `-`.
    pub fn name(&self) -> String {
        let folder = self.folder.file_name().unwrap_or_default().to_string_lossy();
        let plain = folder.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
        format!("{}-{}", plain.collect::<String>().trim_start_matches('-'), self.lane)
    }

    /// Bytes of a message or payload.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    /// Messages or payloads that the queue has room for at least.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Receiving ends in this process.
    pub fn receivers(&self) -> usize {
        self.receivers
    }

    /// Receiving ends in all processes.
    pub fn receivers_in_all(&self) -> usize {
        self.receivers_in_all
    }

    /// A socket to every process that has an end of the other kind: for a sender one to each that
    /// receives, for a receiver one to the sender.
    pub fn others(&self) -> &[Channel] {
        &self.others
    }

    /// Tells every other process something, and hands descriptors over.
    ///
    /// # Errors
    /// Those of [`Channel::send`].
    pub fn give(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.others.iter().try_for_each(|other| other.send(bytes, fds, Some(OPENING)))
    }

    /// What another process gives; for a receiver the sender is the only other one.
    ///
    /// # Errors
    /// Those of [`Channel::recv`].
    ///
    /// # Panics
    /// When there are not so many others.
    pub fn take_from(&self, other: usize) -> Result<Packet, ChannelError> {
        self.others[other].recv(Some(OPENING))
    }

    /// The only descriptor that another process gives.
    ///
    /// # Errors
    /// Those of [`Channel::recv`], and a sentence when it gave none.
    ///
    /// # Panics
    /// When there are not so many others.
    pub fn take_fd_from(&self, other: usize) -> Result<OwnedFd, Box<dyn std::error::Error>> {
        let packet = self.take_from(other)?;
        packet.fds.into_iter().next().ok_or_else(|| "the other end gave no descriptor".into())
    }
}
