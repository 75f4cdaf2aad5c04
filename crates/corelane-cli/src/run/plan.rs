//! Which agents there are, in which worker, and how large the lanes between them are.
//!
//! Agents of all stages are dealt out in turn, so that every worker has its share of each stage and
//! none is empty. A worker's agents lie side by side, stage by stage.

use std::ops::Range;

use corelane_config::{Alarm, Config, Model, Work as Wanted};
use corelane_transport::{LaneShape, LaneShapeError};
use hdrhistogram::Histogram;

use super::{
    engine::{Choice, StagePlan},
    error::RunError,
    record::StageRecord,
    work::{Work, WorkerPlan},
};
use crate::fabric::AGENT_FIRST;

/// Agents of a run, at most.
const AGENTS_MAX: u64 = 100_000;
/// Records of a lane: room for twice the questions that may be open, within these.
const LANE_SLOTS: Range<usize> = 64..4096;
/// Bytes of a record in a lane besides its payload: the commit word and the envelope.
const RECORD_BYTES: usize = 48;
const LINE_BYTES: usize = 64;
/// The longest round trip that is told from longer ones.
const WAITED_NS_MAX: u64 = 3_600_000_000_000;

/// All that follows from the settings, before anything runs.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) workers: Vec<WorkerLayout>,
    pub(super) stages: Vec<StagePlan>,
    /// How long an answer of each stage is waited for.
    pub(super) timeout_ns: Vec<u64>,
    pub(super) open_max: u32,
    pub(super) record_bytes_max: usize,
    names: Vec<(String, u32, Work)>,
}

/// One worker: its addresses, and what it is told.
#[derive(Debug)]
pub(super) struct WorkerLayout {
    pub(super) agents: Range<u32>,
    pub(super) plan: WorkerPlan,
}

impl Layout {
    /// Whether a fabric has room for the agents.
    pub(super) fn check(config: &Config) -> Result<(), RunError> {
        let (counts, max) = (config.agents.iter().map(|stage| u64::from(stage.count)), AGENTS_MAX);
        let found: u64 = counts.sum();
        match found > max {
            true => Err(RunError::TooManyAgents { found, max }),
            false => Ok(()),
        }
    }

    /// The layout of a flow that was checked.
    pub(super) fn of(config: &Config) -> Self {
        let deadline_ns = config.limits.ask_timeout.ns();
        let names: Vec<_> = config
            .agents
            .iter()
            .map(|stage| (stage.name.clone(), stage.count, work_of(&stage.work, deadline_ns)))
            .collect();
        let total: u32 = config.agents.iter().map(|stage| stage.count).sum();
        // A worker without agents would have nothing to do.
        let workers = config.topology.workers.min(total).max(1);
        let record_bytes_max = config.limits.record_bytes_max.bytes() as usize;
        let (workers, agents) = deal(&names, workers, record_bytes_max);
        let stages = names.iter().zip(agents);
        let stages =
            stages.map(|((_, _, work), agents)| StagePlan { agents, choice: choice(work) });
        let patience = |(_, _, work): &(String, u32, Work)| match work {
            // A tool has that time itself; its answer needs a little more.
            Work::Command { .. } => deadline_ns.saturating_mul(2),
            _ => deadline_ns,
        };
        Self {
            workers,
            stages: stages.collect(),
            timeout_ns: names.iter().map(patience).collect(),
            open_max: config.limits.open_questions,
            record_bytes_max,
            names,
        }
    }

    /// Lanes that carry the longest record and its verdict.
    pub(super) fn lanes(&self) -> Result<LaneShape, LaneShapeError> {
        let slots = (2 * self.open_max as usize).next_power_of_two();
        let slots = slots.clamp(LANE_SLOTS.start, LANE_SLOTS.end);
        let bytes = RECORD_BYTES + 1 + self.record_bytes_max;
        LaneShape::new(slots, bytes.div_ceil(LINE_BYTES))
    }

    /// What is counted of each stage, at zero.
    pub(super) fn records(&self) -> Vec<StageRecord> {
        let record = |(name, agents, work): &(String, u32, Work)| StageRecord {
            name: name.clone(),
            agents: *agents,
            work: work.clone(),
            answered: 0,
            passed: 0,
            judged: 0,
            failed: 0,
            expired: 0,
            waited_ns: Histogram::new_with_bounds(1, WAITED_NS_MAX, 2)
                .expect("because the bounds are valid"),
        };
        self.names.iter().map(record).collect()
    }
}

/// The workers, and the addresses of each stage's agents, neighbours in different workers.
fn deal(
    stages: &[(String, u32, Work)],
    workers: u32,
    record_bytes_max: usize,
) -> (Vec<WorkerLayout>, Vec<Vec<u32>>) {
    let mut dealt = 0;
    let mut shares = vec![vec![0_u32; stages.len()]; workers as usize];
    let mut homes: Vec<Vec<usize>> = vec![Vec::new(); stages.len()];
    for (stage, (_, count, _)) in stages.iter().enumerate() {
        for _ in 0..*count {
            let worker = dealt % workers as usize;
            shares[worker][stage] += 1;
            homes[stage].push(worker);
            dealt += 1;
        }
    }
    let mut first = AGENT_FIRST;
    // Address of the next agent of a stage in a worker.
    let mut next = vec![vec![0_u32; stages.len()]; workers as usize];
    let mut layouts = Vec::new();
    for (worker, share) in shares.iter().enumerate() {
        let begin = first;
        for (stage, count) in share.iter().enumerate() {
            next[worker][stage] = first;
            first += count;
        }
        let works = share.iter().zip(stages).map(|(count, (_, _, work))| (*count, work.clone()));
        let works = works.filter(|(count, _)| *count > 0).collect();
        let plan = WorkerPlan { stages: works, record_bytes_max };
        layouts.push(WorkerLayout { agents: begin..first, plan });
    }
    let mut address = |stage: usize, worker: usize| {
        let place = &mut next[worker][stage];
        *place += 1;
        *place - 1
    };
    let agents = homes.iter().enumerate();
    let agents = agents.map(|(stage, homes)| homes.iter().map(|w| address(stage, *w)).collect());
    let agents = agents.collect();
    (layouts, agents)
}

fn work_of(wanted: &Wanted, deadline_ns: u64) -> Work {
    match wanted {
        Wanted::Model(Model::Digits) => Work::Digits,
        Wanted::Model(Model::File(file)) => Work::Model(file.clone()),
        Wanted::Command { argv, each } => {
            Work::Command { argv: argv.clone(), each: *each, deadline_ns }
        }
        Wanted::Match(pattern) => Work::Match(pattern.clone()),
        Wanted::Alarm(Alarm { window, threshold }) => {
            Work::Alarm { window: *window, threshold: *threshold }
        }
    }
}

fn choice(work: &Work) -> Choice {
    match work {
        Work::Command { .. } => Choice::Idle,
        Work::Alarm { .. } => Choice::Series,
        _ => Choice::Turns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(counts: &[u32]) -> Vec<(String, u32, Work)> {
        let stage = |count: &u32| ("a".to_owned(), *count, Work::Match("x".to_owned()));
        counts.iter().map(stage).collect()
    }

    #[test]
    fn every_agent_has_one_address_and_no_worker_is_empty() {
        for (counts, workers) in [(&[1000][..], 2), (&[1, 1, 1], 2), (&[3, 5, 7], 4), (&[1], 1)] {
            let (workers, agents) = deal(&stages(counts), workers, 100);
            let mut all: Vec<u32> = agents.concat();
            all.sort_unstable();
            let total = counts.iter().sum::<u32>();
            assert!(all.into_iter().eq(AGENT_FIRST..AGENT_FIRST + total));
            assert!(workers.iter().all(|worker| !worker.agents.is_empty()));
            assert!(workers.windows(2).all(|pair| pair[0].agents.end == pair[1].agents.start));
            // Within a worker the stages lie as its plan says.
            for worker in &workers {
                let mut at = worker.agents.start;
                assert_eq!(
                    worker.plan.stages.iter().map(|(n, _)| n).sum::<u32>() as usize,
                    worker.agents.len()
                );
                for (stage, agents) in agents.iter().enumerate() {
                    let own = agents.iter().filter(|agent| worker.agents.contains(agent));
                    for agent in own {
                        assert_eq!(*agent, at, "stage {stage}");
                        at += 1;
                    }
                }
            }
        }
    }

    #[test]
    fn neighbours_are_in_different_workers() {
        let (workers, agents) = deal(&stages(&[10]), 2, 100);
        let home = |agent: u32| workers.iter().position(|w| w.agents.contains(&agent));
        assert!(agents[0].windows(2).all(|pair| home(pair[0]) != home(pair[1])));
    }
}
