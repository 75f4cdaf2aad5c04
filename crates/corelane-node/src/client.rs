//! The client's side of the socket: attach, then listen for commands and for the node's end.

use std::{fmt, io, os::fd::OwnedFd, path::Path, sync::Arc, time::Duration};

use corelane_agent::Command;
use corelane_shm::{
    SegmentError,
    fdpass::{self, Channel, ChannelError, ListenError, Packet},
};
use corelane_transport::{AgentId, Endpoint, LaneShape, LaneShapeError, PortError, SECTIONS_MAX};
use thiserror::Error;

use crate::{
    control::{
        self, Hello, LOST_NAME_CHARS, Lost, Named, NotAMessage, Refusal, ToClient, ToNode, Welcome,
    },
    lanes::{Plan, Side},
    lifeline::Lifeline,
};

/// How long a node may take for each step of the handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a client did not attach.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is no node at that path.
    #[error("no node to attach to: {0}")]
    Connect(#[from] ListenError),
    /// The node turned this client away.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The node at that path belongs to somebody else.
    #[error("node runs as uid={node}, this process as uid={own}: attach to a node of your own")]
    OtherUser {
        /// User of the node.
        node: u32,
        /// User of this process.
        own: u32,
    },
    /// The socket failed.
    #[error("node went away during the handshake: {0}")]
    Channel(#[from] ChannelError),
    /// The node sent something that is no message.
    #[error(transparent)]
    NotAMessage(#[from] NotAMessage),
    /// The node sent a message out of turn, or without its descriptor.
    #[error("node answered {found} where {expected} was due: it is of another version")]
    OutOfTurn {
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// The node offers lanes that this build cannot use.
    #[error("node offers lanes that cannot be used: {0}")]
    Shape(#[from] LaneShapeError),
    /// The node has more routers than a segment has sections, or none.
    #[error("node has routers={0}, a client can use 1 to {SECTIONS_MAX}: configure fewer")]
    Routers(usize),
    /// A segment could not be made or used.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The lanes do not fit their segments.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The system refused the thread that listens to the node.
    #[error("thread that listens to the node could not be started: {0}: raise `ulimit -u`")]
    Thread(io::Error),
}

impl AttachError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect(cause) => cause.code(),
            Self::Refused(cause) => cause.code(),
            Self::OtherUser { .. } => "CL-0811",
            Self::Channel(cause) => cause.code(),
            Self::NotAMessage(cause) => cause.code(),
            Self::OutOfTurn { .. } => "CL-0812",
            Self::Shape(cause) => cause.code(),
            Self::Routers(_) => "CL-0813",
            Self::Segment(cause) => cause.code(),
            Self::Port(cause) => cause.code(),
            Self::Thread(_) => "CL-0816",
        }
    }
}

/// What the node sends to an attached client.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Link {
    /// A command for its agents.
    Command(Command),
    /// End in order.
    Stop,
    /// The node is gone: no message will be routed any more.
    NodeGone,
}

/// An attached client: the socket, and what the node said.
pub struct Client {
    channel: Arc<Channel>,
    welcome: Welcome,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("welcome", &self.welcome).finish_non_exhaustive()
    }
}

impl Client {
    /// Attaches to the node at `socket`. Blocks until the node is ready or has refused. A process
    /// that the node has not started takes one of its places for guests, if one is free.
    ///
    /// # Errors
    /// - [`AttachError`]: a bullet per variant.
    pub fn attach(socket: &Path) -> Result<(Self, Endpoint), AttachError> {
        let channel = fdpass::connect(socket)?;
        let (node, own) = (channel.peer_credentials()?.uid, rustix::process::geteuid().as_raw());
        if node != own {
            return Err(AttachError::OtherUser { node, own });
        }
        let hello = ToNode::Hello(Hello::of_this_build());
        channel.send(&control::encode(&hello), &[], Some(PATIENCE))?;
        let (message, fds) = receive(&channel)?;
        let ToClient::Welcome(welcome) = message else {
            return Err(out_of_turn("welcome", &message));
        };
        let Ok([fd]) = <[OwnedFd; 1]>::try_from(fds) else {
            return Err(out_of_turn("welcome with one descriptor", &"another number of them"));
        };
        if !(1..=SECTIONS_MAX).contains(&welcome.routers) {
            return Err(AttachError::Routers(welcome.routers));
        }
        let shape = LaneShape::new(welcome.lane_slots, welcome.slot_lines)?;
        let plan = Plan { shape, routers: welcome.routers };
        let node = plan.open(Side::Node, fd)?;
        let own = plan.create(Side::Client, welcome.generation)?;
        let lanes = control::encode(&ToNode::Lanes {});
        channel.send(&lanes, &[own.fd()], Some(PATIENCE))?;
        let endpoint = plan.endpoint(own, &node)?;
        match receive(&channel)? {
            (ToClient::Ready {}, _) => {}
            (message, _) => return Err(out_of_turn("ready", &message)),
        }
        Ok((Self { channel: Arc::new(channel), welcome }, endpoint))
    }

    /// What the node said.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Address of this client's first agent.
    pub fn agent_first(&self) -> AgentId {
        AgentId(self.welcome.agent_first)
    }

    /// A function that sends reports to the node, from any thread. One that cannot be sent, for it
    /// is longer than a packet, is counted, and the node is told which it was.
    pub fn reporter(&self) -> impl FnMut(Command) + Send + use<> {
        let channel = self.channel.clone();
        let mut lost = 0;
        move |Command { name, body }| {
            let report = control::encode(&ToNode::Report(Named { name: name.clone(), body }));
            match channel.send(&report, &[], Some(PATIENCE)) {
                // A node that is gone is noticed by whoever listens.
                Ok(()) | Err(ChannelError::Closed) => {}
                Err(error) => {
                    lost += 1;
                    let name = name.chars().take(LOST_NAME_CHARS).collect();
                    let word = ToNode::ReportLost(Lost { name, reason: error.to_string(), lost });
                    // A node that takes nothing is told with the next one that is lost.
                    let _ = channel.send(&control::encode(&word), &[], Some(Duration::ZERO));
                }
            }
        }
    }

    /// Listens on a thread of its own from here on: `on_link` hears what the node says, and the
    /// [`Lifeline`] ends waits at the lanes when the node is gone.
    ///
    /// # Errors
    /// - [`AttachError::Thread`], [`AttachError::Segment`]: the system is short of something.
    pub fn follow(
        self,
        on_link: impl FnMut(Link) + Send + 'static,
    ) -> Result<Lifeline, AttachError> {
        Lifeline::start(self, on_link)
    }

    pub(crate) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// Waits for the next word from the node. Blocks; [`Link::NodeGone`] is the last.
    pub fn listen(&self) -> Link {
        loop {
            let Ok(packet) = self.channel.recv(None) else { return Link::NodeGone };
            match control::decode(&packet.bytes) {
                Ok(ToClient::Command(Named { name, body })) => {
                    return Link::Command(Command { name, body });
                }
                Ok(ToClient::Stop {}) => return Link::Stop,
                Ok(_) => {}
                Err(_) => return Link::NodeGone,
            }
        }
    }
}

/// The next known message, and the descriptors that came with it.
fn receive(channel: &Channel) -> Result<(ToClient, Vec<OwnedFd>), AttachError> {
    loop {
        let Packet { bytes, fds } = channel.recv(Some(PATIENCE))?;
        match control::decode(&bytes)? {
            ToClient::Unknown => {}
            ToClient::Refused(refusal) => return Err(refusal.into()),
            message => return Ok((message, fds)),
        }
    }
}

fn out_of_turn(expected: &'static str, found: &dyn fmt::Debug) -> AttachError {
    AttachError::OutOfTurn { expected, found: format!("{found:?}") }
}
