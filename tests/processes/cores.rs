//! Fewer cores than threads: waiting is yielding, and messages still move.

use std::thread;

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
