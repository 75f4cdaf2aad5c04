//! The process harness finds what it is there to find.

use std::{fs, panic::AssertUnwindSafe, panic::catch_unwind, time::Duration};

use corelane_testkit::process::{Output, Place, Process, Running, Signal};

fn sh<'place>(place: &'place Place, line: &str, output: Output) -> Running<'place> {
    let mut command = place.command("sh");
    command.args(["-c", line]);
    place.start(command, output)
}

/// The text of a panic, which must come.
fn panic_of(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it fails");
    *panic.downcast::<String>().expect("it has a text with values")
}

#[test]
fn outputs_and_code_are_told_apart() {
    let place = Place::new();
    let ended = sh(&place, "echo out; echo err >&2; exit 7", Output::Pipes).wait();
    assert_eq!((ended.code(), &*ended.stdout, &*ended.stderr), (7, "out\n", "err\n"));
    let running = sh(&place, "read -r line < /dev/zero", Output::Pipes);
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code(), 128 + 15);
    place.assert_empty();
}

#[test]
fn a_terminal_has_a_width_and_a_pipe_is_none() {
    let place = Place::new();
    let line = "test -t 1 && test -t 2 && stty size <&1 || echo no terminal";
    let terminals = Output::Terminals { columns: 40 };
    assert_eq!(sh(&place, line, terminals).wait().stdout, "50 40\r\n");
    assert_eq!(sh(&place, line, Output::Pipes).wait().stdout, "no terminal\n");
}

#[test]
fn whoever_is_left_is_found_and_killed() {
    let place = Place::new();
    // In a session of its own and with no output: only its environment tells where it belongs.
    let line = "setsid sleep 1000 >/dev/null 2>&1 & touch \"$TMPDIR/left\"";
    assert_eq!(sh(&place, line, Output::Pipes).wait().code(), 0);
    let left = place.leftovers().join("\n");
    assert!(left.contains("1000") && left.contains("/tmp/left"), "{left}");
    assert!(panic_of(|| place.assert_empty()).contains("something was left"));
    place.kill_all();
    fs::remove_file(&place.files()[0]).expect("it is there");
    let gone = sh(&place, "read -r line < /dev/zero", Output::Pipes);
    gone.wait_until("nobody else", || gone.descendants().is_empty().then_some(()));
    drop(gone);
    place.assert_empty();
}

/// Between two programs a process has neither environment nor arguments for a moment.
#[test]
fn a_process_is_found_while_it_becomes_another_program() {
    let place = Place::new();
    let line = "[ -e \"$TMPDIR/stop\" ] || exec sh -c \"$0\" \"$0\"";
    let mut command = place.command("sh");
    command.args(["-c", line, line]);
    let running = place.start(command, Output::Pipes);
    let stop = place.runtime_folder().with_file_name("tmp/stop");
    for _ in 0..1_000 {
        let found = place.processes();
        let is_found =
            |process: &Process| process.pid == running.pid() && !process.command.is_empty();
        assert!(found.iter().any(is_found), "{found:?}");
    }
    fs::write(&stop, "").expect("the place is writable");
    assert_eq!(running.wait().code(), 0);
    fs::remove_file(&stop).expect("it was written");
    place.assert_empty();
}

#[test]
fn a_run_that_hangs_is_killed_and_fails_with_what_it_printed() {
    let place = Place::with_watchdog(Duration::from_millis(300));
    let hangs = ["echo hello; read -r line < /dev/zero", "echo hello; sleep 1000 &"];
    for line in hangs {
        let text = panic_of(|| _ = sh(&place, line, Output::Pipes).wait());
        assert!(text.contains("hangs after 0.3 s") && text.contains("hello"), "{text}");
    }
    let text = panic_of(|| {
        let running = sh(&place, "read -r line < /dev/zero", Output::Pipes);
        running.wait_until("a miracle", || None::<()>);
    });
    assert!(text.contains("no a miracle in time"), "{text}");
    let text = panic_of(|| {
        let running = sh(&place, "echo hello", Output::Pipes);
        running.wait_until("a miracle", || None::<()>);
    });
    assert!(text.contains("it ended before a miracle"), "{text}");
}
