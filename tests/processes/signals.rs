//! Ctrl-C, SIGTERM and SIGHUP whenever they come: an exit code that says so, and nothing left.

use std::time::Duration;

use corelane_testkit::process::{Place, Signal};

use crate::{SEED, start, wait_for_workers};

/// Longer than any of these tests lets it run.
const LONG: &str = "demo --json --load-seconds 60";

#[test]
fn a_signal_at_any_moment_ends_it_in_order() {
    let mut random = fastrand::Rng::with_seed(SEED);
    let place = Place::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        for moment in ["any moment", "workers start", "load"] {
            let after = Duration::from_millis(random.u64(20..400));
            println!("seed {SEED}: {signal:?} {after:?} after {moment}");
            let demo = start(&place, LONG);
            match moment {
                "any moment" => {}
                "workers start" => _ = demo.wait_until(moment, || demo.descendants().pop()),
                _ => _ = wait_for_workers(&demo, 2),
            }
            assert!(demo.runs_for(after), "it ended by itself");
            demo.signal(signal);
            let ended = demo.wait();
            assert_eq!((ended.code(), ended.stdout.as_str()), (code, ""), "{}", ended.stderr);
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
            place.assert_empty();
        }
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_leaves_nothing() {
    let place = Place::new();
    let demo = start(&place, LONG);
    wait_for_workers(&demo, 2);
    demo.signal(Signal::INT);
    demo.signal(Signal::INT);
    let ended = demo.wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (130, ""), "{}", ended.stderr);
    place.assert_empty();
}

/// A worker that stands still cannot be stopped in order, and the second signal does not wait.
#[test]
fn a_second_signal_does_not_wait_for_a_worker_that_stands_still() {
    let place = Place::new();
    let demo = start(&place, LONG);
    let workers = wait_for_workers(&demo, 2);
    for worker in &workers {
        let worker = i32::try_from(*worker).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(worker.expect("it is positive"), Signal::STOP)
            .expect("it lives");
    }
    demo.signal(Signal::INT);
    // In order it takes the two seconds that a worker has to end.
    if demo.runs_for(Duration::from_millis(200)) {
        demo.signal(Signal::TERM);
        let ended = demo.wait();
        assert_eq!((ended.code(), ended.stdout.as_str()), (143, ""), "{}", ended.stderr);
    }
    place.assert_empty();
}

#[test]
fn two_signals_at_any_moments_leave_nothing() {
    let mut random = fastrand::Rng::with_seed(SEED);
    let place = Place::new();
    for (first, second) in [
        (Signal::INT, Signal::INT),
        (Signal::TERM, Signal::TERM),
        (Signal::INT, Signal::TERM),
        (Signal::HUP, Signal::INT),
    ]
    .repeat(3)
    {
        let after = Duration::from_millis(random.u64(0..700));
        let between = Duration::from_micros(random.u64(0..20_000));
        println!("seed {SEED}: {first:?} after {after:?}, {second:?} {between:?} later");
        let demo = start(&place, LONG);
        assert!(demo.runs_for(after), "it ended by itself");
        demo.signal(first);
        if demo.runs_for(between) {
            demo.signal(second);
        }
        let ended = demo.wait();
        let codes = [128 + first.as_raw(), 128 + second.as_raw()];
        assert!(codes.contains(&ended.code()), "{}: {}", ended.code(), ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
        place.assert_empty();
    }
}
