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
fn a_second_signal_ends_it_at_once_and_workers_go() {
    let place = Place::new();
    let demo = start(&place, LONG);
    wait_for_workers(&demo, 2);
    demo.signal(Signal::INT);
    demo.signal(Signal::INT);
    let ended = demo.wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (130, ""), "{}", ended.stderr);
    // At once means without cleaning up; the socket, if it is still there, is of nobody.
    assert_eq!(place.processes(), []);
    let next = start(&place, "demo --json --workers 1 --agents 10 --load-seconds 0.1").wait();
    assert_eq!(next.code(), 0, "{}", next.stderr);
    place.assert_empty();
}
