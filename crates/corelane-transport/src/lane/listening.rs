//! How a receiver waits by a descriptor: it says that it listens, and its sender rings.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use corelane_shm::fdpass::ChannelError;

use crate::doorbell::{BellError, Doorbell};
use crate::exchange::message::{ToSource, encode};
use crate::strategy::SharedBarrier;

use super::error::LaneReceiveError;
use super::page;
use super::receiver::LaneReceiver;

/// How long a sender's process may take to take a packet.
const BELL_PATIENCE: Duration = Duration::from_millis(100);

impl LaneReceiver {
    /// A descriptor for an event loop (`poll`, `epoll`, an async runtime). It becomes readable when
    /// a record may be there, after [`arm`](Self::arm) said that there was none; for reading, it is
    /// of no use.
    ///
    /// # Errors
    /// - [`BellError`]: the process has no descriptor left.
    pub fn event_fd(&mut self) -> Result<BorrowedFd<'_>, BellError> {
        let doorbell: &Doorbell = self.doorbell()?;
        Ok(doorbell.as_fd())
    }

    fn doorbell(&mut self) -> Result<&mut Doorbell, BellError> {
        if self.doorbell.is_none() {
            let doorbell = Doorbell::new()?;
            self.shared.news.listen(0, doorbell.ringer().clone());
            self.doorbell = Some(doorbell);
        }
        Ok(self.doorbell.as_mut().expect("because it was just made"))
    }

    /// Has [`event_fd`](Self::event_fd) become readable once there is something to receive or to be
    /// told. False when there is already: receive first, then arm again. The sender pays with a
    /// system call for the first record after this, so call it before waiting and not for each
    /// record.
    ///
    /// # Errors
    /// - [`LaneReceiveError::Bell`]: the process has no descriptor left.
    /// - [`LaneReceiveError::Corrupt`]: the sender's process does not take what it is told.
    pub fn arm(&mut self) -> Result<bool, LaneReceiveError> {
        self.disarm();
        self.doorbell()?.silence()?;
        if self.has_something() {
            return Ok(false);
        }
        self.give_bell()?;
        if let Some(current) = &mut self.current {
            // What was read is the sender's again before this end waits.
            if current.ring.release() {
                current.wake_sender(self.shared.barrier);
            }
            self.sleeps += 1;
            current.own.store_relaxed(page::LISTENS, 1);
            // Pairs with the Acquire of a sender that rings: it sees the listener, and a bell that
            // rang for the first time before this.
            current.own.store_release(page::SLEEP, self.sleeps * 2 - 1);
            self.armed = Some(current.own.clone());
        }
        // As in `sleep`.
        match self.shared.is_fenced {
            true => fence(Ordering::SeqCst),
            false => SharedBarrier::of_sleeper(),
        }
        if self.has_something() {
            self.disarm();
            return Ok(false);
        }
        Ok(true)
    }

    /// Nothing needs to ring any more.
    pub(super) fn disarm(&mut self) {
        if let Some(own) = self.armed.take() {
            own.store_relaxed(page::SLEEP, self.sleeps * 2);
            own.store_relaxed(page::LISTENS, 0);
        }
    }

    /// The sender has an end to ring. It rings when it knows of it, so that what it sent before is
    /// found.
    fn give_bell(&mut self) -> Result<(), LaneReceiveError> {
        let (Some(doorbell), current) = (&mut self.doorbell, &self.current) else { return Ok(()) };
        let sender = current.as_ref().map(|current| current.peer);
        doorbell.keep(|who| Some(who) == sender);
        let Some(current) = current else { return Ok(()) };
        let Some(end) = doorbell.end_for(current.peer)? else { return Ok(()) };
        let bell = encode(&ToSource::Bell { seat: 0 });
        // A link that is over is told by the participant's thread.
        let given = current.channel.send(&bell, &[end.as_fd()], Some(BELL_PATIENCE));
        if given.is_err() {
            doorbell.forget(current.peer);
        }
        if matches!(given, Err(ChannelError::TimedOut)) {
            current.channel.shutdown();
            let reason = "it does not take its packets".into();
            return Err(LaneReceiveError::Corrupt { reason });
        }
        Ok(())
    }

    /// Receives the next record into `record`, whose content it replaces, waiting for it without a
    /// thread. Of a future that is dropped no record is lost. Works on any executor.
    ///
    /// # Errors
    /// - [`LaneReceiveError`]: as for [`drain`](Self::drain) and [`arm`](Self::arm).
    pub async fn receive_async(&mut self, record: &mut Vec<u8>) -> Result<(), LaneReceiveError> {
        while !self.try_receive(record)? {
            if self.arm()? {
                let armed = Armed(self);
                let doorbell = armed.0.doorbell.as_ref().expect("because it is armed");
                doorbell.rung().await?;
            }
        }
        Ok(())
    }
}

/// Takes the announcement back, also when nobody waits for the future any more.
struct Armed<'a>(&'a mut LaneReceiver);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.disarm();
    }
}
