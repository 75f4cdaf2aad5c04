//! A place of its own for each run: folders, environment, and the search for what was left there.

use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use corelane_shm::process::{PidFd, Signal};
use tempfile::TempDir;

use super::{Running, WATCHDOG, capture::Capture};

/// Variables that change what a program prints; a test sets those that it is about.
const PRINT_VARIABLES: [&str; 5] = ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "COLUMNS", "LC_ALL"];

/// Every process of a place inherits this variable, whatever else a test changes.
const MARK: &str = "CORELANE_TEST_PLACE";

/// Where the output of a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Two pipes.
    Pipes,
    /// Two terminals, one for each output, so that the test can tell them apart.
    Terminals {
        /// Width of both.
        columns: u16,
    },
}

/// A living process of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its command line, arguments separated by spaces.
    pub command: String,
}

/// Folders that only one test uses, as `XDG_RUNTIME_DIR` and `TMPDIR` of what it runs.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    pub(super) watchdog: Duration,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// Makes the folders; runs are watched for [`WATCHDOG`].
    ///
    /// # Panics
    /// When there is no room for them.
    pub fn new() -> Self {
        Self::with_watchdog(WATCHDOG)
    }

    /// Makes the folders for runs that hang when they take longer than `watchdog`.
    ///
    /// # Panics
    /// When there is no room for them.
    pub fn with_watchdog(watchdog: Duration) -> Self {
        let folder = tempfile::Builder::new().prefix("corelane-test-").tempdir();
        let folder = folder.expect("the temporary folder is writable");
        let place = Self { folder, watchdog };
        for folder in [place.runtime_folder(), place.temp_folder()] {
            fs::create_dir(folder).expect("the temporary folder is writable");
        }
        place
    }

    /// What the processes of this place have as `XDG_RUNTIME_DIR`.
    pub fn runtime_folder(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn temp_folder(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// A command that will run in this place, with a terminal's usual environment.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env(MARK, self.folder.path())
            .env("XDG_RUNTIME_DIR", self.runtime_folder())
            .env("TMPDIR", self.temp_folder())
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color");
        for variable in PRINT_VARIABLES {
            command.env_remove(variable);
        }
        command
    }

    /// Starts a command of this place.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn start(&self, mut command: Command, output: Output) -> Running<'_> {
        let columns = match output {
            Output::Pipes => None,
            Output::Terminals { columns } => Some(columns),
        };
        let (sink, stdout) = Capture::open(columns);
        command.stdout(sink);
        let (sink, stderr) = Capture::open(columns);
        command.stderr(sink);
        // The command ends here and with it this process's own copies of the sinks.
        Running::start(self, command, stdout, stderr)
    }

    /// The living processes of this place.
    pub fn processes(&self) -> Vec<Process> {
        let pids = entries(Path::new("/proc"));
        let pids = pids.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok());
        pids.filter_map(|pid| self.process(pid)).collect()
    }

    fn process(&self, pid: u32) -> Option<Process> {
        let mark = format!("{MARK}={}", self.folder.path().display());
        let (environment, command) = environment_and_command(pid)?;
        let is_here = environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes());
        let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
        is_here.then_some(Process { pid, command })
    }

    /// Kills all that runs here.
    pub fn kill_all(&self) {
        for Process { pid, .. } in self.processes() {
            // The pidfd stands for one process; the second look says that it is still ours.
            if let Ok(pidfd) = PidFd::open(pid)
                && self.process(pid).is_some()
            {
                let _ = pidfd.kill(Signal::KILL);
            }
        }
    }

    /// The files (sockets among them) in the folders of this place.
    pub fn files(&self) -> Vec<PathBuf> {
        files_below(self.folder.path())
    }

    /// Everything that a run left: processes, files here, and shared memory with a name of ours.
    pub fn leftovers(&self) -> Vec<String> {
        let processes = self.processes().into_iter().map(|process| format!("{process:?}"));
        let shared = files_below(Path::new("/dev/shm")).into_iter();
        let shared = shared.filter(|path| path.to_string_lossy().contains("corelane"));
        let files = self.files().into_iter().chain(shared);
        processes.chain(files.map(|path| path.display().to_string())).collect()
    }

    /// Fails when a run left anything.
    ///
    /// # Panics
    /// When it did, with the list.
    #[track_caller]
    pub fn assert_empty(&self) {
        assert_eq!(self.leftovers(), Vec::<String>::new(), "something was left");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A test that failed half way leaves nothing either.
        self.kill_all();
    }
}

/// What a living process was started with; none of one that has ended, or is not ours to look at.
fn environment_and_command(pid: u32) -> Option<(Vec<u8>, Vec<u8>)> {
    let of = |what: &str| format!("/proc/{pid}/{what}");
    loop {
        let before = environment_end(pid)?;
        let seen = (fs::read(of("environ")).ok()?, fs::read(of("cmdline")).ok()?);
        // While a process becomes another program it shows nothing, or a part of what it showed:
        // then it is looked at again.
        if before != 0 && environment_end(pid)? == before {
            return Some(seen);
        }
        match fs::read_link(of("exe")) {
            Err(error) if error.kind() != ErrorKind::PermissionDenied => {
                // Threads of the kernel, and what waits to be reaped, have no program.
                return None;
            }
            // For a moment nobody may look at the next one.
            _ => thread::yield_now(),
        }
    }
}

/// Where the environment of a process ends: elsewhere in another program, and at 0 until a program
/// is there as a whole.
fn environment_end(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, which may hold anything, is the second field and ends with the last parenthesis.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    // Where the code ends is known last. It is 1 for who may not know it.
    let is_whole = field(27)? > 1;
    if is_whole { field(51) } else { Some(0) }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (folders, mut files): (Vec<_>, Vec<_>) = entries(folder)
        .into_iter()
        .partition(|path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()));
    files.extend(folders.iter().flat_map(|folder| files_below(folder)));
    files
}
