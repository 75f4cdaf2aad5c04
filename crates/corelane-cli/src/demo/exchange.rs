//! The agent of the demo: it answers digits with a model, and exchanges sealed payloads with a
//! partner as fast as it can when it is told to.

use std::{cell::RefCell, ops::Range, rc::Rc};

use corelane_agent::{Agent, Command, Context};
use corelane_plugin::ModelAgent;
use corelane_transport::{AgentId, Flags, Message};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Feature id of the exchange.
const FEATURE: u32 = 2;
/// Words of a payload: 64 bytes.
const WORDS: usize = 8;
/// Round trips beyond this are recorded as this.
const RTT_NS_MAX: u64 = 60_000_000_000;

/// Command "exchange": who talks to whom, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Exchange {
    /// Seed of the permutation of partners.
    pub(super) seed: u64,
    /// All agents that take part in the permutation.
    pub(super) agents: Range<u32>,
    /// How many of them speak; the others only answer.
    pub(super) speakers: u32,
    /// Questions that a speaker keeps open.
    pub(super) window: u32,
    /// Begin of the measured time, on the machine's monotonic clock.
    pub(super) start_ns: u64,
    /// End of the measured time; nobody asks after it.
    pub(super) stop_ns: u64,
    /// Length of the steps in which messages are counted.
    pub(super) step_ns: u64,
}

/// Report "exchanged": what one worker counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Exchanged {
    /// Messages sent, and read.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Messages read within the measured time, in steps of it.
    pub(super) received_by_step: Vec<u64>,
    /// Messages whose seal was broken.
    pub(super) corrupt: u64,
    /// Messages that the fabric refused to take.
    pub(super) refused: u64,
    /// Round trips within the measured time: value in nanoseconds, count.
    pub(super) rtt_ns: Vec<(u64, u64)>,
}

/// A permutation of `agents` without a fixed point, as the partner of each; by Sattolo's algorithm.
pub(super) fn partners(seed: u64, agents: Range<u32>) -> Vec<u32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut partners: Vec<u32> = agents.collect();
    for last in (1..partners.len()).rev() {
        partners.swap(last, random.usize(..last));
    }
    partners
}

/// What the agents of one worker count together.
pub(super) struct ExchangeStats {
    counts: Exchanged,
    rtt: Histogram<u64>,
    plan: Option<(Exchange, Vec<u32>)>,
    open: u64,
    /// When the step ends that is counted in.
    step_end_ns: u64,
}

impl Default for ExchangeStats {
    fn default() -> Self {
        let rtt =
            Histogram::new_with_bounds(1, RTT_NS_MAX, 2).expect("because the bounds are valid");
        Self { counts: Exchanged::default(), rtt, plan: None, open: 0, step_end_ns: 0 }
    }
}

impl ExchangeStats {
    /// Counts a message in its step, if it came within the measured time. The step is known from
    /// the message before: a message costs a comparison and no division.
    fn count_in_time(&mut self, now_ns: u64) -> bool {
        let Some((plan, _)) = &self.plan else { return false };
        if !(plan.start_ns..plan.stop_ns).contains(&now_ns) {
            return false;
        }
        let steps = &mut self.counts.received_by_step;
        if steps.is_empty() {
            self.step_end_ns = plan.start_ns;
        }
        while now_ns >= self.step_end_ns {
            steps.push(0);
            self.step_end_ns += plan.step_ns.max(1);
        }
        // There is one: the first message of all is not before the begin of the first step.
        if let Some(step) = steps.last_mut() {
            *step += 1;
        }
        true
    }
}

/// One of the thousand agents.
pub(super) struct ExchangeAgent {
    digits: ModelAgent,
    stats: Rc<RefCell<ExchangeStats>>,
    partner: Option<AgentId>,
    stop_ns: u64,
    sequence: u64,
}

impl ExchangeAgent {
    pub(super) fn new(digits: ModelAgent, stats: Rc<RefCell<ExchangeStats>>) -> Self {
        Self { digits, stats, partner: None, stop_ns: 0, sequence: 0 }
    }

    fn begin(&mut self, cx: &mut Context<'_>, exchange: &Exchange) {
        let index = cx.me().0 - exchange.agents.start;
        self.stop_ns = exchange.stop_ns;
        {
            let mut stats = self.stats.borrow_mut();
            // The first agent of the worker to hear of it makes room for the counts of all.
            if stats.plan.as_ref().is_none_or(|(plan, _)| plan != exchange) {
                *stats = ExchangeStats::default();
                let partners = partners(exchange.seed, exchange.agents.clone());
                stats.plan = Some((exchange.clone(), partners));
            }
            let (_, partners) = stats.plan.as_ref().expect("because it was made above");
            self.partner = partners.get(index as usize).copied().map(AgentId);
        }
        if index < exchange.speakers {
            for _ in 0..exchange.window {
                self.speak(cx, cx.now_ns());
            }
            // The command came after the end of the measured time: there is nothing to wait for.
            if self.stats.borrow().open == 0 {
                cx.report("quiet", serde_json::Value::Null);
            }
        }
    }

    fn speak(&mut self, cx: &mut Context<'_>, now_ns: u64) {
        let Some(partner) = self.partner.filter(|_| now_ns < self.stop_ns) else { return };
        self.sequence += 1;
        let payload = seal(self.sequence, now_ns, cx.me());
        let is_sent = cx.ask(partner, FEATURE, &payload).is_ok();
        let mut stats = self.stats.borrow_mut();
        match is_sent {
            true => (stats.counts.sent, stats.open) = (stats.counts.sent + 1, stats.open + 1),
            false => stats.counts.refused += 1,
        }
    }

    fn exchange(&mut self, cx: &mut Context<'_>, message: &Message) {
        let sent_ns = unseal(message.payload());
        // Read once per batch, after it arrived: a round trip comes out a little too long.
        let now_ns = cx.now_ns();
        let flags = message.envelope().flags;
        {
            let mut stats = self.stats.borrow_mut();
            let is_in_time = stats.count_in_time(now_ns);
            let ExchangeStats { counts, rtt, open, .. } = &mut *stats;
            counts.received += 1;
            counts.corrupt += u64::from(sent_ns.is_none());
            if flags.contains(Flags::ASK) {
                let is_sent = cx.reply(message.payload()).is_ok();
                counts.sent += u64::from(is_sent);
                counts.refused += u64::from(!is_sent);
                return;
            }
            *open = open.saturating_sub(1);
            if let (Some(sent_ns), true) = (sent_ns, is_in_time) {
                rtt.saturating_record(now_ns.saturating_sub(sent_ns));
            }
        }
        self.speak(cx, now_ns);
        if self.stats.borrow().open == 0 {
            cx.report("quiet", serde_json::Value::Null);
        }
    }

    /// The first agent of a worker reports for all of them.
    fn report(&mut self, cx: &mut Context<'_>) {
        let mut stats = self.stats.borrow_mut();
        if stats.plan.take().is_none() {
            return;
        }
        let rtt = stats.rtt.iter_recorded();
        let rtt_ns = rtt.map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
        let report = Exchanged { rtt_ns, ..std::mem::take(&mut stats.counts) };
        let body = serde_json::to_value(report).expect("because it has no map");
        cx.report("exchanged", body);
    }
}

impl Agent for ExchangeAgent {
    fn on_message(&mut self, cx: &mut Context<'_>, message: &Message) {
        match message.envelope().feature {
            FEATURE => self.exchange(cx, message),
            _ => self.digits.on_message(cx, message),
        }
    }

    fn on_command(&mut self, cx: &mut Context<'_>, command: &Command) {
        match command.name.as_str() {
            "exchange" => match serde_json::from_value(command.body.clone()) {
                Ok(exchange) => self.begin(cx, &exchange),
                Err(error) => cx.report("misunderstood", error.to_string().into()),
            },
            "report" => self.report(cx),
            _ => {}
        }
    }
}

/// A payload that its reader can check: every word depends on the first three, the last on all.
fn seal(sequence: u64, sent_ns: u64, sender: AgentId) -> [u8; WORDS * 8] {
    let mut words = [sequence, sent_ns, u64::from(sender.0), 0, 0, 0, 0, 0];
    for index in 3..WORDS - 1 {
        words[index] = mix(words[index - 1] ^ words[index - 3]);
    }
    words[WORDS - 1] = sum(&words);
    let mut bytes = [0; WORDS * 8];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Reads and checks every byte; when it was sent, if the seal is whole.
fn unseal(payload: &[u8]) -> Option<u64> {
    let (chunks, []) = payload.as_chunks::<8>() else { return None };
    let words: [u64; WORDS] = std::array::from_fn(|index| {
        chunks.get(index).map_or(0, |chunk| u64::from_le_bytes(*chunk))
    });
    (chunks.len() == WORDS && words[WORDS - 1] == sum(&words)).then_some(words[1])
}

fn sum(words: &[u64; WORDS]) -> u64 {
    words[..WORDS - 1].iter().fold(0, |sum, word| mix(sum ^ word))
}

fn mix(word: u64) -> u64 {
    word.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_breaks_the_seal() {
        let payload = seal(7, 1234, AgentId(9));
        assert_eq!(unseal(&payload), Some(1234));
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(&flipped), None, "bit {bit}");
        }
        assert_eq!(unseal(&payload[..56]), None);
        assert_eq!(unseal(&[]), None);
    }

    #[test]
    fn messages_are_counted_in_the_step_that_they_came_in() {
        let mut stats = ExchangeStats::default();
        assert!(!stats.count_in_time(5), "there is no plan");
        let (seed, agents, speakers, window) = (1, 1..3, 2, 1);
        let (start_ns, stop_ns, step_ns) = (1_000, 1_500, 100);
        let plan = Exchange { seed, agents, speakers, window, start_ns, stop_ns, step_ns };
        stats.plan = Some((plan, vec![]));
        let times = [999, 1_100, 1_150, 1_199, 1_200, 1_499, 1_500, 9_000];
        let counted = times.map(|now_ns| stats.count_in_time(now_ns));
        assert_eq!(counted, [false, true, true, true, true, true, false, false]);
        assert_eq!(stats.counts.received_by_step, [0, 3, 1, 0, 1]);
    }

    #[test]
    fn partners_are_a_permutation_without_fixed_points() {
        for seed in 0..20 {
            let mut partners = partners(seed, 5..105);
            assert!(partners.iter().zip(5..).all(|(partner, agent)| *partner != agent));
            partners.sort_unstable();
            assert!(partners.into_iter().eq(5..105));
        }
    }
}
