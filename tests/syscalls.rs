//! A message makes no system call while both sides are awake: `strace` counts those of the threads
//! that move messages, for a while within the load phase.
//!
//! `ci/syscalls` runs this with the release build and a longer count. The bar is judged for
//! one router and one worker, each with a core for itself; the count for three threads on two cores
//! is printed beside it.

use std::{
    env, fs,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use corelane_testkit::process::{Output, Place, Running};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity};

/// System calls per message, of all counted threads together, must stay below.
const CALLS_PER_MESSAGE_MAX: f64 = 0.001;
/// Waiting longer for a core than this part of the time means that somebody else computes on it:
/// what is counted then is the scheduler. Looked at before and after the count, because whoever
/// counts a call also takes the core for it.
const CORE_WAIT_SHARE_MAX: f64 = 0.05;
/// Between the digits and the full load: the quiet exchange and two warm-ups take 0.9 s.
const BEFORE_LOAD: Duration = Duration::from_millis(1300);
/// How long is looked at who has the cores, before and after the count.
const CORE_LOOK: Duration = Duration::from_millis(250);
/// Two cores are for one demo at a time.
static CORES: Mutex<()> = Mutex::new(());

/// A thread that moves messages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mover {
    name: String,
    task: String,
}

/// What one thread did while it was watched.
#[derive(Debug)]
struct Count {
    name: String,
    calls: Vec<(String, u64)>,
    core_wait_share: f64,
}

#[derive(Debug)]
struct Counted {
    counts: Vec<Count>,
    seconds: f64,
    messages_per_s: f64,
}

#[test]
fn a_message_between_a_router_and_a_worker_makes_no_system_call() {
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return;
    }
    let counted = count(1);
    counted.print("one router, one worker");
    if counted.calls_per_message() < CALLS_PER_MESSAGE_MAX {
        return;
    }
    let busy = counted.counts.iter().find(|count| count.core_wait_share > CORE_WAIT_SHARE_MAX);
    let Count { name, core_wait_share, .. } = busy.unwrap_or_else(|| panic!("{counted:?}"));
    let share = core_wait_share * 100.0;
    println!("skipped: the promise is for free cores, {name} waited {share:.1} % for its own");
}

#[test]
fn the_count_for_a_router_and_two_workers_is_published() {
    if let Some(reason) = missing() {
        println!("skipped: {reason}");
        return;
    }
    let counted = count(2);
    counted.print("one router, two workers");
    assert_eq!(counted.counts.len(), 3);
}

/// Why nothing can be counted here.
fn missing() -> Option<String> {
    let allowed = sched_getaffinity(None).expect("a thread has an affinity");
    if (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).count() < 2 {
        return Some("router and worker need a core each".to_owned());
    }
    match Command::new("strace").args(["-c", "-o", "/dev/null", "true"]).status() {
        Err(error) => Some(format!("strace does not start: {error}")),
        Ok(status) if !status.success() => Some(format!("strace may not trace here: {status}")),
        Ok(_) => None,
    }
}

/// Runs a demo with one router and counts within its load phase.
fn count(workers: usize) -> Counted {
    let _cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    let window = env::var("CORELANE_SYSCALLS_SECONDS")
        .map_or(0.5, |text| text.parse().expect("CORELANE_SYSCALLS_SECONDS is a number"));
    let (window, load_seconds) = (Duration::from_secs_f64(window), window + 2.5);
    let place = Place::new();
    let mut command = place.command(env!("CARGO_BIN_EXE_corelane"));
    let arguments = format!("--routers 1 --workers {workers} --load-seconds {load_seconds}");
    command.arg("demo").args(arguments.split(' '));
    let demo = place.start(command, Output::Pipes);
    let has = |section: &str| demo.stdout_so_far().contains(section);
    demo.wait_until("the end of the digits", || has("3. Real input").then_some(()));
    let movers = movers(&demo);
    assert_eq!(movers.len(), workers + 1, "{movers:?}");
    assert!(demo.runs_for(BEFORE_LOAD), "it ended before the load");

    let waits_before = core_wait_shares(&demo, &movers);
    let began = Instant::now();
    let tracers: Vec<_> = movers.iter().map(|mover| trace(&place, mover)).collect();
    assert!(demo.runs_for(window), "it ended while it was traced");
    let calls: Vec<_> = tracers.into_iter().map(stop_tracing).collect();
    let elapsed = began.elapsed();
    let waits_after = core_wait_shares(&demo, &movers);
    assert!(!has("4. Load"), "the load ended while it was traced");
    let waits = waits_before.into_iter().zip(waits_after).map(|(before, after)| before.max(after));
    let counts = movers.into_iter().zip(calls).zip(waits);
    let counts = counts.map(|((Mover { name, .. }, calls), core_wait_share)| Count {
        name,
        calls,
        core_wait_share,
    });
    let counts = counts.collect();
    demo.wait_until("the end of the load", || has("4. Load").then_some(()));
    // The load phase takes this long and was over by now: it began before the count did.
    assert!(began.elapsed().as_secs_f64() < load_seconds, "counting began before the load");

    let ended = demo.wait();
    assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
    place.assert_empty();
    Counted { counts, seconds: elapsed.as_secs_f64(), messages_per_s: rate(&ended.stdout) }
}

/// The router thread of a demo and the main thread of each of its workers.
fn movers(demo: &Running<'_>) -> Vec<Mover> {
    let tasks = fs::read_dir(format!("/proc/{}/task", demo.pid())).into_iter().flatten().flatten();
    let routers = tasks.filter_map(|task| {
        let task = task.path().display().to_string();
        let name = fs::read_to_string(format!("{task}/comm")).ok()?.trim().to_owned();
        name.starts_with("corelane-rt-").then_some(Mover { name, task })
    });
    let workers = demo.descendants().into_iter().map(|process| process.pid);
    let workers = workers.enumerate().map(|(index, pid)| Mover {
        name: format!("worker {index}"),
        task: format!("/proc/{pid}/task/{pid}"),
    });
    routers.chain(workers).collect()
}

/// The part of [`CORE_LOOK`] that each thread is ready to run and has no core.
fn core_wait_shares(demo: &Running<'_>, movers: &[Mover]) -> Vec<f64> {
    let (before, began): (Vec<_>, _) = (movers.iter().map(core_wait_ns).collect(), Instant::now());
    assert!(demo.runs_for(CORE_LOOK), "it ended within the load");
    let elapsed_ns = began.elapsed().as_nanos() as f64;
    let waited = movers.iter().zip(before).map(|(mover, before)| core_wait_ns(mover) - before);
    waited.map(|waited_ns| waited_ns as f64 / elapsed_ns).collect()
}

/// How long a thread was ready to run and had no core, in nanoseconds since its start.
fn core_wait_ns(mover: &Mover) -> u64 {
    let text = fs::read_to_string(format!("{}/schedstat", mover.task)).expect("it runs");
    let field = text.split(' ').nth(1).and_then(|field| field.parse().ok());
    field.expect("the second field is the time on a run queue")
}

/// Attaches to one thread; returns once every call of it is counted.
fn trace(place: &Place, mover: &Mover) -> (Child, std::path::PathBuf) {
    let task = mover.task.rsplit('/').next().expect("it ends with the thread's id");
    let table = place.runtime_folder().join(format!("calls-{task}"));
    let child = Command::new("strace")
        .args(["--quiet=none", "-c", "-p", task, "-o"])
        .arg(&table)
        .stderr(Stdio::null())
        .spawn()
        .expect("strace started before");
    let status = format!("{}/status", mover.task);
    let tracer = format!("TracerPid:\t{}\n", child.id());
    while !fs::read_to_string(&status).expect("it runs").contains(&tracer) {
        std::thread::yield_now();
    }
    (child, table)
}

/// Detaches, and reads the calls by name.
fn stop_tracing((mut child, table): (Child, std::path::PathBuf)) -> Vec<(String, u64)> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it is positive");
    kill_process(pid, Signal::INT).expect("it is our child");
    child.wait().expect("it is our child");
    let text = fs::read_to_string(&table).expect("strace wrote its table");
    fs::remove_file(table).expect("strace wrote its table");
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let counts = rows.filter_map(|row| Some((row.last()?.to_string(), row.get(3)?.parse().ok()?)));
    counts.filter(|(name, _)| name != "total").collect()
}

/// `  0.31 million routed messages per second over 2.5 s, …`
fn rate(stdout: &str) -> f64 {
    let (before, _) = stdout.split_once(" million routed messages").expect("it is in section 4");
    let millions = before.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok());
    millions.expect("a number is before the unit") * 1e6
}

impl Counted {
    fn calls(&self) -> u64 {
        self.counts.iter().flat_map(|count| &count.calls).map(|(_, calls)| calls).sum()
    }

    fn messages(&self) -> f64 {
        self.messages_per_s * self.seconds
    }

    fn calls_per_message(&self) -> f64 {
        self.calls() as f64 / self.messages()
    }

    fn print(&self, what: &str) {
        println!("{what}, counted for {:.2} s of the load phase", self.seconds);
        for Count { name, calls, core_wait_share } in &self.counts {
            let total: u64 = calls.iter().map(|(_, calls)| calls).sum();
            let wait = core_wait_share * 100.0;
            println!("  {name:<14} {total:>8} calls {calls:?}, waited {wait:.1} % for a core");
        }
        let (calls, messages) = (self.calls(), self.messages());
        println!("  {calls} calls, {messages:.0} messages (mean rate of the phase times the time)");
        println!("  {:.6} calls per message", self.calls_per_message());
    }
}
