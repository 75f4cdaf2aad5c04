//! The loop of a run: carries what the engine says between source, agents and sink.
//!
//! It never waits for one of them while another has something. A signal ends the input; what was
//! asked by then is answered and written, the rest abandoned. The second signal ends the process at
//! once.

use std::time::{Duration, Instant};

use corelane_agent::supervisor::Generation;
use corelane_node::NodeEvent;
use corelane_transport::AgentId;
use indicatif::ProgressBar;

use super::{
    engine::{Done, Flow, Outcome},
    pace::Pace,
    reading::Reading,
    record::{DOWN, RunEvent, StageRecord, UP},
    sink::Sink,
    source::{Entry, Next, Source},
    work::read_answer,
};
use crate::{
    fabric::Fabric,
    interrupt::{Interrupt, Interrupted},
    terminal,
};

/// Longest sleep: between two looks at deadlines, and at the keyboard.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// Failed items that are told one by one; the others are counted.
const TOLD_MAX: u64 = 10;
/// Answers taken in before the loop looks at everything else.
const ANSWERS_PER_TURN: usize = 256;

/// A run under way.
pub(super) struct Drive<'a> {
    pub(super) fabric: &'a mut Fabric,
    pub(super) source: &'a mut Source,
    pub(super) sink: &'a mut Sink,
    pub(super) bar: ProgressBar,
    pub(super) interrupt: &'a Interrupt,
    pub(super) record_bytes_max: usize,
    /// How long an answer of each stage is waited for.
    pub(super) timeout_ns: Vec<u64>,
    pub(super) flow: Flow,
    pub(super) tally: Tally,
}

/// What is counted on the way.
pub(super) struct Tally {
    pub(super) stages: Vec<StageRecord>,
    pub(super) items: u64,
    pub(super) answered: u64,
    pub(super) dropped: u64,
    pub(super) failed: u64,
    pub(super) abandoned: u64,
    pub(super) pace: Pace,
    pub(super) events: Vec<RunEvent>,
    pub(super) redelivered: u64,
    pub(super) started: Instant,
    /// The signal that ended the input.
    pub(super) signal: Option<u8>,
}

impl Tally {
    pub(super) fn new(stages: Vec<StageRecord>) -> Self {
        Self {
            stages,
            items: 0,
            answered: 0,
            dropped: 0,
            failed: 0,
            abandoned: 0,
            pace: Pace::default(),
            events: Vec::new(),
            redelivered: 0,
            started: Instant::now(),
            signal: None,
        }
    }

    fn event(&mut self, worker: usize, what: &'static str, detail: String) {
        let at_s = self.started.elapsed().as_secs_f64();
        self.events.push(RunEvent { at_s, worker, what, detail });
    }
}

impl Drive<'_> {
    /// Runs until the input has ended and every item has left.
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        let mut has_input = true;
        while has_input || !self.flow.is_empty() {
            self.obey_signals()?;
            if self.sink.is_closed {
                // Nobody reads the answers: nothing is left to do.
                let Tally { items, answered, dropped, failed, .. } = self.tally;
                self.tally.abandoned = items - answered - dropped - failed;
                return Ok(());
            }
            let events_seen = self.fabric.events_seen();
            let mut has_moved = false;
            has_input = self.admit(&mut has_moved)?;
            has_moved |= self.ask()?;
            has_moved |= self.take_answers(ANSWERS_PER_TURN)?;
            has_moved |= self.follow_events()?;
            self.expire();
            has_moved |= self.let_out()?;
            if !has_moved {
                self.sink.flush()?;
                self.bar.set_position(self.tally.items);
                self.fabric.sleep(events_seen, SLEEP_MAX)?;
            }
        }
        self.sink.flush()?;
        Ok(())
    }

    /// The first signal ends the input.
    fn obey_signals(&mut self) -> anyhow::Result<()> {
        if self.tally.signal.is_some() {
            return Ok(());
        }
        if let Err(error) = self.interrupt.check() {
            let Interrupted(signal) = error.downcast()?;
            self.tally.signal = Some(signal);
            self.source.stop();
            match self.flow.abandon_unasked() {
                0 => {}
                left => self.say(format!(
                    "interrupted: {left} items are answered first; another signal (Ctrl-C) ends \
                     the run at once"
                )),
            }
        }
        Ok(())
    }

    /// Takes items in while there is room; false when there will be no more.
    fn admit(&mut self, has_moved: &mut bool) -> anyhow::Result<bool> {
        while self.flow.has_room() {
            match self.source.next()? {
                Next::Nothing => return Ok(true),
                Next::Ended => return Ok(false),
                Next::Entry(Entry::Refused(reason)) => self.flow.admit_failed(reason),
                Next::Entry(Entry::Record(record)) if record.len() > self.record_bytes_max => {
                    let (bytes, max) = (record.len(), self.record_bytes_max);
                    self.flow.admit_failed(format!(
                        "record has {bytes} bytes: raise limits.record_bytes_max ({max})"
                    ));
                }
                Next::Entry(Entry::Record(record)) => self.flow.admit(record),
            }
            self.tally.items += 1;
            *has_moved = true;
        }
        Ok(true)
    }

    fn ask(&mut self) -> anyhow::Result<bool> {
        while let Some(ask) = self.flow.next_ask(Reading::series_key) {
            let timeout_ns = self.timeout_ns[ask.stage];
            self.fabric.asker.ask(AgentId(ask.agent), timeout_ns, ask.item)?;
        }
        Ok(self.fabric.asker.pump(|item| self.flow.record(item))?)
    }

    fn take_answers(&mut self, most: usize) -> anyhow::Result<bool> {
        for taken in 0..most {
            let Some(answer) = self.fabric.asker.answer()? else { return Ok(taken > 0) };
            let stage = &mut self.tally.stages[self.flow.stage(answer.key)];
            stage.waited_ns.saturating_record(answer.waited_ns);
            let verdict = answer.payload.map(read_answer);
            match verdict {
                Ok(Some((verdict, is_judged))) => {
                    stage.answered += 1;
                    stage.passed += u64::from(matches!(verdict, super::engine::Verdict::Pass(_)));
                    stage.judged += u64::from(is_judged);
                    self.flow.answered(answer.key, verdict);
                }
                Ok(None) => {
                    stage.failed += 1;
                    self.flow.failed(answer.key, "the answer is none of this version".to_owned());
                }
                Err(reason) => {
                    stage.failed += 1;
                    self.flow.failed(answer.key, reason.to_owned());
                }
            }
        }
        Ok(true)
    }

    fn follow_events(&mut self) -> anyhow::Result<bool> {
        let mut has_event = false;
        while let Some(event) = self.fabric.event(Duration::ZERO)? {
            has_event = true;
            match event {
                NodeEvent::Up { client, pid, generation } => {
                    self.fabric.note_up(client, pid);
                    if generation > Generation(1) {
                        let worker = client.0 as usize;
                        self.tally.event(worker, UP, format!("pid {pid}"));
                        self.redeliver(worker)?;
                    }
                }
                NodeEvent::Down { client, reason, .. } => {
                    let worker = client.0 as usize;
                    self.tally.event(worker, DOWN, reason.to_string());
                    self.say(format!("worker {worker} ended ({reason}) and is started again"));
                }
                NodeEvent::Refused { reason } => self.say(reason),
                _ => {}
            }
        }
        Ok(has_event)
    }

    /// Asks again what the generation before has not answered.
    fn redeliver(&mut self, worker: usize) -> anyhow::Result<()> {
        // What the dead generation had answered is here by now: its lanes were drained before the
        // next one attached.
        while self.take_answers(ANSWERS_PER_TURN)? {}
        let agents = self.fabric.workers[worker].clone();
        let again = self.fabric.asker.redeliver(|agent| agents.contains(&agent.0));
        self.tally.redelivered += again as u64;
        Ok(())
    }

    fn expire(&mut self) {
        for item in self.fabric.asker.expire() {
            let stage = &mut self.tally.stages[self.flow.stage(item)];
            stage.expired += 1;
            self.flow.expired(item);
        }
    }

    /// Writes what is done, in order.
    fn let_out(&mut self) -> anyhow::Result<bool> {
        let mut has_left = false;
        while let Some(Done { item, outcome }) = self.flow.next_done() {
            has_left = true;
            if outcome != Outcome::Abandoned {
                self.tally.pace.count(self.tally.started.elapsed());
            }
            match outcome {
                Outcome::Abandoned => self.tally.abandoned += 1,
                Outcome::Passed(record) => {
                    self.tally.answered += 1;
                    self.sink.write(item, &record)?;
                }
                Outcome::Dropped => self.tally.dropped += 1,
                Outcome::Failed { stage, reason } => self.note_failed(item, stage, &reason),
            }
        }
        Ok(has_left)
    }

    fn note_failed(&mut self, item: u64, stage: Option<usize>, reason: &str) {
        self.tally.failed += 1;
        let stage = stage.map_or("input", |stage| &self.tally.stages[stage].name);
        match self.tally.failed {
            ..=TOLD_MAX => self.say(format!("item {item} failed at {stage}: {reason}")),
            told if told == TOLD_MAX + 1 => {
                self.say("more items failed; the summary counts them".to_owned());
            }
            _ => {}
        }
    }

    /// Says something without tearing the bar.
    fn say(&self, text: String) {
        self.bar.suspend(|| terminal::tell!("corelane: {text}"));
    }
}
