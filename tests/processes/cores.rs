//! Fewer cores than threads: waiting is yielding, and messages still move.

use std::{fs, io, path::PathBuf, process, thread};

use corelane_testkit::process::{Ended, Place};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{report::Report, start};

/// Runs a demo with the first `count` of the CPUs that this process may use.
fn run_on(count: usize, arguments: &'static str) -> Ended {
    // Processes inherit the affinity of the thread that starts them: one of its own for this.
    let run = thread::spawn(move || {
        let allowed = sched_getaffinity(None).expect("a thread has an affinity");
        let mut narrow = CpuSet::new();
        (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).take(count).for_each(|cpu| {
            narrow.set(cpu);
        });
        sched_setaffinity(None, &narrow).expect("a narrower affinity is allowed");
        let place = Place::new();
        let ended = start(&place, arguments).wait();
        place.assert_empty();
        ended
    });
    run.join().expect("its assertions hold")
}

#[test]
fn one_core_is_enough() {
    let report = Report::of(&run_on(1, "demo --json --load-seconds 0.3"));
    report.assert_held();
    assert!(!report.machine.allowed_cpus.contains([',', '-']), "{report:?}");
    assert_eq!((report.workers, report.is_pinned), (2, true));
}

#[test]
fn one_core_is_enough_for_floating_threads() {
    let report = Report::of(&run_on(1, "demo --json --load-seconds 0.3 --floating --routers 2"));
    report.assert_held();
    assert!(!report.is_pinned);
}

#[test]
fn more_threads_than_cores_still_move() {
    let arguments = "demo --json --load-seconds 0.3 --workers 4 --routers 2 --agents 200";
    let report = Report::of(&run_on(2, arguments));
    report.assert_held();
    assert_eq!((report.workers, report.routers), (4, 2));
}

#[test]
fn floating_threads_move() {
    let report = Report::of(&run_on(2, "demo --json --load-seconds 0.3 --floating --window 4"));
    report.assert_held();
    assert!(!report.is_pinned);
}

/// A cpuset of one CPU that the calling thread, and what it starts, lives in until it is dropped.
struct CpusetOfOne {
    folder: PathBuf,
}

impl CpusetOfOne {
    const ROOT: &str = "/sys/fs/cgroup/cpuset";

    fn enter(cpu: usize) -> io::Result<Self> {
        let folder = PathBuf::from(Self::ROOT).join(format!("corelane-test-{}", process::id()));
        fs::create_dir(&folder)?;
        let cpuset = Self { folder };
        fs::write(cpuset.folder.join("cpuset.cpus"), cpu.to_string())?;
        fs::write(cpuset.folder.join("cpuset.mems"), "0")?;
        fs::write(cpuset.folder.join("tasks"), Self::thread_id())?;
        Ok(cpuset)
    }

    fn thread_id() -> String {
        rustix::thread::gettid().as_raw_nonzero().to_string()
    }
}

impl Drop for CpusetOfOne {
    fn drop(&mut self) {
        // An empty one is removed; one that was never entered is left by nobody.
        let _ = fs::write(format!("{}/tasks", Self::ROOT), Self::thread_id());
        let _ = fs::remove_dir(&self.folder);
    }
}

#[test]
fn a_cpuset_of_one_is_kept() {
    let run = thread::spawn(|| {
        let allowed = sched_getaffinity(None).expect("a thread has an affinity");
        let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu));
        let last = last.expect("a thread may run somewhere");
        let cpuset = match CpusetOfOne::enter(last) {
            Ok(cpuset) => cpuset,
            Err(error) => {
                println!("skipped: no cpuset can be made in {}: {error}", CpusetOfOne::ROOT);
                return;
            }
        };
        let place = Place::new();
        let report = Report::of(&start(&place, "demo --json --load-seconds 0.3").wait());
        report.assert_held();
        assert_eq!(report.machine.allowed_cpus, last.to_string());
        place.assert_empty();
        drop(cpuset);
    });
    run.join().expect("its assertions hold");
}
