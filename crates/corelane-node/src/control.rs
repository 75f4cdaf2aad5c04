//! The control protocol: one JSON object per packet, descriptors beside it.
//!
//! It is extensible: fields and messages that a side does not know are skipped. A node accepts
//! clients of protocol versions [`PROTOCOL_MIN`] to [`PROTOCOL`]; the memory layout must be equal.
//! A transcript of every version is kept in `tests/transcripts`.

use corelane_transport::{LAYOUT_HASH, LAYOUT_VERSION};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use thiserror::Error;

/// Version of the control protocol that this build speaks.
pub const PROTOCOL: u32 = 2;
/// Oldest version that a node still accepts.
pub const PROTOCOL_MIN: u32 = 1;

/// What a client says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the control protocol.
    pub protocol: u32,
    /// Version of the product, for people.
    pub product: String,
    /// Version of the memory layout.
    pub layout_version: u32,
    /// Hash of the memory layout, in hexadecimal.
    pub layout_hash: String,
}

impl Hello {
    /// What this build says.
    pub fn of_this_build() -> Self {
        Self {
            protocol: PROTOCOL,
            product: env!("CARGO_PKG_VERSION").to_owned(),
            layout_version: LAYOUT_VERSION,
            layout_hash: format!("{LAYOUT_HASH:016x}"),
        }
    }
}

/// What an accepted client is told; the node's segment comes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Version of the control protocol that both sides speak from here on.
    pub protocol: u32,
    /// Version of the node, for people.
    pub product: String,
    /// Index of the client; its next generation has the same.
    pub client: u16,
    /// Which start of this client it is, from 1.
    pub generation: u64,
    /// Number of attachments and detachments of this node so far.
    pub epoch: u64,
    /// Number of routers, each with a section of both segments.
    pub routers: usize,
    /// Records per lane.
    pub lane_slots: usize,
    /// Cache lines per record.
    pub slot_lines: usize,
    /// Address of the client's first agent.
    pub agent_first: u32,
    /// Number of its agents.
    pub agent_count: u32,
}

/// Why a client is turned away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("refused ({code}): {reason}: {remedy}")]
pub struct Refusal {
    /// Stable name of the reason.
    pub code: String,
    /// What was found and what was expected.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

impl Refusal {
    /// The stable code of this error; `docs/errors/` has a page for each. A reason that only a
    /// later node knows has one as well.
    pub fn code(&self) -> &'static str {
        match self.code.as_str() {
            "other-user" => "CL-0821",
            "protocol" => "CL-0822",
            "layout-version" => "CL-0823",
            "layout-hash" => "CL-0824",
            "not-expected" => "CL-0825",
            "broken" => "CL-0826",
            "resources" => "CL-0827",
            _ => "CL-0828",
        }
    }
}

/// A name and a body that the two ends of a command or report agree on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// What it is about.
    pub name: String,
    /// The rest.
    #[serde(default)]
    pub body: Value,
}

/// A report that its client could not send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// What the report was about, cut after [`LOST_NAME_CHARS`] characters.
    pub name: String,
    /// Why it could not be sent, and what to do.
    pub reason: String,
    /// Reports that this client has lost so far.
    pub lost: u64,
}

/// Most characters of the name of a lost report: the word about it has to fit a packet.
pub const LOST_NAME_CHARS: usize = 64;

/// From a client to its node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToNode {
    /// First message.
    Hello(Hello),
    /// The client's sealed segment comes with this.
    Lanes {},
    /// Something that an agent reports.
    Report(Named),
    /// A report that could not be sent. Since version 2.
    ReportLost(Lost),
    /// A message of a later version; skipped.
    #[serde(other)]
    Unknown,
}

/// From a node to its client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToClient {
    /// Accepted; the node's sealed segment for this client comes with this.
    Welcome(Welcome),
    /// The lanes are in use.
    Ready {},
    /// Turned away; the node closes the socket.
    Refused(Refusal),
    /// A command for every agent of the client.
    Command(Named),
    /// End in order.
    Stop {},
    /// A message of a later version; skipped.
    #[serde(other)]
    Unknown,
}

/// A packet that is no message.
#[derive(Debug, Error)]
#[error("control packet of {bytes} bytes is no message: {source}: the peer is broken")]
pub struct NotAMessage {
    /// Size of the packet.
    pub bytes: usize,
    /// What the parser said.
    source: serde_json::Error,
}

impl NotAMessage {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        "CL-0814"
    }
}

/// The packet of a message.
pub fn encode(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("because no message has a map with keys that are no text")
}

/// The message of a packet.
///
/// # Errors
/// - [`NotAMessage`]: it is no JSON object of a known form.
pub fn decode<M: DeserializeOwned>(packet: &[u8]) -> Result<M, NotAMessage> {
    serde_json::from_slice(packet).map_err(|source| NotAMessage { bytes: packet.len(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_and_messages_are_skipped() {
        let packet = br#"{"type":"hello","protocol":1,"product":"9.9","layout_version":1,
            "layout_hash":"00","colour":"blue"}"#;
        let hello = Hello {
            protocol: 1,
            product: "9.9".into(),
            layout_version: 1,
            layout_hash: "00".into(),
        };
        assert_eq!(decode::<ToNode>(packet).unwrap(), ToNode::Hello(hello));
        let packet = br#"{"type":"dance","steps":3}"#;
        assert_eq!(decode::<ToNode>(packet).unwrap(), ToNode::Unknown);
        assert_eq!(decode::<ToClient>(packet).unwrap(), ToClient::Unknown);
    }

    #[test]
    fn garbage_is_refused() {
        for packet in [&b"\xff\xfe"[..], b"{}", b"[1]", br#"{"type":"hello"}"#] {
            assert!(decode::<ToNode>(packet).is_err(), "{packet:?}");
        }
    }
}
