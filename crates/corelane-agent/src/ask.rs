//! Open asks: who was asked what, so that an ask can be delivered again and is answered once.
//!
//! A table for one asker. It does not send, keep payloads or read a clock: the asker passes the
//! time in, sends what [`AskTable::redeliver`] names, and finds the payload by its own key.
//!
//! # How it works
//! An ask lies in a ring of slots at the place `id % ring length`. The ring has at least twice as
//! many slots as asks may be open. Ids only grow; an id whose place is still held by an older
//! open ask is skipped, so that one slow ask holds up nobody. A slot also remembers the last id
//! that *expired* there: that is the whole memory of closed asks, bounded by the length of the
//! ring. An answer to an id below the next one is therefore
//! - *first*, if the ask is open;
//! - *late*, if the slot remembers that it expired, which it does until another ask expires in the
//!   same slot (the asks open at one moment never share a slot, so that all of them may expire at
//!   once and be remembered);
//! - a *duplicate* otherwise.
//!
//! [`AskTable::open`] and [`AskTable::answered`] are O(1), amortised, and never allocate.
//!
//! # Invariants
//! - **AK-1** Every opened ask ends in exactly one of answered and expired.
//! - **AK-2** An answer is reported as first at most once per ask.
//! - **AK-3** `opened = answered + expired + open`, at every moment.
//! - **AK-4** Ids are unique within a table and grow in the order of opening.
//!
//! # Examples
//! ```
//! use corelane_agent::ask::{Answer, AskTable};
//!
//! let mut asks = AskTable::new(100);
//! let (receiver, deadline_ns, key) = (7, 1_000, 42);
//! let id = asks.open(0, receiver, deadline_ns, key)?;
//! let again = asks.redeliver(10, |receiver| receiver == 7);
//! assert_eq!((again[0].id, again[0].key), (id, 42));
//! assert!(matches!(asks.answered(id), Answer::First { deliveries: 2, .. }));
//! assert_eq!(asks.answered(id), Answer::Duplicate);
//! # Ok::<(), corelane_agent::ask::AskError>(())
//! ```

#[cfg(test)]
mod tests;

use thiserror::Error;

/// Names an ask within the table that opened it; 0 is never given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CorrelationId(pub u64);

/// The open asks of one asker, and the counts of all of them.
#[derive(Clone, Debug)]
pub struct AskTable {
    /// A power of two, at least twice `open_max`.
    slots: Box<[Slot]>,
    open_max: u32,
    /// The lowest id not yet given out.
    next_id: u64,
    open_count: u32,
    /// No open ask has an earlier deadline.
    deadline_floor_ns: u64,
    counters: AskCounters,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    open: Option<OpenAsk>,
    /// The last id that expired here; 0 for none.
    expired_id: u64,
}

/// An ask that waits for its answer, or did until it expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenAsk {
    /// Name of the ask.
    pub id: CorrelationId,
    /// Who was asked.
    pub receiver: u32,
    /// When it was opened.
    pub opened_at_ns: u64,
    /// From when on it may expire.
    pub deadline_ns: u64,
    /// Under which the owner of the payload finds it.
    pub key: u64,
    /// How often it was handed over for delivery: 1 after opening.
    pub deliveries: u32,
}

/// What an incoming answer is to the asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The answer to an open ask, which is closed by it.
    First {
        /// Who was asked.
        receiver: u32,
        /// When the ask was opened.
        opened_at_ns: u64,
        /// Under which the owner of the payload finds it.
        key: u64,
        /// How often the ask was handed over for delivery.
        deliveries: u32,
    },
    /// Another answer to an ask that is closed.
    Duplicate,
    /// An answer to an ask that has expired.
    Late,
    /// An answer to an ask that was never opened.
    Unknown,
}

/// What has happened in a table since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskCounters {
    /// Asks opened.
    pub opened: u64,
    /// Asks closed by an answer.
    pub answered: u64,
    /// Asks closed by their deadline.
    pub expired: u64,
    /// Deliveries after the first, over all asks.
    pub redelivered: u64,
    /// Answers to closed asks, other than late ones.
    pub duplicates: u64,
    /// Answers to expired asks.
    pub late: u64,
    /// Answers to asks that were never opened.
    pub unknown: u64,
    /// Asks refused because too many were open.
    pub refused: u64,
}

/// Why an ask was not opened.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskError {
    /// As many asks wait for answers as the table holds.
    #[error("ask refused because too many are open, take answers in first: limit={limit}")]
    TooManyOpen {
        /// How many may be open.
        limit: u32,
    },
}

impl AskError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooManyOpen { .. } => "CL-0621",
        }
    }
}

impl AskTable {
    /// Makes a table that holds up to `open_max` open asks, and allocates all it needs for that.
    pub fn new(open_max: u32) -> Self {
        let slot_count = (2 * open_max.max(1) as usize).next_power_of_two();
        Self {
            slots: vec![Slot::default(); slot_count].into_boxed_slice(),
            open_max,
            next_id: 1,
            open_count: 0,
            deadline_floor_ns: u64::MAX,
            counters: AskCounters::default(),
        }
    }

    /// Notes an ask of `receiver` that counts as delivered once.
    ///
    /// # Errors
    /// - [`AskError::TooManyOpen`] when the limit is reached; nothing has changed then but the
    ///   count of refusals.
    pub fn open(
        &mut self,
        now_ns: u64,
        receiver: u32,
        deadline_ns: u64,
        key: u64,
    ) -> Result<CorrelationId, AskError> {
        if self.open_count == self.open_max {
            self.counters.refused += 1;
            return Err(AskError::TooManyOpen { limit: self.open_max });
        }
        // At most half of the slots are taken: this ends, and on average after two looks.
        while self.slots[self.place(self.next_id)].open.is_some() {
            self.next_id += 1;
        }
        let id = CorrelationId(self.next_id);
        let opened_at_ns = now_ns;
        let ask = OpenAsk { id, receiver, opened_at_ns, deadline_ns, key, deliveries: 1 };
        self.slots[self.place(id.0)].open = Some(ask);
        self.next_id += 1;
        self.open_count += 1;
        self.counters.opened += 1;
        self.deadline_floor_ns = self.deadline_floor_ns.min(deadline_ns);
        Ok(id)
    }

    /// Takes in an answer. An ask past its deadline can be answered until
    /// [`expire`](Self::expire) closes it.
    pub fn answered(&mut self, id: CorrelationId) -> Answer {
        let place = self.place(id.0);
        let slot = &mut self.slots[place];
        if let Some(ask) = slot.open.take_if(|ask| ask.id == id) {
            self.open_count -= 1;
            self.counters.answered += 1;
            let OpenAsk { receiver, opened_at_ns, key, deliveries, .. } = ask;
            return Answer::First { receiver, opened_at_ns, key, deliveries };
        }
        if id.0 == 0 || id.0 >= self.next_id {
            self.counters.unknown += 1;
            Answer::Unknown
        } else if slot.expired_id == id.0 {
            self.counters.late += 1;
            Answer::Late
        } else {
            self.counters.duplicates += 1;
            Answer::Duplicate
        }
    }

    /// Names the open asks of the chosen receivers, in the order of opening, and counts them as
    /// delivered once more. Asks past their deadline are left to expire. Looks at every slot.
    pub fn redeliver(
        &mut self,
        now_ns: u64,
        mut is_chosen: impl FnMut(u32) -> bool,
    ) -> Vec<OpenAsk> {
        let mut again = Vec::new();
        for ask in self.slots.iter_mut().filter_map(|slot| slot.open.as_mut()) {
            if ask.deadline_ns > now_ns && is_chosen(ask.receiver) {
                ask.deliveries += 1;
                again.push(*ask);
            }
        }
        self.counters.redelivered += again.len() as u64;
        again.sort_unstable_by_key(|ask| ask.id);
        again
    }

    /// Closes the open asks whose deadline has come, and returns them in the order of opening.
    /// Looks at every slot, but only when a deadline may have come.
    pub fn expire(&mut self, now_ns: u64) -> Vec<OpenAsk> {
        let mut expired = Vec::new();
        if now_ns < self.deadline_floor_ns {
            return expired;
        }
        self.deadline_floor_ns = u64::MAX;
        for slot in &mut self.slots {
            if let Some(ask) = slot.open.take_if(|ask| ask.deadline_ns <= now_ns) {
                slot.expired_id = ask.id.0;
                expired.push(ask);
            } else if let Some(ask) = &slot.open {
                self.deadline_floor_ns = self.deadline_floor_ns.min(ask.deadline_ns);
            }
        }
        self.open_count -= expired.len() as u32;
        self.counters.expired += expired.len() as u64;
        expired.sort_unstable_by_key(|ask| ask.id);
        expired
    }

    /// The ask of that name, if it is open.
    pub fn get(&self, id: CorrelationId) -> Option<&OpenAsk> {
        self.slots[self.place(id.0)].open.as_ref().filter(|ask| ask.id == id)
    }

    /// The open asks, in no order. Looks at every slot.
    pub fn open_asks(&self) -> impl Iterator<Item = &OpenAsk> {
        self.slots.iter().filter_map(|slot| slot.open.as_ref())
    }

    /// How many asks are open.
    pub fn open_count(&self) -> u32 {
        self.open_count
    }

    /// What has happened so far.
    pub fn counters(&self) -> AskCounters {
        self.counters
    }

    fn place(&self, id: u64) -> usize {
        id as usize & (self.slots.len() - 1)
    }
}
