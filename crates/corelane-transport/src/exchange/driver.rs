//! The thread of an exchange: sockets in, sockets out. What it does, `state` decides.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use corelane_shm::fdpass::{self, Channel, ChannelError, ListenError, Listener};
use corelane_shm::poll_any;
use thiserror::Error;

use super::message::{PROTOCOL, ToExchange, ToParticipant, decode, encode};
use super::state::{Action, Participant, State};

/// Most participants at a time.
pub const PARTICIPANTS_MAX: usize = 4_096;
/// Most packets of one participant before the others have their turn.
const PACKETS_MAX: usize = 16;
/// Most packets that wait for a participant to take them; one that takes none is cut off.
const WAITING_MAX: usize = 16_384;
/// When to try again to send what waits.
const RETRY: Duration = Duration::from_millis(1);

/// Why no exchange is open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The path cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No socket for stopping it.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The system refused the thread.
    #[error("thread of the exchange could not be started: {0}: raise `ulimit -u`")]
    Thread(io::Error),
}

impl ExchangeError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen(cause) => cause.code(),
            Self::Channel(cause) => cause.code(),
            Self::Thread(_) => "CL-0441",
        }
    }
}

/// An open exchange. Dropping it closes it; what is linked stays linked.
#[derive(Debug)]
pub struct Exchange {
    path: PathBuf,
    stop: Channel,
    thread: Option<JoinHandle<()>>,
}

impl Exchange {
    /// Opens an exchange at `path`, for processes of the same user. A socket that a dead process
    /// left there is taken over.
    ///
    /// # Errors
    /// - [`ExchangeError`]: the path is somebody's, or the system is short of something.
    pub fn open(path: &Path) -> Result<Self, ExchangeError> {
        let listener = Listener::bind(path)?;
        let (stop, stopped) = fdpass::pair()?;
        let driver = Driver {
            listener,
            stopped,
            own_user: rustix::process::geteuid().as_raw(),
            state: State::default(),
            peers: BTreeMap::new(),
            next: 0,
        };
        let thread = thread::Builder::new().name("corelane-exchg".into());
        let thread = thread.spawn(move || driver.run()).map_err(ExchangeError::Thread)?;
        Ok(Self { path: path.to_owned(), stop, thread: Some(thread) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.stop.shutdown();
        if let Some(thread) = self.thread.take() {
            // A panic was printed by its thread.
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct Peer {
    channel: Channel,
    is_known: bool,
    waiting: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

impl Peer {
    /// Sends what waits, as far as the participant takes it; false when it is to be cut off.
    fn flush(&mut self) -> bool {
        while let Some((packet, fd)) = self.waiting.front() {
            let fds: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
            match self.channel.send(packet, &fds, Some(Duration::ZERO)) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(ChannelError::TimedOut) => return self.waiting.len() <= WAITING_MAX,
                Err(_) => return false,
            }
        }
        true
    }
}

#[derive(Debug)]
struct Driver {
    listener: Listener,
    stopped: Channel,
    own_user: u32,
    state: State,
    peers: BTreeMap<Participant, Peer>,
    next: Participant,
}

impl Driver {
    fn run(mut self) {
        loop {
            let keys: Vec<Participant> = self.peers.keys().copied().collect();
            let mut fds = vec![self.stopped.as_fd(), self.listener.as_fd()];
            fds.extend(self.peers.values().map(|peer| peer.channel.as_fd()));
            let is_waiting = self.peers.values().any(|peer| !peer.waiting.is_empty());
            let Ok(ready) = poll_any(&fds, is_waiting.then_some(RETRY)) else {
                // Only a lack of memory gets here; it passes or the process ends.
                thread::yield_now();
                continue;
            };
            for index in ready {
                match index {
                    0 => return,
                    1 => self.accept(),
                    _ => self.hear(keys[index - 2]),
                }
            }
            let peers = self.peers.iter_mut();
            let stuck = peers.filter_map(|(&key, peer)| (!peer.flush()).then_some(key));
            stuck.collect::<Vec<_>>().into_iter().for_each(|key| self.cut(key));
        }
    }

    fn accept(&mut self) {
        // One that is gone again, or for which there is no descriptor, is not missed: it connects
        // again.
        let Ok(channel) = self.listener.accept(Some(Duration::ZERO)) else { return };
        let is_own = channel.peer_credentials().is_ok_and(|peer| peer.uid == self.own_user);
        let reason = match (is_own, self.peers.len() < PARTICIPANTS_MAX) {
            (false, _) => "participants are of the same user as the exchange",
            (_, false) => "exchange has as many participants as it may: end some",
            _ => {
                self.next += 1;
                let peer = Peer { channel, is_known: false, waiting: VecDeque::new() };
                self.peers.insert(self.next, peer);
                return;
            }
        };
        let rejected = ToParticipant::Rejected { reason: reason.into() };
        let _ = channel.send(&encode(&rejected), &[], Some(Duration::ZERO));
    }

    fn hear(&mut self, from: Participant) {
        for _ in 0..PACKETS_MAX {
            let Some(peer) = self.peers.get(&from) else { return };
            let packet = match peer.channel.recv(Some(Duration::ZERO)) {
                Ok(packet) => packet,
                Err(ChannelError::TimedOut) => return,
                Err(_) => return self.cut(from),
            };
            let Some(message) = decode::<ToExchange>(&packet.bytes) else {
                return self.reject(from, "packet is no message: the participant is broken");
            };
            match (message, peer.is_known) {
                (ToExchange::Hello { protocol }, false) if protocol >= 1 => {
                    let protocol = protocol.min(PROTOCOL);
                    self.tell(from, &ToParticipant::Welcome { protocol }, None);
                    self.peers.entry(from).and_modify(|peer| peer.is_known = true);
                    self.state.greeted(from, protocol);
                }
                (ToExchange::Unknown, _) => {}
                (_, false) => return self.reject(from, "first message is hello, with a version"),
                (ToExchange::Hello { .. }, true) => {}
                (ToExchange::Register(asked), true) => {
                    let actions = self.state.register(from, asked);
                    actions.into_iter().for_each(|action| self.perform(action));
                }
                (ToExchange::Withdraw { end }, true) => self.state.withdraw(from, end),
                (ToExchange::List {}, true) => {
                    for listed in self.state.list() {
                        self.tell(from, &ToParticipant::Listed(listed), None);
                    }
                    self.tell(from, &ToParticipant::ListEnd {}, None);
                }
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Registered { to, end, tag, links } => {
                self.tell(to, &ToParticipant::Registered { end, tag, links }, None);
            }
            Action::Refused { to, end, refusal } => {
                self.tell(to, &ToParticipant::Refused { end, refusal }, None);
            }
            Action::Link { one, other } => match fdpass::pair() {
                Ok((first, second)) => {
                    let link = |(_, end), peer| ToParticipant::Link { end, peer };
                    self.tell(one.0, &link(one, other.1), Some(first.into()));
                    self.tell(other.0, &link(other, one.1), Some(second.into()));
                }
                // Without descriptors no link can be made: the newcomer is told by the end of its
                // connection, and comes again.
                Err(_) => {
                    self.reject(other.0, "exchange has no descriptors left: raise `ulimit -n`")
                }
            },
        }
    }

    fn tell(&mut self, to: Participant, message: &ToParticipant, fd: Option<OwnedFd>) {
        if let Some(peer) = self.peers.get_mut(&to) {
            peer.waiting.push_back((encode(message), fd));
        }
    }

    fn reject(&mut self, participant: Participant, reason: &str) {
        self.tell(participant, &ToParticipant::Rejected { reason: reason.into() }, None);
        if let Some(peer) = self.peers.get_mut(&participant) {
            peer.flush();
        }
        self.cut(participant);
    }

    fn cut(&mut self, participant: Participant) {
        self.peers.remove(&participant);
        self.state.gone(participant);
    }
}
