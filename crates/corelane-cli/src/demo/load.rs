//! Phase 4: the agents exchange messages as fast as they can, and everything is counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::bail;
use corelane_agent::Command;
use corelane_node::NodeEvent;
use corelane_transport::{AgentId, monotonic_ns};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    DemoArgs,
    exchange::{Exchange, Exchanged, partners},
};
use crate::{error::CliError, fabric::Fabric, interrupt::Interrupt, terminal};

/// Between the command and the measured time: caches warm up, the pace settles.
const WARM_UP: Duration = Duration::from_millis(200);
/// Seeds that are tried for a permutation that crosses processes often enough.
const SEEDS_MAX: u64 = 64;
/// Length of the steps in which messages are counted, at least.
const STEP_MIN: Duration = Duration::from_millis(100);
/// Steps at most: the counts of a worker travel in one control message.
const STEPS_MAX: u32 = 300;
/// How long the last messages may take to arrive.
const DRAIN_PATIENCE: Duration = Duration::from_secs(20);

/// What to exchange.
pub(super) struct Load {
    seed: u64,
    speakers: u32,
    window: u32,
    time: Duration,
    what: &'static str,
    /// How long the last messages may take to arrive.
    pub(super) patience: Duration,
}

impl Load {
    /// All agents speak.
    pub(super) fn full(args: &DemoArgs) -> Self {
        let time = Duration::from_secs_f64(args.load_seconds);
        Self {
            seed: args.seed,
            speakers: u32::MAX,
            window: args.window,
            time,
            what: "load",
            patience: DRAIN_PATIENCE,
        }
    }

    /// One agent speaks, one question at a time.
    pub(super) fn quiet(args: &DemoArgs, time: Duration) -> Self {
        Self {
            seed: args.seed,
            speakers: 1,
            window: 1,
            time,
            what: "quiet load",
            patience: DRAIN_PATIENCE,
        }
    }
}

/// What came of it.
pub(super) struct Loaded {
    pub(super) msgs_per_s: f64,
    /// Part of the messages whose receiver is hosted by another process than their sender.
    pub(super) cross_share: f64,
    pub(super) sent: u64,
    pub(super) corrupt: u64,
    pub(super) time: Duration,
    /// Length of a step, and what each worker's agents read in each.
    pub(super) step: Duration,
    pub(super) read_by_step: Vec<Vec<u64>>,
    rtt: Histogram<u64>,
}

/// Percentiles of a round trip in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct RoundTrip {
    pub(super) p50: u64,
    pub(super) p99: u64,
    pub(super) p999: u64,
    pub(super) max: u64,
    pub(super) samples: u64,
}

impl Loaded {
    /// The round trip at a quantile, in nanoseconds.
    pub(super) fn rtt_at(&self, quantile: f64) -> f64 {
        self.rtt.value_at_quantile(quantile) as f64
    }

    pub(super) fn rtt(&self) -> RoundTrip {
        let at = |quantile| self.rtt.value_at_quantile(quantile);
        let (max, samples) = (self.rtt.max(), self.rtt.len());
        RoundTrip { p50: at(0.5), p99: at(0.99), p999: at(0.999), max, samples }
    }
}

pub(super) fn run(
    fabric: &mut Fabric,
    load: Load,
    interrupt: &Interrupt,
) -> anyhow::Result<Loaded> {
    let agents = fabric.agents();
    let speakers = load.speakers.min(agents.len() as u32);
    let (seed, cross_share) = cross_seed(fabric, load.seed, speakers);
    let start_ns = monotonic_ns() + WARM_UP.as_nanos() as u64;
    let stop_ns = start_ns + load.time.as_nanos() as u64;
    let window = load.window;
    let step = STEP_MIN.max(load.time / STEPS_MAX);
    let step_ns = step.as_nanos() as u64;
    let exchange = Exchange { seed, agents, speakers, window, start_ns, stop_ns, step_ns };
    let body = serde_json::to_value(&exchange)?;
    fabric.command(Command { name: "exchange".to_owned(), body });

    // Drawn once, as it is made: nothing of this process but the routers runs while it is measured.
    let bar = terminal::bar(1, load.what);
    let speaking = fabric.workers.iter().filter(|range| range.start < 1 + speakers).count();
    await_quiet(fabric, speaking, WARM_UP + load.time, load.patience, interrupt)?;
    bar.finish_and_clear();
    let counted = collect(fabric, load.patience, interrupt)?;
    let mut rtt = Histogram::new(2).expect("because two digits are valid");
    let mut total = Exchanged::default();
    let mut in_time = 0;
    for worker in &counted {
        total.sent += worker.sent;
        total.received += worker.received;
        in_time += worker.received_by_step.iter().sum::<u64>();
        total.corrupt += worker.corrupt;
        total.refused += worker.refused;
        for &(value, count) in &worker.rtt_ns {
            rtt.record_n(value, count).expect("because the histogram grows as needed");
        }
    }
    if total.refused > 0 {
        bail!(CliError::LanesRefused { count: total.refused });
    }
    if total.sent != total.received {
        let (sent, received) = (total.sent, total.received);
        let totals = Box::new(fabric.totals());
        bail!(CliError::Missing { sent, received, totals });
    }
    let msgs_per_s = in_time as f64 / load.time.as_secs_f64();
    let Exchanged { sent, corrupt, .. } = total;
    let read_by_step = by_step(counted, load.time, step);
    let time = load.time;
    Ok(Loaded { msgs_per_s, cross_share, sent, corrupt, time, step, read_by_step, rtt })
}

/// The counts of each worker over all whole steps: one that read nothing counts as nothing, and
/// what is left behind the last whole step would look like a fall.
fn by_step(counted: Vec<Exchanged>, time: Duration, step: Duration) -> Vec<Vec<u64>> {
    let whole = (time.as_nanos() / step.as_nanos().max(1)) as usize;
    let steps = counted.into_iter().map(|worker| {
        let mut steps = worker.received_by_step;
        steps.resize(whole, 0);
        steps
    });
    steps.collect()
}

/// The first seed from `seed` on whose permutation sends at least half of the messages to another
/// process (with one process: none), and the share.
fn cross_seed(fabric: &Fabric, seed: u64, speakers: u32) -> (u64, f64) {
    let wanted = if fabric.workers.len() > 1 { 0.5 } else { 0.0 };
    let share = |seed| {
        let agents = fabric.agents();
        let partners = partners(seed, agents.clone());
        let pairs = agents.zip(partners).take(speakers as usize);
        let is_cross =
            |(from, to): &(u32, u32)| fabric.home(AgentId(*from)) != fabric.home(AgentId(*to));
        pairs.filter(is_cross).count() as f64 / f64::from(speakers)
    };
    let mut best = (seed, share(seed));
    for seed in (1..SEEDS_MAX).map(|step| seed.wrapping_add(step)) {
        if best.1 >= wanted {
            break;
        }
        let next = (seed, share(seed));
        best = if next.1 > best.1 { next } else { best };
    }
    best
}

/// Waits until every worker with speakers has all its answers.
fn await_quiet(
    fabric: &mut Fabric,
    speaking: usize,
    time: Duration,
    patience: Duration,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + time + patience;
    let mut quiet = BTreeSet::new();
    while quiet.len() < speaking {
        interrupt.check()?;
        match fabric.event(Duration::from_millis(250))? {
            Some(NodeEvent::Report { client, report }) if report.name == "quiet" => {
                quiet.insert(client);
            }
            Some(event) => disturbed(event)?,
            None if fabric.totals().dropped_stalled > 0 => {
                bail!(CliError::StoodStill { dropped: fabric.totals().dropped_stalled })
            }
            None if Instant::now() > deadline => bail!(CliError::AnswersMissing {
                seconds: patience.as_secs(),
                totals: Box::new(fabric.totals())
            }),
            None => {}
        }
    }
    Ok(())
}

fn collect(
    fabric: &mut Fabric,
    patience: Duration,
    interrupt: &Interrupt,
) -> anyhow::Result<Vec<Exchanged>> {
    fabric.command(Command { name: "report".to_owned(), body: serde_json::Value::Null });
    let deadline = Instant::now() + patience;
    let mut counted = BTreeMap::new();
    while counted.len() < fabric.workers.len() {
        interrupt.check()?;
        match fabric.event(Duration::from_millis(50))? {
            Some(NodeEvent::Report { client, report }) if report.name == "exchanged" => {
                let counts = serde_json::from_value(report.body).map_err(CliError::Counts)?;
                counted.insert(client, counts);
            }
            Some(event) => disturbed(event)?,
            None if Instant::now() > deadline => bail!(CliError::NoCounts),
            None => {}
        }
    }
    Ok(counted.into_values().collect())
}

/// What else may happen during the load: a stranger at the socket is told of, a death ends it.
fn disturbed(event: NodeEvent) -> anyhow::Result<()> {
    match event {
        NodeEvent::Down { client, reason, .. } => {
            bail!(CliError::EndedInLoad { worker: client.0, reason: reason.to_string() })
        }
        NodeEvent::Refused { reason } => terminal::tell!("corelane: {reason}"),
        _ => {}
    }
    Ok(())
}
