//! Real second processes: this test binary, started again for every end.

use std::{env, io, ops::ControlFlow, os::fd::AsFd, thread, time::Duration};

use corelane_shm::fdpass::Channel;
use rustix::{
    io::Errno,
    net::{SocketType, sockopt::socket_type},
    process::{Signal, WaitOptions, getpid, kill_process, wait},
};

use super::{
    Attendant, EndCommand, Meeting, Opened, ProcessCast, ProcessPeer, ours, play_end, standard,
    standard::{StreamReceiver, StreamSender},
};
use crate::{
    FanoutMessage, Options, PassError, Report, RunError, Step, Suite, Workload, peer::Receiver,
    standard::Pipe, testing::children,
};

/// How an end breaks down.
const FORGETS: u8 = 0;
const DIES: u8 = 1;
const HANGS: u8 = 2;
const REFUSES: u8 = 3;
const PANICS: u8 = 4;

/// A pipe whose reader breaks down.
struct Broken<const HOW: u8>;

struct BrokenReader<const HOW: u8>(StreamReceiver, u32);

impl<const HOW: u8> Receiver<FanoutMessage> for BrokenReader<HOW> {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let message = self.0.try_recv()?;
        self.1 += 1;
        if self.1 < 100 {
            return Some(message);
        }
        match HOW {
            DIES => kill_process(getpid(), Signal::KILL).expect("a process may kill itself"),
            HANGS => loop {
                thread::park();
            },
            PANICS => panic!("planted"),
            _ => {}
        }
        Some(FanoutMessage::new(1))
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

impl<const HOW: u8> ProcessPeer for Broken<HOW> {
    const NAME: &'static str = ["forgets", "dies", "hangs", "refuses", "panics"][HOW as usize];
    type Sender = StreamSender;
    type Receiver = BrokenReader<HOW>;

    fn sender(meeting: &Meeting) -> Opened<StreamSender> {
        <Pipe as ProcessPeer>::sender(meeting)
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<BrokenReader<HOW>>> {
        if HOW == REFUSES {
            return Err("it is not in the mood".into());
        }
        let readers = <Pipe as ProcessPeer>::receivers(meeting)?;
        Ok(readers.into_iter().map(|reader| BrokenReader(reader, 0)).collect())
    }
}

/// A pipe that needs somebody beside it, and is nowhere without.
struct Attended;

impl ProcessPeer for Attended {
    const NAME: &'static str = "attended";
    const IS_ATTENDED: bool = true;
    const HAS_THREADS_BESIDE: bool = true;
    type Sender = StreamSender;
    type Receiver = StreamReceiver;

    fn attend(meeting: &Meeting) -> Opened<Attendant> {
        std::fs::write(meeting.folder().join("open"), meeting.name())?;
        // Another program ends with the pass.
        let stays =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn()?;
        Ok(Attendant::Program(stays))
    }

    fn sender(meeting: &Meeting) -> Opened<StreamSender> {
        std::fs::read(meeting.folder().join("open"))?;
        <Pipe as ProcessPeer>::sender(meeting)
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<StreamReceiver>> {
        std::fs::read(meeting.folder().join("open"))?;
        <Pipe as ProcessPeer>::receivers(meeting)
    }
}

/// What no machine has.
struct Missing;

impl ProcessPeer for Missing {
    const NAME: &'static str = "missing";
    type Sender = StreamSender;
    type Receiver = StreamReceiver;

    fn probe() -> Result<(), String> {
        Err("nobody ever made it".to_owned())
    }

    fn sender(_: &Meeting) -> Opened<StreamSender> {
        Err("there is none".into())
    }

    fn receivers(_: &Meeting) -> Opened<Vec<StreamReceiver>> {
        Err("there is none".into())
    }
}

fn everybody() -> ProcessCast {
    let mut cast = ProcessCast::default();
    ours::add_all(&mut cast);
    standard::add_all(&mut cast);
    cast.add_queue::<Broken<FORGETS>>();
    cast.add_queue::<Broken<DIES>>();
    cast.add_queue::<Broken<HANGS>>();
    cast.add_queue::<Broken<REFUSES>>();
    cast.add_queue::<Broken<PANICS>>();
    cast.add_queue::<Attended>();
    cast.add_queue::<Missing>();
    cast
}

/// Plays an end for the other tests, whose measuring process gives it a socket. Nobody else does,
/// and then there is nothing to play.
#[test]
fn whoever_is_no_measuring_process_is_refused() {
    let stdin = io::stdin().as_fd().try_clone_to_owned().expect("there is a stdin");
    let is_end = socket_type(&stdin).is_ok_and(|kind| kind == SocketType::SEQPACKET);
    let outcome = play_end(&everybody(), &Channel::from(stdin));
    assert_eq!(outcome.is_ok(), is_end, "{outcome:?}");
}

fn command() -> EndCommand {
    let this = "process::tests::whoever_is_no_measuring_process_is_refused";
    let program = env::current_exe().expect("this program has a path");
    EndCommand::new(program, ["--exact", this, "--nocapture", "--test-threads=1"])
}

/// A suite of tiny passes of those whose names are given.
fn suite(workloads: &[Workload], names: &[&str], command: &EndCommand) -> Suite {
    let mut options = Options::for_cpus(Vec::new(), 2).quick();
    options.across_processes = workloads.to_vec();
    (options.pass_ms, options.bracket_ms, options.passes) = (3, 1, 2);
    (options.is_noise_allowed, options.spread, options.cursors) = (true, (6, 3), 14);
    let mut cast = everybody();
    cast.retain(|name| names.contains(&name));
    let mut suite = Suite::new(options).unwrap();
    suite.add_processes(&cast, command);
    suite
}

fn run(suite: &Suite) -> Result<Report, RunError> {
    let outcome = suite.run(&mut |_: &Step<'_>| ControlFlow::Continue(()));
    // However it ended, nobody is left.
    assert_eq!(wait(WaitOptions::NOHANG).unwrap_err(), Errno::CHILD);
    outcome
}

fn titles(report: &Report) -> Vec<String> {
    let metric = |name: &str| ["rate", "round_trip", "cpu_ratio"].contains(&name);
    let rows = report.rows.iter().filter(|row| metric(&row.metric));
    rows.map(|row| row.key.to_string()).collect()
}

#[test]
fn ours_run_across_two_processes_and_within_one() {
    let _children = children();
    let workloads = [Workload::Latency, Workload::Throughput];
    let names = ["corelane latency", "corelane broadcast"];
    let report = run(&suite(&workloads, &names, &command())).unwrap();
    assert!(report.rows.iter().all(|row| row.median > 0.0 && row.threads == 2), "{report:?}");
    assert_eq!(
        titles(&report),
        [
            "latency 1:1 64 B single pinned, 2 processes: corelane latency",
            "throughput 1:1 64 B single pinned, 2 processes: corelane latency",
            "latency 1:1 64 B single pinned, 1 process: corelane latency",
            "throughput 1:1 64 B single pinned, 1 process: corelane latency",
            "latency 1:1 64 B single pinned, 2 processes: corelane broadcast",
            "throughput 1:1 64 B single pinned, 2 processes: corelane broadcast",
            "throughput 1:1 64 B batch pinned, 2 processes: corelane broadcast",
            "latency 1:1 64 B single pinned, 1 process: corelane broadcast",
            "throughput 1:1 64 B single pinned, 1 process: corelane broadcast",
            "throughput 1:1 64 B batch pinned, 1 process: corelane broadcast",
        ]
    );
    assert_eq!(Report::from_json(&report.to_json()).unwrap(), report);
}

#[test]
fn what_the_kernel_has_runs_across_processes() {
    let _children = children();
    let workloads = [Workload::Latency, Workload::Throughput];
    let names = ["pipe", "unix stream", "unix seqpacket"];
    let report = run(&suite(&workloads, &names, &command())).unwrap();
    assert_eq!(titles(&report).len(), 3 * 3, "{report:?}");
}

#[test]
fn every_subscriber_of_every_process_gets_everything() {
    let _children = children();
    let names = ["corelane broadcast", "corelane topic"];
    let report = run(&suite(&[Workload::Fanout], &names, &command())).unwrap();
    assert_eq!(
        titles(&report),
        [
            "fanout 1:6 each 64 B single pinned, 4 processes: corelane topic",
            "fanout 1:12 each 64 B bursts pinned, 4 processes: corelane topic",
            "fanout 1:6 each 64 B single pinned, 4 processes: corelane broadcast",
            "fanout 1:12 each 64 B bursts pinned, 4 processes: corelane broadcast",
        ]
    );
    assert!(report.rows.iter().all(|row| row.threads == 4 && row.median > 0.0), "{report:?}");
}

#[test]
fn ends_of_two_processes_are_measured_asleep() {
    let _children = children();
    let names = ["corelane latency, futex", "pipe", "unix stream", "unix seqpacket", "eventfd"];
    let suite = suite(&[Workload::Wakeup], &names, &command());
    assert_eq!(suite.rows().count(), 5);
    match run(&suite) {
        Ok(report) => assert_eq!(report.rows.len(), 5 * 4),
        // On one CPU that others use too, both ends may find their message without sleeping.
        Err(error) => assert!(matches!(error, RunError::Noisy { .. }), "{error}"),
    }
}

#[track_caller]
fn failure(name: &str, command: &EndCommand) -> PassError {
    match run(&suite(&[Workload::Throughput], &[name], command)) {
        Err(RunError::Pass { source, .. }) => source,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn an_end_that_breaks_down_ends_the_pass_and_leaves_nobody_behind() {
    let _children = children();
    let forgotten = failure("forgets", &command());
    assert!(matches!(forgotten, PassError::Checksum { .. }), "{forgotten}");
    let PassError::Died { how } = failure("dies", &command()) else { panic!("it died") };
    assert!(how.contains("signal: 9"), "{how}");
    let PassError::Open(why) = failure("refuses", &command()) else { panic!("it refused") };
    assert_eq!(why, "it is not in the mood");
    let panicked = failure("panics", &command());
    assert!(matches!(panicked, PassError::Panicked), "{panicked}");
}

#[test]
fn an_end_that_hangs_is_killed() {
    let _children = children();
    let impatient = EndCommand { silence: Duration::from_millis(300), ..command() };
    let silent = failure("hangs", &impatient);
    assert!(matches!(silent, PassError::Silent { .. }), "{silent}");
}

#[test]
fn a_program_that_cannot_be_started_is_told() {
    let _children = children();
    let nowhere = EndCommand::new("/nowhere/corelane".into(), ["bench-end"]);
    let refused = failure("dies", &nowhere);
    assert!(matches!(refused, PassError::Process(_)), "{refused}");
    // One that is no end leaves before the pass is over.
    let other = EndCommand::new("true".into(), [""; 0]);
    assert!(matches!(failure("dies", &other), PassError::Died { .. }));
}

#[test]
fn what_runs_beside_the_ends_lives_as_long_as_the_pass() {
    let _children = children();
    let suite = suite(&[Workload::Latency], &["attended"], &command());
    assert_eq!(titles(&run(&suite).unwrap()).len(), 1);
}

#[test]
fn what_cannot_be_measured_here_is_told_and_fails_nothing() {
    let _children = children();
    let names = ["missing", "pipe", "refuses", "dies"];
    let mut suite = suite(&[Workload::Throughput], &names, &command());
    suite.pardon_stalls(|key| key.peer != "pipe");
    let report = run(&suite).unwrap();
    assert_eq!(titles(&report).len(), 2, "{report:?}");
    let remarks = report.remarks.join("\n");
    for told in [
        "missing: not measured: nobody ever made it",
        "refuses: not measured: an end cannot be opened in its process",
        "dies: not measured: the process of an end died",
    ] {
        assert!(remarks.contains(told), "no {told:?} in\n{remarks}");
    }
}
