//! How a publisher and a subscriber are made.

use corelane_ring::broadcast::{LagPolicy, Start};
use corelane_shm::SegmentOptions;
use corelane_shm::slab::Trusted;

/// How a publisher is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishOptions {
    /// Records that the log holds, a power of two.
    pub slots: usize,
    /// Bytes of a payload that lies in its record, when payloads have any length. Longer ones lie
    /// in the slab.
    pub inline_bytes: usize,
    /// Reliable subscribers at a time; a word each.
    pub subscribers_max: usize,
    /// What happens to a reliable subscriber that lags.
    pub lag: LagPolicy,
    /// Whether each message carries the time when it was published.
    pub has_time: bool,
    /// Whether each message carries a hash (xxh3) of its payload, which subscribers check.
    pub has_hash: bool,
    /// Most bytes of the slab for large payloads, which grows by need.
    pub slab_bytes_max: usize,
    /// How the memory of the log and of the slab should be: huge pages, a NUMA node, core dumps.
    pub memory: SegmentOptions,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self {
            slots: 1_024,
            inline_bytes: 120,
            subscribers_max: 1_024,
            lag: LagPolicy::Wait,
            has_time: false,
            has_hash: false,
            slab_bytes_max: 4 << 30,
            memory: SegmentOptions::default(),
        }
    }
}

/// How a subscriber is made.
#[derive(Debug, Clone, Copy)]
pub struct SubscribeOptions {
    /// Whether no message may escape it: it then holds publishers back.
    pub is_reliable: bool,
    /// Where it begins with each publisher.
    pub start: Start,
    /// Subscribers of this process that share a page and what was handed over
    /// ([`sibling`](super::BytesSubscriber::sibling)), this one included.
    pub siblings: usize,
    /// Payloads in the slab that each may hold at a time, to read them in place.
    pub holds: usize,
    /// Says that the publishers keep to the protocol: large payloads are then read in place.
    /// Without it they are copied.
    pub trusted: Option<Trusted>,
    /// Looks before a wait goes to sleep. None at all makes publishers pay for the fence instead
    /// of this side, which is right for who sleeps most of the time.
    pub spins: u32,
}

impl SubscribeOptions {
    /// No message escapes; publishers are held back.
    pub const RELIABLE: Self = Self {
        is_reliable: true,
        start: Start::Tail,
        siblings: 1,
        holds: 8,
        trusted: None,
        spins: 400,
    };
    /// Holds nobody back, and is told what it missed.
    pub const LOSSY: Self = Self { is_reliable: false, ..Self::RELIABLE };

    /// The same, which begins with the oldest message that is still there.
    pub const fn with_history(mut self) -> Self {
        self.start = Start::Oldest;
        self
    }

    /// The same, which reads large payloads in place.
    pub const fn trusting(mut self, trusted: Trusted) -> Self {
        self.trusted = Some(trusted);
        self
    }
}
