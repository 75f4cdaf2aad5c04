//! Who is linked to a publisher: kept by the participant's thread, looked at by the publisher.
//!
//! The publisher's thread never waits for it but when it grows its slab or somebody came or left.

use std::collections::BTreeMap;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use corelane_ring::broadcast::{Arrivals, Change, LagPolicy};
use corelane_shm::WordsRo;
use corelane_shm::fdpass::{Channel, Packet};
use corelane_shm::slab::{ExtentShape, NewExtent};

use crate::doorbell::Ringer;
use crate::event_count::EventCount;
use crate::exchange::message::{LogOffer, ToSink, ToSource, Want, decode, encode};
use crate::participant::{LocalEnd, Verdict};
use crate::strategy::Barrier;

use super::group::GroupShape;

/// A group of subscribers that is linked.
#[derive(Debug)]
struct Member {
    channel: Arc<Channel>,
    /// First seat and number of seats, when it has reliable subscribers.
    seats: Option<Range<usize>>,
    view: MemberView,
    has_joined: bool,
}

/// What the publisher looks at.
#[derive(Debug, Clone)]
pub(super) struct MemberView {
    pub(super) group: WordsRo,
    pub(super) holds: WordsRo,
    pub(super) is_fenced: bool,
    seats: usize,
    /// By seat.
    pub(super) bells: BTreeMap<usize, Arc<Ringer>>,
}

impl MemberView {
    /// Takes the bell of a seat, or lets it go, and gives what is to be rung.
    fn set_bell(&mut self, seat: usize, fds: Vec<OwnedFd>) -> Option<Option<Arc<Ringer>>> {
        if seat >= self.seats || fds.len() > 1 {
            return None;
        }
        self.bells.remove(&seat);
        let Some(fd) = fds.into_iter().next() else { return Some(None) };
        let bell = Arc::new(Ringer::of_peer(fd)?);
        self.bells.insert(seat, bell.clone());
        Some(Some(bell))
    }
}

/// What was counted about links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LinkCounts {
    /// Groups of subscribers that are linked now.
    pub linked: usize,
    /// Links that came.
    pub came: u64,
    /// Links that are over, for whatever reason.
    pub left: u64,
    /// Of those: cut off, because the peer broke the rules or took nothing.
    pub cut: u64,
}

#[derive(Debug, Default)]
struct Inner {
    changes: Vec<Change<WordsRo>>,
    /// Links whose group is not known yet.
    strangers: BTreeMap<u64, Arc<Channel>>,
    members: BTreeMap<u64, Member>,
    extents: Vec<(ExtentShape, OwnedFd)>,
    /// Seats that are taken, in order.
    taken: Vec<Range<usize>>,
    /// Seats to be free once the publisher has heard that their owners left.
    leaving: Vec<Range<usize>>,
    counts: LinkCounts,
    why_cut: Option<String>,
}

impl Inner {
    /// Groups that are linked and have joined.
    fn joined(&self) -> usize {
        self.members.values().filter(|member| member.has_joined).count()
    }
}

/// Everybody who is linked to a publisher.
#[derive(Debug)]
pub(crate) struct Roster {
    offer: LogOffer,
    policy: LagPolicy,
    data: OwnedFd,
    inner: Mutex<Inner>,
    has_news: AtomicBool,
    /// Raised whenever a member came or left.
    version: AtomicU64,
    /// Raised with it, for a publisher that sleeps.
    pub(super) bell: EventCount,
    changed: Condvar,
    barrier: Barrier,
}

impl Roster {
    pub(super) fn new(offer: LogOffer, policy: LagPolicy, data: OwnedFd, bell: EventCount) -> Self {
        Self {
            offer,
            policy,
            data,
            inner: Mutex::default(),
            has_news: AtomicBool::new(false),
            version: AtomicU64::new(0),
            bell,
            changed: Condvar::new(),
            barrier: Barrier::choose(),
        }
    }

    /// The fence that a publisher needs between publishing and its look at the version.
    pub(super) fn barrier(&self) -> Barrier {
        self.barrier
    }

    /// Changes when somebody came or left.
    #[inline(always)]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members now, and the version that this is.
    pub(super) fn members(&self) -> (u64, Vec<MemberView>) {
        let inner = self.inner();
        let members = inner.members.values().map(|member| member.view.clone()).collect();
        (self.version(), members)
    }

    pub(super) fn counts(&self) -> LinkCounts {
        let inner = self.inner();
        LinkCounts { linked: inner.members.len(), ..inner.counts }
    }

    /// Why the last link was cut off.
    pub(super) fn why_cut(&self) -> Option<String> {
        self.inner().why_cut.clone()
    }

    /// Hands an extent to every member, before anything refers to it. A member that takes nothing
    /// any more is cut off: it would find references that it cannot follow.
    pub(super) fn announce(&self, extent: &NewExtent<'_>) -> std::io::Result<()> {
        let fd = extent.fd.try_clone_to_owned()?;
        let packet = encode(&ToSink::extent(extent.number, extent.shape));
        let mut inner = self.inner();
        inner.extents.push((extent.shape, fd));
        let mut stuck = Vec::new();
        for (&peer, member) in &inner.members {
            let sent = member.channel.send(&packet, &[extent.fd], Some(Duration::ZERO));
            if sent.is_err() {
                // Its end of the link is closed by the participant's thread, as for any other.
                member.channel.shutdown();
                stuck.push(peer);
            }
        }
        for peer in stuck {
            self.remove(&mut inner, peer, Some("it did not take a segment that it was sent"));
        }
        Ok(())
    }

    /// Waits until `count` links have joined or are over again.
    pub(super) fn wait_for(&self, count: u64, deadline: Instant) -> bool {
        self.wait_until(deadline, |inner| inner.joined() as u64 + inner.counts.left >= count)
    }

    /// Waits until `count` groups are linked and have joined.
    pub(super) fn wait_joined(&self, count: usize, deadline: Instant) -> bool {
        self.wait_until(deadline, |inner| inner.joined() >= count)
    }

    fn wait_until(&self, deadline: Instant, is_done: impl Fn(&Inner) -> bool) -> bool {
        let mut inner = self.inner();
        while !is_done(&inner) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(inner, left);
            (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Everybody learns of a change: the publisher at work and the one that sleeps.
    fn publish_change(&self, inner: &Inner) {
        if !inner.changes.is_empty() {
            self.has_news.store(true, Ordering::Release);
        }
        self.version.fetch_add(1, Ordering::Release);
        // C28: pairs with P23; and whoever publishes from here on sees the new version behind the
        // barrier of its side.
        self.barrier.of_sleeper();
        self.bell.raise();
        self.changed.notify_all();
    }

    /// The first seats that are free side by side.
    fn take_seats(inner: &mut Inner, count: usize, max: usize) -> Option<Range<usize>> {
        let mut first = 0;
        let mut index = 0;
        for taken in &inner.taken {
            if taken.start - first >= count {
                break;
            }
            first = taken.end;
            index += 1;
        }
        let range = first..first + count;
        if range.end > max {
            return None;
        }
        inner.taken.insert(index, range.clone());
        Some(range)
    }

    fn welcome(&self, peer: u64, channel: &Arc<Channel>, packet: Packet) -> Result<(), String> {
        let Packet { bytes, fds } = packet;
        let want = match decode(&bytes) {
            Some(ToSource::Want(want)) => want,
            _ => return Err("its first packet was not what it wants".into()),
        };
        let Want { protocol, seats, holds, is_reliable, is_fenced } = want;
        if protocol == 0 {
            return Err("its protocol has no version".into());
        }
        let shape = GroupShape::new(seats, holds).ok_or("its group has an impossible size")?;
        let Ok([fd]) = <[OwnedFd; 1]>::try_from(fds) else {
            return Err("its group came without its one segment".into());
        };
        let words = shape.open(fd).map_err(|error| error.to_string())?;

        let mut inner = self.inner();
        let mut seats = None;
        if is_reliable {
            let max = self.offer.seats_max;
            let range = Self::take_seats(&mut inner, shape.seats(), max);
            let range = range.ok_or_else(|| {
                format!(
                    "all {max} seats for reliable subscribers are taken: be lossy, or ask for more"
                )
            })?;
            let cursors = shape.log_group(&words);
            inner.changes.push(Change::Came { first: range.start, cursors });
            seats = Some(range);
        }
        let first_seat = seats.as_ref().map_or(0, |range| range.start);
        let view = MemberView {
            holds: shape.all_holds(&words),
            group: words,
            is_fenced,
            seats: shape.seats(),
            bells: BTreeMap::new(),
        };
        let member = Member { channel: channel.clone(), seats, view, has_joined: false };
        inner.members.insert(peer, member);
        inner.counts.came += 1;
        self.publish_change(&inner);

        let offer = ToSink::Log(LogOffer { first_seat, ..self.offer });
        let now = Some(Duration::ZERO);
        let mut sent = channel.send(&encode(&offer), &[self.data.as_fd()], now);
        for (number, (shape, fd)) in inner.extents.iter().enumerate() {
            let extent = encode(&ToSink::extent(number as u32, *shape));
            sent = sent.and_then(|()| channel.send(&extent, &[fd.as_fd()], now));
        }
        sent.and_then(|()| channel.send(&encode(&ToSink::Ready {}), &[], now))
            .map_err(|error| format!("it did not take what it was sent: {error}"))
    }

    fn remove(&self, inner: &mut Inner, peer: u64, why: Option<&str>) {
        let was_stranger = inner.strangers.remove(&peer).is_some();
        let member = inner.members.remove(&peer);
        if !was_stranger && member.is_none() {
            return;
        }
        inner.counts.left += 1;
        if let Some(why) = why {
            inner.counts.cut += 1;
            inner.why_cut = Some(why.to_owned());
        }
        if let Some(range) = member.and_then(|member| member.seats) {
            inner.changes.push(Change::Left { first: range.start });
            // A verdict that the publisher is about to write must not hit the next in the seat.
            if matches!(self.policy, LagPolicy::Wait) {
                inner.taken.retain(|taken| *taken != range);
            } else {
                inner.leaving.push(range);
            }
        }
        self.publish_change(inner);
    }
}

impl LocalEnd for Roster {
    fn linked(&self, peer: u64, channel: &Arc<Channel>) -> Verdict {
        self.inner().strangers.insert(peer, channel.clone());
        Verdict::Keep
    }

    fn heard(&self, peer: u64, packet: Packet) -> Verdict {
        let mut inner = self.inner();
        if let Some(member) = inner.members.get_mut(&peer) {
            match decode(&packet.bytes) {
                Some(ToSource::Joined {}) => member.has_joined = true,
                Some(ToSource::Bell { seat }) => {
                    let Some(bell) = member.view.set_bell(seat, packet.fds) else {
                        self.remove(&mut inner, peer, Some("its bell is none"));
                        return Verdict::Cut;
                    };
                    self.publish_change(&inner);
                    // For what was published before the bell was known.
                    if let Some(bell) = bell {
                        bell.ring();
                    }
                    return Verdict::Keep;
                }
                Some(ToSource::Unknown) => {}
                Some(ToSource::Want(_) | ToSource::Tap { .. }) | None => {
                    self.remove(&mut inner, peer, Some("it spoke out of turn"));
                    return Verdict::Cut;
                }
            }
            self.changed.notify_all();
            return Verdict::Keep;
        }
        let Some(channel) = inner.strangers.remove(&peer) else { return Verdict::Cut };
        drop(inner);
        let Err(reason) = self.welcome(peer, &channel, packet) else { return Verdict::Keep };
        let sorry = encode(&ToSink::Sorry { reason: reason.clone() });
        // One that takes nothing learns it by the end of the link.
        let _ = channel.send(&sorry, &[], Some(Duration::ZERO));
        let mut inner = self.inner();
        if !inner.members.contains_key(&peer) {
            inner.strangers.insert(peer, channel);
        }
        self.remove(&mut inner, peer, Some(&reason));
        Verdict::Cut
    }

    fn unlinked(&self, peer: u64) {
        self.remove(&mut self.inner(), peer, None);
    }
}

/// The publisher's ear: the roster as the source of groups that come and go.
#[derive(Debug)]
pub(crate) struct Ear(pub(super) Arc<Roster>);

impl Arrivals<WordsRo> for Ear {
    #[inline(always)]
    fn has_news(&self) -> bool {
        self.0.has_news.load(Ordering::Relaxed)
    }

    fn take(&mut self) -> Vec<Change<WordsRo>> {
        let mut inner = self.0.inner();
        self.0.has_news.store(false, Ordering::Relaxed);
        let leaving = std::mem::take(&mut inner.leaving);
        inner.taken.retain(|taken| !leaving.contains(taken));
        std::mem::take(&mut inner.changes)
    }
}
