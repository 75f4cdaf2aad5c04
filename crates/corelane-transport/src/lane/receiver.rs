//! The receiving end of a lane.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use corelane_shm::fdpass::{Channel, Packet};
use corelane_shm::{WordsRw, futex};

use crate::doorbell::Doorbell;
use crate::exchange::message::{PROTOCOL, Role, ToSink, ToSource, Want, decode, encode};
use crate::news::News;
use crate::participant::{LocalEnd, Participant, Registered, Verdict};
use crate::strategy::SharedBarrier;
use crate::topic::LINK_PATIENCE;
use crate::wait::SLEEP_MAX;

use super::error::{LaneError, LaneReceiveError};
use super::ring::ReceiveRing;
use super::{LaneOptions, page};

/// Most rings that wait for the receiver to come to them: that of the sender, and those of senders
/// before it that have left records behind.
const RINGS_MAX: usize = 8;

/// A ring with its sender.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) peer: u64,
    pub(super) channel: Arc<Channel>,
    pub(super) ring: ReceiveRing,
    pub(super) own: WordsRw,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    opening: Option<(u64, Arc<Channel>, WordsRw)>,
    /// Made by the participant's thread, not yet taken by the receiver, in the order of senders.
    next: VecDeque<Connected>,
    peer: Option<u64>,
    pub(super) refusal: Option<String>,
    ended: u64,
}

/// What the participant's thread keeps of a receiver.
#[derive(Debug)]
pub(super) struct Shared {
    options: LaneOptions,
    pub(super) is_fenced: bool,
    pub(super) barrier: SharedBarrier,
    pub(super) news: News<Inner>,
}

impl Shared {
    fn begin(&self, channel: &Arc<Channel>) -> Result<WordsRw, String> {
        let own = page::create().map_err(|error| error.to_string())?;
        let want = Want {
            protocol: PROTOCOL,
            seats: 0,
            holds: 0,
            is_reliable: true,
            is_fenced: self.is_fenced,
        };
        let want = encode(&ToSource::Want(want));
        let sent = channel.send(&want, &[own.fd()], Some(Duration::ZERO));
        sent.map_err(|error| error.to_string())?;
        Ok(own.into_words())
    }

    fn hear(&self, peer: u64, packet: Packet) -> Result<(), String> {
        let message = decode::<ToSink>(&packet.bytes).ok_or("its packet is no message")?;
        let mut inner = self.news.lock();
        match message {
            ToSink::Lane(offer) => {
                let opening = inner.opening.take().filter(|(number, ..)| *number == peer);
                let (_, channel, own) = opening.ok_or("its lane came twice")?;
                let Ok([fd]) = <[OwnedFd; 1]>::try_from(packet.fds) else {
                    return Err("its lane came without its one segment".into());
                };
                if inner.next.len() == RINGS_MAX {
                    let reason = "senders before it left records in as many lanes as are kept";
                    return Err(format!("{reason} ({RINGS_MAX}): receive them"));
                }
                let ring = ReceiveRing::open(offer, fd, &own, self.options.trusted)?;
                let joined = encode(&ToSource::Joined {});
                let sent = channel.send(&joined, &[], Some(Duration::ZERO));
                sent.map_err(|error| error.to_string())?;
                inner.next.push_back(Connected { peer, channel, ring, own });
                inner.peer = Some(peer);
            }
            ToSink::Sorry { reason } => inner.refusal = Some(reason),
            ToSink::Unknown => return Ok(()),
            _ => return Err("it is no sender of a lane".into()),
        }
        drop(inner);
        self.news.tell();
        Ok(())
    }
}

impl LocalEnd for Shared {
    fn linked(&self, peer: u64, channel: &Arc<Channel>) -> Verdict {
        match self.begin(channel) {
            Ok(own) => {
                self.news.lock().opening = Some((peer, channel.clone(), own));
                Verdict::Keep
            }
            Err(reason) => {
                self.news.lock().refusal = Some(reason);
                Verdict::Cut
            }
        }
    }

    fn heard(&self, peer: u64, packet: Packet) -> Verdict {
        match self.hear(peer, packet) {
            Ok(()) => Verdict::Keep,
            Err(reason) => {
                self.news.lock().refusal = Some(reason);
                Verdict::Cut
            }
        }
    }

    fn unlinked(&self, peer: u64) {
        let mut inner = self.news.lock();
        inner.opening = inner.opening.take().filter(|(number, ..)| *number != peer);
        // What it left in its ring is received, however late; an empty one is let go.
        inner.next.retain_mut(|next| next.peer != peer || next.ring.has_record());
        if inner.peer == Some(peer) {
            inner.peer = None;
        }
        inner.ended += 1;
        drop(inner);
        self.news.tell();
    }
}

/// The receiving end of a lane. Wait-free but where it says that it waits.
#[derive(Debug)]
pub struct LaneReceiver {
    pub(super) shared: Arc<Shared>,
    pub(super) current: Option<Connected>,
    version: u64,
    pub(super) sleeps: u64,
    received: u64,
    /// Made when somebody first waits by a descriptor.
    pub(super) doorbell: Option<Doorbell>,
    /// The page where it has said that it listens.
    pub(super) armed: Option<WordsRw>,
    /// Last: it takes the end away from the exchange, and its link.
    _registered: Registered,
}

impl LaneReceiver {
    pub(super) fn new(
        participant: &Participant,
        name: &str,
        options: LaneOptions,
    ) -> Result<Self, LaneError> {
        let barrier = SharedBarrier::register();
        let shared = Arc::new(Shared {
            options,
            is_fenced: options.spins == 0 || !barrier.is_reached(),
            barrier,
            news: News::new()?,
        });
        let (registered, _, links) =
            participant.register(Role::Receiver, name, None, shared.clone())?;
        let receiver = Self {
            shared,
            current: None,
            version: 0,
            sleeps: 0,
            received: 0,
            doorbell: None,
            armed: None,
            _registered: registered,
        };
        if links > 0 {
            receiver.wait_for_sender(LINK_PATIENCE);
        }
        Ok(receiver)
    }

    /// Waits until there is, or was, a sender; false after `timeout`.
    pub fn wait_for_sender(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let is_told = |inner: &Inner| inner.peer.is_some() || inner.ended > 0;
        self.shared.news.wait_until(deadline, is_told) && self.is_connected()
    }

    /// Whether there is a sender.
    pub fn is_connected(&self) -> bool {
        self.shared.news.lock().peer.is_some()
    }

    /// Hands up to `count` records to `take`, each where it lies or as a copy on the stack of this
    /// end, and returns how many there were.
    ///
    /// # Errors
    /// - [`LaneReceiveError`]: something is to be told; the next call goes on behind it.
    #[inline]
    pub fn drain(
        &mut self,
        count: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<usize, LaneReceiveError> {
        let taken = match &mut self.current {
            Some(current) => match current.ring.drain(count, &mut take) {
                Ok((taken, has_released)) => {
                    if has_released {
                        current.wake_sender(self.shared.barrier);
                    }
                    taken
                }
                Err(error) => {
                    current.channel.shutdown();
                    self.current = None;
                    return Err(error);
                }
            },
            None => 0,
        };
        if taken == 0 && self.shared.news.version() != self.version {
            let next = self.drain_next(count, take);
            if let (Err(LaneReceiveError::Corrupt { .. }), Some(current)) = (&next, &self.current) {
                current.channel.shutdown();
                self.current = None;
            }
            return next;
        }
        self.received += taken as u64;
        Ok(taken)
    }

    /// Nothing was there, and something happened: what a sender that ended had sent is received,
    /// then what the next one sent.
    #[cold]
    fn drain_next(
        &mut self,
        count: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<usize, LaneReceiveError> {
        for _ in 0..=RINGS_MAX {
            let mut inner = self.shared.news.lock();
            let (version, peer, refusal) =
                (self.shared.news.version(), inner.peer, inner.refusal.take());
            drop(inner);
            // Unless it turns out otherwise, the next call is to look again.
            self.version = version.wrapping_sub(1);
            if let Some(reason) = refusal {
                return Err(LaneReceiveError::Unusable { reason });
            }
            if let Some(current) = &mut self.current {
                // A sender that was known to be over before this look had sent everything.
                let (taken, has_released) = current.ring.drain(count, &mut take)?;
                if has_released {
                    current.wake_sender(self.shared.barrier);
                }
                self.received += taken as u64;
                let is_over = peer != Some(current.peer);
                if !is_over {
                    self.version = version;
                }
                if taken > 0 || !is_over {
                    return Ok(taken);
                }
            }
            self.current = self.shared.news.lock().next.pop_front();
            if self.current.is_none() {
                self.version = version;
                return Ok(0);
            }
        }
        Ok(0)
    }

    /// Receives the next record into `record`, whose content it replaces; false when there is none.
    ///
    /// # Errors
    /// - [`LaneReceiveError`]: as for [`drain`](Self::drain).
    pub fn try_receive(&mut self, record: &mut Vec<u8>) -> Result<bool, LaneReceiveError> {
        let taken = self.drain(1, |bytes| {
            record.clear();
            record.extend_from_slice(bytes);
        })?;
        Ok(taken == 1)
    }

    /// The same, which waits until `timeout` has passed. May park.
    ///
    /// # Errors
    /// - [`LaneReceiveError`]: as for [`drain`](Self::drain).
    pub fn receive(
        &mut self,
        record: &mut Vec<u8>,
        timeout: Duration,
    ) -> Result<bool, LaneReceiveError> {
        let started = Instant::now();
        loop {
            if self.try_receive(record)? {
                return Ok(true);
            }
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() || !self.wait(left)? {
                return self.try_receive(record);
            }
        }
    }

    /// Waits until a record may be there, or `timeout` has passed; false in the latter case. May
    /// park.
    ///
    /// # Errors
    /// - [`LaneReceiveError::Sleep`]: the kernel refuses to wait.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, LaneReceiveError> {
        let started = Instant::now();
        for _ in 0..self.shared.options.spins {
            if self.has_something() {
                return Ok(true);
            }
            std::hint::spin_loop();
        }
        loop {
            let seen = self.shared.news.bell.now();
            if self.has_something() {
                return Ok(true);
            }
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            self.sleep(seen, left.min(SLEEP_MAX))?;
        }
    }

    pub(super) fn has_something(&mut self) -> bool {
        self.shared.news.version() != self.version
            || self.current.as_mut().is_some_and(|current| current.ring.has_record())
    }

    /// Sleeps once, unless something is there.
    fn sleep(&mut self, seen: u64, timeout: Duration) -> Result<(), LaneReceiveError> {
        let bell = self.shared.news.bell.waiter(seen);
        let Some(current) = &mut self.current else {
            futex::wait_any(&[bell], Some(timeout))?;
            return Ok(());
        };
        // What was read is the sender's again before this end sleeps.
        if current.ring.release() {
            current.wake_sender(self.shared.barrier);
        }
        let waiter = current.ring.waiter();
        let waiter_expected = waiter.expected;
        self.sleeps += 1;
        current.own.store_relaxed(page::SLEEP, self.sleeps * 2 - 1);
        // Pairs with the barrier of the sender between its record and its look at this word; one
        // that was told to pay for itself needs no other.
        match self.shared.is_fenced {
            true => fence(Ordering::SeqCst),
            false => SharedBarrier::of_sleeper(),
        }
        let result = if current.ring.has_record() {
            Ok(())
        } else {
            let mut waiter = current.ring.waiter();
            waiter.expected = waiter_expected;
            futex::wait_any(&[waiter, bell], Some(timeout)).map(|_| ())
        };
        current.own.store_relaxed(page::SLEEP, self.sleeps * 2);
        Ok(result?)
    }

    /// Records received so far.
    pub fn received(&self) -> u64 {
        self.received
    }
}

impl Connected {
    /// Tells a sender that sleeps for want of room.
    pub(super) fn wake_sender(&self, barrier: SharedBarrier) {
        // Pairs with the barrier of the sender between its wish and its last look at the head.
        barrier.of_waker();
        if self.ring.is_room_wanted() {
            // The word is mapped and aligned: waking it cannot fail.
            let _ = futex::wake(&self.own, 0);
        }
    }
}
