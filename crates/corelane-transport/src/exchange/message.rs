//! What participants and the exchange say to each other, and the two ends of a link: JSON packets.
//!
//! Unknown fields and messages are skipped, so that a later version may say more. Descriptors
//! travel beside the packets that name them.

use corelane_shm::slab::ExtentShape;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of what is said here: the first, with taps of lanes since the second.
pub const PROTOCOL: u32 = 2;
/// The version since which there are taps: nobody of an earlier one hears of them.
pub const PROTOCOL_OF_TAPS: u32 = 2;
/// Most taps of a lane.
pub const TAPS_MAX: usize = 8;
/// Longest name of a topic or lane, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Most bytes of a type as it is told: with a name it fits a packet, however both are written.
pub const TAG_BYTES_MAX: usize = 60 << 10;

/// Which end of what something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Publishes on a topic; there may be several.
    Publisher,
    /// Subscribes to a topic; there may be several.
    Subscriber,
    /// Sends on a lane; there is one.
    Sender,
    /// Receives from a lane; there is one.
    Receiver,
    /// Reads along on a lane; there may be some.
    Tap,
}

impl Role {
    /// Whether it is the end of a lane, of which there is one.
    pub fn is_single(self) -> bool {
        matches!(self, Self::Sender | Self::Receiver)
    }

    /// Whether it belongs to a lane, and not to a topic.
    pub fn is_of_lane(self) -> bool {
        self.is_single() || self == Self::Tap
    }

    /// Whether an end of this role and one of the other are linked.
    pub fn is_linked_to(self, other: Self) -> bool {
        use Role::{Publisher, Receiver, Sender, Subscriber, Tap};
        let is_source_of = |source, sink| {
            matches!((source, sink), (Publisher, Subscriber) | (Sender, Receiver | Tap))
        };
        is_source_of(self, other) || is_source_of(other, self)
    }
}

/// The type of the messages of a topic or lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TypeTag {
    /// Structural hash, in hexadecimal.
    pub hash: String,
    /// The schema that the hash was made of, for people and for tools.
    pub schema: serde_json::Value,
}

/// An end that a participant brings to the exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Number of the end, chosen by its participant.
    pub end: u64,
    /// What it is.
    pub role: Role,
    /// Name of the topic or lane.
    pub name: String,
    /// Type of its messages; none takes what is there.
    #[serde(default)]
    pub tag: Option<TypeTag>,
    /// Ends that it is linked to already, from the time of an exchange before.
    #[serde(default)]
    pub linked: Vec<u64>,
}

/// From a participant to the exchange.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToExchange {
    /// First message.
    Hello {
        /// Version of the protocol.
        protocol: u32,
    },
    /// Brings an end.
    Register(Registration),
    /// Takes an end away.
    Withdraw {
        /// Its number.
        end: u64,
    },
    /// Asks what there is.
    List {},
    /// A message of a later version; skipped.
    #[serde(other)]
    Unknown,
}

/// From the exchange to a participant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToParticipant {
    /// Accepted.
    Welcome {
        /// Version of the protocol.
        protocol: u32,
    },
    /// Turned away; the exchange closes the connection.
    Rejected {
        /// Why.
        reason: String,
    },
    /// The end is known from here on.
    Registered {
        /// Its number.
        end: u64,
        /// Type of the messages, if any end has told it.
        tag: Option<TypeTag>,
        /// Links that follow to ends that were there before, not counting those to taps.
        #[serde(default)]
        links: usize,
    },
    /// The end was not taken.
    Refused {
        /// Its number.
        end: u64,
        /// Why.
        refusal: Refusal,
    },
    /// One end of a socket between two ends comes with this.
    Link {
        /// The end of the participant.
        end: u64,
        /// The end at the other side.
        peer: u64,
    },
    /// A topic or lane that there is.
    Listed(Listed),
    /// All that there is was listed.
    ListEnd {},
    /// A message of a later version; skipped.
    #[serde(other)]
    Unknown,
}

/// A topic or lane that an exchange knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it is a lane.
    pub is_lane: bool,
    /// Publishers, or senders.
    pub sources: usize,
    /// Subscribers, or receivers.
    pub sinks: usize,
    /// Taps of a lane.
    #[serde(default)]
    pub taps: usize,
    /// Type of the messages, if any end has told it.
    pub tag: Option<TypeTag>,
}

/// Why an end was not taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Refusal {
    /// The name is empty or too long.
    Name {
        /// Longest possible.
        limit: usize,
    },
    /// The messages are of another type.
    Type {
        /// The type that the others have.
        found: TypeTag,
    },
    /// The name is a lane and the end is that of a topic, or the other way round.
    Form {
        /// Whether the name is a lane.
        is_lane: bool,
    },
    /// A lane has one sender and one receiver, and has it already.
    Taken {
        /// Which.
        role: Role,
    },
    /// The exchange has as many ends as it may.
    TooMany {
        /// How many that are.
        limit: usize,
    },
    /// Another end has the same number.
    Number,
    /// The lane has as many taps as it may.
    Taps {
        /// How many that are.
        limit: usize,
    },
    /// The schema is too long to be told.
    Schema {
        /// Most bytes of a type as it is told.
        limit: usize,
    },
    /// Another reason, of a later version.
    #[serde(other)]
    Other,
}

/// From the subscribing or receiving end of a link to the other one; its segment comes with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Want {
    /// Version of the protocol.
    pub protocol: u32,
    /// Seats of its group: subscribers that it brings at most.
    pub seats: usize,
    /// Holds of each seat.
    pub holds: usize,
    /// Whether any of them holds the publisher back.
    pub is_reliable: bool,
    /// Whether they sleep so often that the publisher has to pay for the fence.
    pub is_fenced: bool,
}

/// From the subscribing or receiving end of a link, once it has what it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToSource {
    /// First message.
    Want(Want),
    /// First message of a tap, which brings no segment.
    Tap {
        /// Version of the protocol.
        protocol: u32,
    },
    /// It gets whatever is published from here on.
    Joined {},
    /// The bell of one of its seats comes with this, to be rung for it while it listens; without
    /// one the bell of before is to be rung no more.
    Bell {
        /// Which seat of its group; 0 on a lane.
        seat: usize,
    },
    /// A message of a later version; skipped.
    #[serde(other)]
    Unknown,
}

/// From the publishing or sending end of a link to the other one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToSink {
    /// How the log looks; its segment comes with this.
    Log(LogOffer),
    /// How the lane looks; its segment comes with this.
    Lane(LaneOffer),
    /// How the lane looks that a tap reads along on; its segment comes with this. Comes again when
    /// the lane has a new ring.
    Tapped {
        /// How it looks.
        lane: LaneOffer,
        /// Whether nothing was sent over this ring yet.
        is_new: bool,
    },
    /// An extent of the slab; its segment comes with this.
    Extent {
        /// Its number, from 0.
        number: u32,
        /// Bytes of a chunk.
        chunk_bytes: usize,
        /// Number of chunks.
        chunks: usize,
    },
    /// Everything that there was has come.
    Ready {},
    /// The other end is turned away.
    Sorry {
        /// Why.
        reason: String,
    },
    /// A message of a later version; skipped.
    #[serde(other)]
    Unknown,
}

/// How the log of a publisher looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOffer {
    /// Number of records that it holds.
    pub slots: usize,
    /// Words of a record.
    pub record_words: usize,
    /// Seats of all groups.
    pub seats_max: usize,
    /// First seat of the subscriber's group.
    pub first_seat: usize,
    /// Whether each record has a time.
    pub has_time: bool,
    /// Whether each record has a hash of its payload.
    pub has_hash: bool,
    /// Bytes of a message when all have the same size.
    pub message_bytes: Option<usize>,
}

/// How a lane looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum LaneOffer {
    /// Fixed slots, one line transfer for a small record.
    Latency {
        /// Number of slots.
        slots: usize,
        /// Cache lines of a slot.
        slot_lines: usize,
    },
    /// Records of any size, one after the other.
    Throughput {
        /// Bytes of the ring.
        capacity_bytes: usize,
    },
}

impl ToSink {
    /// The word about an extent.
    pub(crate) fn extent(number: u32, shape: ExtentShape) -> Self {
        Self::Extent { number, chunk_bytes: shape.chunk_bytes, chunks: shape.chunks }
    }
}

/// The packet of a message.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("because no message has a map with keys that are no text")
}

/// The message of a packet; none when it is no message.
pub fn decode<M: DeserializeOwned>(packet: &[u8]) -> Option<M> {
    serde_json::from_slice(packet).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_messages_are_skipped_and_garbage_is_none() {
        let packet = br#"{"type":"welcome","protocol":9,"colour":"blue"}"#;
        assert_eq!(decode(packet), Some(ToParticipant::Welcome { protocol: 9 }));
        assert_eq!(decode(br#"{"type":"dance"}"#), Some(ToParticipant::Unknown));
        assert_eq!(decode(br#"{"code":"mood"}"#), Some(Refusal::Other));
        for packet in [&b"\xff\xfe"[..], b"{}", b"[1]", br#"{"type":"register"}"#] {
            assert_eq!(decode::<ToExchange>(packet), None, "{packet:?}");
        }
    }

    #[test]
    fn a_lane_has_links_to_its_taps_and_a_topic_has_none() {
        let roles = [Role::Publisher, Role::Subscriber, Role::Sender, Role::Receiver, Role::Tap];
        let linked = |one: Role| roles.into_iter().filter(move |&other| one.is_linked_to(other));
        let linked = roles.map(|one| linked(one).collect::<Vec<_>>());
        let [_, _, sender, receiver, tap] = &linked;
        assert_eq!(
            (&sender[..], &receiver[..]),
            (&[Role::Receiver, Role::Tap][..], &[Role::Sender][..])
        );
        assert_eq!(tap, &[Role::Sender]);
        assert_eq!(
            (&linked[0][..], &linked[1][..]),
            (&[Role::Subscriber][..], &[Role::Publisher][..])
        );
    }

    #[test]
    fn each_message_survives_its_packet() {
        let registration = Registration {
            end: u64::MAX,
            role: Role::Sender,
            name: "frames".into(),
            tag: None,
            linked: vec![3],
        };
        let message = ToExchange::Register(registration);
        assert_eq!(decode(&encode(&message)), Some(message));
        let lane = LaneOffer::Latency { slots: 8, slot_lines: 2 };
        for message in [ToSink::Lane(lane), ToSink::Tapped { lane, is_new: true }] {
            assert_eq!(decode(&encode(&message)), Some(message));
        }
    }
}
