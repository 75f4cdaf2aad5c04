//! The items in flight: which of them is asked next of whom, and which of them may leave.
//!
//! A pure state machine: it sends nothing, reads no clock and writes nothing. Whoever drives it
//! admits records, asks what [`Flow::next_ask`] says, tells what came of it, and takes the items
//! that are done out with [`Flow::next_done`].
//!
//! # Invariants
//! - **FL-1** An admitted item ends in exactly one of passed, dropped, failed and abandoned.
//! - **FL-2** Items leave in the order in which they were admitted.
//! - **FL-3** At most `open_max` items are asked at once, and each of at most one agent.
//! - **FL-4** At most [`WINDOW`] times `open_max` items are in flight.
//! - **FL-5** A stage in order asks its items in the order in which they were admitted; only an
//!   item whose agent did not answer in time is asked again later.

use std::collections::VecDeque;

/// Items in flight for each question that may be open: so far may the fastest be ahead of the
/// slowest.
pub(super) const WINDOW: usize = 16;
/// How often an item is asked of one stage before it is given up.
pub(super) const ASKS_MAX: u32 = 3;

/// Whom a stage asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// One agent after the other, however much each has to do.
    Turns,
    /// An agent that has nothing to do; with none, the item waits.
    Idle,
    /// Always the same agent for the same series, in order.
    Series,
}

/// A stage as the flow knows it.
#[derive(Debug, Clone)]
pub(super) struct StagePlan {
    /// Addresses of its agents; there is one at least. Neighbours are of different workers.
    pub(super) agents: Vec<u32>,
    /// Whom it asks.
    pub(super) choice: Choice,
}

/// What an agent said of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// It goes on, as this record.
    Pass(&'a [u8]),
    /// It goes no further.
    Drop,
}

/// Ask this agent about this item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) item: u64,
    pub(super) stage: usize,
    pub(super) agent: u32,
}

/// An item that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    /// Its number, from 0.
    pub(super) item: u64,
    pub(super) outcome: Outcome,
}

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It passed every stage.
    Passed(Vec<u8>),
    /// A stage let it through no further.
    Dropped,
    /// No stage, or this one, could do anything with it.
    Failed {
        /// Which stage; none when it was refused before the first.
        stage: Option<usize>,
        /// The reason, for people.
        reason: String,
    },
    /// Nobody was asked about it when the flow was to end.
    Abandoned,
}

#[derive(Debug)]
enum State {
    /// Waits for its turn at its stage.
    Ready,
    /// This agent has it.
    Asked(u32),
    Done(Outcome),
}

#[derive(Debug)]
struct Item {
    record: Vec<u8>,
    stage: usize,
    /// How often it was asked of this stage.
    asks: u32,
    state: State,
}

#[derive(Debug)]
struct Stage {
    agents: Vec<u32>,
    choice: Choice,
    /// Items that are ready for it, for a stage that is not in order.
    ready: VecDeque<u64>,
    /// Items that were asked in vain.
    again: VecDeque<u64>,
    /// Of a stage in order: all items before this one were asked, or ended before.
    frontier: u64,
    turn: usize,
    /// Agents that have nothing to do, for [`Choice::Idle`].
    idle: VecDeque<u32>,
}

/// All items in flight.
#[derive(Debug)]
pub(super) struct Flow {
    stages: Vec<Stage>,
    items: VecDeque<Item>,
    /// Number of the first of `items`.
    first: u64,
    open: usize,
    open_max: usize,
}

impl Flow {
    /// A flow through these stages with at most `open_max` open questions.
    pub(super) fn new(stages: Vec<StagePlan>, open_max: usize) -> Self {
        let stage = |plan: StagePlan| Stage {
            idle: plan.agents.iter().copied().collect(),
            agents: plan.agents,
            choice: plan.choice,
            ready: VecDeque::new(),
            again: VecDeque::new(),
            frontier: 0,
            turn: 0,
        };
        let stages = stages.into_iter().map(stage).collect();
        Self { stages, items: VecDeque::new(), first: 0, open: 0, open_max }
    }

    /// Whether another item may be admitted (FL-4).
    pub(super) fn has_room(&self) -> bool {
        self.items.len() < WINDOW * self.open_max
    }

    /// Whether no item is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes in a record as the next item; call it when there is room.
    pub(super) fn admit(&mut self, record: Vec<u8>) {
        let number = self.first + self.items.len() as u64;
        self.items.push_back(Item { record, stage: 0, asks: 0, state: State::Ready });
        self.enqueue(number);
    }

    /// Takes in a record that cannot be asked about: it leaves in its turn.
    pub(super) fn admit_failed(&mut self, reason: String) {
        let state = State::Done(Outcome::Failed { stage: None, reason });
        self.items.push_back(Item { record: Vec::new(), stage: 0, asks: 0, state });
    }

    /// The record of an item that is asked about.
    pub(super) fn record(&self, item: u64) -> &[u8] {
        self.item(item).map_or(&[], |item| &item.record)
    }

    /// Stage of an item in flight.
    pub(super) fn stage(&self, item: u64) -> usize {
        self.item(item).map_or(0, |item| item.stage)
    }

    /// The next question, if one may be asked now (FL-3); the last stage comes first, so that items
    /// leave before others are begun. `series` names the series of a record.
    pub(super) fn next_ask(&mut self, series: impl Fn(&[u8]) -> u64) -> Option<Ask> {
        if self.open >= self.open_max {
            return None;
        }
        for index in (0..self.stages.len()).rev() {
            let Some(item) = self.next_ready(index) else { continue };
            let stage = &self.stages[index];
            let agent = match stage.choice {
                Choice::Turns => stage.agents[stage.turn % stage.agents.len()],
                Choice::Series => {
                    let key = series(self.record(item));
                    stage.agents[(key % stage.agents.len() as u64) as usize]
                }
                Choice::Idle => match stage.idle.front() {
                    Some(agent) => *agent,
                    None => continue,
                },
            };
            let stage = &mut self.stages[index];
            if stage.again.front() == Some(&item) {
                stage.again.pop_front();
            } else {
                stage.ready.pop_front();
                stage.frontier = item + 1;
            }
            if stage.choice == Choice::Idle {
                stage.idle.pop_front();
            }
            stage.turn = (stage.turn + 1) % stage.agents.len();
            self.open += 1;
            let entry = self.item_mut(item)?;
            (entry.state, entry.asks) = (State::Asked(agent), entry.asks + 1);
            return Some(Ask { item, stage: index, agent });
        }
        None
    }

    /// Tells what the agent of an item said.
    pub(super) fn answered(&mut self, item: u64, verdict: Verdict<'_>) {
        if self.close(item).is_none() {
            return;
        }
        let last = self.stages.len() - 1;
        let Some(entry) = self.item_mut(item) else { return };
        match verdict {
            Verdict::Drop => entry.state = State::Done(Outcome::Dropped),
            Verdict::Pass(record) if entry.stage == last => {
                entry.state = State::Done(Outcome::Passed(record.to_vec()));
            }
            Verdict::Pass(record) => {
                entry.record.clear();
                entry.record.extend_from_slice(record);
                (entry.stage, entry.asks, entry.state) = (entry.stage + 1, 0, State::Ready);
                self.enqueue(item);
            }
        }
    }

    /// Tells that the agent of an item could do nothing with it.
    pub(super) fn failed(&mut self, item: u64, reason: String) {
        if let Some(stage) = self.close(item)
            && let Some(entry) = self.item_mut(item)
        {
            entry.state = State::Done(Outcome::Failed { stage: Some(stage), reason });
        }
    }

    /// Tells that the answer about an item did not come in time: it is asked again, or given up.
    pub(super) fn expired(&mut self, item: u64) {
        let Some(stage) = self.close(item) else { return };
        let Some(entry) = self.item_mut(item) else { return };
        if entry.asks >= ASKS_MAX {
            let reason = format!("it was asked {ASKS_MAX} times and no answer came in time");
            entry.state = State::Done(Outcome::Failed { stage: Some(stage), reason });
        } else {
            entry.state = State::Ready;
            self.stages[stage].again.push_back(item);
        }
    }

    /// Gives up the items that nobody was asked about, because the flow is to end. How many others
    /// are not done yet.
    pub(super) fn abandon_unasked(&mut self) -> usize {
        self.stages[0].ready.clear();
        let mut left = 0;
        for item in &mut self.items {
            match item.state {
                State::Ready if (item.stage, item.asks) == (0, 0) => {
                    item.state = State::Done(Outcome::Abandoned);
                }
                State::Ready | State::Asked(_) => left += 1,
                State::Done(_) => {}
            }
        }
        left
    }

    /// The next item that leaves, in the order of admission (FL-2).
    pub(super) fn next_done(&mut self) -> Option<Done> {
        if !matches!(self.items.front()?.state, State::Done(_)) {
            return None;
        }
        let item = self.items.pop_front()?;
        self.first += 1;
        let State::Done(outcome) = item.state else { return None };
        Some(Done { item: self.first - 1, outcome })
    }

    /// Ends the question about an item; its stage, if it was asked.
    fn close(&mut self, item: u64) -> Option<usize> {
        let entry = self.item_mut(item)?;
        let State::Asked(agent) = entry.state else { return None };
        let stage = entry.stage;
        entry.state = State::Ready;
        self.open -= 1;
        if self.stages[stage].choice == Choice::Idle {
            self.stages[stage].idle.push_back(agent);
        }
        Some(stage)
    }

    /// The item that a stage is to ask about next.
    fn next_ready(&mut self, index: usize) -> Option<u64> {
        if let Some(again) = self.stages[index].again.front() {
            return Some(*again);
        }
        if self.stages[index].choice != Choice::Series {
            return self.stages[index].ready.front().copied();
        }
        let mut frontier = self.stages[index].frontier.max(self.first);
        let found = loop {
            let Some(item) = self.item(frontier) else { break None };
            match item.state {
                State::Ready if item.stage == index => break Some(frontier),
                // It comes here later, and those behind it wait (FL-5).
                State::Ready | State::Asked(_) if item.stage < index => break None,
                _ => frontier += 1,
            }
        };
        self.stages[index].frontier = frontier;
        found
    }

    fn enqueue(&mut self, item: u64) {
        let stage = self.stage(item);
        if self.stages[stage].choice != Choice::Series {
            self.stages[stage].ready.push_back(item);
        }
    }

    fn item(&self, item: u64) -> Option<&Item> {
        self.items.get(item.checked_sub(self.first)? as usize)
    }

    fn item_mut(&mut self, item: u64) -> Option<&mut Item> {
        self.items.get_mut(item.checked_sub(self.first)? as usize)
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
