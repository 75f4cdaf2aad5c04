//! A storm: processes that create, attach, subscribe, send, receive, end and die at random.
//!
//! Nobody else dies of it, nothing is ever corrupt, and a pair of steady ends loses nothing. The
//! gate runs a short storm; `CORELANE_STORM_EVENTS` and `CORELANE_STORM_PROCESSES` make it a long
//! one (`ci/hostile`), `CORELANE_STORM_SEED` repeats one.

mod member;
mod steady;

use std::collections::VecDeque;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use corelane_shm::process::{ExitReason, PidFd};
use corelane_transport::Participant;

/// Extra test-name filter that matches no test and marks a member of the storm.
const MARK: &str = "as-a-member-of-the-storm";
const TEST: &str = "a_storm_of_processes_harms_nobody_else";
/// Longest that one member may take: it has a few dozen steps.
const MEMBER_PATIENCE: Duration = Duration::from_secs(100);

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

fn start(place: &Path, seed: u64) -> PidFd {
    #[expect(clippy::zombie_processes, reason = "reaped through the pidfd")]
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, MARK, "--nocapture"])
        .env("CORELANE_STORM_PLACE", place)
        .env("CORELANE_STORM_SEED", seed.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    PidFd::open(child.id()).unwrap()
}

/// Waits for a member's end, which is by its own will or by SIGKILL.
fn end(member: (u64, PidFd)) {
    let (seed, pidfd) = member;
    let has_ended = pidfd.wait_exit(Some(MEMBER_PATIENCE)).unwrap();
    assert!(has_ended, "member with seed={seed} hangs");
    let reason = pidfd.reap().unwrap().expect("because it has ended");
    let is_own_will = matches!(reason, ExitReason::Code(0) | ExitReason::Signal(9));
    assert!(is_own_will, "member with CORELANE_STORM_SEED={seed} ended by {reason:?}");
}

#[test]
fn a_storm_of_processes_harms_nobody_else() {
    if std::env::args().any(|argument| argument == MARK) {
        return member::run();
    }
    let events = setting("CORELANE_STORM_EVENTS", 1_000);
    let processes = setting("CORELANE_STORM_PROCESSES", 12) as usize;
    let seed = setting("CORELANE_STORM_SEED", 20_261_121);
    println!("storm: events={events} processes={processes} CORELANE_STORM_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("exchange");
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();

    // The exchange is opened by a member, so that it dies and is opened again.
    let mut alive: VecDeque<_> = (seed..seed + 3).map(|seed| (seed, start(&place, seed))).collect();
    let (mut seen, mut next) = (0, seed + 3);
    let patience = std::time::Instant::now() + MEMBER_PATIENCE;
    while !place.exists() && std::time::Instant::now() < patience {
        std::thread::yield_now();
    }
    let steady = steady::Steady::start(&place);
    while seen < events {
        if alive.len() == processes {
            end(alive.pop_front().expect("because there are some"));
        }
        seen += member::steps(next);
        alive.push_back((next, start(&place, next)));
        next += 1;
    }
    alive.into_iter().for_each(end);
    let carried = steady.stop();
    println!("storm: members={} events={seen} carried beside it: {carried}", next - seed);
    assert!(carried > 0);

    // Whoever comes next finds a place that works, and nothing but the socket was left.
    let participant = Participant::open(&place).unwrap();
    assert_eq!(participant.list().unwrap(), []);
    drop(participant);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(descriptors(), before);
}
