//! A core is taken away from threads that are pinned to it: the run goes on and says so.

use std::{fs, path::PathBuf, process};

use corelane_testkit::process::{Ended, Output, Place, Running};
use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::{corelane, report::Report, start, wait_for_some_workers, wait_for_workers};

/// The run held all its promises and told that it was degraded.
#[track_caller]
fn assert_degraded(ended: &Ended) {
    assert_eq!(ended.code(), 5, "{}\n{}", ended.stdout, ended.stderr);
    Report::parse(ended).assert_held();
    for part in ["corelane: degraded: ", "was pinned to cpu", "took its cpu away"] {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
}

/// The CPUs that this process may use, if there are two at least.
fn two_cpus() -> Option<[usize; 2]> {
    let allowed = sched_getaffinity(None).expect("a thread has an affinity");
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    let two = cpus.next().zip(cpus.next());
    if two.is_none() {
        println!("skipped: there is one cpu only, so none can be taken away");
    }
    two.map(|(one, other)| [one, other])
}

#[test]
fn a_router_that_is_moved_by_taskset_is_told() {
    let Some(cpus) = two_cpus() else { return };
    let place = Place::new();
    let demo = start(&place, "demo --json --load-seconds 0.5 --routers 1");
    move_router(&demo, cpus);
    assert_degraded(&demo.wait());
    place.assert_empty();
}

/// The items were all answered; what happened stands in text, document and page.
#[test]
fn a_router_of_a_run_that_is_moved_is_told() {
    let Some(cpus) = two_cpus() else { return };
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let [answers, page] = ["answers", "page.html"].map(|name| folder.path().join(name));
    let arguments = format!(
        "run examples/telemetry.toml --json --set topology.routers=1 --set input.duration=1s \
         --set output.file={} --report {}",
        answers.display(),
        page.display()
    );
    let mut command = corelane(&place, &arguments);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let run = place.start(command, Output::Pipes);
    move_router(&run, cpus);
    let ended = run.wait();
    assert_eq!(ended.code(), 5, "{}", ended.stderr);
    let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one document");
    let degraded = document["degraded"][0].as_str().expect("one thread was moved");
    assert!(ended.stderr.contains(&format!("corelane: degraded: {degraded}")), "{}", ended.stderr);
    assert!(fs::read_to_string(page).unwrap().contains("Degraded: "));
    place.assert_empty();
}

/// Waits for the only router and puts it on another one of two CPUs.
fn move_router(running: &Running<'_>, cpus: [usize; 2]) {
    wait_for_workers(running, 2);
    let threads = fs::read_dir(format!("/proc/{}/task", running.pid())).expect("it runs").flatten();
    let mut threads = threads.map(|thread| thread.path());
    let router = threads.find(|thread| {
        fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "corelane-rt-0")
    });
    let router = router.expect("a router runs");
    let router = router.file_name().and_then(|id| id.to_str()?.parse().ok());
    let router = router.and_then(Pid::from_raw).expect("a thread has an id");
    let pinned = sched_getaffinity(Some(router)).expect("it runs");
    let mut other = CpuSet::new();
    other.set(cpus[usize::from(pinned.is_set(cpus[0]))]);
    sched_setaffinity(Some(router), &other).expect("it is ours");
}

/// A cpuset for one demo.
struct Cpuset {
    folder: PathBuf,
}

impl Cpuset {
    const ROOT: &str = "/sys/fs/cgroup/cpuset";

    fn new(cpus: &str) -> std::io::Result<Self> {
        let folder = PathBuf::from(Self::ROOT).join(format!("corelane-moved-{}", process::id()));
        fs::create_dir(&folder)?;
        let cpuset = Self { folder };
        cpuset.set("cpus", cpus)?;
        cpuset.set("mems", "0")?;
        Ok(cpuset)
    }

    fn set(&self, what: &str, value: &str) -> std::io::Result<()> {
        fs::write(self.folder.join(format!("cpuset.{what}")), value)
    }

    /// Moves a process with all its threads here; those that it starts later are here too.
    fn take(&self, pid: u32) -> std::io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Cpuset {
    fn drop(&mut self) {
        // An empty one is removed; its processes have ended by now.
        let _ = fs::remove_dir(&self.folder);
    }
}

#[test]
fn a_core_that_leaves_the_cpuset_is_told_and_the_run_goes_on() {
    let Some([one, other]) = two_cpus() else { return };
    let cpuset = match Cpuset::new(&format!("{one},{other}")) {
        Ok(cpuset) => cpuset,
        Err(error) => {
            println!("skipped: no cpuset can be made in {}: {error}", Cpuset::ROOT);
            return;
        }
    };
    // Also while a worker is still to come, and threads are still to be pinned.
    for attached in [1, 2] {
        let cpus = format!("{one},{other}");
        cpuset.set("cpus", &cpus).expect("a cpuset may grow");
        let place = Place::new();
        let demo = start(&place, "demo --json --load-seconds 0.5");
        cpuset.take(demo.pid()).expect("it is ours");
        for worker in wait_for_some_workers(&demo, attached) {
            cpuset.take(worker).expect("it is ours");
        }
        // From here on a worker that is started again finds its core gone as well.
        cpuset.set("cpus", &one.to_string()).expect("a cpuset may shrink");
        let ended = demo.wait();
        assert_degraded(&ended);
        place.assert_empty();
    }
}
