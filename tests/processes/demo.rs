//! `corelane demo` for programs (`--json`) and in a pipe.

use corelane_testkit::process::{Output, Place};

use crate::{corelane, report::Report, start};

#[test]
fn json_is_one_document_with_all_that_is_promised() {
    let place = Place::new();
    let ended = start(&place, "demo --json --load-seconds 0.3 --agents 100 --seed 3").wait();
    let report = Report::of(&ended);
    report.assert_held();
    assert_eq!((report.workers, report.agents), (2, 100));
    assert!(report.routers >= 1 && report.is_pinned);
    assert!(report.cross_process_share >= 0.5, "{report:?}");
    assert!((1..=1796).contains(&report.killed_after));
    place.assert_empty();
}

#[test]
fn in_a_pipe_there_are_no_escape_codes_and_no_progress() {
    let place = Place::new();
    let ended = start(&place, "demo --load-seconds 0.1").wait();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    let strange = ended.stdout.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(strange, None, "{}", ended.stdout);
    for section in ["1. Machine", "2. Fabric", "3. Real input", "4. Load", "5. Failure"] {
        assert!(ended.stdout.contains(section), "{section}\n{}", ended.stdout);
    }
    assert!(ended.stdout.contains("everything held"), "{}", ended.stdout);
    place.assert_empty();
}

#[test]
fn a_closed_pipe_leaves_nothing() {
    let place = Place::new();
    // `head` reads one line and is gone; what the demo then does is its own business.
    let mut command = place.command("sh");
    let line = format!("'{}' demo --load-seconds 0.1 | head -n 1", env!("CARGO_BIN_EXE_corelane"));
    command.args(["-c", &line]);
    let ended = place.start(command, Output::Pipes).wait();
    assert_eq!(ended.stdout, "1. Machine\n");
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    place.assert_empty();
}

#[test]
fn two_demos_run_beside_each_other_in_one_folder() {
    let place = Place::new();
    let arguments = "demo --json --load-seconds 0.1 --workers 1 --agents 10";
    let (one, other) = (start(&place, arguments), start(&place, arguments));
    for demo in [one, other] {
        Report::of(&demo.wait()).assert_held();
    }
    place.assert_empty();
}

#[test]
fn without_a_runtime_folder_the_temporary_one_is_used() {
    let place = Place::new();
    let mut command = corelane(&place, "demo --json --load-seconds 0.1 --workers 1");
    // Set and empty is what some login shells leave.
    command.env("XDG_RUNTIME_DIR", "");
    let ended = place.start(command, Output::Pipes).wait();
    Report::of(&ended).assert_held();
    place.assert_empty();
}
