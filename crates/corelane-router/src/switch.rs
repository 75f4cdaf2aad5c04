//! One turn over all lanes: the router without its thread. Never blocks, never reads a clock.

use std::fmt;

use corelane_ring::ClaimError;
use corelane_transport::{Envelope, HEADER_WORDS, Port, Priority, RECORD_WORDS_MAX};

use crate::{stats::RouterTotals, table::RoutingTable};

/// How long a receiver's lane may stay full before messages to it are dropped, counted.
pub const STALL_NS: u64 = 1_000_000_000;
/// Records that one lane may move in one turn, by priority: low always moves, a little.
const TURN_BUDGET: [usize; Priority::COUNT] = [256, 256, 32];

/// A client of the node: an index that its next generation keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u16);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a detached client leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detached {
    /// Records that were in its inbox, at most: dropped, for the client is gone.
    pub undelivered: u64,
}

#[derive(Debug)]
struct Attached {
    port: Port,
    /// Of a client that leaves: how many records of each lane are still moved on. What a lane can
    /// hold is enough for all that was there when it left, and ends even with a client that goes
    /// on sending.
    leaving_max: Option<[usize; Priority::COUNT]>,
    full_since_ns: [Option<u64>; Priority::COUNT],
}

/// The ports of one router and what it counted.
#[derive(Debug)]
pub struct Switch {
    clients: Vec<Option<Attached>>,
    corrupt: Vec<(ClientId, String)>,
    totals: RouterTotals,
    words: [u64; RECORD_WORDS_MAX],
}

/// What became of the record at the front of a lane.
enum Outcome {
    Forwarded,
    Dropped,
    Held,
}

impl Default for Switch {
    fn default() -> Self {
        Self {
            clients: Vec::new(),
            corrupt: Vec::new(),
            totals: RouterTotals::default(),
            words: [0; RECORD_WORDS_MAX],
        }
    }
}

impl Switch {
    /// Adds a client, or the next generation of one that was detached.
    pub fn attach(&mut self, client: ClientId, port: Port) {
        let index = client.0 as usize;
        if self.clients.len() <= index {
            self.clients.resize_with(index + 1, || None);
        }
        let full_since_ns = [None; Priority::COUNT];
        self.clients[index] = Some(Attached { port, leaving_max: None, full_since_ns });
    }

    /// Removes a client after moving on everything that it committed (RT-4), and counts what it
    /// never received. What it sent to itself is dropped: nobody is left to receive it.
    pub fn detach(
        &mut self,
        client: ClientId,
        table: &RoutingTable,
        now_ns: impl Fn() -> u64,
    ) -> Detached {
        self.leave(client);
        // Ends: every record is forwarded, or dropped once its receiver stalled.
        loop {
            if let Some(detached) = self.take_left(client) {
                return detached;
            }
            let move_all = |priority| self.move_lane(client, priority, usize::MAX, table, &now_ns);
            if Priority::ALL.map(move_all).into_iter().sum::<usize>() == 0 {
                self.flush();
                std::thread::yield_now();
            }
        }
    }

    /// Begins what [`detach`](Self::detach) does, without waiting: from here on nothing is sent to
    /// the client, and [`turn`](Self::turn) moves on what it had committed.
    pub fn leave(&mut self, client: ClientId) {
        if let Some(attached) = self.clients.get_mut(client.0 as usize).and_then(Option::as_mut) {
            attached.leaving_max.get_or_insert([attached.port.slots(); Priority::COUNT]);
        }
    }

    /// Removes a client that leaves once all that it had committed is moved on; `None` before.
    pub fn take_left(&mut self, client: ClientId) -> Option<Detached> {
        let has_more = Priority::ALL.into_iter().any(|priority| self.has_record(client, priority));
        if has_more {
            return None;
        }
        let attached = self.clients.get_mut(client.0 as usize).and_then(Option::take);
        // Nobody is left to be cut off for what was found in its lanes just now.
        self.corrupt.retain(|(corrupt, _)| *corrupt != client);
        // These were counted as forwarded: counting them again would break RT-1.
        let undelivered = attached.map_or(0, |mut attached| attached.port.undelivered());
        Some(Detached { undelivered })
    }

    /// Moves what is waiting, the most urgent first, each lane within its budget; returns the
    /// number of records taken out of lanes. Call [`flush`](Self::flush) afterwards.
    pub fn turn(&mut self, table: &RoutingTable, now_ns: impl Fn() -> u64) -> usize {
        let mut moved = 0;
        for priority in Priority::ALL {
            for index in 0..self.clients.len() {
                let (client, budget) = (ClientId(index as u16), TURN_BUDGET[priority as usize]);
                moved += self.move_lane(client, priority, budget, table, &now_ns);
            }
        }
        moved
    }

    /// Ends a turn: gives slots back to the senders and wakes receivers that sleep.
    pub fn flush(&mut self) {
        for attached in self.clients.iter_mut().flatten() {
            attached.port.flush();
        }
    }

    /// Totals so far.
    pub fn totals(&self) -> RouterTotals {
        self.totals
    }

    /// Clients whose lanes held nonsense since the last call; their ports are closed already.
    pub fn take_corrupt(&mut self) -> Vec<(ClientId, String)> {
        std::mem::take(&mut self.corrupt)
    }

    pub(crate) fn ports(&mut self) -> impl Iterator<Item = &mut Port> {
        self.clients.iter_mut().flatten().map(|attached| &mut attached.port)
    }

    fn has_record(&mut self, client: ClientId, priority: Priority) -> bool {
        let attached = self.clients.get_mut(client.0 as usize).and_then(Option::as_mut);
        attached.is_some_and(|attached| {
            let is_spent = attached.leaving_max.is_some_and(|left| left[priority as usize] == 0);
            !is_spent && !matches!(attached.port.peek(priority), Ok(None))
        })
    }

    fn move_lane(
        &mut self,
        client: ClientId,
        priority: Priority,
        budget: usize,
        table: &RoutingTable,
        now_ns: &impl Fn() -> u64,
    ) -> usize {
        let leaving = self.clients.get(client.0 as usize).and_then(Option::as_ref);
        let leaving = leaving.and_then(|attached| attached.leaving_max);
        let budget = leaving.map_or(budget, |left| left[priority as usize].min(budget));
        let mut moved = 0;
        while moved < budget {
            let Some(length) = self.copy_front(client, priority) else { break };
            match self.route(client, priority, length, table, now_ns) {
                Outcome::Held => break,
                Outcome::Forwarded => self.totals.forwarded += 1,
                Outcome::Dropped => {}
            }
            moved += 1;
            // The client may have been given up by `route` when it sends to itself.
            let Some(attached) = &mut self.clients[client.0 as usize] else { break };
            if let Ok(Some(record)) = attached.port.peek(priority) {
                record.consume();
            }
            if let Some(left) = &mut attached.leaving_max {
                left[priority as usize] -= 1;
            }
        }
        moved
    }

    /// Copies the front record of a lane into `self.words`; its length in bytes, if there is one.
    #[inline]
    fn copy_front(&mut self, client: ClientId, priority: Priority) -> Option<u32> {
        let attached = self.clients[client.0 as usize].as_mut()?;
        match attached.port.peek(priority) {
            Ok(record) => {
                let record = record?;
                let length = record.length_bytes();
                record.read(0, &mut self.words[..(length as usize).div_ceil(8)]);
                Some(length)
            }
            Err(error) => {
                self.give_up(client, &error);
                None
            }
        }
    }

    /// Decides where the copied record goes, and sends it there.
    #[inline]
    fn route(
        &mut self,
        client: ClientId,
        priority: Priority,
        length: u32,
        table: &RoutingTable,
        now_ns: &impl Fn() -> u64,
    ) -> Outcome {
        let header: &[u64; HEADER_WORDS] =
            self.words.first_chunk().expect("because a record has more words");
        let envelope = match Envelope::decode(header, length) {
            Ok(envelope) if envelope.priority == priority => envelope,
            _ => return self.drop_one(|totals| &mut totals.malformed),
        };
        // RT-3: under its own agents' addresses only.
        if table.home(envelope.sender) != Some(client) {
            return self.drop_one(|totals| &mut totals.malformed);
        }
        let Some(home) = table.home(envelope.receiver) else {
            return self.drop_one(|totals| &mut totals.dropped_unknown);
        };
        let attached = self.clients.get_mut(home.0 as usize).and_then(Option::as_mut);
        let Some(attached) = attached.filter(|attached| attached.leaving_max.is_none()) else {
            return self.drop_one(|totals| &mut totals.dropped_dead);
        };
        let words = &self.words[..(length as usize).div_ceil(8)];
        let full_since = &mut attached.full_since_ns[priority as usize];
        match attached.port.forward(priority, words, length) {
            Ok(()) => {
                *full_since = None;
                Outcome::Forwarded
            }
            Err(ClaimError::Full { .. }) => {
                let now = now_ns();
                if now.saturating_sub(*full_since.get_or_insert(now)) < STALL_NS {
                    // RT-2: it stays in front, so that nothing behind it overtakes it.
                    return Outcome::Held;
                }
                self.drop_one(|totals| &mut totals.dropped_stalled)
            }
            Err(error) => {
                self.give_up(home, &error);
                self.drop_one(|totals| &mut totals.dropped_dead)
            }
        }
    }

    /// RT-1: the record at hand is counted here, once, or as forwarded by the caller.
    #[cold]
    fn drop_one(&mut self, counter: impl Fn(&mut RouterTotals) -> &mut u64) -> Outcome {
        *counter(&mut self.totals) += 1;
        Outcome::Dropped
    }

    #[cold]
    fn give_up(&mut self, client: ClientId, why: &dyn std::error::Error) {
        self.corrupt.push((client, why.to_string()));
        self.clients[client.0 as usize] = None;
    }
}
