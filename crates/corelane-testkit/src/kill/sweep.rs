//! A child for every point of an operation: led there, killed, and what it left is judged.

use std::{fmt, time::Instant};

use corelane_shm::fdpass::Channel;
use nix::errno::Errno;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::{
    Verdict,
    arguments::{self, ALL, CHILD, FROM, ROUNDS, SEED},
    moment::Moment,
    recovery::Recovery,
    route::Guide,
    shared,
    stage::Stage,
    victim::{Pace, Reached, Victim},
    watchdog::Watchdog,
};

/// Fewer than these instructions between the marks cannot be an operation.
const POINTS_MIN: u64 = 20;

/// Where children are killed.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Points<'a, S> {
    /// After every instruction.
    Instructions,
    /// After every so many instructions, for operations that take very many; the command line can
    /// ask for all of them.
    Every(u64),
    /// After every instruction that changed memory which the child shares, and before the first.
    SharedStores,
    /// Before and after every system call.
    SystemCalls,
    /// Before and after every system call of any thread of the child.
    AnySystemCalls,
    /// After every instruction that changed what the survivor sees: the number that this closure
    /// makes of the shared memory.
    Stores(&'a dyn Fn(&S) -> u64),
}

impl<S> Points<'_, S> {
    /// Instructions from one point to the next, if they are counted.
    fn stride(&self) -> Option<u64> {
        match self {
            Self::Instructions | Self::SharedStores => Some(1),
            Self::Every(_) if arguments::numbers::<1>(ALL) == Some([1]) => Some(1),
            Self::Every(count) => Some((*count).max(1)),
            _ => None,
        }
    }
}

impl<S> fmt::Debug for Points<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instructions => write!(f, "every instruction"),
            Self::Every(count) => write!(f, "one instruction of {count}"),
            Self::SharedStores => write!(f, "every store to shared memory"),
            Self::SystemCalls => write!(f, "every system call"),
            Self::AnySystemCalls => write!(f, "every system call of any thread"),
            Self::Stores(_) => write!(f, "every store"),
        }
    }
}

/// What the survivor has before the child's operation begins.
#[derive(Debug)]
pub struct Meeting<'a> {
    /// The channel to the child.
    pub channel: &'a Channel,
    /// Process id of the child.
    pub pid: u32,
    /// Which case of the test this is.
    pub case: u64,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// Points that it had come past.
    pub point: u64,
    /// Whether its operation was over.
    pub is_over: bool,
}

/// What a sweep came past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// Points within the operation; at each of them, and behind the last, a child died.
    pub points: u64,
    /// Children that died.
    pub deaths: u64,
}

/// A point of death that did harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Case of the test.
    pub case: u64,
    /// Points that the child had come past.
    pub point: u64,
    /// What was wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "case={} point={}: {}", self.case, self.point, self.what)
    }
}

/// A test that kills its own children.
#[derive(Debug)]
pub struct Killing<'a> {
    test: &'a str,
    case: u64,
}

impl<'a> Killing<'a> {
    /// The test of this name, with its modules, as the test harness knows it.
    pub fn of(test: &'a str) -> Self {
        Self { test, case: 0 }
    }

    /// Another case of the same test: its number is told to both sides.
    pub fn case(&self, case: u64) -> Self {
        Self { test: self.test, case }
    }

    /// Whether this process is a child, which has no use for what a survivor sets up.
    pub fn is_child() -> bool {
        arguments::numbers::<1>(CHILD).is_some()
    }

    /// Kills a child at every point, and judges what each has left.
    ///
    /// `child` runs in the child and calls [`Stage::perform`] once. `meet` runs in the survivor
    /// meanwhile, up to the first mark. `judge` runs when the child is dead and reaped.
    ///
    /// # Panics
    /// When a point of death does harm, with the line that replays it.
    pub fn sweep<S>(
        &self,
        points: Points<'_, S>,
        child: impl FnOnce(&Stage),
        meet: impl FnMut(Meeting<'_>) -> S,
        judge: impl FnMut(S, Death) -> Verdict,
    ) {
        let points_min = match points {
            Points::Instructions => POINTS_MIN,
            Points::SharedStores => 1,
            _ => 0,
        };
        let told = format!("{points:?}");
        let begun = Instant::now();
        let found = match self.search(points, child, meet, judge) {
            Ok(Some(covered)) => covered,
            Ok(None) => return,
            Err(fault) => {
                let line = Replay { test: self.test, case: fault.case, point: fault.point };
                panic!("{fault}\n{line}");
            }
        };
        assert!(found.deaths > 1 && found.points >= points_min, "{found:?}");
        let (test, case, seconds) = (self.test, self.case, begun.elapsed().as_secs_f64());
        let Covered { points, deaths } = found;
        println!("{test} case={case}: {points} points, {told}, {deaths} deaths, {seconds:.1} s");
    }

    /// The same, and gives the first fault back instead of failing; nothing in a child, in a case
    /// that is not to be replayed, and where tracing is forbidden.
    ///
    /// # Errors
    /// - [`Fault`]: what a point of death did.
    pub fn search<S>(
        &self,
        points: Points<'_, S>,
        child: impl FnOnce(&Stage),
        mut meet: impl FnMut(Meeting<'_>) -> S,
        mut judge: impl FnMut(S, Death) -> Verdict,
    ) -> Result<Option<Covered>, Fault> {
        if !self.is_played(child) {
            return Ok(None);
        }
        let only = arguments::numbers::<2>(FROM);
        if only.is_some_and(|[case, _]| case != self.case) {
            return Ok(None);
        }
        let watchdog = Watchdog::new(self.test);
        let _pinned = OneCpu::pin();
        let stride = points.stride();
        let counts_stores = matches!(points, Points::SharedStores);
        let mut guide = Guide::new(only.is_none() && stride.is_some(), counts_stores);
        let (mut deaths, mut goal) = (0, only.map_or(0, |[_, point]| point));
        loop {
            if let Some(points) = guide.is_done(goal) {
                return Ok(Some(Covered { points, deaths }));
            }
            let fault = |what| Fault { case: self.case, point: goal, what };
            watchdog.pat(fault(format!("{} hangs", self.test)).to_string());
            let _told = Replay { test: self.test, case: self.case, point: goal };
            let mut victim = Victim::start(self.test, self.case);
            match victim.trace() {
                Err(Errno::EPERM) => {
                    println!("skipped: {}: a process may not be traced here", self.test);
                    return Ok(None);
                }
                traced => traced.map_err(|errno| fault(format!("cannot trace: {errno}")))?,
            }
            victim.begin();
            let pid = victim.id();
            let survivor = meet(Meeting { channel: victim.channel(), pid, case: self.case });
            victim.wait_for_mark().map_err(fault)?;
            let step_by_step = |victim: &mut Victim| lead(victim, &points, goal, &survivor);
            let led = guide.lead(&mut victim, goal, step_by_step).map_err(fault)?;
            victim.kill().map_err(fault)?;
            drop(victim);
            deaths += 1;
            judge(survivor, Death { point: led.passed, is_over: led.is_over }).map_err(fault)?;
            if only.is_some() {
                println!("{}: no fault at case={} point={goal}", self.test, self.case);
                return Ok(None);
            }
            if led.is_there {
                goal += stride.unwrap_or(1);
            }
        }
    }

    /// Kills children at random moments, one generation after the other, and judges each.
    ///
    /// `live` works with the child until [`Moment::is_due`], and tells of every record that it
    /// received. `rounds` is what the gate does; the command line can ask for more.
    ///
    /// # Panics
    /// When a death does harm, with the line that replays it.
    pub fn at_random<S>(
        &self,
        rounds: u64,
        child: impl FnOnce(&Stage),
        mut meet: impl FnMut(Meeting<'_>) -> S,
        mut live: impl FnMut(&mut S, &mut Moment<'_>),
        mut judge: impl FnMut(S) -> Verdict,
    ) -> Option<Recovery> {
        if !self.is_played(child) {
            return None;
        }
        let [rounds] = arguments::numbers(ROUNDS).unwrap_or([rounds]);
        let [seed] = arguments::numbers(SEED).unwrap_or([0x5eed]);
        println!("{}: {rounds} rounds, seed {seed}", self.test);
        let watchdog = Watchdog::new(self.test);
        let mut recovery = Recovery::new();
        for round in 0..rounds {
            let told = format!("round={round} of {} seed={seed}", self.test);
            watchdog.pat(told.clone());
            let mut victim = Victim::start(self.test, self.case);
            // Only so that it dies with this process; where that is forbidden it is not needed.
            let _ = victim.trace();
            victim.begin();
            let pid = victim.id();
            let mut survivor = meet(Meeting { channel: victim.channel(), pid, case: self.case });
            // The draws of a round do not depend on those before: it can be replayed alone.
            let mut draw = fastrand::Rng::with_seed(seed.wrapping_add(round));
            live(&mut survivor, &mut Moment::new(&mut draw, &mut recovery));
            recovery.killing();
            let verdict = victim.kill().and_then(|()| judge(survivor));
            if let Err(what) = verdict {
                let seed = seed.wrapping_add(round);
                let line = format!("{} {SEED}={seed} {ROUNDS}=1", self.test);
                panic!("{told}: {what}\nreplay: -- --exact {line}");
            }
        }
        Some(recovery)
    }

    /// False in the child of another case; never returns in the child of this one.
    fn is_played(&self, child: impl FnOnce(&Stage)) -> bool {
        match arguments::numbers::<1>(CHILD) {
            None => true,
            Some([case]) if case != self.case => false,
            Some(_) => {
                let stage = Stage::of_this_process().expect("because it is a child");
                child(&stage);
                stage.end()
            }
        }
    }
}

/// The line that replays a point, told also when a closure of the test panics there.
struct Replay<'a> {
    test: &'a str,
    case: u64,
    point: u64,
}

impl fmt::Display for Replay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replay: -- --exact {} {FROM}={}:{}", self.test, self.case, self.point)
    }
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{self}");
        }
    }
}

/// Keeps this thread, and the children that it starts, on one CPU: a step hands it from one to the
/// other and back, which is several times faster where nobody sleeps meanwhile.
struct OneCpu(Option<CpuSet>);

impl OneCpu {
    fn pin() -> Self {
        let before = sched_getaffinity(None).ok();
        let mut here = CpuSet::new();
        here.set(sched_getcpu());
        // Where it is forbidden it only takes longer.
        Self(before.filter(|_| sched_setaffinity(None, &here).is_ok()))
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = sched_setaffinity(None, before);
        }
    }
}

/// Leads a child past `goal` points, or to the end; how many it came past.
fn lead<S>(
    victim: &mut Victim,
    points: &Points<'_, S>,
    goal: u64,
    survivor: &S,
) -> Result<u64, String> {
    let pace = match points {
        Points::SharedStores => return shared::lead(victim, goal),
        Points::SystemCalls => Pace::SystemCall,
        Points::AnySystemCalls => Pace::AnySystemCall,
        _ => Pace::Instruction,
    };
    if pace == Pace::AnySystemCall {
        victim.trace_all()?;
    }
    let mut seen = if let Points::Stores(digest) = points { digest(survivor) } else { 0 };
    let mut passed = 0;
    while passed < goal {
        if victim.step(pace)? == Reached::End {
            return Ok(passed);
        }
        passed += u64::from(match points {
            Points::Stores(digest) => {
                let now = digest(survivor);
                std::mem::replace(&mut seen, now) != now
            }
            _ => true,
        });
    }
    Ok(passed)
}
