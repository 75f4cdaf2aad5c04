//! Wrong use: an exit code of its own, and a message that says what to do.

use corelane_testkit::process::{Output, Place};

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
        (
            "demo --agents 2 --workers 3",
            "error[CL-1111]: --agents 2 is less than --workers 3: raise it",
        ),
        ("demo --agents 5000 --window 64", "error[CL-1112]"),
        ("demo --agents 5000 --window 64", "lower one or raise the last"),
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
    for part in [
        "corelane: error[CL-0333]: ",
        "/nowhere/corelane.sock",
        "start the node, or check the path",
    ] {
        assert!(stderr.contains(part), "no {part:?} in\n{stderr}");
    }
}

#[test]
fn a_worker_on_cores_that_do_not_exist_says_so() {
    let cases = [
        ("9999", "error[CL-0112]"),
        ("9999", "cpu=9999"),
        ("zero", "error[CL-0131]"),
        ("zero", "item=\"zero\""),
        ("", "error[CL-0111]"),
        ("", "name at least one"),
    ];
    for (cpus, expected) in cases {
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

/// Runs a line of the shell in which `$0` is the binary.
fn shell(place: &Place, line: &str) -> (i32, String) {
    let mut command = place.command("sh");
    command.args(["-c", line, env!("CARGO_BIN_EXE_corelane")]);
    let ended = place.start(command, Output::Pipes).wait();
    assert_eq!(ended.stdout, "", "{line}");
    assert!(!ended.stderr.contains("panicked"), "{line}\n{}", ended.stderr);
    place.assert_empty();
    (ended.code(), ended.stderr)
}

#[test]
fn a_full_disk_is_an_error_and_no_panic() {
    let place = Place::new();
    for options in ["", "--json"] {
        let line = format!("exec \"$0\" demo {options} --load-seconds 0.1 > /dev/full");
        let (code, stderr) = shell(&place, &line);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("error[CL-1102]: result cannot be written to stdout"), "{stderr}");
    }
}

#[test]
fn a_full_stderr_changes_nothing() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let page = folder.path().join("page.html");
    let line = format!(
        "exec > /dev/null; \"$0\" demo --json --load-seconds 0.1 --report {} 2> /dev/full; \
         code=$?; \"$0\" demo --agents 2 --workers 3 2> /dev/full; echo $code $? >&2",
        page.display()
    );
    let (_, stderr) = shell(&place, &line);
    assert!(["0 2\n", "5 2\n"].contains(&stderr.as_str()), "{stderr}");
    assert!(page.exists());
    place.assert_empty();
}

#[test]
fn want_of_descriptors_is_told_with_its_remedy() {
    let place = Place::new();
    for descriptors in [9, 11] {
        let line = format!("exec > /dev/null; ulimit -n {descriptors}; exec \"$0\" demo");
        let (code, stderr) = shell(&place, &line);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("ulimit -n"), "{stderr}");
    }
}

#[test]
fn a_socket_folder_that_others_can_write_to_is_refused() {
    let place = Place::new();
    let line = "mkdir -m 777 \"$XDG_RUNTIME_DIR/open\" \"$XDG_RUNTIME_DIR/open/corelane\" &&
        chmod 777 \"$XDG_RUNTIME_DIR/open/corelane\" &&
        XDG_RUNTIME_DIR=\"$XDG_RUNTIME_DIR/open\" \"$0\" demo; code=$?
        rm -r \"$XDG_RUNTIME_DIR/open\"; exit $code";
    let (code, stderr) = shell(&place, line);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("error[CL-1114]") && stderr.contains("mode 777"), "{stderr}");
}
