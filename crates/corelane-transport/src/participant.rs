//! A process's place at an exchange: it brings ends of topics and lanes there, and has the thread
//! that hears of new links and of the end of old ones.
//!
//! What a link is for is the business of its end ([`LocalEnd`]). When the exchange dies the thread
//! finds or opens the next one and brings every end again; links are not touched by that.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corelane_shm::fdpass::{self, Channel, ChannelError, ListenError, Packet};
use corelane_shm::poll_any;
use thiserror::Error;

use crate::exchange::message::{
    PROTOCOL, Registration, Role, ToExchange, ToParticipant, decode, encode,
};
use crate::exchange::{Exchange, ExchangeError, Listed, NAME_BYTES_MAX, Refusal, TypeTag};
use crate::schema::Schema;

/// How long an exchange may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before the next exchange is looked for, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// Packets of one link before the others have their turn.
const PACKETS_MAX: usize = 64;

/// Why a participant could not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ParticipantError {
    /// There is no exchange.
    #[error(transparent)]
    Connect(#[from] ListenError),
    /// None could be opened.
    #[error(transparent)]
    Open(#[from] ExchangeError),
    /// The socket failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The exchange belongs to somebody else.
    #[error("exchange runs as uid={exchange}, this process as uid={own}: use one of your own")]
    OtherUser {
        /// User of the exchange.
        exchange: u32,
        /// User of this process.
        own: u32,
    },
    /// The exchange turned this participant away.
    #[error("exchange refused this participant: {reason}")]
    Rejected {
        /// What it said.
        reason: String,
    },
    /// The exchange did not answer.
    #[error("exchange did not answer within {seconds} s: it is stopped or too busy, try again")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The end was not taken.
    #[error("`{name}` was refused: {}", explain(refusal, differences))]
    Refused {
        /// Name of the topic or lane.
        name: String,
        /// Why.
        refusal: Refusal,
        /// How the types differ, if they do and both are known.
        differences: Vec<String>,
    },
    /// The system refused the thread.
    #[error("thread of the participant could not be started: {0}: raise `ulimit -u`")]
    Thread(io::Error),
}

impl ParticipantError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect(cause) => cause.code(),
            Self::Open(cause) => cause.code(),
            Self::Channel(cause) => cause.code(),
            Self::OtherUser { .. } => "CL-0442",
            Self::Rejected { .. } => "CL-0443",
            Self::Silent { .. } => "CL-0444",
            Self::Refused { refusal, .. } => match refusal {
                Refusal::Name { .. } => "CL-0445",
                Refusal::Type { .. } => "CL-0446",
                Refusal::Form { .. } => "CL-0447",
                Refusal::Taken { .. } => "CL-0448",
                Refusal::TooMany { .. } | Refusal::Other => "CL-0449",
            },
            Self::Thread(_) => "CL-0450",
        }
    }
}

fn explain(refusal: &Refusal, differences: &[String]) -> String {
    match refusal {
        Refusal::Name { limit } => format!("a name has 1 to {limit} bytes: choose such a one"),
        Refusal::Type { found } => {
            let told = match differences {
                [] => format!("hash={}", found.hash),
                differences => differences.join("; "),
            };
            format!("its messages are of another type ({told}): use the same definition")
        }
        Refusal::Form { is_lane: true } => {
            "it is a lane, not a topic: use another name, or send and receive".into()
        }
        Refusal::Form { is_lane: false } => {
            "it is a topic, not a lane: use another name, or publish and subscribe".into()
        }
        Refusal::Taken { role } => {
            format!("it has its one {role:?} already: wait for its end, or use a topic")
        }
        Refusal::TooMany { limit } => format!("the exchange has all {limit} ends: end some"),
        Refusal::Other => "for a reason that this version does not know: update it".into(),
    }
}

/// How the own type differs from the one that the others have.
fn differences(own: Option<&TypeTag>, refusal: &Refusal) -> Vec<String> {
    let schema = |tag: &TypeTag| serde_json::from_value::<Schema>(tag.schema.clone()).ok();
    let (Some(own), Refusal::Type { found }) = (own, refusal) else { return Vec::new() };
    match (schema(own), schema(found)) {
        (Some(own), Some(found)) => own.differences(&found),
        _ => Vec::new(),
    }
}

/// What becomes of a link after a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// The peer broke the rules, or was turned away: the connection is closed.
    Cut,
}

/// An end of a topic or lane in this process, as its participant's thread knows it.
pub(crate) trait LocalEnd: Send + Sync {
    /// A link came.
    fn linked(&self, peer: u64, channel: &Arc<Channel>) -> Verdict;
    /// A packet came over a link.
    fn heard(&self, peer: u64, packet: Packet) -> Verdict;
    /// The link is over: the peer ended, died, or was cut off.
    fn unlinked(&self, peer: u64);
}

/// What the exchange said about an end: the type of its messages, if any end has told it, and how
/// many links follow.
pub(crate) type Answer = Result<(Option<TypeTag>, usize), Refusal>;

/// What the thread knows of an end.
struct Entry {
    role: Role,
    name: String,
    tag: Option<TypeTag>,
    local: Arc<dyn LocalEnd>,
    /// The answer of the exchange, once there is one.
    answer: Option<Answer>,
    links: BTreeMap<u64, Arc<Channel>>,
}

#[derive(Default)]
struct Table {
    ends: HashMap<u64, Entry>,
    exchange: Option<Arc<Channel>>,
    /// Opened by this process, if it did.
    own_exchange: Option<Exchange>,
    listing: Option<Listing>,
    is_closed: bool,
}

#[derive(Default)]
struct Listing {
    names: Vec<Listed>,
    is_over: bool,
}

struct Shared {
    path: PathBuf,
    /// Whether this participant opens an exchange where there is none.
    may_open: bool,
    table: Mutex<Table>,
    changed: Condvar,
    /// The other end of the socket that ends the thread's wait.
    nudge: Channel,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nudge(&self) {
        // A full socket has nudges in it already.
        let _ = self.nudge.send(b"!", &[], Some(Duration::ZERO));
    }
}

/// A process's place at an exchange. Clones are the same place; the last one leaves it.
#[derive(Clone)]
pub struct Participant {
    place: Arc<Place>,
}

struct Place {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Participant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Participant").field("path", &self.path()).finish_non_exhaustive()
    }
}

impl Participant {
    /// Takes part at the exchange at `path`, whose owner is another process: a node.
    ///
    /// # Errors
    /// - [`ParticipantError`]: nobody is there, or it turned this process away.
    pub fn join(path: &Path) -> Result<Self, ParticipantError> {
        Self::start(path, false)
    }

    /// Takes part at the exchange at `path`, and opens it when nobody else has: for processes
    /// without a node. Whoever is left opens it again when its owner ends.
    ///
    /// # Errors
    /// - [`ParticipantError`]: the path cannot be had.
    pub fn open(path: &Path) -> Result<Self, ParticipantError> {
        Self::start(path, true)
    }

    fn start(path: &Path, may_open: bool) -> Result<Self, ParticipantError> {
        let (nudge, nudged) = fdpass::pair()?;
        let (channel, own_exchange) = find(path, may_open, PATIENCE)?;
        let table = Table { exchange: Some(channel), own_exchange, ..Table::default() };
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            may_open,
            table: Mutex::new(table),
            changed: Condvar::new(),
            nudge,
        });
        let worker = Worker { shared: shared.clone(), nudged, pause: PAUSE_MIN };
        let thread = thread::Builder::new().name("corelane-links".into());
        let thread = thread.spawn(move || worker.run()).map_err(ParticipantError::Thread)?;
        Ok(Self { place: Arc::new(Place { shared, thread: Some(thread) }) })
    }

    /// Where the exchange is.
    pub fn path(&self) -> &Path {
        &self.place.shared.path
    }

    /// Whether the exchange is there. Links go on without it; new ones do not come.
    pub fn is_connected(&self) -> bool {
        self.place.shared.table().exchange.is_some()
    }

    /// The topics and lanes that the exchange knows.
    ///
    /// # Errors
    /// - [`ParticipantError::Silent`]: it does not answer.
    pub fn list(&self) -> Result<Vec<Listed>, ParticipantError> {
        let shared = &self.place.shared;
        let mut table = shared.table();
        table.listing = Some(Listing::default());
        if let Some(exchange) = &table.exchange {
            exchange.send(&encode(&ToExchange::List {}), &[], Some(PATIENCE))?;
        }
        let is_over = |table: &mut Table| table.listing.as_ref().is_some_and(|list| list.is_over);
        let mut table = self.wait_for(table, is_over)?;
        Ok(table.listing.take().unwrap_or_default().names)
    }

    /// Brings an end to the exchange and waits for its answer.
    pub(crate) fn register(
        &self,
        role: Role,
        name: &str,
        tag: Option<TypeTag>,
        local: Arc<dyn LocalEnd>,
    ) -> Result<(Registered, Option<TypeTag>, usize), ParticipantError> {
        let own = tag.clone();
        let refused = |refusal| {
            let differences = differences(own.as_ref(), &refusal);
            ParticipantError::Refused { name: name.to_owned(), refusal, differences }
        };
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
            return Err(refused(Refusal::Name { limit: NAME_BYTES_MAX }));
        }
        let shared = &self.place.shared;
        let number = fastrand::u64(1..);
        let entry =
            Entry { role, name: name.to_owned(), tag, local, answer: None, links: BTreeMap::new() };
        let mut table = shared.table();
        table.bring(number, &entry);
        table.ends.insert(number, entry);
        let registered = Registered { participant: self.clone(), number };
        let has_answer =
            |table: &mut Table| table.ends.get(&number).is_none_or(|end| end.answer.is_some());
        let table = self.wait_for(table, has_answer)?;
        let answer = table.ends.get(&number).and_then(|end| end.answer.clone());
        drop(table);
        match answer {
            Some(Ok((tag, links))) => Ok((registered, tag, links)),
            Some(Err(refusal)) => Err(refused(refusal)),
            None => Err(ParticipantError::Silent { seconds: PATIENCE.as_secs() }),
        }
    }

    fn wait_for<'a>(
        &'a self,
        mut table: MutexGuard<'a, Table>,
        mut is_done: impl FnMut(&mut Table) -> bool,
    ) -> Result<MutexGuard<'a, Table>, ParticipantError> {
        let end = Instant::now() + PATIENCE;
        while !is_done(&mut table) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ParticipantError::Silent { seconds: PATIENCE.as_secs() });
            }
            let waited = self.place.shared.changed.wait_timeout(table, left);
            (table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(table)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.table().is_closed = true;
        self.shared.nudge();
        if let Some(thread) = self.thread.take() {
            // Ends are dropped by the thread too, so the last of them may be dropped there.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

/// An end that the exchange knows, until this is dropped; its links end with it.
#[derive(Debug)]
pub(crate) struct Registered {
    participant: Participant,
    number: u64,
}

impl Registered {
    /// Number of the end.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let shared = &self.participant.place.shared;
        let mut table = shared.table();
        let entry = table.ends.remove(&self.number);
        if let Some(exchange) = &table.exchange {
            // An exchange that is gone has forgotten the end already.
            let withdraw = encode(&ToExchange::Withdraw { end: self.number });
            let _ = exchange.send(&withdraw, &[], Some(PATIENCE));
        }
        drop(table);
        for channel in entry.iter().flat_map(|entry| entry.links.values()) {
            channel.shutdown();
        }
        shared.nudge();
    }
}

impl Table {
    /// Tells the exchange of an end; one that is gone is told when the next is there.
    fn bring(&self, number: u64, entry: &Entry) {
        let Some(exchange) = &self.exchange else { return };
        let registration = Registration {
            end: number,
            role: entry.role,
            name: entry.name.clone(),
            tag: entry.tag.clone(),
            linked: entry.links.keys().copied().collect(),
        };
        let _ = exchange.send(&encode(&ToExchange::Register(registration)), &[], Some(PATIENCE));
    }
}

/// Connects to the exchange at `path`, or opens it, and says hello.
fn find(
    path: &Path,
    may_open: bool,
    patience: Duration,
) -> Result<(Arc<Channel>, Option<Exchange>), ParticipantError> {
    let end = Instant::now() + patience;
    let mut own = None;
    loop {
        let connected = fdpass::connect(path);
        match connected {
            Ok(channel) => match greet(&channel) {
                Ok(()) => return Ok((Arc::new(channel), own)),
                // It ended in between; the next one may be there already.
                Err(ParticipantError::Channel(ChannelError::Closed))
                    if may_open && Instant::now() < end => {}
                Err(error) => return Err(error),
            },
            Err(ListenError::Absent { .. } | ListenError::Stale { .. }) if may_open => {
                match Exchange::open(path) {
                    Ok(opened) => own = Some(opened),
                    // Somebody else was faster.
                    Err(ExchangeError::Listen(ListenError::Live { .. }))
                        if Instant::now() < end => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn greet(channel: &Channel) -> Result<(), ParticipantError> {
    let own = rustix::process::geteuid().as_raw();
    let exchange = channel.peer_credentials()?.uid;
    if exchange != own {
        return Err(ParticipantError::OtherUser { exchange, own });
    }
    channel.send(&encode(&ToExchange::Hello { protocol: PROTOCOL }), &[], Some(PATIENCE))?;
    let packet = channel.recv(Some(PATIENCE)).map_err(|error| match error {
        ChannelError::TimedOut => ParticipantError::Silent { seconds: PATIENCE.as_secs() },
        error => error.into(),
    })?;
    match decode(&packet.bytes) {
        Some(ToParticipant::Welcome { .. }) => Ok(()),
        Some(ToParticipant::Rejected { reason }) => Err(ParticipantError::Rejected { reason }),
        _ => Err(ParticipantError::Rejected { reason: "it answered out of turn".into() }),
    }
}

/// The thread of a participant.
struct Worker {
    shared: Arc<Shared>,
    nudged: Channel,
    pause: Duration,
}

/// What a descriptor of the thread's wait belongs to.
enum Source {
    Nudge,
    Exchange(Arc<Channel>),
    Link(u64, u64, Arc<Channel>, Arc<dyn LocalEnd>),
}

impl Worker {
    fn run(mut self) {
        loop {
            let sources = {
                let table = self.shared.table();
                if table.is_closed {
                    break;
                }
                let mut sources = vec![Source::Nudge];
                sources.extend(table.exchange.iter().cloned().map(Source::Exchange));
                for (&end, entry) in &table.ends {
                    let link = |(&peer, channel): (&u64, &Arc<Channel>)| {
                        Source::Link(end, peer, channel.clone(), entry.local.clone())
                    };
                    sources.extend(entry.links.iter().map(link));
                }
                sources
            };
            let fds: Vec<_> = sources
                .iter()
                .map(|source| match source {
                    Source::Nudge => self.nudged.as_fd(),
                    Source::Exchange(channel) | Source::Link(_, _, channel, _) => channel.as_fd(),
                })
                .collect();
            let is_alone = !matches!(sources.get(1), Some(Source::Exchange(_)));
            let Ok(ready) = poll_any(&fds, is_alone.then_some(self.pause)) else {
                // Only a lack of memory gets here; it passes or the process ends.
                thread::yield_now();
                continue;
            };
            for index in ready {
                match &sources[index] {
                    Source::Nudge => while self.nudged.recv(Some(Duration::ZERO)).is_ok() {},
                    Source::Exchange(channel) => self.hear_exchange(channel),
                    Source::Link(end, peer, channel, local) => {
                        self.hear_link(*end, *peer, channel, &**local);
                    }
                }
            }
            if is_alone {
                self.reconnect();
            }
        }
        let mut table = self.shared.table();
        let own_exchange = table.own_exchange.take();
        drop(table);
        drop(own_exchange);
    }

    /// Looks for the next exchange, and brings every end there.
    fn reconnect(&mut self) {
        let Ok((channel, own)) = find(&self.shared.path, self.shared.may_open, Duration::ZERO)
        else {
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            return;
        };
        self.pause = PAUSE_MIN;
        let mut table = self.shared.table();
        table.exchange = Some(channel);
        if own.is_some() {
            table.own_exchange = own;
        }
        for (&number, entry) in &table.ends {
            table.bring(number, entry);
        }
    }

    fn hear_exchange(&self, channel: &Arc<Channel>) {
        loop {
            let packet = match channel.recv(Some(Duration::ZERO)) {
                Ok(packet) => packet,
                Err(ChannelError::TimedOut) => return,
                Err(_) => {
                    self.shared.table().exchange = None;
                    return;
                }
            };
            let Packet { bytes, fds } = packet;
            let Some(message) = decode::<ToParticipant>(&bytes) else { continue };
            match message {
                ToParticipant::Link { end, peer } => {
                    if let Ok([fd]) = <[OwnedFd; 1]>::try_from(fds) {
                        self.link(end, peer, Arc::new(Channel::from(fd)));
                    }
                }
                ToParticipant::Registered { end, tag, links } => self.answer(end, Ok((tag, links))),
                ToParticipant::Refused { end, refusal } => self.answer(end, Err(refusal)),
                ToParticipant::Listed(listed) => {
                    if let Some(listing) = &mut self.shared.table().listing {
                        listing.names.push(listed);
                    }
                }
                ToParticipant::ListEnd {} => {
                    if let Some(listing) = &mut self.shared.table().listing {
                        listing.is_over = true;
                    }
                    self.shared.changed.notify_all();
                }
                ToParticipant::Welcome { .. }
                | ToParticipant::Rejected { .. }
                | ToParticipant::Unknown => {}
            }
        }
    }

    fn answer(&self, end: u64, answer: Answer) {
        if let Some(entry) = self.shared.table().ends.get_mut(&end) {
            // An end that was taken once stays in use when a later exchange refuses it.
            entry.answer.get_or_insert(answer);
        }
        self.shared.changed.notify_all();
    }

    fn link(&self, end: u64, peer: u64, channel: Arc<Channel>) {
        let mut table = self.shared.table();
        let Some(entry) = table.ends.get_mut(&end) else { return };
        entry.links.insert(peer, channel.clone());
        let local = entry.local.clone();
        drop(table);
        if local.linked(peer, &channel) == Verdict::Cut {
            self.unlink(end, peer, &*local);
        }
    }

    fn hear_link(&self, end: u64, peer: u64, channel: &Channel, local: &dyn LocalEnd) {
        for _ in 0..PACKETS_MAX {
            match channel.recv(Some(Duration::ZERO)) {
                Ok(packet) => {
                    if local.heard(peer, packet) == Verdict::Cut {
                        return self.unlink(end, peer, local);
                    }
                }
                Err(ChannelError::TimedOut) => return,
                Err(_) => return self.unlink(end, peer, local),
            }
        }
    }

    fn unlink(&self, end: u64, peer: u64, local: &dyn LocalEnd) {
        let mut table = self.shared.table();
        let channel = table.ends.get_mut(&end).and_then(|entry| entry.links.remove(&peer));
        drop(table);
        if let Some(channel) = channel {
            channel.shutdown();
        }
        local.unlinked(peer);
    }
}
