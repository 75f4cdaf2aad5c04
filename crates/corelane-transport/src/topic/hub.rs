//! What the subscribers of one subscription share: links to publishers, and what came over them.
//!
//! Kept by the participant's thread, which joins the logs of new publishers for every sibling, so
//! that nothing that is published after a link is ready escapes a subscriber that is busy.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use corelane_ring::broadcast::{LogShape, Seat, Start, WordSubscriber};
use corelane_shm::fdpass::{Channel, ChannelError, Packet};
use corelane_shm::slab::{ExtentShape, Holds, SlabReader};
use corelane_shm::{PeerSegment, SegmentExpect, WordsRo, WordsRw};

use crate::exchange::message::{LogOffer, PROTOCOL, ToSink, ToSource, Want, decode, encode};
use crate::news::News;
use crate::participant::{LocalEnd, Verdict};
use crate::strategy::SharedBarrier;

use super::connection::Connection;
use super::group::GroupShape;
use super::publisher::{LOG_KIND, LOG_LAYOUT_HASH, LOG_LAYOUT_VERSION};
use super::record::Layout;

/// Most publishers that one subscriber hears: their tails are slept on together.
pub const PUBLISHERS_MAX: usize = corelane_shm::futex::WAITERS_MAX - 2;

/// How long a publisher's process may take to take a packet.
const BELL_PATIENCE: Duration = Duration::from_millis(100);

/// What a link to a publisher brought.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: u64,
    channel: Arc<Channel>,
    pub(super) layout: Layout,
    shape: LogShape,
    first_seat: usize,
    pub(super) data: WordsRo,
    pub(super) group: WordsRw,
    slab: Mutex<SlabReader>,
    is_over: AtomicBool,
}

impl Link {
    /// Whether nothing more will come over it. What is in the log still counts.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Ends it: the publisher broke the rules.
    pub(super) fn cut(&self) {
        self.channel.shutdown();
    }

    /// Gives the publisher the bell of a seat, or has it let the one of before go.
    pub(super) fn give_bell(&self, seat: usize, bell: Option<OwnedFd>) -> Result<(), ChannelError> {
        let fds: Vec<_> = bell.iter().map(AsFd::as_fd).collect();
        self.channel.send(&encode(&ToSource::Bell { seat }), &fds, Some(BELL_PATIENCE))
    }

    /// The extents that were handed over so far.
    pub(super) fn slab(&self) -> SlabReader {
        self.slab.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A link before everything came.
#[derive(Debug)]
struct Opening {
    channel: Arc<Channel>,
    group: WordsRw,
    log: Option<(LogOffer, Layout, LogShape, WordsRo)>,
    slab: SlabReader,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    opening: BTreeMap<u64, Opening>,
    links: BTreeMap<u64, Arc<Link>>,
    /// What waits for each sibling that there is, by seat.
    siblings: BTreeMap<usize, Vec<Connection>>,
    /// Publishers that turned this subscription away, and what they said.
    refusals: Vec<(u64, String)>,
    /// Links that are over, or were never to be.
    ended: u64,
    came: u64,
}

/// What the siblings share.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) shape: GroupShape,
    is_reliable: bool,
    start: Start,
    pub(super) is_fenced: bool,
    barrier: SharedBarrier,
    /// Bytes of a message if this subscription says so.
    message_bytes: Option<Option<usize>>,
    pub(super) news: News<Inner>,
}

impl Hub {
    pub(super) fn new(
        shape: GroupShape,
        is_reliable: bool,
        start: Start,
        is_fenced: bool,
        barrier: SharedBarrier,
        message_bytes: Option<Option<usize>>,
        news: News<Inner>,
    ) -> Self {
        Self { shape, is_reliable, start, is_fenced, barrier, message_bytes, news }
    }

    /// Takes a seat for one more sibling; it joins every publisher that is linked.
    pub(super) fn sit_down(&self) -> Option<usize> {
        let mut inner = self.news.lock();
        let seat = (0..self.shape.seats()).find(|seat| !inner.siblings.contains_key(seat))?;
        let links: Vec<_> = inner.links.values().cloned().collect();
        let joined = links.iter().filter_map(|link| self.join(link, seat)).collect();
        inner.siblings.insert(seat, joined);
        Some(seat)
    }

    pub(super) fn stand_up(&self, seat: usize) {
        self.news.hush(seat);
        self.news.lock().siblings.remove(&seat);
    }

    /// What came for a sibling since the last call.
    pub(super) fn take(&self, seat: usize) -> Vec<Connection> {
        self.news.lock().siblings.get_mut(&seat).map(std::mem::take).unwrap_or_default()
    }

    /// A publisher that turned this subscription away, told to one sibling.
    pub(super) fn take_refusal(&self) -> Option<(u64, String)> {
        self.news.lock().refusals.pop()
    }

    /// Joins a publisher's log. Joins in one group follow one another: the lock is held.
    fn join(&self, link: &Arc<Link>, seat: usize) -> Option<Connection> {
        let cursors = self.shape.log_group(&link.group);
        let taken = link.first_seat + seat;
        let log = if self.is_reliable {
            let seat = Seat { group: cursors.clone(), first: link.first_seat, seat: taken };
            WordSubscriber::join_reliable(link.shape, link.data.clone(), seat, self.start)
        } else {
            WordSubscriber::join_lossy(link.shape, link.data.clone(), self.start)
        };
        let holds = Holds::new(self.shape.holds_of(&link.group, seat));
        let cursor = cursors.len() - self.shape.seats() + seat;
        let (link, slab) = (link.clone(), link.slab());
        log.ok().map(|log| Connection {
            link,
            log,
            holds,
            slab,
            cursor,
            cursors,
            barrier: self.barrier,
            was_loaned: false,
            stalled: None,
        })
    }

    /// Waits until `count` links are ready or over.
    pub(super) fn wait_for(&self, count: u64, deadline: Instant) -> bool {
        self.news.wait_until(deadline, |inner| inner.came + inner.ended >= count)
    }

    /// Publishers that are linked.
    pub(super) fn publishers(&self) -> usize {
        self.news.lock().links.len()
    }

    fn open(&self, offer: LogOffer, fd: OwnedFd) -> Result<OpenLog, String> {
        // The shape first: it bounds the numbers that the layout is reckoned with.
        let shape = LogShape::new(offer.slots, offer.record_words, offer.seats_max)
            .map_err(|error| error.to_string())?;
        let layout = Layout::of_offer(&offer).ok_or("its records have an impossible layout")?;
        if self.message_bytes.is_some_and(|bytes| bytes != offer.message_bytes) {
            return Err("its messages have another size".into());
        }
        let seats = if self.is_reliable { self.shape.seats() } else { 0 };
        if offer.first_seat.checked_add(seats).is_none_or(|end| end > offer.seats_max) {
            return Err("its seats do not exist".into());
        }
        let expect = SegmentExpect {
            kind: LOG_KIND,
            layout_version: LOG_LAYOUT_VERSION,
            layout_hash: LOG_LAYOUT_HASH,
            min_words: shape.data_words(),
            max_words: shape.data_words(),
        };
        let data = PeerSegment::open(fd, &expect).map_err(|error| error.to_string())?;
        Ok((offer, layout, shape, data.words().clone()))
    }

    /// What a packet leads to; an error cuts the link off.
    fn hear(&self, peer: u64, packet: Packet) -> Result<(), String> {
        let Packet { bytes, fds } = packet;
        let message = decode::<ToSink>(&bytes).ok_or("its packet is no message")?;
        let mut fds = fds.into_iter();
        let mut one = || fds.next().ok_or("its segment is missing");
        let mut inner = self.news.lock();
        match message {
            ToSink::Extent { number, chunk_bytes, chunks } => {
                let (shape, fd) = (ExtentShape { chunk_bytes, chunks }, one()?);
                let link = inner.links.get(&peer).cloned();
                let added = match (&link, inner.opening.get_mut(&peer)) {
                    (Some(link), _) => {
                        let mut slab = link.slab.lock().unwrap_or_else(PoisonError::into_inner);
                        slab.add(number, shape, fd)
                    }
                    (None, Some(opening)) => opening.slab.add(number, shape, fd),
                    (None, None) => return Ok(()),
                };
                added.map_err(|error| error.to_string())?;
                self.news.tell();
            }
            ToSink::Log(offer) => {
                let opened = self.open(offer, one()?)?;
                let opening = inner.opening.get_mut(&peer);
                let log = opening.map(|opening| &mut opening.log).filter(|log| log.is_none());
                *log.ok_or("its log came twice")? = Some(opened);
            }
            ToSink::Ready {} => {
                let opening = inner.opening.remove(&peer).ok_or("it was ready twice")?;
                let Opening { channel, group, log, slab } = opening;
                let (offer, layout, shape, data) = log.ok_or("its log did not come")?;
                let link = Arc::new(Link {
                    peer,
                    channel: channel.clone(),
                    layout,
                    shape,
                    first_seat: offer.first_seat,
                    data,
                    group,
                    slab: Mutex::new(slab),
                    is_over: AtomicBool::new(false),
                });
                for (&seat, came) in &mut inner.siblings {
                    came.extend(self.join(&link, seat));
                }
                inner.links.insert(peer, link);
                inner.came += 1;
                let _ = channel.send(&encode(&ToSource::Joined {}), &[], Some(Duration::ZERO));
                self.news.tell();
            }
            // It says nothing more.
            ToSink::Sorry { reason } => return Err(reason),
            ToSink::Lane(_) | ToSink::Tapped { .. } => return Err("it sends on a lane".into()),
            ToSink::Unknown => {}
        }
        Ok(())
    }

    fn begin(&self, channel: &Arc<Channel>) -> Result<Opening, String> {
        let generation = crate::random::number();
        let group = self.shape.create(generation).map_err(|error| error.to_string())?;
        let want = Want {
            protocol: PROTOCOL,
            seats: self.shape.seats(),
            holds: self.shape.holds(),
            is_reliable: self.is_reliable,
            is_fenced: self.is_fenced,
        };
        channel
            .send(&encode(&ToSource::Want(want)), &[group.fd()], Some(Duration::ZERO))
            .map_err(|error| error.to_string())?;
        let channel = channel.clone();
        Ok(Opening { channel, group: group.into_words(), log: None, slab: SlabReader::new() })
    }
}

type OpenLog = (LogOffer, Layout, LogShape, WordsRo);

impl LocalEnd for Hub {
    fn linked(&self, peer: u64, channel: &Arc<Channel>) -> Verdict {
        let mut inner = self.news.lock();
        let result = match inner.links.len() + inner.opening.len() < PUBLISHERS_MAX {
            true => self.begin(channel),
            false => Err(format!("subscriber hears {PUBLISHERS_MAX} publishers already")),
        };
        match result {
            Ok(opening) => {
                inner.opening.insert(peer, opening);
                Verdict::Keep
            }
            Err(reason) => {
                inner.refusals.push((peer, reason));
                Verdict::Cut
            }
        }
    }

    fn heard(&self, peer: u64, packet: Packet) -> Verdict {
        match self.hear(peer, packet) {
            Ok(()) => Verdict::Keep,
            Err(reason) => {
                self.news.lock().refusals.push((peer, reason));
                Verdict::Cut
            }
        }
    }

    fn unlinked(&self, peer: u64) {
        let mut inner = self.news.lock();
        inner.opening.remove(&peer);
        if let Some(link) = inner.links.remove(&peer) {
            link.is_over.store(true, Ordering::Release);
            inner.came -= 1;
        }
        inner.ended += 1;
        self.news.tell();
    }
}

#[cfg(test)]
mod tests;
