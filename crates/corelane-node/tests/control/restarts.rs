//! Workers that never come up: the restart budget is spent, and the node says so and ends.

use std::path::PathBuf;

use corelane_agent::supervisor::SupervisorConfig;
use corelane_node::{NodeEvent, WorkerSpec};
use corelane_testkit::process::WATCHDOG;

use crate::hosted::Hosted;

#[test]
fn a_worker_that_exits_at_every_start_is_given_up() {
    // It exits with 1 at once, whatever its arguments are.
    let program = PathBuf::from("/bin/false");
    let hosted = Hosted::start(vec![WorkerSpec { program, args: Vec::new(), agents: 1..2 }]);
    let NodeEvent::Escalated { reason } = hosted.event() else { panic!("it was not given up") };
    assert!(reason.contains("budget") || reason.contains("restart"), "{reason}");
    assert_ended(hosted);
}

#[test]
fn a_program_that_is_not_there_is_named_at_every_start() {
    let program = PathBuf::from("/nowhere/worker");
    let hosted = Hosted::start(vec![WorkerSpec { program, args: Vec::new(), agents: 1..2 }]);
    for _ in 0..=SupervisorConfig::default().budget.restarts_max {
        assert!(hosted.refused().contains("/nowhere/worker"));
    }
    assert!(matches!(hosted.event(), NodeEvent::Escalated { .. }));
    assert_ended(hosted);
}

#[test]
fn a_second_worker_is_stopped_when_the_first_is_given_up() {
    let bad = WorkerSpec { program: "/bin/false".into(), args: Vec::new(), agents: 1..2 };
    // It never attaches and ignores its arguments: only a kill ends it.
    let args = ["-c", "while :; do read -r line; done", "sh"].map(Into::into).to_vec();
    let idle = WorkerSpec { program: "/bin/sh".into(), args, agents: 2..3 };
    let hosted = Hosted::start(vec![bad, idle]);
    assert!(matches!(hosted.event(), NodeEvent::Escalated { .. }));
    assert_ended(hosted);
}

/// The driver ended by itself: the socket is gone, and nobody is told anything any more.
#[track_caller]
fn assert_ended(hosted: Hosted) {
    let end = hosted.events.recv_timeout(WATCHDOG);
    assert_eq!(end, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    assert!(!hosted.socket().exists());
    assert_eq!(hosted.stop(), []);
    let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    assert_eq!(children, "");
}
