//! Wrong use: an exit code of its own, and a message that says what to do.

use corelane_testkit::process::Place;

use crate::start;

/// Exit code and stderr of a command that prints nothing to stdout and leaves nothing.
#[track_caller]
fn fails(arguments: &str) -> (i32, String) {
    let place = Place::new();
    let ended = start(&place, arguments).wait();
    assert_eq!(ended.stdout, "", "{arguments}");
    place.assert_empty();
    (ended.code(), ended.stderr)
}

#[test]
fn bad_arguments_exit_with_2_and_name_what_is_possible() {
    let cases = [
        ("demo --agents 1", "2..=100000"),
        ("demo --workers 0", "1..=64"),
        ("demo --routers 17", "1..=16"),
        ("demo --kill-after 1797", "1..=1796"),
        ("demo --load-seconds 0", "0.1 to 3600"),
        ("demo --load-seconds nan", "0.1 to 3600"),
        ("demo --load-seconds soon", "invalid float"),
        ("demo --speed 9", "--help"),
        ("dance", "--help"),
        ("", "Commands:"),
        ("worker", "--socket"),
    ];
    for (arguments, expected) in cases {
        let (code, stderr) = fails(arguments);
        assert_eq!(code, 2, "corelane {arguments}\n{stderr}");
        assert!(stderr.contains(expected), "corelane {arguments}: no {expected:?} in\n{stderr}");
    }
}

#[test]
fn a_worker_without_a_node_says_so() {
    let (code, stderr) = fails("worker --socket /nowhere/corelane.sock");
    assert_eq!(code, 1, "{stderr}");
    for part in ["corelane: ", "/nowhere/corelane.sock", "start the node, or check the path"] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
}

#[test]
fn a_worker_on_cores_that_do_not_exist_says_so() {
    for (cpus, expected) in [("9999", "9999"), ("zero", "zero"), ("", "name at least one")] {
        let (code, stderr) = fails(&format!("worker --socket /nowhere --cpus={cpus}"));
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains(expected), "no {expected:?} in\n{stderr}");
    }
}

#[test]
fn version_and_help_are_output() {
    let place = Place::new();
    let version = start(&place, "--version").wait();
    assert_eq!((version.code(), version.stderr.as_str()), (0, ""));
    assert_eq!(version.stdout.trim(), format!("corelane {}", corelane::BUILD));
    let help = start(&place, "demo --help").wait();
    assert_eq!((help.code(), help.stderr.as_str()), (0, ""));
    assert!(help.stdout.lines().all(|line| line.chars().count() <= 100), "{}", help.stdout);
}
