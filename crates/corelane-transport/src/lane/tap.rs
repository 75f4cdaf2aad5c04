//! A tap of a lane: it reads along, and neither end notices.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use corelane_ring::tap::TapError;
use corelane_shm::fdpass::{Channel, Packet};
use corelane_shm::futex;

use crate::event_count::EventCount;
use crate::exchange::message::{PROTOCOL, Role, ToSink, ToSource, decode, encode};
use crate::participant::{LocalEnd, Participant, Registered, Verdict};
use crate::topic::LINK_PATIENCE;

use super::error::{LaneError, LaneReceiveError};
use super::tap_ring::TapRing;

/// Shortest and longest pause between two looks of a tap that waits: nobody wakes it.
const PAUSE_MIN: Duration = Duration::from_micros(20);
const PAUSE_MAX: Duration = Duration::from_millis(2);
/// Most rings that wait for the tap to come to them; the oldest is given up for a further one.
const RINGS_MAX: usize = 8;
/// Most times that a tap which was overrun looks again before it says that nothing is there.
const LOOKS_MAX: usize = 64;

#[derive(Debug, Default)]
struct Inner {
    source: Option<(u64, Arc<Channel>)>,
    /// It has told of the ring that there is, if there is one.
    is_ready: bool,
    /// Mapped by the participant's thread, not yet taken by the tap.
    rings: VecDeque<(u64, TapRing)>,
    missed: LaneMissed,
    refusal: Option<String>,
    ended: u64,
}

/// What the participant's thread keeps of a tap.
#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    version: AtomicU64,
    bell: EventCount,
    changed: Condvar,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_change(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.bell.raise();
        self.changed.notify_all();
    }

    fn hear(&self, peer: u64, packet: Packet) -> Result<(), String> {
        let message = decode::<ToSink>(&packet.bytes).ok_or("its packet is no message")?;
        let mut inner = self.inner();
        match message {
            ToSink::Tapped { lane, is_new } => {
                let Ok([fd]) = <[OwnedFd; 1]>::try_from(packet.fds) else {
                    return Err("its lane came without its one segment".into());
                };
                let ring = TapRing::open(lane, fd, is_new)?;
                if inner.rings.len() == RINGS_MAX {
                    let oldest = inner.rings.pop_front().map(|(_, ring)| ring.unread());
                    inner.missed.add(oldest.unwrap_or_default());
                }
                inner.rings.push_back((peer, ring));
            }
            ToSink::Ready {} => {
                inner.is_ready = true;
                if let Some((_, channel)) = &inner.source {
                    let joined = encode(&ToSource::Joined {});
                    // A sender that is gone needs no answer.
                    let _ = channel.send(&joined, &[], Some(Duration::ZERO));
                }
            }
            ToSink::Sorry { reason } => inner.refusal = Some(reason),
            ToSink::Unknown => return Ok(()),
            _ => return Err("it is no sender of a lane".into()),
        }
        drop(inner);
        self.publish_change();
        Ok(())
    }

    /// Ends the link to a sender that broke the rules.
    fn cut(&self, peer: u64) {
        let inner = self.inner();
        if let Some((_, channel)) = inner.source.as_ref().filter(|(number, _)| *number == peer) {
            channel.shutdown();
        }
    }
}

impl LocalEnd for Shared {
    fn linked(&self, peer: u64, channel: &Arc<Channel>) -> Verdict {
        let mut inner = self.inner();
        if let Some((_, before)) = inner.source.replace((peer, channel.clone())) {
            // A lane has one sender: the one before is not known to be gone yet.
            before.shutdown();
        }
        inner.is_ready = false;
        let hello = encode(&ToSource::Tap { protocol: PROTOCOL });
        match channel.send(&hello, &[], Some(Duration::ZERO)) {
            Ok(()) => Verdict::Keep,
            Err(error) => {
                inner.refusal = Some(error.to_string());
                Verdict::Cut
            }
        }
    }

    fn heard(&self, peer: u64, packet: Packet) -> Verdict {
        if self.inner().source.as_ref().is_none_or(|(number, _)| *number != peer) {
            // Another sender has taken its place.
            return Verdict::Cut;
        }
        match self.hear(peer, packet) {
            Ok(()) => Verdict::Keep,
            Err(reason) => {
                self.inner().refusal = Some(reason);
                Verdict::Cut
            }
        }
    }

    fn unlinked(&self, peer: u64) {
        let mut inner = self.inner();
        if inner.source.as_ref().is_some_and(|(number, _)| *number == peer) {
            (inner.source, inner.is_ready) = (None, false);
        }
        inner.ended += 1;
        drop(inner);
        self.publish_change();
    }
}

/// What a tap missed, by the kind of the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LaneMissed {
    /// Records of a `latency` lane.
    pub records: u64,
    /// Bytes of a `throughput` lane, headers and gaps included: its records cannot be counted.
    pub bytes: u64,
}

impl LaneMissed {
    /// Adds what else was missed; a sender that lies about it makes no sum overflow.
    fn add(&mut self, other: Self) {
        self.records = self.records.saturating_add(other.records);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Reads along on a lane of either kind, without being one of its two ends: it copies records out
/// of the sender's ring and writes nothing, so that it holds nobody back and is itself overrun when
/// it is slow. Wait-free but where it says that it waits.
///
/// It follows the lane to a new ring when its receiver or its sender is replaced.
#[derive(Debug)]
pub struct LaneTap {
    shared: Arc<Shared>,
    current: Option<(u64, TapRing)>,
    version: u64,
    received: u64,
    missed: LaneMissed,
    /// Last: it takes the end away from the exchange, and its link.
    _registered: Registered,
}

impl LaneTap {
    pub(super) fn new(participant: &Participant, name: &str) -> Result<Self, LaneError> {
        let shared = Arc::new(Shared {
            inner: Mutex::default(),
            version: AtomicU64::new(0),
            bell: EventCount::new()?,
            changed: Condvar::new(),
        });
        let (registered, _, links) = participant.register(Role::Tap, name, None, shared.clone())?;
        let tap = Self {
            shared,
            current: None,
            version: 0,
            received: 0,
            missed: LaneMissed::default(),
            _registered: registered,
        };
        if links > 0 {
            tap.wait_until(LINK_PATIENCE, |inner| inner.is_ready || inner.ended > 0);
        }
        Ok(tap)
    }

    fn wait_until(&self, timeout: Duration, is_done: impl Fn(&Inner) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut inner = self.shared.inner();
        while !is_done(&inner) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(inner, left);
            (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Waits until a sender has let this tap in; false after `timeout`. What is sent from then on
    /// is read, or counted as missed.
    pub fn wait_for_sender(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |inner| inner.is_ready)
    }

    /// Whether a sender has let this tap in and is there.
    pub fn is_connected(&self) -> bool {
        self.shared.inner().is_ready
    }

    /// Copies the next record into `record`, whose content it replaces; false when there is none.
    ///
    /// # Errors
    /// - [`LaneReceiveError`]: something is to be told; the next call goes on behind it.
    pub fn try_receive(&mut self, record: &mut Vec<u8>) -> Result<bool, LaneReceiveError> {
        for _ in 0..LOOKS_MAX {
            // Before the look at the ring: what was sent before the news is read before it.
            let has_news = self.shared.version.load(Ordering::Acquire) != self.version;
            if let Some((peer, ring)) = &mut self.current {
                match ring.try_read(record) {
                    Ok(true) => {
                        self.received += 1;
                        return Ok(true);
                    }
                    Ok(false) => {}
                    Err(TapError::Overrun { missed }) => {
                        self.missed.add(ring.missed(missed));
                        continue;
                    }
                    Err(error) => {
                        self.shared.cut(*peer);
                        self.current = None;
                        record.clear();
                        return Err(LaneReceiveError::Corrupt { reason: error.to_string() });
                    }
                }
            }
            if !has_news || !self.take_news(record)? {
                break;
            }
        }
        record.clear();
        Ok(false)
    }

    /// Nothing was there, and something happened. True when there may be a record now.
    #[cold]
    fn take_news(&mut self, record: &mut Vec<u8>) -> Result<bool, LaneReceiveError> {
        let mut inner = self.shared.inner();
        if let Some(reason) = inner.refusal.take() {
            record.clear();
            return Err(LaneReceiveError::Unusable { reason });
        }
        self.missed.add(std::mem::take(&mut inner.missed));
        let Some(next) = inner.rings.pop_front() else {
            self.version = self.shared.version.load(Ordering::Acquire);
            return Ok(false);
        };
        // The ring before was empty after there was another; a sender that had not noticed yet may
        // have sent a record too many, which nobody receives.
        if let Some((_, before)) = self.current.replace(next) {
            self.missed.add(before.unread());
        }
        Ok(true)
    }

    /// The same, which waits until `timeout` has passed. May park; a record that comes while it
    /// does is seen some milliseconds later, because nobody wakes a tap.
    ///
    /// # Errors
    /// - [`LaneReceiveError`]: as for [`try_receive`](Self::try_receive).
    pub fn receive(
        &mut self,
        record: &mut Vec<u8>,
        timeout: Duration,
    ) -> Result<bool, LaneReceiveError> {
        let started = Instant::now();
        let mut pause = PAUSE_MIN;
        loop {
            let seen = self.shared.bell.now();
            if self.try_receive(record)? {
                return Ok(true);
            }
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            let bell = self.shared.bell.waiter(seen);
            futex::wait_any(&[bell], Some(left.min(pause)))?;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Records received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// What was sent and not received since this tap was let in.
    pub fn missed(&self) -> LaneMissed {
        self.missed
    }
}
