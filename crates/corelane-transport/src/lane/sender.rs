//! The sending end of a lane.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use corelane_shm::fdpass::{Channel, Packet};
use corelane_shm::{WordsRo, futex};

use crate::doorbell::Ringer;
use crate::exchange::message::{Role, ToSink, ToSource, decode, encode};
use crate::news::News;
use crate::participant::{LocalEnd, Participant, Registered, Verdict};
use crate::strategy::SharedBarrier;
use crate::topic::LINK_PATIENCE;
use crate::wait::SLEEP_MAX;

use super::error::{LaneError, LaneSendError};
use super::ring::SendRing;
use super::taps::Taps;
use super::{LaneKind, page};

/// A ring with its receiver.
#[derive(Debug)]
struct Connected {
    peer: u64,
    channel: Arc<Channel>,
    ring: SendRing,
    receiver: WordsRo,
    is_fenced: bool,
}

#[derive(Debug, Default)]
struct Inner {
    taps: Taps,
    /// Made by the participant's thread, not yet taken by the sender.
    next: Option<Connected>,
    peer: Option<u64>,
    /// The receiver's, to be rung while it listens.
    bell: Option<Arc<Ringer>>,
    has_joined: bool,
    ended: u64,
    why_cut: Option<String>,
}

/// What the participant's thread keeps of a sender.
#[derive(Debug)]
struct Shared {
    kind: LaneKind,
    news: News<Inner>,
}

impl Shared {
    fn welcome(&self, peer: u64, channel: &Arc<Channel>, packet: Packet) -> Result<(), String> {
        let Some(ToSource::Want(want)) = decode(&packet.bytes) else {
            return Err("its first packet was not what it wants".into());
        };
        let Ok([fd]) = <[OwnedFd; 1]>::try_from(packet.fds) else {
            return Err("its page came without its one segment".into());
        };
        let receiver = page::open(fd).map_err(|error| error.to_string())?;
        let new = self.kind.create()?;
        let offer = encode(&ToSink::Lane(self.kind.offer()));
        let fd = new.as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
        let ring = new.open(&receiver)?;
        let (channel, is_fenced) = (channel.clone(), want.is_fenced);
        // The offer goes out under the lock: its answer finds the connection.
        let mut inner = self.news.lock();
        channel
            .send(&offer, &[fd.as_fd()], Some(Duration::ZERO))
            .map_err(|error| error.to_string())?;
        inner.next = Some(Connected { peer, channel, ring, receiver, is_fenced });
        inner.peer = Some(peer);
        // Before a record can be sent: taps see the first one.
        inner.taps.renew(self.kind.offer(), fd);
        Ok(())
    }
}

impl LocalEnd for Shared {
    fn linked(&self, peer: u64, channel: &Arc<Channel>) -> Verdict {
        self.news.lock().taps.linked(peer, channel);
        Verdict::Keep
    }

    fn heard(&self, peer: u64, packet: Packet) -> Verdict {
        let mut inner = self.news.lock();
        if inner.peer == Some(peer) {
            match decode(&packet.bytes) {
                Some(ToSource::Joined {}) => inner.has_joined = true,
                Some(ToSource::Bell { seat: 0 }) => {
                    let Ok(bell) = Ringer::of_packet(packet.fds) else {
                        inner.why_cut = Some("its bell is none".into());
                        return Verdict::Cut;
                    };
                    inner.bell = bell.map(Arc::new);
                    // For what was sent before the bell was known.
                    if let Some(bell) = &inner.bell {
                        bell.ring();
                    }
                    return Verdict::Keep;
                }
                Some(ToSource::Unknown) => return Verdict::Keep,
                Some(ToSource::Want(_) | ToSource::Bell { .. } | ToSource::Tap { .. }) | None => {
                    return Verdict::Cut;
                }
            }
            drop(inner);
            self.news.tell();
            return Verdict::Keep;
        }
        let message = decode::<ToSource>(&packet.bytes);
        let Some(channel) = inner.taps.first_word(peer) else {
            let is_in_turn = match message {
                Some(ToSource::Joined {}) => inner.taps.join(peer),
                Some(ToSource::Unknown) => inner.taps.has(peer),
                _ => false,
            };
            return if is_in_turn { Verdict::Keep } else { Verdict::Cut };
        };
        let is_tap = matches!(message, Some(ToSource::Tap { .. }));
        let result = match is_tap {
            true => inner.taps.let_in(peer, channel.clone()),
            false => {
                drop(inner);
                self.welcome(peer, &channel, packet)
            }
        };
        let Err(reason) = result else { return Verdict::Keep };
        let sorry = encode(&ToSink::Sorry { reason: reason.clone() });
        // One that takes nothing learns it by the end of the link.
        let _ = channel.send(&sorry, &[], Some(Duration::ZERO));
        if !is_tap {
            self.news.lock().why_cut = Some(reason);
        }
        Verdict::Cut
    }

    fn unlinked(&self, peer: u64) {
        let mut inner = self.news.lock();
        if inner.taps.unlinked(peer) {
            return;
        }
        if inner.peer == Some(peer) {
            inner.taps.end_ring();
            (inner.peer, inner.bell, inner.has_joined) = (None, None, false);
            inner.next = inner.next.take().filter(|next| next.peer != peer);
        }
        inner.ended += 1;
        drop(inner);
        self.news.tell();
    }
}

/// What a sender counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LaneCounts {
    /// Records sent.
    pub sent: u64,
    /// Records that were refused because there was no room or no receiver.
    pub refused: u64,
    /// Records that a receiver which ended is not known to have received: at most so many are
    /// lost. Of a `throughput` lane they are not counted.
    pub undelivered: u64,
    /// Wake-ups of a receiver that slept.
    pub wakes: u64,
}

/// The sending end of a lane. Wait-free but where it says that it waits.
#[derive(Debug)]
pub struct LaneSender {
    shared: Arc<Shared>,
    current: Option<Connected>,
    version: u64,
    rung_for: u64,
    barrier: SharedBarrier,
    counts: LaneCounts,
    /// Last: it takes the end away from the exchange, and its link.
    _registered: Registered,
}

impl LaneSender {
    pub(super) fn new(
        participant: &Participant,
        name: &str,
        kind: LaneKind,
    ) -> Result<Self, LaneError> {
        kind.check()?;
        let shared = Arc::new(Shared { kind, news: News::new()? });
        let (registered, _, links) =
            participant.register(Role::Sender, name, None, shared.clone())?;
        let sender = Self {
            shared,
            current: None,
            version: 0,
            rung_for: 0,
            barrier: SharedBarrier::register(),
            counts: LaneCounts::default(),
            _registered: registered,
        };
        if links > 0 {
            sender.wait_until(LINK_PATIENCE, |inner| inner.has_joined || inner.ended > 0);
        }
        Ok(sender)
    }

    fn wait_until(&self, timeout: Duration, is_done: impl Fn(&Inner) -> bool) -> bool {
        self.shared.news.wait_until(Instant::now() + timeout, is_done)
    }

    /// Waits until there is a receiver; false after `timeout`.
    pub fn wait_for_receiver(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |inner| inner.has_joined)
    }

    /// Whether there is a receiver.
    pub fn is_connected(&self) -> bool {
        self.shared.news.lock().has_joined
    }

    /// Takes in what the participant's thread has.
    #[cold]
    fn catch_up(&mut self) {
        let mut inner = self.shared.news.lock();
        self.version = self.shared.news.version();
        if inner.peer != self.current.as_ref().map(|current| current.peer) {
            if let Some(mut gone) = self.current.take() {
                self.counts.undelivered += gone.ring.pending();
            }
            self.current = inner.next.take();
            self.rung_for = 0;
        }
    }

    /// Sends a record; it is visible to the receiver on return.
    ///
    /// # Errors
    /// - [`LaneSendError`]: nothing was sent.
    #[inline]
    pub fn send(&mut self, record: &[u8]) -> Result<(), LaneSendError> {
        if self.shared.news.version() != self.version {
            self.catch_up();
        }
        let result = match &mut self.current {
            Some(current) => current.ring.send(record),
            None => Err(LaneSendError::NotConnected),
        };
        if let Err(error) = result {
            return Err(self.refuse(error));
        }
        self.counts.sent += 1;
        self.announce();
        Ok(())
    }

    /// Sends as many records as there is room for, as a batch: on a `throughput` lane they become
    /// visible together. Returns how many.
    ///
    /// # Errors
    /// - [`LaneSendError`]: not one of them was sent.
    pub fn send_many<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<usize, LaneSendError> {
        if self.shared.news.version() != self.version {
            self.catch_up();
        }
        let Some(current) = &mut self.current else {
            return Err(self.refuse(LaneSendError::NotConnected));
        };
        let (count, result) = current.ring.send_many(&mut records.into_iter());
        self.counts.sent += count as u64;
        if count > 0 {
            self.announce();
        }
        match result {
            Err(error) if count == 0 => Err(self.refuse(error)),
            _ => Ok(count),
        }
    }

    /// Sends `count` records of `bytes` each, or as many as there is room for, each written by
    /// `fill` when its room is sure; on a `throughput` lane in place, and visible together. Returns
    /// how many. What `fill` leaves alone holds anything.
    ///
    /// # Errors
    /// - [`LaneSendError`]: not one of them was sent, nor filled.
    #[inline]
    pub fn send_with(
        &mut self,
        count: usize,
        bytes: usize,
        mut fill: impl FnMut(&mut [u8]),
    ) -> Result<usize, LaneSendError> {
        if self.shared.news.version() != self.version {
            self.catch_up();
        }
        let Some(current) = &mut self.current else {
            return Err(self.refuse(LaneSendError::NotConnected));
        };
        let (count, result) = current.ring.send_with(count, bytes, &mut fill);
        self.counts.sent += count as u64;
        if count > 0 {
            self.announce();
        }
        match result {
            Err(error) if count == 0 => Err(self.refuse(error)),
            _ => Ok(count),
        }
    }

    /// The same as [`send`](Self::send), which waits for a receiver and for room until `timeout`
    /// has passed. May park.
    ///
    /// # Errors
    /// - [`LaneSendError`]: nothing was sent.
    pub fn send_within(&mut self, record: &[u8], timeout: Duration) -> Result<(), LaneSendError> {
        let started = Instant::now();
        loop {
            let seen = self.shared.news.bell.now();
            match self.send(record) {
                Err(LaneSendError::Full { .. } | LaneSendError::NotConnected) => {}
                result => return result,
            }
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                let waited_ms = started.elapsed().as_millis() as u64;
                return Err(LaneSendError::TimedOut { waited_ms });
            }
            if self.sleep(record, seen, left.min(SLEEP_MAX))? {
                return Ok(());
            }
        }
    }

    /// Sleeps once, unless the record can be sent after all.
    fn sleep(
        &mut self,
        record: &[u8],
        seen: u64,
        timeout: Duration,
    ) -> Result<bool, LaneSendError> {
        let head = self.current.as_ref().map(|current| page::head_ro(&current.receiver));
        let expected = head.as_ref().map_or(0, |head| head.load_acquire(0) as u32);
        self.want_room(true);
        // Pairs with the barrier of the receiver between its head and its look at the wish.
        SharedBarrier::of_sleeper();
        let sent = self.send(record);
        let result = match sent {
            Err(LaneSendError::Full { .. } | LaneSendError::NotConnected) => {
                let head = head.as_ref().map(|words| futex::Waiter { words, index: 0, expected });
                let bell = self.shared.news.bell.waiter(seen);
                let waiters: Vec<_> = head.into_iter().chain([bell]).collect();
                futex::wait_any(&waiters, Some(timeout)).map(|_| false).map_err(Into::into)
            }
            sent => sent.map(|()| true),
        };
        self.want_room(false);
        result
    }

    fn want_room(&self, is_wanted: bool) {
        if let Some(current) = &self.current {
            current.ring.want_room(is_wanted);
        }
    }

    #[cold]
    fn refuse(&mut self, error: LaneSendError) -> LaneSendError {
        if let LaneSendError::Corrupt { reason } = &error {
            self.shared.news.lock().why_cut = Some(reason.clone());
            if let Some(current) = &self.current {
                current.channel.shutdown();
            }
        }
        self.counts.refused += 1;
        error
    }

    /// Wakes a receiver that sleeps.
    #[inline(always)]
    fn announce(&mut self) {
        let Some(current) = &self.current else { return };
        // Pairs with the barrier of a receiver between its announcement and its last look.
        let barrier = if current.is_fenced { SharedBarrier::FENCED } else { self.barrier };
        barrier.of_waker();
        let state = current.receiver.load_relaxed(page::SLEEP);
        if !state.is_multiple_of(2) && state != self.rung_for {
            self.wake(state);
        }
    }

    #[cold]
    fn wake(&mut self, state: u64) {
        let Some(current) = &self.current else { return };
        self.rung_for = state;
        self.counts.wakes += 1;
        let (words, index) = current.ring.ring_bell();
        // The word is mapped and aligned: waking it cannot fail.
        let _ = futex::wake(words, index);
        // Pairs with the Release of a receiver that had heard that its bell is known.
        fence(Ordering::Acquire);
        if current.receiver.load_relaxed(page::LISTENS) != 0 {
            // A receiver that has its place now has not taken over yet.
            let inner = self.shared.news.lock();
            if let Some(bell) = inner.bell.as_ref().filter(|_| inner.peer == Some(current.peer)) {
                bell.ring();
            }
        }
    }

    /// Taps that read along: whatever is sent from here on, they read or count as missed.
    pub fn taps(&self) -> usize {
        self.shared.news.lock().taps.count()
    }

    /// What was counted so far.
    pub fn counts(&self) -> LaneCounts {
        self.counts
    }

    /// Why the last receiver was cut off, if one was.
    pub fn why_cut(&self) -> Option<String> {
        self.shared.news.lock().why_cut.clone()
    }
}
