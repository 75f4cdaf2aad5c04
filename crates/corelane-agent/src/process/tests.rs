//! Real tools, well-behaved and not: each ends in its answer or in its own error, and none stays.

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use super::*;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

fn tool(program: &str, args: &[&str]) -> Tool {
    Tool {
        program: program.into(),
        args: args.iter().map(OsString::from).collect(),
        output_bytes_max: 1000,
        deadline: LONG,
        leash: None,
    }
}

fn sh(script: &str) -> Tool {
    tool("sh", &["-c", script])
}

/// Waits until the process that wrote its id there is gone; a zombie is gone.
fn await_gone(file: &Path) {
    let pid = fs::read_to_string(file).unwrap().trim().to_owned();
    let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Field 3, behind the name in parentheses.
    while state().rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])) {
        std::thread::yield_now();
    }
}

#[test]
fn a_record_goes_in_and_the_answer_comes_out() {
    assert_eq!(tool("cat", &[]).run(b"one\ntwo").unwrap(), b"one\ntwo");
    assert_eq!(tool("tr", &["a-z", "A-Z"]).run(b"shout\n").unwrap(), b"SHOUT");
    assert_eq!(tool("true", &[]).run(b"nobody reads this").unwrap(), b"");
}

#[test]
fn input_beyond_a_pipe_is_carried_while_output_is_read() {
    let record = vec![b'x'; 300_000];
    let tool = Tool { output_bytes_max: record.len(), ..tool("cat", &[]) };
    assert_eq!(tool.run(&record).unwrap(), record);
    // Nobody reads it: the tool ends before all of it is written.
    assert_eq!(sh("echo done").run(&record).unwrap(), b"done");
}

#[test]
fn a_tool_that_is_not_there_says_so() {
    let error = tool("/no/such/tool", &[]).run(b"").unwrap_err();
    assert!(matches!(error, ToolError::NotFound { .. }), "{error}");
    assert_eq!(error.code(), "CL-0650");
}

#[test]
fn a_tool_that_may_not_be_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (mode, content) in [(0o600, "#!/bin/sh\n"), (0o700, "no program\n")] {
        let file = folder.path().join("tool");
        let _ = fs::remove_file(&file);
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let error = tool(file.to_str().unwrap(), &[]).run(b"").unwrap_err();
        assert!(matches!(error, ToolError::NotExecutable { .. }), "{mode:o}: {error}");
        assert_eq!(error.code(), "CL-0651");
    }
}

#[test]
fn arguments_that_are_too_long_cannot_be_started() {
    let long = "x".repeat(4 << 20);
    let error = tool("true", &[&long]).run(b"").unwrap_err();
    assert!(matches!(error, ToolError::Start { .. }), "{error}");
    assert_eq!(error.code(), "CL-0652");
}

#[test]
fn a_bad_end_is_told_with_what_the_tool_said() {
    let error = sh("echo first >&2; echo it broke >&2; exit 7").run(b"").unwrap_err();
    assert_eq!(error.code(), "CL-0653");
    let ToolError::Ended { end: End::Code(7), stderr, .. } = &error else { panic!("{error}") };
    assert_eq!(stderr, "first\nit broke\n");
    assert!(error.to_string().contains("exit code 7 (it broke)"), "{error}");
    let error = sh("kill -9 $$").run(b"").unwrap_err();
    assert!(matches!(error, ToolError::Ended { end: End::Signal(9), .. }), "{error}");
}

#[test]
fn what_it_complains_is_bounded_and_the_last_of_it_is_kept() {
    let error = sh("yes complaint | head -c 1000000 >&2; echo last >&2; exit 1").run(b"");
    let Err(ToolError::Ended { stderr, .. }) = error else { panic!("{error:?}") };
    assert!(stderr.ends_with("last\n") && stderr.len() == STDERR_BYTES_MAX, "{stderr}");
}

#[test]
fn a_flood_of_output_is_cut_off() {
    let error = tool("yes", &[]).run(b"").unwrap_err();
    assert!(matches!(error, ToolError::TooLong { max: 1000, .. }), "{error}");
    assert_eq!(error.code(), "CL-0654");
    let at_most = sh("head -c 1000 /dev/zero").run(b"").unwrap();
    assert_eq!(at_most.len(), 1000);
    assert!(matches!(sh("head -c 1002 /dev/zero").run(b""), Err(ToolError::TooLong { .. })));
}

#[test]
fn a_tool_that_never_ends_meets_its_deadline_whatever_it_does() {
    for script in ["sleep 1000", "while :; do echo oh >&2; done", "trap '' TERM; cat; sleep 1000"] {
        let error = Tool { deadline: SHORT, ..sh(script) }.run(b"").unwrap_err();
        assert!(matches!(error, ToolError::TooLate { .. }), "{script}: {error}");
        assert_eq!(error.code(), "CL-0655");
    }
}

#[test]
fn the_systems_refusals_are_told() {
    let refusal = io::Error::from_raw_os_error(rustix::io::Errno::NFILE.raw_os_error());
    let error = tool("cat", &[]).pipe_error(refusal);
    assert_eq!(error.code(), "CL-0657");
    assert!(error.to_string().starts_with("cat: its input or output failed: Too many open files"));
}

#[test]
fn what_a_tool_forked_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; echo answer", file.display());
    // The forked process holds the output open: the answer does not wait for it.
    assert_eq!(sh(&script).run(b"").unwrap(), b"answer");
    await_gone(&file);
    let script = format!("sleep 1000 & echo $! > {}; sleep 1000", file.display());
    assert!(Tool { deadline: SHORT * 5, ..sh(&script) }.run(b"").is_err());
    await_gone(&file);
}

#[test]
fn a_conversation_is_one_process() {
    let mut tool = Conversation::new(sh("while read line; do echo $$ $line; done"));
    let first = tool.ask(b"one").unwrap();
    let pid = String::from_utf8(first).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(tool.ask(b"two").unwrap(), format!("{pid} two").as_bytes());
}

#[test]
fn a_conversation_that_broke_off_begins_again() {
    // The second record is the last one, and is not answered.
    let mut tool = Conversation::new(sh("read line; echo $line; read line; exit 3"));
    assert_eq!(tool.ask(b"one").unwrap(), b"one");
    let error = tool.ask(b"two").unwrap_err();
    assert!(matches!(error, ToolError::Ended { end: End::Code(3), .. }), "{error}");
    assert_eq!(tool.ask(b"three").unwrap(), b"three");
}

#[test]
fn a_tool_that_ended_between_two_records_costs_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("read line; echo $$ > {}; echo $line; exit 3", file.display());
    let mut tool = Conversation::new(sh(&script));
    for record in [&b"one"[..], b"two", b"three"] {
        assert_eq!(tool.ask(record).unwrap(), record);
        await_gone(&file);
    }
}

/// Whether the tool says too much before, with or after its answer, no line of it is an answer to
/// another record.
#[test]
fn what_nobody_asked_for_is_an_error_and_never_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, file) = (folder.path().join("ready"), folder.path().join("pid"));
    let greeting = "echo welcome; while read line; do echo $line; done";
    for talker in [tool("sed", &["-u", "p"]), sh(greeting), sh("read line; echo a; printf b")] {
        let error = Conversation::new(talker).ask(b"one").unwrap_err();
        assert!(matches!(error, ToolError::Unasked { .. }), "{error}");
        assert_eq!(error.code(), "CL-0658");
    }
    let late = format!(
        "read line; echo $line; until [ -e {} ]; do :; done; echo $$ > {}; echo more; exit",
        ready.display(),
        file.display()
    );
    let mut tool = Conversation::new(sh(&late));
    assert_eq!(tool.ask(b"one").unwrap(), b"one");
    fs::write(&ready, "").unwrap();
    while !fs::read_to_string(&file).is_ok_and(|pid| pid.ends_with('\n')) {
        std::thread::yield_now();
    }
    await_gone(&file);
    let error = tool.ask(b"two").unwrap_err();
    assert!(matches!(&error, ToolError::Unasked { found, .. } if found == "more"), "{error}");
    fs::remove_file(&ready).unwrap();
    assert_eq!(tool.ask(b"three").unwrap(), b"three");
}

#[test]
fn a_line_that_never_comes_or_never_ends_is_an_error() {
    let quiet = Tool { deadline: SHORT, ..tool("sleep", &["1000"]) };
    let error = Conversation::new(quiet).ask(b"").unwrap_err();
    assert!(error.to_string().contains("stdbuf -oL"), "{error}");
    let error = Conversation::new(sh("tr '\\n' x < /dev/zero")).ask(b"").unwrap_err();
    assert!(matches!(error, ToolError::TooLong { .. }), "{error}");
    let error = Conversation::new(tool("cat", &[])).ask(b"two\nlines").unwrap_err();
    assert!(matches!(error, ToolError::LineBreak { .. }), "{error}");
    assert_eq!(error.code(), "CL-0656");
}

#[test]
fn dropping_a_conversation_kills_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; read line; echo; sleep 1000", file.display());
    let mut tool = Conversation::new(sh(&script));
    assert_eq!(tool.ask(b"go").unwrap(), b"");
    drop(tool);
    await_gone(&file);
}

#[test]
fn who_carries_the_mark_is_killed_when_the_pipe_ends() {
    let mark = format!("test-{}", std::process::id());
    let start = |value: String| {
        let mut command = Command::new("sh");
        // A session of its own: no process group reaches it.
        command.args(["-c", "setsid sleep 1000 & echo; wait"]).env(MARK, value);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut byte = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        child
    };
    let mut inner = start(format!("outer:{mark}"));
    let mut outer = start(mark.clone());
    let mut other = start(format!("{mark}-not"));
    kill_marked(std::io::empty(), &mark);
    for child in [&mut inner, &mut outer] {
        // Nobody holds the pipe any more, so that all of them are gone.
        child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        assert!(!child.wait().unwrap().success());
    }
    assert_eq!(other.try_wait().unwrap(), None);
    kill_marked(std::io::empty(), &format!("{mark}-not"));
    other.wait().unwrap();
}
