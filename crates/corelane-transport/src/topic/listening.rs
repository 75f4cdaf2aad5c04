//! How a subscriber waits by a descriptor: it says that it listens, and its publishers ring.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use async_io::Timer;
use corelane_shm::fdpass::ChannelError;
use futures_lite::future::or;

use crate::doorbell::{BellError, Doorbell};
use crate::strategy::SharedBarrier;

use super::error::ReceiveError;
use super::group::{FALLS_ASLEEP, LISTENERS, SLEEPERS};
use super::subscriber::RawSubscriber;

/// How soon to look again whether an extent is late.
const LATE_LOOK: Duration = Duration::from_millis(50);

impl RawSubscriber {
    /// The descriptor that becomes readable after [`arm`](Self::arm).
    pub(crate) fn event_fd(&mut self) -> Result<BorrowedFd<'_>, BellError> {
        let doorbell: &Doorbell = self.doorbell()?;
        Ok(doorbell.as_fd())
    }

    fn doorbell(&mut self) -> Result<&mut Doorbell, BellError> {
        if self.doorbell.is_none() {
            let doorbell = Doorbell::new()?;
            self.hub.news.listen(self.seat, doorbell.ringer().clone());
            self.doorbell = Some(doorbell);
        }
        Ok(self.doorbell.as_mut().expect("because it was just made"))
    }

    /// Has the descriptor become readable once there is something; false when there is already.
    pub(crate) fn arm(&mut self) -> Result<bool, ReceiveError> {
        self.disarm();
        self.doorbell()?.silence()?;
        self.hear_news()?;
        if self.has_something() {
            return Ok(false);
        }
        self.give_bells()?;
        for connection in &self.connections {
            let words = connection.link.group.as_atomics();
            words[LISTENERS].fetch_add(1, Ordering::Relaxed);
            // Pairs with the Acquire of a publisher that rings: it sees the listener, and every
            // bell that rang for the first time before this.
            words[SLEEPERS].fetch_add(FALLS_ASLEEP, Ordering::Release);
            self.armed.push(connection.link.group.clone());
        }
        // As in `sleep`.
        match self.hub.is_fenced {
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
    pub(crate) fn disarm(&mut self) {
        for group in self.armed.drain(..) {
            let words = group.as_atomics();
            words[SLEEPERS].fetch_sub(1, Ordering::Relaxed);
            words[LISTENERS].fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Every publisher has an end to ring. One that gets it now rings when it knows of it, so that
    /// what it published before is found.
    fn give_bells(&mut self) -> Result<(), ReceiveError> {
        let Some(doorbell) = &mut self.doorbell else { return Ok(()) };
        let connections = &self.connections;
        doorbell.keep(|who| connections.iter().any(|connection| connection.link.peer == who));
        for connection in connections {
            let publisher = connection.link.peer;
            let Some(end) = doorbell.end_for(publisher)? else { continue };
            // A link that is over is told by the participant's thread.
            let given = connection.link.give_bell(self.seat, Some(end));
            if given.is_err() {
                doorbell.forget(publisher);
            }
            if matches!(given, Err(ChannelError::TimedOut)) {
                connection.link.cut();
                let reason = "it does not take its packets".into();
                return Err(ReceiveError::Corrupt { publisher, reason });
            }
        }
        Ok(())
    }

    /// Nobody is left that would be rung for.
    pub(super) fn stop_listening(&mut self) {
        self.disarm();
        if self.doorbell.take().is_some() {
            for connection in &self.connections {
                // One that does not take it has a bell that nobody hears.
                let _ = connection.link.give_bell(self.seat, None);
            }
        }
    }

    /// Waits until a message is there, or something is to be told.
    pub(crate) async fn ready(&mut self) -> Result<(), ReceiveError> {
        while self.arm()? {
            let armed = Armed(self);
            let doorbell = armed.0.doorbell.as_ref().expect("because it is armed");
            // Whether an extent comes too late is told by the clock.
            if armed.0.connections.iter().any(|connection| connection.stalled.is_some()) {
                let soon = async {
                    Timer::after(LATE_LOOK).await;
                    Ok(())
                };
                or(doorbell.rung(), soon).await?;
            } else {
                doorbell.rung().await?;
            }
        }
        Ok(())
    }
}

/// Takes the announcement back, also when nobody waits for the future any more.
struct Armed<'a>(&'a mut RawSubscriber);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.disarm();
    }
}
