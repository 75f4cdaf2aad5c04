//! The publishing end of a topic, over words: what the typed ends and those for bytes have in
//! common.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use corelane_ring::broadcast::{LogShape, PublisherCounts, SPARE, TAIL, WordClaim, WordPublisher};
use corelane_shm::slab::{Chunk, LoanError, Slab, SlabCounts};
use corelane_shm::{OwnedSegment, SegmentInfo, WordsRo, WordsRw, futex};
use xxhash_rust::xxh3::xxh3_64;

use crate::exchange::TypeTag;
use crate::exchange::message::{LogOffer, Role};
use crate::news::News;
use crate::participant::{Participant, Registered};
use crate::strategy::{Barrier, SharedBarrier};
use crate::wait::{SLEEP_MAX, monotonic_ns};

use super::error::{PublishError, TopicError};
use super::group::{LISTENERS, SLEEPERS, sleeping};
use super::options::PublishOptions;
use super::record::Layout;
use super::roster::{Ear, LinkCounts, MemberView, Roster};

/// Kind of the log's segment.
pub(crate) const LOG_KIND: u32 = 10;
/// Version of the log's layout.
pub(crate) const LOG_LAYOUT_VERSION: u32 = 1;
/// "log   v1" as a number.
pub(crate) const LOG_LAYOUT_HASH: u64 = u64::from_le_bytes(*b"log   v1");
/// How long a new end waits for the peers that were there before it.
pub(crate) const LINK_PATIENCE: Duration = Duration::from_secs(1);

/// Room for records.
pub(crate) type Claim<'a> = WordClaim<'a, WordsRw, WordsRo, Ear>;

/// What a publisher counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TopicCounts {
    /// Messages published.
    pub published: u64,
    /// Messages refused because the log was full, or the slab.
    pub refused: u64,
    /// Wake-ups of subscribers that slept.
    pub wakes: u64,
    /// What the log counted.
    pub log: PublisherCounts,
    /// What is known of the links.
    pub links: LinkCounts,
    /// What is in use of the slab.
    pub slab: SlabCounts,
}

/// A member, and the value of its sleepers that it was woken for.
#[derive(Debug)]
struct Known {
    view: MemberView,
    rung_for: u64,
}

/// The publishing end over words.
#[derive(Debug)]
pub(crate) struct RawPublisher {
    log: WordPublisher<WordsRw, WordsRo, Ear>,
    data: WordsRw,
    layout: Layout,
    slab: Slab,
    roster: Arc<Roster>,
    members: Vec<Known>,
    members_version: u64,
    /// Reaches this process if the others ask for it.
    reached: SharedBarrier,
    /// What is between a record and the looks for news and for sleepers.
    barrier: SharedBarrier,
    record: Vec<u64>,
    refused: u64,
    wakes: u64,
    /// Last: it takes the end away from the exchange, and its links.
    registered: Registered,
}

impl RawPublisher {
    pub(crate) fn new(
        participant: &Participant,
        name: &str,
        tag: TypeTag,
        message_bytes: Option<usize>,
        options: &PublishOptions,
    ) -> Result<Self, TopicError> {
        let PublishOptions { slots, inline_bytes, has_time, has_hash, .. } = *options;
        let layout = Layout::new(message_bytes, inline_bytes, has_time, has_hash);
        let shape = LogShape::new(slots, layout.record_words(), options.subscribers_max)?;
        let generation = crate::random::number();
        let info = SegmentInfo {
            kind: LOG_KIND,
            generation,
            layout_version: LOG_LAYOUT_VERSION,
            layout_hash: LOG_LAYOUT_HASH,
        };
        let words = shape.data_words();
        let segment = OwnedSegment::create_with("corelane-log", words, info, &options.memory)?;
        let offer = LogOffer {
            slots,
            record_words: shape.record_words(),
            seats_max: options.subscribers_max,
            first_seat: 0,
            has_time,
            has_hash,
            message_bytes,
        };
        let fd = segment.fd().try_clone_to_owned().map_err(|source| {
            corelane_shm::SegmentError::Os { call: "fcntl(F_DUPFD_CLOEXEC)", source }
        })?;
        let data = segment.into_words();
        let roster = Arc::new(Roster::new(offer, options.lag, fd, News::new()?));
        let ear = Ear(roster.clone());
        let log = WordPublisher::with_arrivals(shape, options.lag, data.clone(), ear)?;
        let (registered, _, links) =
            participant.register(Role::Publisher, name, Some(tag), roster.clone())?;
        // Whoever was there before gets the first message, unless it does not answer.
        roster.wait_for(links as u64, Instant::now() + LINK_PATIENCE);
        Ok(Self {
            log,
            data,
            layout,
            slab: Slab::new(options.slab_bytes_max, generation, options.memory),
            roster,
            members: Vec::new(),
            members_version: 0,
            reached: SharedBarrier::register(),
            barrier: SharedBarrier::FENCED,
            record: vec![0; shape.record_words()],
            refused: 0,
            wakes: 0,
            registered,
        })
    }

    pub(crate) fn slots(&self) -> usize {
        self.log.shape().slots()
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Records that there is room for now, `count` at most.
    #[inline]
    pub(crate) fn room(&mut self, count: usize) -> usize {
        let asked = count.min(self.log.shape().slots());
        match self.log.claim(asked) {
            Ok(_) => asked,
            Err(refused) if refused.free > 0 => refused.free,
            Err(_) => self.room_after_news(asked),
        }
    }

    /// The log is full, unless whoever holds the room back has left.
    #[cold]
    fn room_after_news(&mut self, asked: usize) -> usize {
        self.log.admit();
        let room = self.log.claim(asked).map_or_else(|refused| refused.free, |_| asked);
        self.refused += u64::from(room == 0);
        room
    }

    /// Publishes `count` records that are whole already, for which there is room.
    #[inline]
    pub(crate) fn put_records(&mut self, count: usize, mut put: impl FnMut(&mut Claim<'_>)) {
        let Ok(mut claim) = self.log.claim(count) else { return };
        (0..count).for_each(|_| put(&mut claim));
        claim.commit();
        self.announce();
    }

    /// Publishes one record that is whole already.
    #[inline]
    pub(crate) fn put_record(&mut self, record: &[u64]) -> Result<(), PublishError> {
        match self.log.claim(1) {
            Ok(mut claim) => {
                claim.put(record);
                claim.commit();
            }
            Err(_) => self.put_after_news(record)?,
        }
        self.announce();
        Ok(())
    }

    /// The log is full, unless whoever holds the room back has left.
    #[cold]
    fn put_after_news(&mut self, record: &[u64]) -> Result<(), PublishError> {
        self.log.admit();
        match self.log.claim(1) {
            Ok(mut claim) => {
                claim.put(record);
                claim.commit();
                Ok(())
            }
            Err(_) => {
                self.refused += 1;
                Err(PublishError::Full { slots: self.log.shape().slots() })
            }
        }
    }

    /// Publishes a payload that fits its record.
    #[inline]
    pub(crate) fn put_inline(&mut self, payload: &[u8]) -> Result<(), PublishError> {
        let (time_ns, hash) = self.time_and_hash(payload);
        let mut record = std::mem::take(&mut self.record);
        let meta = payload.len() as u64;
        let first = self.layout.put_header(&mut record, meta, time_ns, hash);
        let words = first + payload.len().div_ceil(8);
        if words > first {
            record[words - 1] = 0;
        }
        bytemuck::cast_slice_mut(&mut record[first..words])[..payload.len()]
            .copy_from_slice(payload);
        let put = self.put_record(&record[..words]);
        self.record = record;
        put
    }

    /// Publishes a payload in a chunk; gives it back when the log is full.
    pub(crate) fn put_chunk(&mut self, chunk: Chunk) -> Result<(), (Chunk, PublishError)> {
        let (time_ns, hash) = self.time_and_hash(&chunk);
        let mut record = std::mem::take(&mut self.record);
        let words = self.layout.put_loaned(&mut record, chunk.reference(), time_ns, hash);
        let position = self.log.published();
        let put = self.put_record(&record[..words]);
        self.record = record;
        match put {
            Ok(()) => {
                self.slab.published(chunk, position);
                Ok(())
            }
            Err(error) => Err((chunk, error)),
        }
    }

    fn time_and_hash(&self, payload: &[u8]) -> (u64, u64) {
        let time_ns = if self.layout.has_time { monotonic_ns() } else { 0 };
        (time_ns, if self.layout.has_hash { xxh3_64(payload) } else { 0 })
    }

    /// Lends a chunk for a payload of `bytes`.
    pub(crate) fn lend(&mut self, bytes: usize) -> Result<Chunk, PublishError> {
        if let Some(chunk) = self.slab.lend(bytes)? {
            return Ok(chunk);
        }
        self.lend_anew(bytes)
    }

    #[cold]
    fn lend_anew(&mut self, bytes: usize) -> Result<Chunk, PublishError> {
        if let Some(wanted) = self.slab.wanted(bytes) {
            let over = self.log.retire(wanted);
            self.see_members();
            let holders = self.members.iter().map(|member| &member.view.holds);
            self.slab.reclaim(bytes, over, holders);
            if let Some(chunk) = self.slab.lend(bytes)? {
                return Ok(chunk);
            }
        }
        match self.slab.grow(bytes) {
            Ok(extent) => {
                if let Err(error) = self.roster.announce(&extent) {
                    // Nobody was given it, so nothing may be lent of it.
                    self.slab.undo_growth(bytes);
                    return Err(PublishError::Announce(error));
                }
            }
            Err(error @ LoanError::Exhausted { .. }) => {
                self.refused += 1;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(self.slab.lend(bytes)?.expect("because the slab has just grown"))
    }

    /// Wakes subscribers that sleep. Call it after publishing.
    #[inline(always)]
    fn announce(&mut self) {
        // Pairs with the barrier of the participant's thread between a change and what it does
        // next, and with that of a subscriber between its announcement and its last look.
        self.barrier.of_waker();
        if self.roster.news.version() != self.members_version {
            self.see_members();
            // What was in force until now may not have been enough for those that came.
            SharedBarrier::FENCED.of_waker();
        }
        let mut has_sleeper = false;
        for member in &self.members {
            let word = member.view.group.load_relaxed(SLEEPERS);
            has_sleeper |= sleeping(word) != 0 && word != member.rung_for;
        }
        if has_sleeper {
            self.wake();
        }
    }

    #[cold]
    fn wake(&mut self) {
        self.wakes += 1;
        // Pairs with the Release of a sleeper that had heard that its bell is known.
        fence(Ordering::Acquire);
        if self.roster.news.version() != self.members_version {
            self.see_members();
        }
        // Which sleeps these wake-ups are for is noted before the first of them: who is woken may
        // take the message and sleep again before the next line here, and is not rung for that.
        for member in &mut self.members {
            let word = member.view.group.load_acquire(SLEEPERS);
            if sleeping(word) == 0 || word == member.rung_for {
                continue;
            }
            member.rung_for = word;
            if member.view.group.load_relaxed(LISTENERS) != 0 {
                member.view.bells.values().for_each(|bell| bell.ring());
            }
        }
        // The word is mapped and aligned: waking it cannot fail.
        let _ = futex::wake(&self.data, TAIL);
    }

    #[cold]
    fn see_members(&mut self) {
        let (version, members) = self.roster.members();
        self.members_version = version;
        let is_fenced =
            self.roster.barrier() == Barrier::Full || members.iter().any(|member| member.is_fenced);
        self.barrier = if is_fenced { SharedBarrier::FENCED } else { self.reached };
        self.members = members.into_iter().map(|view| Known { view, rung_for: 0 }).collect();
    }

    /// Waits until `publish` is not refused for want of room, or `timeout` has passed.
    pub(crate) fn publish_within<T>(
        &mut self,
        timeout: Duration,
        mut publish: impl FnMut(&mut Self) -> Result<T, PublishError>,
    ) -> Result<T, PublishError> {
        let started = Instant::now();
        let result = loop {
            match publish(self) {
                Err(error) if error.is_full() => {}
                result => break result,
            }
            let left = timeout.saturating_sub(started.elapsed());
            if left.is_zero() {
                let waited_ms = started.elapsed().as_millis() as u64;
                break Err(PublishError::TimedOut { slots: self.log.shape().slots(), waited_ms });
            }
            let seen = self.roster.news.bell.now();
            self.data.store_relaxed(SPARE, 1);
            // Pairs with the barrier of a subscriber between its cursor and its look at this word.
            SharedBarrier::of_sleeper();
            match publish(self) {
                Err(error) if error.is_full() => {}
                result => break result,
            }
            // Whoever reads on rings by its cursor; whoever leaves, by the bell. A hold that is
            // given back rings nobody: it is looked for again after a moment.
            let bell = self.roster.news.bell.waiter(seen);
            let cursor = self.log.blocker().map(|(words, index, word)| futex::Waiter {
                words,
                index,
                expected: word as u32,
            });
            let moment = if cursor.is_some() { SLEEP_MAX } else { Duration::from_millis(1) };
            let waiters: Vec<_> = cursor.into_iter().chain([bell]).collect();
            if let Err(error) = futex::wait_any(&waiters, Some(left.min(moment))) {
                break Err(error.into());
            }
        };
        self.data.store_relaxed(SPARE, 0);
        result
    }

    /// Waits until `count` groups of subscribers are linked.
    pub(crate) fn wait_for_links(&self, count: usize, timeout: Duration) -> bool {
        self.roster.wait_joined(count, Instant::now() + timeout)
    }

    pub(crate) fn number(&self) -> u64 {
        self.registered.number()
    }

    pub(crate) fn why_cut(&self) -> Option<String> {
        self.roster.why_cut()
    }

    pub(crate) fn counts(&mut self) -> TopicCounts {
        TopicCounts {
            published: self.log.published(),
            refused: self.refused,
            wakes: self.wakes,
            log: self.log.counts(),
            links: self.roster.counts(),
            slab: self.slab.counts(),
        }
    }
}

impl Drop for RawPublisher {
    fn drop(&mut self) {
        self.log.close();
        self.announce();
    }
}
