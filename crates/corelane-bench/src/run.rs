//! Runs a suite: interleaved passes, each between two brackets, and again when it was disturbed.
//!
//! Pass 1 of every row, then pass 2 of every row, in an order that is rotated, so that a change of
//! the machine meets all of them. Nothing is printed here, and nobody is told while a pass runs.

use std::{
    io,
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use crate::{
    bracket::Bracket,
    counters::MachineUse,
    harness::{PassError, PassResult},
    label::Label,
    machine::Machine,
    noise::{Disturbance, Observed, disturbances},
    report::Report,
    row::RowKey,
    suite::{PlannedRow, Suite},
    summary,
};

/// Passes that may stall in a row before the number of messages is known.
const STALLS_MAX: usize = 3;
/// A row is tried so many times as often as its passes have to count.
const TRIES_FACTOR: usize = 3;
/// Messages of the first pass that only looks for the right number,
const COUNT_FIRST: u64 = 64;
/// what it is multiplied with while that was too short, and the most that is tried.
const COUNT_STEP: u64 = 8;
const COUNT_MAX: u64 = 1 << 36;

/// Before the first pass the machine is watched for so long, and so often until it is quiet.
const QUIET_LOOK: Duration = Duration::from_millis(200);
const QUIET_LOOKS: usize = 8;

/// Is told where the run is, between passes only.
pub trait Progress {
    /// A pass comes next. Breaking ends the run.
    fn next_pass(&mut self, step: &Step<'_>) -> ControlFlow<()>;
}

impl<F: FnMut(&Step<'_>) -> ControlFlow<()>> Progress for F {
    fn next_pass(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        self(step)
    }
}

/// Where a run is.
#[derive(Debug)]
pub struct Step<'a> {
    /// Passes done, those that set the number of messages among them.
    pub done: usize,
    /// Passes to do, as far as is known now.
    pub total: usize,
    /// What comes next.
    pub row: &'a RowKey,
}

/// Why a run gave no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Nothing was asked for that any peer has.
    #[error("no peer has a row for these options, ask for other payloads or workloads")]
    NoRows,
    /// A pass failed.
    #[error("{row}: {source}")]
    Pass {
        /// Which row.
        row: String,
        /// Why.
        source: PassError,
    },
    /// Others use the machine before anything is measured.
    #[error(
        "machine is too noisy to judge: before the first pass, {because}: end what else runs, or \
         repeat with --allow-noise"
    )]
    Busy {
        /// What was seen at the last look.
        because: String,
    },
    /// The machine was too noisy.
    #[error(
        "machine is too noisy to judge: {row}: {counted} of {needed} passes counted after {tried} \
         tries, last because {because}: {advice}"
    )]
    Noisy {
        /// The first row that got too few passes.
        row: String,
        /// Its passes that count.
        counted: usize,
        /// How many it needs.
        needed: usize,
        /// Passes that were tried.
        tried: usize,
        /// What disturbed the last of them.
        because: String,
        /// What helps.
        advice: &'static str,
    },
    /// The kernel's counters cannot be read.
    #[error("the kernel's counters cannot be read, mount /proc: {0}")]
    Counters(#[source] io::Error),
    /// The progress broke it off.
    #[error("interrupted")]
    Interrupted,
}

impl RunError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRows => "CL-0921",
            Self::Pass { source, .. } => source.code(),
            Self::Busy { .. } => "CL-0922",
            Self::Noisy { .. } => "CL-0923",
            Self::Counters(_) => "CL-0924",
            Self::Interrupted => "CL-0925",
        }
    }
}

/// A pass and what surrounded it.
#[derive(Debug)]
pub(crate) struct PassRecord {
    pub(crate) result: PassResult,
    pub(crate) before: Bracket,
    pub(crate) after: Bracket,
    pub(crate) disturbances: Vec<Disturbance>,
}

impl PassRecord {
    pub(crate) fn label(&self) -> Label {
        Label::of_pass(self.before.one_line_ns, self.after.one_line_ns)
    }
}

/// A row while it is measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) row: PlannedRow,
    pub(crate) count: u64,
    /// Passes that count.
    pub(crate) records: Vec<PassRecord>,
    /// Passes that were repeated because no message moved.
    pub(crate) stalled: usize,
    /// Why it has no figures although the run goes on.
    pub(crate) given_up: Option<String>,
    tried: usize,
    /// Why the last pass that does not count does not.
    refused_because: String,
}

impl Measured {
    /// A row of which nothing is known.
    fn new(row: &PlannedRow) -> Self {
        Self {
            row: row.clone(),
            count: 0,
            records: Vec::new(),
            stalled: 0,
            given_up: None,
            tried: 0,
            refused_because: String::new(),
        }
    }
}

impl Suite {
    /// Measures all rows.
    ///
    /// # Errors
    /// - [`RunError::NoRows`]: there is nothing to measure.
    /// - [`RunError::Busy`]: others use the machine, and go on doing so.
    /// - [`RunError::Pass`]: a queue is broken, or threads cannot be had.
    /// - [`RunError::Noisy`]: some row got too few undisturbed passes.
    /// - [`RunError::Counters`]: the kernel does not count.
    /// - [`RunError::Interrupted`]: `progress` broke it off.
    pub fn run(&self, progress: &mut dyn Progress) -> Result<Report, RunError> {
        if self.rows.is_empty() {
            return Err(RunError::NoRows);
        }
        if !self.options.is_noise_allowed {
            await_quiet(QUIET_LOOKS)?;
        }
        self.measure(progress)
    }

    fn measure(&self, progress: &mut dyn Progress) -> Result<Report, RunError> {
        let machine = Machine::look();
        let needed = self.options.passes;
        let mut done = 0;
        let mut total = self.rows.len() * (1 + needed);
        let mut next = |row: &PlannedRow, is_again: bool| {
            total += usize::from(is_again);
            let step = Step { done, total, row: &row.stage.key };
            done += 1;
            match progress.next_pass(&step) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(RunError::Interrupted),
            }
        };
        let mut measured = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            next(row, false)?;
            let calibrated = self.calibrate(row.clone());
            measured.push(calibrated.or_else(|error| self.give_up(Measured::new(row), error))?);
        }
        for round in 0..needed * TRIES_FACTOR {
            let start = rotation(round, measured.len());
            let (last, first) = measured.split_at_mut(start);
            for row in first.iter_mut().chain(last) {
                if row.records.len() < needed && row.given_up.is_none() {
                    next(&row.row, round >= needed)?;
                    self.try_pass(row)?;
                }
            }
        }
        let mut judged = Vec::with_capacity(measured.len());
        for row in measured {
            judged.push(match row.records.len() < needed && row.given_up.is_none() {
                true => {
                    let error = self.too_noisy(&row);
                    self.give_up(row, error)?
                }
                false => row,
            });
        }
        Ok(summary::report(machine, self.options.clone(), &judged, &self.remarks))
    }

    fn too_noisy(&self, row: &Measured) -> RunError {
        RunError::Noisy {
            row: row.row.stage.key.to_string(),
            counted: row.records.len(),
            needed: self.options.passes,
            tried: row.tried,
            because: row.refused_because.clone(),
            // Noise that is allowed refuses nothing: then it was the ends that did not sleep.
            advice: match self.options.is_noise_allowed {
                true => "end what else runs",
                false => "end what else runs, or repeat with --allow-noise",
            },
        }
    }

    /// A row without figures instead of an error that ends the run, if it is of somebody else's
    /// queue across processes: such a queue needs more than this program has.
    fn give_up(&self, row: Measured, error: RunError) -> Result<Measured, RunError> {
        let because = match &error {
            RunError::Pass { source, .. } => source.to_string(),
            RunError::Noisy { because, .. } => because.clone(),
            _ => return Err(error),
        };
        match row.row.stage.key.processes > 0 && self.pardons(&row.row) {
            true => Ok(Measured { given_up: Some(because), ..row }),
            false => Err(error),
        }
    }

    /// Finds the number of messages of a pass that takes about the time asked for.
    fn calibrate(&self, row: PlannedRow) -> Result<Measured, RunError> {
        let target = Duration::from_millis(self.options.pass_ms);
        let (mut count, mut stalled, mut in_a_row) = (COUNT_FIRST, 0, 0);
        loop {
            let wall = match (row.pass)(&row.stage, count) {
                Ok(result) => result.wall,
                // So few round trips say little about sleep: more of them will.
                Err(PassError::Awake { .. }) if count < COUNT_FIRST * COUNT_STEP => Duration::ZERO,
                Err(PassError::Awake { .. }) => target / 2,
                Err(PassError::Stalled) if self.pardons(&row) && in_a_row < STALLS_MAX => {
                    (stalled, in_a_row) = (stalled + 1, in_a_row + 1);
                    continue;
                }
                Err(source) => return Err(failed(&row, source)),
            };
            in_a_row = 0;
            if wall >= target / 8 || count >= COUNT_MAX {
                let factor = target.as_secs_f64() / wall.as_secs_f64();
                let count = (count as f64 * factor).max(1.0) as u64;
                return Ok(Measured { count, stalled, ..Measured::new(&row) });
            }
            count *= COUNT_STEP;
        }
    }

    /// Runs one pass of a row, and keeps it if it counts.
    fn try_pass(&self, measured: &mut Measured) -> Result<(), RunError> {
        let row = &measured.row;
        measured.tried += 1;
        match self.bracketed(row, measured.count) {
            Ok(record) => match record.disturbances.first() {
                Some(because) if !self.options.is_noise_allowed => {
                    measured.refused_because = because.to_string();
                }
                _ => measured.records.push(record),
            },
            Err(RunError::Pass { source: awake @ PassError::Awake { .. }, .. }) => {
                measured.refused_because = awake.to_string();
            }
            Err(RunError::Pass { source: stalled @ PassError::Stalled, .. })
                if self.pardons(&measured.row) =>
            {
                measured.stalled += 1;
                measured.refused_because = stalled.to_string();
            }
            Err(error) => {
                let row = std::mem::replace(measured, Measured::new(&measured.row));
                *measured = self.give_up(row, error)?;
            }
        }
        Ok(())
    }

    fn pardons(&self, row: &PlannedRow) -> bool {
        (self.is_pardoned)(&row.stage.key)
    }

    /// One pass, the ping-pongs around it, and what the kernel counted meanwhile.
    fn bracketed(&self, row: &PlannedRow, count: u64) -> Result<PassRecord, RunError> {
        let stage = &row.stage;
        let time = Duration::from_millis(self.options.bracket_ms);
        let bracket = || Bracket::measure(stage, time).map_err(|source| failed(row, source));
        let before = bracket()?;
        let machine_before = MachineUse::now().map_err(RunError::Counters)?;
        let result = (row.pass)(stage, count).map_err(|source| failed(row, source))?;
        let machine = MachineUse::now().map_err(RunError::Counters)? - machine_before;
        let after = bracket()?;
        let observed = Observed {
            wall: result.wall,
            cpus: cpus(),
            busy: machine.busy,
            own: machine.own,
            steal: machine.steal,
            has_own_cpus: stage.has_own_cpus(),
            involuntary: result.uses.iter().map(|used| used.involuntary).max().unwrap_or(0),
            waited: result.uses.iter().map(|used| used.waited).max().unwrap_or(Duration::ZERO),
            pingpong_ns: (before.one_line_ns, after.one_line_ns),
        };
        Ok(PassRecord { result, before, after, disturbances: disturbances(&observed) })
    }
}

/// Returns once others leave the machine alone; an error when they did at none of the looks.
fn await_quiet(looks: usize) -> Result<(), RunError> {
    let mut last = None;
    for _ in 0..looks {
        let (before, start) = (MachineUse::now().map_err(RunError::Counters)?, Instant::now());
        thread::sleep(QUIET_LOOK);
        let counted = MachineUse::now().map_err(RunError::Counters)? - before;
        let observed = Observed {
            wall: start.elapsed(),
            cpus: cpus(),
            busy: counted.busy,
            own: counted.own,
            steal: counted.steal,
            ..Observed::default()
        };
        last = disturbances(&observed).into_iter().next();
        if last.is_none() {
            break;
        }
    }
    last.map_or(Ok(()), |because| Err(RunError::Busy { because: because.to_string() }))
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn failed(row: &PlannedRow, source: PassError) -> RunError {
    RunError::Pass { row: row.stage.key.to_string(), source }
}

/// The row that a round begins with: another one each time, far from the one before.
fn rotation(round: usize, rows: usize) -> usize {
    (round * (rows / 3 + 1)) % rows
}

#[cfg(test)]
mod tests {
    use std::sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use super::*;
    use crate::{
        harness::{PassFn, Stage},
        options::Options,
        row::Workload,
        standard::{Parking, Pipe, StdChannel},
    };

    #[test]
    fn rounds_begin_at_different_rows() {
        let starts: Vec<_> = (0..4).map(|round| rotation(round, 6)).collect();
        assert_eq!(starts, [0, 3, 0, 3]);
        let starts: Vec<_> = (0..4).map(|round| rotation(round, 7)).collect();
        assert_eq!(starts, [0, 3, 6, 2]);
        assert_eq!(rotation(5, 1), 0);
    }

    fn short(workload: Workload) -> Suite {
        let mut options = Options::for_cpus(vec![workload], 2).quick();
        (options.pass_ms, options.bracket_ms, options.passes) = (2, 1, 2);
        (options.is_noise_allowed, options.payloads) = (true, vec![8]);
        Suite::new(options).unwrap()
    }

    #[test]
    fn a_run_gives_every_row_its_passes() {
        let mut suite = short(Workload::Throughput);
        suite.add_queue::<StdChannel>();
        let mut steps = 0;
        let mut progress = |step: &Step<'_>| {
            assert!(step.done < step.total);
            steps += 1;
            ControlFlow::Continue(())
        };
        let report = suite.run(&mut progress).unwrap();
        assert_eq!(report.rows.len(), 2, "{report:?}");
        assert!(report.rows.iter().all(|row| row.low <= row.median && row.median <= row.high));
        assert!(report.rows.iter().all(|row| row.passes <= 2 && row.median > 0.0));
        assert_eq!(steps, 2 * 3);
    }

    #[test]
    fn sleeping_ends_are_measured() {
        let mut suite = short(Workload::Wakeup);
        suite.add_sleeping::<Pipe>();
        suite.add_sleeping::<Parking>();
        let mut progress = |_: &Step<'_>| ControlFlow::Continue(());
        match suite.run(&mut progress) {
            Ok(report) => assert_eq!(report.rows.len(), 8),
            // On one CPU that others use too, both ends may find their message without sleeping.
            Err(error) => assert!(matches!(error, RunError::Noisy { .. }), "{error}"),
        }
    }

    #[test]
    fn passes_that_others_disturb_do_not_count() {
        let _children = crate::testing::children();
        let mut suite = short(Workload::Throughput);
        // Long enough that none fits between two turns of the others, though it is calibrated among
        // them and so comes out shorter.
        (suite.options.pass_ms, suite.options.is_noise_allowed) = (600, false);
        suite.add_queue::<StdChannel>();
        let is_over = AtomicBool::new(false);
        let error = thread::scope(|scope| {
            for _ in 0..3 * cpus() {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        std::hint::spin_loop()
                    }
                });
            }
            let outcome = suite.measure(&mut |_: &Step<'_>| ControlFlow::Continue(()));
            is_over.store(true, Ordering::Relaxed);
            outcome.unwrap_err()
        });
        assert!(
            matches!(error, RunError::Noisy { counted: 0, needed: 2, tried: 6, .. }),
            "{error}"
        );
        assert!(error.to_string().ends_with("or repeat with --allow-noise"), "{error}");
    }

    static PASS: OnceLock<PassFn> = OnceLock::new();
    static PASSES: AtomicUsize = AtomicUsize::new(0);

    /// Every second pass of a row moves nothing.
    fn stalls_now_and_then(stage: &Stage, count: u64) -> Result<PassResult, PassError> {
        match PASSES.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Err(PassError::Stalled),
            _ => PASS.get().expect("it is set before")(stage, count),
        }
    }

    #[test]
    fn a_pass_that_stalls_ends_the_run_unless_it_is_pardoned() {
        let mut suite = short(Workload::Throughput);
        suite.add_queue::<StdChannel>();
        suite.rows.truncate(1);
        let pass = suite.rows[0].pass;
        PASS.get_or_init(|| pass);
        suite.rows[0].pass = stalls_now_and_then;
        let mut go_on = |_: &Step<'_>| ControlFlow::Continue(());
        let error = suite.run(&mut go_on).unwrap_err();
        assert!(matches!(error, RunError::Pass { source: PassError::Stalled, .. }), "{error}");
        suite.pardon_stalls(|key| key.peer == "nobody");
        assert!(suite.run(&mut go_on).is_err());
        suite.pardon_stalls(|_| true);
        let report = suite.run(&mut go_on).unwrap();
        assert_eq!(report.rows.len(), 1);
        let told = report.remarks.iter().any(|remark| remark.contains("no message moved"));
        assert!(told, "{:?}", report.remarks);
    }

    #[test]
    fn a_run_ends_when_it_is_told_to_and_when_there_is_nothing_to_do() {
        let mut suite = short(Workload::Throughput);
        let mut stop = |_: &Step<'_>| ControlFlow::Break(());
        assert!(matches!(suite.run(&mut stop), Err(RunError::NoRows)));
        suite.add_queue::<StdChannel>();
        assert!(matches!(suite.run(&mut stop), Err(RunError::Interrupted)));
    }
}
