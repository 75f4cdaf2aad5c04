//! The threads of a pass: placed, started together, and watched by the kernel's counters.

use std::{
    hint, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use corelane_topology::{PinError, pin_current_thread};
use hdrhistogram::Histogram;

use crate::{
    counters::ThreadUse,
    patience::Patience,
    process::Across,
    row::{Mode, Placement, RowKey},
};

/// Why a pass gave no figures. The run ends: these are no noise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// A thread could not be pinned.
    #[error("a measuring thread cannot be pinned, measure floating: {0}")]
    Pin(#[from] PinError),
    /// The system gave no thread.
    #[error("a measuring thread cannot be started, raise the limit of threads: {0}")]
    Thread(#[source] io::Error),
    /// A thread panicked.
    #[error("a measuring thread panicked, the queue or its adapter is broken")]
    Panicked,
    /// What was read is not what was sent.
    #[error(
        "what was read is not what was sent, the queue is broken: read={read:#x} sent={sent:#x}"
    )]
    Checksum {
        /// Sum over all that was read.
        read: u64,
        /// Sum over all that was sent.
        sent: u64,
    },
    /// Nothing moved any more.
    #[error("no message moved for 10 s, the queue lost one or is broken")]
    Stalled,
    /// The ends of a sleeping peer did not sleep.
    #[error(
        "the ends did not sleep at every round trip, so this is no wake-up: switches per round \
         trip={per_round_trip:.2}"
    )]
    Awake {
        /// Voluntary context switches per round trip of the side that had fewer.
        per_round_trip: f64,
    },
    /// The kernel's counters cannot be read.
    #[error("the kernel's counters cannot be read, mount /proc: {0}")]
    Counters(#[source] io::Error),
    /// The process of an end could not be started or spoken to.
    #[error("the process of an end cannot be had, raise the limit of processes: {0}")]
    Process(#[source] io::Error),
    /// The process of an end died.
    #[error("the process of an end died, the queue or its adapter is broken: {how}")]
    Died {
        /// How it ended.
        how: String,
    },
    /// The process of an end did not answer, and was killed.
    #[error("the process of an end did not answer for {seconds} s and was killed, run it again")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
    },
    /// An end could not be opened in its process, or something that it needs could not.
    #[error("an end cannot be opened in its process, install what it needs: {0}")]
    Open(String),
}

impl PassError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Pin(cause) => cause.code(),
            Self::Thread(_) => "CL-0931",
            Self::Panicked => "CL-0932",
            Self::Checksum { .. } => "CL-0933",
            Self::Stalled => "CL-0934",
            Self::Awake { .. } => "CL-0935",
            Self::Counters(_) => "CL-0936",
            Self::Process(_) => "CL-0937",
            Self::Died { .. } => "CL-0938",
            Self::Silent { .. } => "CL-0939",
            Self::Open(_) => "CL-0940",
        }
    }
}

/// What a pass runs on.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) key: RowKey,
    /// CPUs that may be used, in order.
    pub(crate) cpus: Vec<usize>,
    /// Cursors of the fan-out.
    pub(crate) cursors: usize,
    /// How its ends come into processes of their own.
    pub(crate) across: Option<Arc<Across>>,
}

impl Stage {
    /// The CPU of a measuring thread; `None` when it floats.
    pub(crate) fn cpu(&self, thread: usize) -> Option<usize> {
        match self.key.placement {
            Placement::Pinned => {
                let others = self.cpus.len().saturating_sub(1);
                let index = match self.key.mode {
                    // The sender's CPU time counts: no receiver is on its CPU if there are others.
                    Mode::Bursts if thread > 0 && others > 0 => 1 + (thread - 1) % others,
                    _ => thread % self.cpus.len().max(1),
                };
                self.cpus.get(index).copied()
            }
            Placement::Floating => None,
        }
    }

    /// Whether every measuring thread has a CPU of its own.
    pub(crate) fn has_own_cpus(&self) -> bool {
        let is_alone = self.across.as_ref().is_none_or(|across| !across.has_threads_beside);
        let is_pinned = self.key.placement == Placement::Pinned;
        is_pinned && is_alone && self.key.threads() <= self.cpus.len()
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience::new(self.has_own_cpus())
    }

    /// Which thread lies where.
    pub(crate) fn cpus_text(&self) -> String {
        let list = |threads: std::ops::Range<usize>| {
            let cpus = threads.filter_map(|thread| self.cpu(thread));
            cpus.map(|cpu| cpu.to_string()).collect::<Vec<_>>().join(",")
        };
        match self.key.placement {
            Placement::Floating => "any".to_owned(),
            Placement::Pinned => {
                let (senders, threads) = (self.key.senders, self.key.threads());
                format!("senders {} receivers {}", list(0..senders), list(senders..threads))
            }
        }
    }
}

/// Where all ends of a pass wait for each other; used any number of times.
pub(crate) trait Line {
    /// Returns at all ends once all have come.
    fn meet(&self, patience: &mut Patience) -> Result<(), PassError>;
}

/// The line of the threads of one process, which do not sleep there.
#[derive(Debug)]
pub(crate) struct StartLine {
    threads: usize,
    arrived: AtomicUsize,
}

impl StartLine {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, arrived: AtomicUsize::new(0) }
    }
}

impl Line for StartLine {
    fn meet(&self, patience: &mut Patience) -> Result<(), PassError> {
        // Acquire and Release: what a thread did before is visible to all afterwards.
        let before = self.arrived.fetch_add(1, Ordering::AcqRel);
        let all = (before / self.threads + 1) * self.threads;
        while self.arrived.load(Ordering::Acquire) < all {
            patience.wait()?;
        }
        patience.reset();
        hint::spin_loop();
        Ok(())
    }
}

/// What one thread measured.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// When its timed part began and ended.
    pub(crate) span: Option<(Instant, Instant)>,
    /// Sum over what it read.
    pub(crate) checksum: u64,
    /// Every round trip, in nanoseconds.
    pub(crate) histogram: Option<Histogram<u64>>,
    /// What it computed itself.
    pub(crate) value: f64,
}

/// What a pass measured.
#[derive(Debug)]
pub(crate) struct PassResult {
    /// One value for each metric of the row.
    pub(crate) values: Vec<f64>,
    /// Length of the timed part.
    pub(crate) wall: Duration,
    /// What the kernel counted for each thread.
    pub(crate) uses: Vec<ThreadUse>,
    /// Every round trip, where the workload has any.
    pub(crate) histogram: Option<Histogram<u64>>,
}

/// Runs one pass of so many messages.
pub(crate) type PassFn = fn(&Stage, u64) -> Result<PassResult, PassError>;

/// The work of one thread.
pub(crate) type Job<'a> =
    Box<dyn FnOnce(&StartLine, &mut Patience) -> Result<Part, PassError> + Send + 'a>;

/// What all threads measured, in the order of their jobs.
#[derive(Debug)]
pub(crate) struct Team {
    pub(crate) parts: Vec<Part>,
    pub(crate) uses: Vec<ThreadUse>,
}

impl Team {
    /// Runs a thread for each job and waits for all of them.
    pub(crate) fn run(stage: &Stage, jobs: Vec<Job<'_>>) -> Result<Self, PassError> {
        let line = &StartLine::new(jobs.len());
        let work = |index: usize, job: Job<'_>| -> Result<(Part, ThreadUse), PassError> {
            stage.cpu(index).map_or(Ok(()), pin_current_thread)?;
            let before = ThreadUse::now().map_err(PassError::Counters)?;
            let part = job(line, &mut stage.patience())?;
            let after = ThreadUse::now().map_err(PassError::Counters)?;
            Ok((part, after - before))
        };
        let work = &work;
        thread::scope(|scope| {
            let start = |(index, job)| {
                let builder = thread::Builder::new().name(format!("bench-{index}"));
                builder.spawn_scoped(scope, move || work(index, job)).map_err(PassError::Thread)
            };
            // All are started before the first is waited for; after a refusal the others stall.
            let threads: Vec<_> = jobs.into_iter().enumerate().map(start).collect();
            let joined = threads.into_iter().map(|thread| match thread?.join() {
                Ok(outcome) => outcome,
                Err(_) => Err(PassError::Panicked),
            });
            first_cause(joined.collect())
        })
    }

    /// From the first start to the last end among some of the threads.
    pub(crate) fn wall(&self) -> Duration {
        let spans = || self.parts.iter().filter_map(|part| part.span);
        let start = spans().map(|(start, _)| start).min();
        let end = spans().map(|(_, end)| end).max();
        start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start)
    }

    /// Fails unless what was read is what was sent.
    pub(crate) fn check(&self, sent: u64) -> Result<(), PassError> {
        let read = self.parts.iter().fold(0, |sum: u64, part| sum.wrapping_add(part.checksum));
        if read == sent { Ok(()) } else { Err(PassError::Checksum { read, sent }) }
    }
}

/// Everything, or the error that is the cause of the others: those who waited only stalled.
fn first_cause(outcomes: Vec<Result<(Part, ThreadUse), PassError>>) -> Result<Team, PassError> {
    let mut team = Team { parts: Vec::new(), uses: Vec::new() };
    let mut stalled = None;
    for outcome in outcomes {
        match outcome {
            Ok((part, used)) => {
                team.parts.push(part);
                team.uses.push(used);
            }
            Err(PassError::Stalled) => stalled = Some(PassError::Stalled),
            Err(cause) => return Err(cause),
        }
    }
    stalled.map_or(Ok(team), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::stage;

    #[test]
    fn threads_lie_on_the_allowed_cpus_in_turn() {
        let mut stage = stage(3, 1);
        stage.cpus = vec![4, 9];
        assert_eq!(stage.cpus_text(), "senders 4,9,4 receivers 9");
        assert!(!stage.has_own_cpus());
        (stage.key.senders, stage.key.receivers, stage.key.mode) = (1, 3, Mode::Bursts);
        assert_eq!(stage.cpus_text(), "senders 4 receivers 9,9,9");
        (stage.key.receivers, stage.key.mode) = (1, Mode::Single);
        assert!(stage.has_own_cpus());
        stage.key.placement = Placement::Floating;
        assert_eq!((stage.cpus_text().as_str(), stage.cpu(0)), ("any", None));
        assert!(!stage.has_own_cpus());
    }

    #[test]
    fn all_threads_meet_as_often_as_they_like() {
        let met = AtomicUsize::new(0);
        let job = || -> Job<'_> {
            Box::new(|line, patience| {
                for round in 1..=100 {
                    met.fetch_add(1, Ordering::Relaxed);
                    line.meet(patience)?;
                    assert_eq!(met.load(Ordering::Relaxed), 3 * round);
                    line.meet(patience)?;
                }
                Ok(Part { checksum: 5, ..Part::default() })
            })
        };
        let team = Team::run(&stage(2, 1), vec![job(), job(), job()]).unwrap();
        assert_eq!((team.parts.len(), team.wall()), (3, Duration::ZERO));
        assert!(team.check(15).is_ok());
        assert!(matches!(team.check(16), Err(PassError::Checksum { read: 15, sent: 16 })));
    }

    #[test]
    fn a_panic_is_told_before_what_it_caused() {
        let outcomes = vec![Err(PassError::Stalled), Err(PassError::Panicked)];
        assert!(matches!(first_cause(outcomes), Err(PassError::Panicked)));
        assert!(matches!(first_cause(vec![Err(PassError::Stalled)]), Err(PassError::Stalled)));
    }
}
