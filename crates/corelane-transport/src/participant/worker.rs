//! The thread of a participant: it hears the exchange and every link, and finds the next exchange.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use corelane_shm::fdpass::{self, Channel, ChannelError, ListenError, Packet};
use corelane_shm::poll_any;

use crate::exchange::message::{PROTOCOL, ToExchange, ToParticipant, decode, encode};
use crate::exchange::{Exchange, ExchangeError};

use super::{Answer, LocalEnd, PATIENCE, ParticipantError, Shared, Verdict};

/// How long to wait before the next exchange is looked for, at first and at most.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// Packets of the exchange, or of one link, before the others have their turn.
const PACKETS_MAX: usize = 64;

/// Connects to the exchange at `path`, or opens it, and says hello.
pub(super) fn find(
    path: &Path,
    may_open: bool,
    patience: Duration,
) -> Result<(Arc<Channel>, u32, Option<Exchange>), ParticipantError> {
    let end = Instant::now() + patience;
    let mut own = None;
    loop {
        let connected = fdpass::connect(path);
        match connected {
            Ok(channel) => match greet(&channel) {
                Ok(protocol) => return Ok((Arc::new(channel), protocol, own)),
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

fn greet(channel: &Channel) -> Result<u32, ParticipantError> {
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
        Some(ToParticipant::Welcome { protocol }) => Ok(protocol),
        Some(ToParticipant::Rejected { reason }) => Err(ParticipantError::Rejected { reason }),
        _ => Err(ParticipantError::Rejected { reason: "it answered out of turn".into() }),
    }
}

/// The thread of a participant.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) nudged: Channel,
    pub(super) pause: Duration,
}

/// What a descriptor of the thread's wait belongs to.
enum Source {
    Nudge,
    Exchange(Arc<Channel>),
    Link(u64, u64, Arc<Channel>, Arc<dyn LocalEnd>),
}

impl Worker {
    pub(super) fn run(mut self) {
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
        let found = find(&self.shared.path, self.shared.may_open, Duration::ZERO);
        let Ok((channel, protocol, own)) = found else {
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            return;
        };
        self.pause = PAUSE_MIN;
        let mut table = self.shared.table();
        (table.exchange, table.protocol) = (Some(channel), protocol);
        if own.is_some() {
            table.own_exchange = own;
        }
        for (&number, entry) in &table.ends {
            table.bring(number, entry);
        }
        for question in table.lists.ask_again() {
            table.ask(question);
        }
    }

    fn hear_exchange(&self, channel: &Arc<Channel>) {
        for _ in 0..PACKETS_MAX {
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
                ToParticipant::Listed(listed) => self.shared.table().lists.heard(listed),
                ToParticipant::ListEnd {} => {
                    self.shared.table().lists.heard_all();
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
        // Nobody takes the place of an end that is linked; whoever tries is closed.
        if entry.links.contains_key(&peer) {
            return;
        }
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
