//! The envelope: what stands before every payload, in the record's first cache line.
//!
//! It knows no ring: it writes and reads the payload words of a record.
//!
//! ```text
//! byte  0        4        8       16        24       28         32        36      40
//!       +--------+--------+--------+---------+--------+----------+---------+-------+
//!       | commit | length | correl. | sent at | sender | receiver | feature | flags |
//!       +--------+--------+--------+---------+--------+----------+---------+-------+
//! byte 40         44         48                                                   64
//!       +----------+----------+-----------------------------------------------------+
//!       | priority | (zero)   | first 16 payload bytes, the rest in the next lines  |
//!       +----------+----------+-----------------------------------------------------+
//! ```
//!
//! `commit` and `length` are the ring's commit word; `length` counts the bytes from 8 on. When an
//! extension flag is set its 8 bytes stand before the payload, in the order of the flag bits.
//! All fields are little-endian.

use std::fmt;

use thiserror::Error;

use crate::port;

/// Version of the memory layout; another version is refused in the handshake.
pub const LAYOUT_VERSION: u32 = 1;
/// Words of the envelope in a record, without the commit word.
pub const HEADER_WORDS: usize = 5;
/// Bytes of the envelope in a record, without the commit word.
pub const HEADER_BYTES: usize = HEADER_WORDS * 8;

const FIELDS: &[(&str, usize, usize)] = &[
    ("commit", 0, 4),
    ("length", 4, 4),
    ("correlation", 8, 8),
    ("timestamp_ns", 16, 8),
    ("sender", 24, 4),
    ("receiver", 28, 4),
    ("feature", 32, 4),
    ("flags", 36, 4),
    ("priority", 40, 4),
    ("reserved", 44, 4),
    ("payload", 48, 16),
    ("section.sleep", port::SLEEP * 8, 64),
    ("section.bell", port::BELL * 8, 64),
    ("section.cursors", port::CURSORS * 8, 192),
    ("section.lanes", port::SECTION_HEADER_WORDS * 8, 0),
];

/// Hash (FNV-1a) of every field's name, offset and size: two builds whose bytes differ cannot
/// attach to each other even if somebody forgot to raise [`LAYOUT_VERSION`].
pub const LAYOUT_HASH: u64 = layout_hash(FIELDS);

const fn layout_hash(fields: &[(&str, usize, usize)]) -> u64 {
    let mut hash = fnv(0xcbf2_9ce4_8422_2325, &LAYOUT_VERSION.to_le_bytes());
    let mut index = 0;
    while index < fields.len() {
        let (name, offset, size) = fields[index];
        hash = fnv(hash, name.as_bytes());
        hash = fnv(hash, &(offset as u64).to_le_bytes());
        hash = fnv(hash, &(size as u64).to_le_bytes());
        index += 1;
    }
    hash
}

const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

const fn field_end(index: usize) -> usize {
    FIELDS[index].1 + FIELDS[index].2
}

// The picture above is one cache line without holes, and the words below agree with it.
const _: () = {
    let mut index = 0;
    while index < 10 {
        assert!(field_end(index) == FIELDS[index + 1].1);
        index += 1;
    }
    assert!(field_end(10) == 64);
    assert!(FIELDS[10].1 == 8 + HEADER_BYTES);
};

/// Address of an agent within a fabric: an index of its directory. A restarted agent keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct AgentId(pub u32);

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent-{}", self.0)
    }
}

/// Order class of a message: a higher one overtakes, within one sender and receiver none does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u32)]
pub enum Priority {
    /// Overtakes everything that is queued.
    High = 0,
    /// The default.
    #[default]
    Normal = 1,
    /// Moves when nothing else does, and a little always.
    Low = 2,
}

impl Priority {
    /// Number of priorities.
    pub const COUNT: usize = 3;
    /// All of them, the most urgent first.
    pub const ALL: [Self; Self::COUNT] = [Self::High, Self::Normal, Self::Low];
}

/// Routing flags of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// The sender waits for an answer under the same correlation id.
    pub const ASK: Self = Self(1);
    /// This is such an answer.
    pub const REPLY: Self = Self(1 << 1);
    /// The answer is an error; its payload is a text in UTF-8.
    pub const ERROR: Self = Self(1 << 2);
    /// Extension: xxh3 hash of the payload, 8 bytes (reserved).
    pub const PAYLOAD_HASH: Self = Self(1 << 8);
    /// Extension: schema id, 8 bytes (reserved).
    pub const SCHEMA_ID: Self = Self(1 << 9);
    /// Extension: deadline in nanoseconds of the monotonic clock, 8 bytes (reserved).
    pub const DEADLINE: Self = Self(1 << 10);
    /// The payload is a loan descriptor: offset u64, length u32, generation u32 (reserved).
    pub const LOAN: Self = Self(1 << 11);

    const CARRIED: u32 = Self::ASK.0 | Self::REPLY.0 | Self::ERROR.0;

    /// Whether all bits of `other` are set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Header of a message (see the picture in the source of this module).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Envelope {
    /// Ties an answer to its question; unique per asking agent.
    pub correlation: u64,
    /// When it was sent: nanoseconds of the monotonic clock of the sender's machine.
    pub timestamp_ns: u64,
    /// Who sent it.
    pub sender: AgentId,
    /// Whom it is for.
    pub receiver: AgentId,
    /// What the payload means to the receiver.
    pub feature: u32,
    /// Routing flags.
    pub flags: Flags,
    /// Order class.
    pub priority: Priority,
}

/// Why a record is not a message.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than an envelope.
    #[error("record has {0} bytes, an envelope alone has {HEADER_BYTES}: the sender is broken")]
    Short(u32),
    /// Not one of the three priorities.
    #[error("priority={0} is not 0, 1 or 2: the sender is broken")]
    Priority(u32),
    /// A flag that this version does not carry.
    #[error("flags={0:#x} hold a bit that layout version {LAYOUT_VERSION} reserves: leave it 0")]
    Flags(u32),
    /// A reserved field is not zero.
    #[error("reserved field is {0:#x}: leave it 0")]
    Reserved(u32),
}

impl Malformed {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Short(_) => "CL-0421",
            Self::Priority(_) => "CL-0422",
            Self::Flags(_) => "CL-0423",
            Self::Reserved(_) => "CL-0424",
        }
    }
}

impl Envelope {
    /// The envelope as words of a record.
    #[inline]
    pub fn encode(&self) -> [u64; HEADER_WORDS] {
        let pair = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        [
            self.correlation,
            self.timestamp_ns,
            pair(self.sender.0, self.receiver.0),
            pair(self.feature, self.flags.0),
            pair(self.priority as u32, 0),
        ]
    }

    /// Reads an envelope from a copy of a record's words; nothing in it is trusted.
    ///
    /// # Errors
    /// A bullet per rule: see [`Malformed`].
    #[inline]
    pub fn decode(words: &[u64; HEADER_WORDS], length: u32) -> Result<Self, Malformed> {
        let (low, high) = (|word: u64| word as u32, |word: u64| (word >> 32) as u32);
        if (length as usize) < HEADER_BYTES {
            return Err(Malformed::Short(length));
        }
        let flags = high(words[3]);
        if flags & !Flags::CARRIED != 0 {
            return Err(Malformed::Flags(flags));
        }
        let priority = match low(words[4]) {
            0 => Priority::High,
            1 => Priority::Normal,
            2 => Priority::Low,
            other => return Err(Malformed::Priority(other)),
        };
        if high(words[4]) != 0 {
            return Err(Malformed::Reserved(high(words[4])));
        }
        Ok(Self {
            correlation: words[0],
            timestamp_ns: words[1],
            sender: AgentId(low(words[2])),
            receiver: AgentId(high(words[2])),
            feature: low(words[3]),
            flags: Flags(flags),
            priority,
        })
    }
}

/// The payload bytes within a copy of a record's payload words.
///
/// # Panics
/// When `length_bytes` is more than the words hold.
#[inline]
pub(crate) fn payload_of(words: &[u64], length_bytes: usize) -> &[u8] {
    const { assert!(cfg!(target_endian = "little"), "the layout is little-endian") };
    &bytemuck::cast_slice(words)[..length_bytes]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope() -> impl Strategy<Value = Envelope> {
        let ids = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>());
        (ids, 0u32..8, 0usize..3).prop_map(|(ids, flags, priority)| Envelope {
            correlation: ids.0,
            timestamp_ns: ids.1,
            sender: AgentId(ids.2),
            receiver: AgentId(ids.3),
            feature: ids.4,
            flags: Flags(flags),
            priority: Priority::ALL[priority],
        })
    }

    proptest! {
        #[test]
        fn decode_reverses_encode(envelope in envelope(), extra in 0u32..1000) {
            let length = HEADER_BYTES as u32 + extra;
            prop_assert_eq!(Envelope::decode(&envelope.encode(), length), Ok(envelope));
        }

        #[test]
        fn decode_never_accepts_what_encode_cannot_write(words: [u64; HEADER_WORDS], length: u32) {
            if let Ok(envelope) = Envelope::decode(&words, length) {
                prop_assert_eq!(envelope.encode(), words);
                prop_assert!(length as usize >= HEADER_BYTES);
            }
        }
    }

    #[test]
    fn every_rule_refuses() {
        let good = Envelope::default().encode();
        let decode = |index: usize, word: u64, length| {
            let mut words = good;
            words[index] = word;
            Envelope::decode(&words, length)
        };
        assert_eq!(decode(0, 0, 39), Err(Malformed::Short(39)));
        assert_eq!(decode(4, 3, 40), Err(Malformed::Priority(3)));
        assert_eq!(decode(4, 1 << 32 | 1, 40), Err(Malformed::Reserved(1)));
        for reserved in [Flags::LOAN, Flags::DEADLINE, Flags::SCHEMA_ID, Flags::PAYLOAD_HASH] {
            let word = u64::from(reserved.0) << 32;
            assert_eq!(decode(3, word, 40), Err(Malformed::Flags(reserved.0)));
        }
    }

    /// The bytes as the picture draws them, so that a change of layout fails here first.
    #[test]
    fn bytes_are_where_the_picture_says() {
        let envelope = Envelope {
            correlation: 0x0807_0605_0403_0201,
            timestamp_ns: 0x1817_1615_1413_1211,
            sender: AgentId(0x2423_2221),
            receiver: AgentId(0x2827_2625),
            feature: 0x3433_3231,
            flags: Flags::ASK | Flags::ERROR,
            priority: Priority::Low,
        };
        let bytes: Vec<u8> = envelope.encode().iter().flat_map(|w| w.to_le_bytes()).collect();
        let mut picture: Vec<u8> = (0x01..=0x08).chain(0x11..=0x18).chain(0x21..=0x28).collect();
        picture.extend([0x31, 0x32, 0x33, 0x34, 5, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes, picture);
    }

    #[test]
    fn the_layout_hash_depends_on_every_field() {
        let mut other = FIELDS.to_vec();
        other[3].1 += 1;
        assert_ne!(layout_hash(&other), LAYOUT_HASH);
        other = FIELDS.to_vec();
        other[7].0 = "routing";
        assert_ne!(layout_hash(&other), LAYOUT_HASH);
    }
}
