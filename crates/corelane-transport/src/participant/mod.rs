//! A process's place at an exchange: it brings ends of topics and lanes there, and has the thread
//! that hears of new links and of the end of old ones.
//!
//! What a link is for is the business of its end ([`LocalEnd`]). When the exchange dies the thread
//! finds or opens the next one and brings every end again; links are not touched by that.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use corelane_shm::fdpass::{self, Channel, Packet};

use crate::exchange::message::{PROTOCOL_OF_TAPS, Registration, Role, ToExchange, encode};
use crate::exchange::{Exchange, Listed, NAME_BYTES_MAX, Refusal, TypeTag};

use self::error::differences;
use self::lists::{Lists, Question};
use self::worker::{PAUSE_MIN, Worker, find};

mod error;
mod lists;
mod worker;

pub use error::ParticipantError;

/// How long an exchange may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

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
    /// Version that it speaks.
    protocol: u32,
    /// Opened by this process, if it did.
    own_exchange: Option<Exchange>,
    lists: Lists,
    is_closed: bool,
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
        let (channel, protocol, own_exchange) = find(path, may_open, PATIENCE)?;
        let exchange = Some(channel);
        let table = Table { exchange, protocol, own_exchange, ..Table::default() };
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
        let question = table.lists.want();
        table.ask(question);
        let is_answered = |table: &mut Table| table.lists.is_answered(question);
        let waited = self.wait_for(table, is_answered).map(drop);
        let answer = shared.table().lists.take(question);
        waited.map(|()| answer.unwrap_or_default())
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
        let number = crate::random::number();
        let entry =
            Entry { role, name: name.to_owned(), tag, local, answer: None, links: BTreeMap::new() };
        let mut table = shared.table();
        if !table.is_understood(role) {
            let (found, needed) = (table.protocol, PROTOCOL_OF_TAPS);
            return Err(ParticipantError::Older { found, needed });
        }
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
    /// Asks the exchange what there is; one that is gone is asked when the next is there.
    fn ask(&mut self, question: Question) {
        let Some(exchange) = &self.exchange else { return };
        let _ = exchange.send(&encode(&ToExchange::List {}), &[], Some(PATIENCE));
        self.lists.asked(question);
    }

    /// Whether the exchange knows ends of this role.
    fn is_understood(&self, role: Role) -> bool {
        role != Role::Tap || self.protocol >= PROTOCOL_OF_TAPS
    }

    /// Tells the exchange of an end; one that is gone is told when the next is there. One of an
    /// earlier version is not told what it would take for nonsense.
    fn bring(&self, number: u64, entry: &Entry) {
        let Some(exchange) = &self.exchange else { return };
        if !self.is_understood(entry.role) {
            return;
        }
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
