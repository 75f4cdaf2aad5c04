//! The kill: whenever it comes, every digit is answered once, and nothing is left.

use corelane_testkit::process::{Place, Signal};

use crate::{SEED, memory, report::Report, start, wait_for_workers};

/// The short form of `ci/soak`.
#[test]
fn whenever_a_worker_is_killed_every_digit_is_answered_once() {
    let mut random = fastrand::Rng::with_seed(SEED);
    let place = Place::new();
    let mut with_redelivery = 0;
    for kill_after in [1, random.u32(2..1796), random.u32(2..1796), 1796] {
        let seed = random.u32(..);
        let arguments =
            format!("demo --json --load-seconds 0.1 --kill-after {kill_after} --seed {seed}");
        println!("corelane {arguments}");
        let report = Report::of(&start(&place, &arguments).wait());
        report.assert_held();
        assert_eq!(report.killed_after, kill_after);
        with_redelivery += u32::from(report.redelivered > 0);
        place.assert_empty();
    }
    // After the last but one answer a single question is open, perhaps at the other worker.
    assert!(with_redelivery >= 3, "{with_redelivery} of 4 runs delivered anything again");
}

#[test]
fn when_the_node_is_killed_its_workers_leave_and_the_next_run_cleans_up() {
    let place = Place::new();
    let demo = start(&place, "demo --json --load-seconds 30");
    let workers = wait_for_workers(&demo, 2);
    demo.signal(Signal::KILL);
    // It ends only when nobody holds its stderr any more: the workers are gone by themselves.
    let ended = demo.wait();
    assert_eq!(ended.code(), 128 + 9);
    assert_eq!(place.processes(), []);
    assert!(workers.iter().all(|pid| memory::lanes(*pid).is_empty()));
    let left = place.files();
    assert_eq!(left.len(), 1, "a socket without a listener was expected: {left:?}");

    Report::of(&start(&place, "demo --json --load-seconds 0.1").wait()).assert_held();
    place.assert_empty();
}

#[test]
fn a_worker_that_is_killed_from_outside_during_the_load_is_an_error_and_not_a_hang() {
    let place = Place::new();
    let demo = start(&place, "demo --json --load-seconds 30");
    let workers = wait_for_workers(&demo, 2);
    let worker = i32::try_from(workers[0]).ok().and_then(rustix::process::Pid::from_raw);
    let worker = worker.expect("a process id is positive");
    rustix::process::kill_process(worker, Signal::KILL).expect("it lives");
    let ended = demo.wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""));
    assert!(ended.stderr.starts_with("corelane: error[CL-1"), "{}", ended.stderr);
    place.assert_empty();
}

/// The short form of `ci/soak --kill any`: node, worker or both die at moments that nobody chose.
#[test]
fn whoever_is_killed_at_any_moment_nothing_is_left_and_the_next_run_works() {
    let mut random = fastrand::Rng::with_seed(SEED ^ 10);
    let place = Place::new();
    for number in 0..10 {
        let after = std::time::Duration::from_millis(random.u64(0..1500));
        let (kills_node, kills_worker) =
            [(true, false), (false, true), (true, true)][random.usize(0..3)];
        let seed = random.u32(..);
        let arguments = format!("demo --json --load-seconds 0.5 --seed {seed}");
        println!("{number}: node {kills_node}, worker {kills_worker} after {after:?}: {arguments}");
        let demo = start(&place, &arguments);
        let runs = demo.runs_for(after);
        if kills_worker && runs {
            let workers = demo.descendants();
            if let Some(worker) = workers.get(random.usize(0..workers.len().max(1))) {
                let worker =
                    i32::try_from(worker.pid).ok().and_then(rustix::process::Pid::from_raw);
                // It may have ended meanwhile.
                let worker = worker.expect("a process id is positive");
                let _ = rustix::process::kill_process(worker, Signal::KILL);
            }
        }
        if kills_node {
            demo.signal(Signal::KILL);
        }
        let ended = demo.wait();
        assert_eq!(place.processes(), []);
        let left = place.files();
        if kills_node && runs {
            assert_eq!(ended.code(), 128 + 9, "{}", ended.stderr);
            assert!(left.len() <= 1, "a socket without a listener at most: {left:?}");
        } else {
            assert!([0, 1].contains(&ended.code()), "{}: {}", ended.code(), ended.stderr);
            assert!(ended.code() == 0 || ended.stderr.contains("corelane: "), "{}", ended.stderr);
            assert_eq!(left, Vec::<std::path::PathBuf>::new());
        }
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    Report::of(&start(&place, "demo --json --load-seconds 0.1").wait()).assert_held();
    place.assert_empty();
}

/// One that dies while others are still starting is waited for again: its questions are not asked
/// of a dead worker.
#[test]
fn a_worker_that_dies_while_others_start_is_waited_for() {
    let place = Place::new();
    let demo = start(&place, "demo --json --load-seconds 0.1 --workers 6 --agents 60");
    let first = demo.wait_until("an attached worker", || {
        let mut workers = demo.descendants().into_iter().map(|process| process.pid);
        workers.find(|worker| memory::are_attached(demo.pid(), *worker))
    });
    let first = i32::try_from(first).ok().and_then(rustix::process::Pid::from_raw);
    let first = first.expect("a process id is positive");
    rustix::process::kill_process(first, Signal::KILL).expect("it lives");
    let ended = demo.wait();
    // Where all others were faster the run had begun, and says that a worker is missing.
    match ended.code() {
        // The node may have been talking to it, and then says so.
        0 => Report::parse(&ended).assert_held(),
        code => {
            assert_eq!(code, 1, "{}", ended.stderr);
            assert!(ended.stderr.contains("ended by itself"), "{}", ended.stderr);
        }
    }
    place.assert_empty();
}
