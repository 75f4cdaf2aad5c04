//! What can go wrong in a command itself; the crates below have errors of their own.
//!
//! It decides neither exit codes nor how an error is printed.

use std::{io, path::PathBuf};

use corelane_router::RouterTotals;
use corelane_topology::CpuSet;
use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum CliError {
    /// Handlers could not be registered.
    #[error("signals cannot be caught, so that Ctrl-C would leave things behind")]
    Signals(#[source] io::Error),
    /// Writing the result failed.
    #[error("result cannot be written to stdout: make room, or redirect it")]
    Stdout(#[source] io::Error),
    /// `explain` was asked for a code that no error has.
    #[error("no error has the code {asked}: nearest is {nearest}; `corelane explain` lists all")]
    NoSuchCode {
        /// What was asked for.
        asked: String,
        /// The code that is closest in number.
        nearest: &'static str,
    },
    /// Some worker would host nothing.
    #[error("--agents {agents} is less than --workers {workers}: raise it")]
    FewAgents {
        /// Agents asked for.
        agents: u32,
        /// Workers asked for.
        workers: u32,
    },
    /// A worker could not queue what its agents may ask at once.
    #[error(
        "--agents {agents} with --window {window} keeps {open} questions open in each of \
         --workers {workers}, which queues {limit}: lower one or raise the last"
    )]
    OpenQuestions {
        /// Agents asked for.
        agents: u32,
        /// Questions of each.
        window: u32,
        /// Questions of each worker.
        open: usize,
        /// Workers asked for.
        workers: u32,
        /// What a worker queues.
        limit: usize,
    },
    /// The folder of the socket cannot be made or looked at.
    #[error("folder for the socket cannot be made: {}: let XDG_RUNTIME_DIR name one",
        folder.display())]
    SocketFolder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could put a socket in the place of ours.
    #[error(
        "folder for the socket is open to others: {} (owner {owner}, mode {mode:o}): remove it, \
         or let XDG_RUNTIME_DIR name a folder of yours",
        folder.display()
    )]
    SocketFolderOpen {
        /// The folder.
        folder: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permissions.
        mode: u32,
    },
    /// The path of the running program is not known.
    #[error("this program cannot find itself to start workers: mount /proc, or install it again")]
    OwnProgram(#[source] io::Error),
    /// Workers were started and did not come.
    #[error(
        "workers did not attach within {seconds} s: run `corelane {command}` with fewer workers, \
         or look at the messages above"
    )]
    NotAttached {
        /// The command that waited for them.
        command: &'static str,
        /// How long it waited.
        seconds: u64,
    },
    /// The restart budget is spent.
    #[error("{reason}")]
    Escalated {
        /// What the node said.
        reason: String,
    },
    /// The node's thread is gone.
    #[error("node ended by itself: run again, and report it with the messages above")]
    NodeEnded,
    /// The worker to be killed is not there.
    #[error("worker {worker} is not running: something else ended it, run again")]
    NotRunning {
        /// Which worker.
        worker: usize,
    },
    /// An agent answered with an error.
    #[error("image {image} was answered with an error: {text}: look it up, then run again")]
    Answer {
        /// Which image.
        image: usize,
        /// What the agent said.
        text: String,
    },
    /// An answer holds no scores.
    #[error("image {image} has no scores: the agents answer in another form than this build")]
    NoScores {
        /// Which image.
        image: usize,
    },
    /// A worker ended that nobody killed.
    #[error("worker {worker} ended by itself: {reason}: run again, or give it more memory")]
    WorkerEnded {
        /// Which worker.
        worker: u16,
        /// How it ended.
        reason: String,
    },
    /// The load was more than the lanes take.
    #[error("the lanes refused {count} messages: lower --window or --agents")]
    LanesRefused {
        /// Messages that were not accepted.
        count: u64,
    },
    /// What was sent is not what arrived.
    #[error("messages are missing: sent={sent} received={received} {totals:?}: report this")]
    Missing {
        /// Messages that were sent.
        sent: u64,
        /// Messages that arrived.
        received: u64,
        /// What the routers counted.
        totals: Box<RouterTotals>,
    },
    /// A worker took nothing for so long that its messages were dropped.
    #[error(
        "a worker stood still for more than a second, and {dropped} messages to it were dropped: \
         run again with less beside it"
    )]
    StoodStill {
        /// Messages that were dropped.
        dropped: u64,
    },
    /// The load has ended and answers have not come.
    #[error(
        "answers are missing {seconds} s after the load: {totals:?}: run again, then report it"
    )]
    AnswersMissing {
        /// How long it waited.
        seconds: u64,
        /// What the routers counted.
        totals: Box<RouterTotals>,
    },
    /// A worker was asked for its counts and is silent.
    #[error("a worker does not report its counts: run again with less beside it")]
    NoCounts,
    /// A worker reported something else than counts.
    #[error("a worker's counts cannot be read: start the node and its workers from one build")]
    Counts(#[source] serde_json::Error),
    /// A worker died while its agents exchanged messages.
    #[error("worker {worker} ended during the load ({reason}), and its counts with it: run again")]
    EndedInLoad {
        /// Which worker.
        worker: u16,
        /// How it ended.
        reason: String,
    },
    /// The digits within the binary are not the ones it was built with.
    #[error("digits within the binary are damaged, install it again: {reason}")]
    Digits {
        /// What is wrong.
        reason: &'static str,
    },
    /// No device can run the model.
    #[error("no device can run the model, choose another or free memory: {decision}")]
    NoDevice {
        /// Every device and why it was rejected.
        decision: String,
    },
    /// The CPUs to be used are all outside of what this process may use.
    #[error("no cpu of {asked} is allowed here, choose from {allowed}")]
    NoCpus {
        /// CPUs that were asked for.
        asked: CpuSet,
        /// CPUs that may be used.
        allowed: CpuSet,
    },
    /// The thread that listens to the node did not start.
    #[error("thread that listens to the node cannot be started: raise the process limit")]
    LinkThread(#[source] io::Error),
    /// No file of that name can be read.
    #[error("baseline cannot be read, make it with --save {name}: {}", path.display())]
    BaselineRead {
        /// Its name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The figures could not be written.
    #[error("baseline cannot be kept, let XDG_STATE_HOME name a folder: {}", path.display())]
    BaselineKeep {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Neither variable that leads to the folder is set.
    #[error("baselines have no folder: set XDG_STATE_HOME or HOME")]
    NoStateFolder,
    /// The file of the flame graph cannot be made.
    #[error("flame graph cannot be written, choose another path: {}", path.display())]
    FlamegraphFile {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The profiler does not start.
    #[error("profiler cannot be started, end the one that runs")]
    Profiler(#[source] pprof::Error),
    /// There is nothing to draw.
    #[error("flame graph cannot be drawn, measure longer")]
    Flamegraph(#[source] pprof::Error),
}

impl CliError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Signals(_) => "CL-1101",
            Self::Stdout(_) => "CL-1102",
            Self::NoSuchCode { .. } => "CL-1103",
            Self::FewAgents { .. } => "CL-1111",
            Self::OpenQuestions { .. } => "CL-1112",
            Self::SocketFolder { .. } => "CL-1113",
            Self::SocketFolderOpen { .. } => "CL-1114",
            Self::OwnProgram(_) => "CL-1115",
            Self::NotAttached { .. } => "CL-1116",
            Self::Escalated { .. } => "CL-1117",
            Self::NodeEnded => "CL-1118",
            Self::NotRunning { .. } => "CL-1119",
            Self::Answer { .. } => "CL-1120",
            Self::NoScores { .. } => "CL-1121",
            Self::WorkerEnded { .. } => "CL-1122",
            Self::LanesRefused { .. } => "CL-1123",
            Self::Missing { .. } => "CL-1124",
            Self::StoodStill { .. } => "CL-1125",
            Self::AnswersMissing { .. } => "CL-1126",
            Self::NoCounts => "CL-1127",
            Self::EndedInLoad { .. } => "CL-1128",
            Self::Counts(_) => "CL-1129",
            Self::Digits { .. } => "CL-1130",
            Self::NoDevice { .. } => "CL-1131",
            Self::LinkThread(_) => "CL-1132",
            Self::NoCpus { .. } => "CL-1133",
            Self::BaselineRead { .. } => "CL-1141",
            Self::BaselineKeep { .. } => "CL-1142",
            Self::NoStateFolder => "CL-1143",
            Self::FlamegraphFile { .. } => "CL-1145",
            Self::Profiler(_) => "CL-1146",
            Self::Flamegraph(_) => "CL-1147",
        }
    }
}
