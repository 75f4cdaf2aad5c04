//! Phases 3 and 5: every digit is a question; with a kill, a worker dies while some are open.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use anyhow::bail;
use corelane_agent::supervisor::Generation;
use corelane_node::NodeEvent;
use corelane_transport::AgentId;
use hdrhistogram::Histogram;

use super::trail::Trail;
use crate::{assets, error::CliError, fabric::Fabric, interrupt::Interrupt, terminal};

/// Feature id of the digits.
pub(super) const FEATURE: u32 = 1;
/// Questions open at one moment.
pub(super) const OPEN_MAX: u32 = 64;
/// A question without an answer is lost after this time.
const ASK_TIMEOUT_NS: u64 = 30_000_000_000;
/// Longest sleep of the source: between two looks at deadlines, and at the keyboard.
const SLEEP_MAX: Duration = Duration::from_millis(50);
/// The images that the model has never seen.
const HELD_OUT: Range<usize> = 1200..1797;
const MAGIC: &[u8] = b"CLDIGIT1";
const PIXELS: usize = 64;

/// The data set.
pub(crate) struct Digits {
    images: Vec<&'static [u8]>,
    labels: Vec<u8>,
}

impl Digits {
    pub(crate) fn load() -> anyhow::Result<Self> {
        Ok(Self::parse(assets::digits()?)?)
    }

    fn parse(bytes: &'static [u8]) -> Result<Self, CliError> {
        let damaged = |reason| CliError::Digits { reason };
        let header = bytes.first_chunk::<16>().ok_or(damaged("they are truncated"))?;
        let number = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
                as usize
        };
        if &header[..8] != MAGIC || number(12) != PIXELS {
            return Err(damaged("they have another format"));
        }
        let records = bytes[header.len()..].chunks_exact(PIXELS + 1);
        if records.len() != number(8) {
            return Err(damaged("they are truncated"));
        }
        let (images, labels) = records.map(|record| (&record[..PIXELS], record[PIXELS])).unzip();
        Ok(Self { images, labels })
    }

    pub(crate) fn images(&self) -> &[&'static [u8]] {
        &self.images
    }

    pub(crate) fn held_out(&self) -> Range<usize> {
        HELD_OUT
    }

    /// Right answers among the images that the model has never seen.
    pub(super) fn accuracy(&self, outcome: &Classified) -> f64 {
        let is_right = |&index: &usize| outcome.answers[index] == Some(self.labels[index]);
        HELD_OUT.filter(is_right).count() as f64 / HELD_OUT.len() as f64
    }

    pub(crate) fn label(&self, index: usize) -> u8 {
        self.labels[index]
    }
}

/// What came of one pass over all digits.
#[derive(Debug)]
pub(super) struct Classified {
    /// The answer to each image, once.
    pub(super) answers: Vec<Option<u8>>,
    /// Questions sent again to the next generation.
    pub(super) redelivered: usize,
    /// Answers that the source saw for an image that it had an answer for.
    pub(super) duplicates: usize,
    /// Answers that arrived twice and were given out once.
    pub(super) suppressed: u64,
    /// From the kill to the first answer of the next generation.
    pub(super) recovery_ms: Option<f64>,
    /// Which worker was killed, the process before and after.
    pub(super) killed: Option<(usize, u32, u32)>,
    pub(super) time: Duration,
    pub(super) waited_ns: Histogram<u64>,
    /// What happened when, if somebody was to be killed.
    pub(super) trail: Option<Trail>,
}

impl Classified {
    pub(super) fn answered(&self) -> usize {
        self.answers.iter().flatten().count()
    }

    pub(super) fn lost(&self) -> usize {
        self.answers.len() - self.answered()
    }
}

/// The kill and how far its recovery is.
struct Kill {
    after: usize,
    worker: usize,
    at: Option<Instant>,
    is_back: bool,
}

/// Asks for every digit and waits for all answers; kills a worker after `kill_after` of them.
pub(super) fn classify(
    fabric: &mut Fabric,
    digits: &Digits,
    kill_after: Option<u32>,
    interrupt: &Interrupt,
) -> anyhow::Result<Classified> {
    let mut pass = Pass::new(digits, kill_after);
    let before = fabric.asker.counters();
    let bar = terminal::bar(digits.images.len() as u64, "digits");
    let started = Instant::now();
    while !pass.is_done() {
        interrupt.check()?;
        pass.ask(fabric)?;
        let has_sent = fabric.asker.pump(|key| digits.images[key as usize])?;
        let has_answer = pass.take_answers(fabric)?;
        pass.kill_when_due(fabric)?;
        let events_seen = fabric.events_seen();
        let has_event = pass.follow_events(fabric)?;
        pass.lost += fabric.asker.expire().len();
        if let Some(trail) = &mut pass.outcome.trail {
            trail.open(fabric.asker.open_count());
        }
        if !has_sent && !has_answer && !has_event {
            bar.set_position(pass.answered as u64);
            fabric.sleep(events_seen, SLEEP_MAX)?;
        }
    }
    bar.finish_and_clear();
    pass.outcome.time = started.elapsed();
    let after = fabric.asker.counters();
    pass.outcome.suppressed = after.duplicates + after.late - before.duplicates - before.late;
    Ok(pass.outcome)
}

struct Pass<'d> {
    digits: &'d Digits,
    asked: usize,
    answered: usize,
    lost: usize,
    kill: Option<Kill>,
    outcome: Classified,
}

impl<'d> Pass<'d> {
    fn new(digits: &'d Digits, kill_after: Option<u32>) -> Self {
        let outcome = Classified {
            answers: vec![None; digits.images.len()],
            redelivered: 0,
            duplicates: 0,
            suppressed: 0,
            recovery_ms: None,
            killed: None,
            time: Duration::ZERO,
            waited_ns: Histogram::new_with_bounds(1, ASK_TIMEOUT_NS, 2)
                .expect("because the bounds are valid"),
            trail: kill_after.map(|_| Trail::begin()),
        };
        let kill = kill_after.map(|after| Kill {
            after: after as usize,
            worker: 0,
            at: None,
            is_back: false,
        });
        Self { digits, asked: 0, answered: 0, lost: 0, kill, outcome }
    }

    /// Every question has its answer or is lost, and the killed worker is back.
    fn is_done(&self) -> bool {
        let is_back = self.kill.as_ref().is_none_or(|kill| kill.is_back);
        self.answered + self.lost == self.digits.images.len() && is_back
    }

    fn ask(&mut self, fabric: &mut Fabric) -> anyhow::Result<()> {
        let agents = fabric.agents();
        while self.asked < self.digits.images.len() && fabric.asker.open_count() < OPEN_MAX {
            // Neighbouring digits go to agents of different workers.
            let step = agents.len() / fabric.workers.len();
            let (turn, worker) =
                (self.asked / fabric.workers.len(), self.asked % fabric.workers.len());
            let agent = agents.start + ((worker * step + turn % step.max(1)) % agents.len()) as u32;
            fabric.asker.ask(AgentId(agent), ASK_TIMEOUT_NS, self.asked as u64)?;
            self.asked += 1;
        }
        Ok(())
    }

    fn take_answers(&mut self, fabric: &mut Fabric) -> anyhow::Result<bool> {
        let mut has_answer = false;
        while let Some(answer) = fabric.asker.answer()? {
            has_answer = true;
            let index = answer.key as usize;
            let scores = match answer.payload {
                Ok(scores) => scores,
                Err(text) => bail!(CliError::Answer { image: index, text: text.to_owned() }),
            };
            let class = best(scores).ok_or(CliError::NoScores { image: index })?;
            self.outcome.waited_ns.saturating_record(answer.waited_ns);
            match &mut self.outcome.answers[index] {
                Some(_) => self.outcome.duplicates += 1,
                unanswered => (*unanswered, self.answered) = (Some(class), self.answered + 1),
            }
            if let (2.., Some(Kill { at: Some(at), .. })) = (answer.deliveries, &self.kill) {
                let recovery_ms = at.elapsed().as_secs_f64() * 1e3;
                if self.outcome.recovery_ms.is_none() {
                    self.outcome.recovery_ms = Some(recovery_ms);
                    if let Some(trail) = &mut self.outcome.trail {
                        trail.first_answer();
                    }
                }
            }
            if self
                .kill
                .as_ref()
                .is_some_and(|kill| kill.at.is_none() && self.answered >= kill.after)
            {
                break;
            }
        }
        Ok(has_answer)
    }

    fn kill_when_due(&mut self, fabric: &Fabric) -> anyhow::Result<()> {
        let Some(kill) = &mut self.kill else { return Ok(()) };
        if kill.at.is_some() || self.answered < kill.after {
            return Ok(());
        }
        // The worker with the most open questions: the hardest case.
        let mut open = vec![0; fabric.workers.len()];
        for receiver in fabric.asker.open_receivers() {
            open[fabric.home(receiver)] += 1;
        }
        let most = (0..open.len()).max_by_key(|&worker| open[worker]);
        kill.worker = most.expect("because there is a worker");
        kill.at = Some(Instant::now());
        fabric.kill(kill.worker)?;
        if let (Some(trail), Some(at)) = (&mut self.outcome.trail, kill.at) {
            trail.kill(at, kill.worker, fabric.pids[kill.worker], open[kill.worker]);
        }
        Ok(())
    }

    fn follow_events(&mut self, fabric: &mut Fabric) -> anyhow::Result<bool> {
        let mut has_event = false;
        while let Some(event) = fabric.event(Duration::ZERO)? {
            has_event = true;
            match (event, &mut self.kill) {
                (NodeEvent::Up { client, pid, generation }, Some(kill))
                    if client.0 as usize == kill.worker && generation > Generation(1) =>
                {
                    let old = fabric.note_up(client, pid);
                    self.outcome.killed = Some((kill.worker, old, pid));
                    kill.is_back = true;
                    let agents = fabric.workers[kill.worker].clone();
                    // What the dead generation had answered is here by now: its lanes were
                    // drained before the next one attached.
                    self.take_answers(fabric)?;
                    let again = fabric.asker.redeliver(|agent| agents.contains(&agent.0));
                    self.outcome.redelivered += again;
                    if let Some(trail) = &mut self.outcome.trail {
                        trail.up(pid, again);
                    }
                }
                (NodeEvent::Down { client, undelivered, .. }, Some(kill))
                    if kill.at.is_some() && client.0 as usize == kill.worker =>
                {
                    if let Some(trail) = &mut self.outcome.trail {
                        trail.down(undelivered);
                    }
                }
                (NodeEvent::Refused { reason }, _) => terminal::tell!("corelane: {reason}"),
                (NodeEvent::Down { client, reason, .. }, _) => {
                    bail!(CliError::WorkerEnded { worker: client.0, reason: reason.to_string() })
                }
                _ => {}
            }
        }
        Ok(has_event)
    }
}

/// The class with the highest score.
fn best(scores: &[u8]) -> Option<u8> {
    let (scores, []) = scores.as_chunks::<4>() else { return None };
    let scores = scores.iter().map(|score| f32::from_le_bytes(*score));
    let best = scores.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.map(|(class, _)| class as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_whole() {
        let digits = Digits::load().unwrap();
        assert_eq!((digits.images.len(), digits.labels.len()), (1797, 1797));
        assert!(digits.images.iter().flat_map(|image| image.iter()).all(|&pixel| pixel <= 16));
        assert!(digits.labels.iter().all(|&label| label <= 9));
    }

    #[test]
    fn damaged_digits_are_refused() {
        let whole = assets::digits().unwrap();
        for bytes in [&whole[..15], &whole[..100_000], &[b'x'; 81]] {
            let damaged = Digits::parse(bytes).err().expect("they are damaged");
            assert_eq!(damaged.code(), "CL-1130", "{damaged}");
        }
    }

    #[test]
    fn the_highest_score_wins() {
        let bytes =
            |scores: &[f32]| scores.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(best(&bytes(&[0.1, -3.0, 0.7, 0.2])), Some(2));
        assert_eq!(best(&[]), None);
        assert_eq!(best(&[1, 2, 3]), None);
    }
}
