//! What a sender knows of those that read along: links that have said nothing yet, and taps.
//!
//! A tap is given the descriptor of the ring, and a new one when there is a new ring. It gives
//! nothing back, so that nothing here is looked at when a record is sent.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use corelane_shm::fdpass::Channel;

use crate::exchange::TAPS_MAX;
use crate::exchange::message::{LaneOffer, ToSink, encode};

/// Most links that have not said yet what they are: a receiver and its taps, and as many again that
/// come while those before them are not known to be gone.
const STRANGERS_MAX: usize = 2 * (1 + TAPS_MAX);

type Link = (u64, Arc<Channel>);

/// Links of a sender beside that of its receiver.
#[derive(Debug, Default)]
pub(super) struct Taps {
    strangers: Vec<Link>,
    /// Those that were told, and those of them that said that they read along.
    taps: Vec<Link>,
    joined: Vec<u64>,
    /// The ring that there is, as long as it has a receiver.
    ring: Option<(LaneOffer, OwnedFd)>,
}

fn take(links: &mut Vec<Link>, peer: u64) -> Option<Arc<Channel>> {
    let index = links.iter().position(|(number, _)| *number == peer)?;
    Some(links.remove(index).1)
}

impl Taps {
    /// A link came. When there are too many, the one that has been silent longest is ended.
    pub(super) fn linked(&mut self, peer: u64, channel: &Arc<Channel>) {
        if self.strangers.len() == STRANGERS_MAX {
            self.strangers.remove(0).1.shutdown();
        }
        self.strangers.push((peer, channel.clone()));
    }

    /// The link of a peer that says its first word.
    pub(super) fn first_word(&mut self, peer: u64) -> Option<Arc<Channel>> {
        take(&mut self.strangers, peer)
    }

    /// Lets a tap in and tells it of the ring that there is, if there is one.
    pub(super) fn let_in(&mut self, peer: u64, channel: Arc<Channel>) -> Result<(), String> {
        if self.taps.len() == TAPS_MAX {
            return Err(format!("the lane has all {TAPS_MAX} taps: end some"));
        }
        if let Some((lane, fd)) = &self.ring {
            tell(&channel, *lane, false, fd)?;
        }
        send(&channel, &ToSink::Ready {}, &[])?;
        self.taps.push((peer, channel));
        Ok(())
    }

    /// There is a new ring, over which nothing was sent yet.
    pub(super) fn renew(&mut self, lane: LaneOffer, fd: OwnedFd) {
        let joined = &mut self.joined;
        self.taps.retain(|(peer, channel)| {
            // One that takes nothing is none; it learns that by the end of its link.
            let is_told = tell(channel, lane, true, &fd).is_ok();
            if !is_told {
                channel.shutdown();
                joined.retain(|number| number != peer);
            }
            is_told
        });
        self.ring = Some((lane, fd));
    }

    /// The receiver is gone, and its ring with it.
    pub(super) fn end_ring(&mut self) {
        self.ring = None;
    }

    /// A tap has what it needs; false when the peer is none.
    pub(super) fn join(&mut self, peer: u64) -> bool {
        if self.has(peer) && !self.joined.contains(&peer) {
            self.joined.push(peer);
        }
        self.has(peer)
    }

    pub(super) fn has(&self, peer: u64) -> bool {
        self.taps.iter().any(|(number, _)| *number == peer)
    }

    /// A link is over; true when it was that of a tap.
    pub(super) fn unlinked(&mut self, peer: u64) -> bool {
        take(&mut self.strangers, peer);
        self.joined.retain(|number| *number != peer);
        take(&mut self.taps, peer).is_some()
    }

    pub(super) fn count(&self) -> usize {
        self.joined.len()
    }
}

fn tell(channel: &Channel, lane: LaneOffer, is_new: bool, fd: &OwnedFd) -> Result<(), String> {
    send(channel, &ToSink::Tapped { lane, is_new }, &[fd])
}

fn send(channel: &Channel, message: &ToSink, fds: &[&OwnedFd]) -> Result<(), String> {
    let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    let sent = channel.send(&encode(message), &fds, Some(Duration::ZERO));
    sent.map_err(|error| error.to_string())
}
