//! The codes of errors as users meet them: what the system refuses, and what cannot be had.
//!
//! `strace` makes the kernel refuse a call; where it is not there, the test says so and passes.

use std::{ffi::OsString, fs, process::Command, sync::mpsc};

use corelane::agent::supervisor::SupervisorConfig;
use corelane::node::{Node, NodeConfig, NodeEvent, RouterPlace, WorkerSpec};
use corelane::transport::{LaneShape, WaitPolicy};

use corelane_testkit::process::{Ended, Output, Place};

const BINARY: &str = env!("CARGO_BIN_EXE_corelane");
/// A benchmark that is as short as one can be.
const SHORT: &str = "bench latency --payload 8 --quick --passes 1 --pass-ms 1 --allow-noise";

/// Why a program cannot be used here.
fn lack(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).output() {
        Err(error) => Some(format!("{program} does not start: {error}")),
        Ok(ended) if !ended.status.success() => {
            Some(format!("{program} may not do that here: {}", ended.status))
        }
        Ok(_) => None,
    }
}

/// Runs a line of the shell in which `$0` is the binary.
fn shell(place: &Place, line: &str) -> Ended {
    let mut command = place.command("sh");
    command.args(["-c", line, BINARY]);
    place.start(command, Output::Pipes).wait()
}

/// The last line on stderr begins with this code.
#[track_caller]
fn assert_code(ended: &Ended, exit: i32, code: &str) {
    let (last, start) = (ended.stderr.lines().last(), format!("corelane: error[{code}]: "));
    let is_told = last.is_some_and(|last| last.starts_with(&start));
    assert!(is_told && ended.code() == exit, "{code}: {}\n{}", ended.code(), ended.stderr);
}

/// Runs the binary and lets the kernel refuse a call.
fn refused(place: &Place, what: &str, call: &str, arguments: &str) -> Ended {
    let name = call.split(':').next().unwrap_or(call);
    let traced = format!("-qq -o /dev/null {what} -e trace={name} -e inject={call}");
    shell(place, &format!("exec strace {traced} \"$0\" {arguments}"))
}

#[test]
fn calls_that_the_kernel_refuses_have_their_codes() {
    if let Some(reason) = lack("strace", &["-o", "/dev/null", "true"]) {
        return println!("skipped: {reason}");
    }
    let place = Place::new();
    let worker = "worker --socket /nowhere/node.sock";
    let pinned = format!("{worker} --cpus 0");
    let cases = [
        ("CL-0114", "sched_setaffinity:error=EPERM", pinned.as_str()),
        ("CL-0302", "memfd_create:error=ENFILE", "demo"),
        ("CL-0315", "memfd_create:error=EPERM", "demo"),
        ("CL-0335", "connect:error=EAGAIN", worker),
        ("CL-0901", "sched_getaffinity:error=EPERM", SHORT),
        ("CL-0931", "clone3:error=EAGAIN:when=2+", SHORT),
        ("CL-1115", "readlink:error=ENOENT", "demo"),
        // The runtime of the language has set its own handlers by then; the first thread is that
        // of the signals.
        ("CL-1101", "rt_sigaction:error=EINVAL:when=6+", SHORT),
    ];
    for (code, call, arguments) in cases {
        assert_code(&refused(&place, "", call, arguments), 1, code);
    }
    let uncounted = refused(&place, "-P /proc/stat", "openat:error=EACCES", SHORT);
    assert_code(&uncounted, 1, "CL-0924");
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    if cpus > 1 {
        assert_code(&refused(&place, "", "clone3:error=EAGAIN:when=2+", "demo"), 1, "CL-0122");
    } else {
        println!("skipped: one cpu has no other to measure the latency to");
    }
    // With one core there is nothing to measure: the router's thread comes after that of signals.
    let line = "exec taskset -c 0 strace -qq -o /dev/null -e trace=clone3 \
                -e inject=clone3:error=EAGAIN:when=2+ \"$0\" demo";
    assert_code(&shell(&place, line), 1, "CL-0501");
    place.assert_empty();
}

#[test]
fn want_of_descriptors_is_told_by_its_code() {
    let place = Place::new();
    let node = shell(&place, "exec > /dev/null; ulimit -n 9; exec \"$0\" demo");
    assert_code(&node, 1, "CL-0802");
    place.assert_empty();
}

#[test]
fn workers_that_never_attach_are_given_up() {
    if let Some(reason) = lack("strace", &["-f", "-o", "/dev/null", "true"]) {
        return println!("skipped: {reason}");
    }
    let place = Place::new();
    let ended = refused(&place, "-f", "connect:error=ECONNREFUSED", "demo --floating");
    assert!(ended.stderr.contains("error[CL-0334]"), "{}", ended.stderr);
    assert_code(&ended, 1, "CL-1117");
    place.assert_empty();
}

/// A shell that sees a `/proc` with this file in it and nothing else.
fn bare_proc(file: &str) -> String {
    format!(
        "mkdir \"$XDG_RUNTIME_DIR/proc\" && cat /proc/{file} > \"$XDG_RUNTIME_DIR/proc/{file}\" && \
         mount --bind \"$XDG_RUNTIME_DIR/proc\" /proc &&"
    )
}

/// Runs a line in a name space of its own, where it can mount over `/proc`.
fn unshared(place: &Place, line: &str) -> Ended {
    let mut command = place.command("unshare");
    command.args(["-m", "sh", "-c", line, BINARY]);
    let ended = place.start(command, Output::Pipes).wait();
    fs::remove_dir_all(place.runtime_folder().join("proc")).expect("the line has made it");
    ended
}

#[test]
fn a_thread_that_nobody_counts_ends_the_run() {
    if let Some(reason) = lack("unshare", &["-m", "mount", "--bind", "/proc", "/proc"]) {
        return println!("skipped: {reason}");
    }
    let place = Place::new();
    let ended = unshared(&place, &format!("{} exec \"$0\" {SHORT}", bare_proc("stat")));
    assert_code(&ended, 1, "CL-0936");
}

#[test]
fn an_affinity_that_nobody_tells_is_an_error() {
    let unshare = lack("unshare", &["-m", "mount", "--bind", "/proc", "/proc"]);
    if let Some(reason) = unshare.or_else(|| lack("strace", &["-o", "/dev/null", "true"])) {
        return println!("skipped: {reason}");
    }
    let place = Place::new();
    let strace = "strace -qq -o /dev/null -e trace=sched_getaffinity \
                  -e inject=sched_getaffinity:error=EPERM";
    let ended = unshared(&place, &format!("{} exec {strace} \"$0\" demo", bare_proc("stat")));
    assert_code(&ended, 1, "CL-0102");
}

#[test]
fn a_worker_that_gets_no_thread_says_so() {
    if let Some(reason) = lack("strace", &["-D", "-o", "/dev/null", "true"]) {
        return println!("skipped: {reason}");
    }
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let told = folder.path().join("stderr");
    // The tracer steps aside, so that the worker is the process that the node started.
    let line = format!(
        "exec strace -D -qq -o /dev/null -e trace=clone3 -e inject=clone3:error=EAGAIN \
         {BINARY} worker \"$@\" 2>> {}",
        told.display()
    );
    let worker = WorkerSpec {
        program: "sh".into(),
        args: ["-c", line.as_str(), "sh"].map(OsString::from).to_vec(),
        agents: 1..2,
    };
    let config = NodeConfig {
        socket: folder.path().join("node.sock"),
        routers: vec![RouterPlace { cpus: None, wait: WaitPolicy::SHARED }],
        lanes: LaneShape::new(64, 2).expect("the size is valid"),
        workers: vec![worker],
        guests: vec![],
        supervision: SupervisorConfig::default(),
    };
    let (sender, events) = mpsc::channel();
    let node = Node::start(config, move |event| _ = sender.send(event)).expect("a node starts");
    while !matches!(events.recv().expect("the node lives"), NodeEvent::Down { .. }) {}
    // A worker is down once it has hung up; it speaks after that, and each of its generations does.
    let mut text = String::new();
    while !text.contains('\n') {
        text = fs::read_to_string(&told).expect("the shell made it");
        std::thread::yield_now();
    }
    drop(node);
    let told = text;
    assert!(told.starts_with("corelane: error[CL-1132]: "), "{told}");
}

#[test]
fn folders_and_files_that_cannot_be_had_have_their_codes() {
    let place = Place::new();
    let demo = shell(&place, "XDG_RUNTIME_DIR=/dev/null/x exec \"$0\" demo");
    assert_code(&demo, 1, "CL-1113");
    let line = format!("exec \"$0\" {SHORT} --flamegraph /nonexistent/graph.svg");
    assert_code(&shell(&place, &line), 1, "CL-1145");
    let line = format!("unset HOME XDG_STATE_HOME; exec \"$0\" {SHORT} --baseline x");
    assert_code(&shell(&place, &line), 1, "CL-1143");
    let line = format!("export XDG_STATE_HOME=/dev/null/x; exec \"$0\" {SHORT} --save x");
    let kept = shell(&place, &line);
    assert_code(&kept, 1, "CL-1142");
    assert!(!kept.stdout.is_empty(), "figures that cannot be kept are printed all the same");
    place.assert_empty();
}

#[test]
fn explain_prints_the_page_of_a_code() {
    let place = Place::new();
    let page = shell(&place, "exec \"$0\" explain 333");
    assert_eq!((page.code(), page.stderr.as_str()), (0, ""));
    for part in ["CL-0333: no socket at", "What happened\n", "What to do\n"] {
        assert!(page.stdout.contains(part), "no {part:?} in\n{}", page.stdout);
    }
    let list = shell(&place, "exec \"$0\" explain");
    assert!(list.stdout.lines().count() > 150, "{}", list.stdout);
    let unknown = shell(&place, "exec \"$0\" explain CL-9999");
    assert_code(&unknown, 2, "CL-1103");
    place.assert_empty();
}
