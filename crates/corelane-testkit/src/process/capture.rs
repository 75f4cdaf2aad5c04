//! What a process prints, read by a thread until nobody holds the other end any more.
//!
//! It interprets nothing. The end of the output is the proof that no process was left with it.

use std::{
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// One output of a process.
#[derive(Debug)]
pub(super) struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: mpsc::Receiver<()>,
    /// Our side of the terminal, if it is one.
    terminal: Option<OwnedFd>,
}

impl Capture {
    /// A pipe, or a terminal of that many columns: the end for the process, and what it prints.
    pub(super) fn open(columns: Option<u16>) -> (Stdio, Self) {
        let (source, sink) = match columns {
            None => rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe"),
            Some(columns) => terminal(columns),
        };
        let terminal = columns.map(|_| source.try_clone().expect("there are descriptors"));
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (ended, end) = mpsc::channel();
        let seen = bytes.clone();
        thread::spawn(move || {
            let mut source = File::from(source);
            let mut chunk = [0; 4096];
            // A terminal without its other side says EIO where a pipe says end of file.
            while let Ok(count @ 1..) = source.read(&mut chunk) {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.extend_from_slice(&chunk[..count]);
            }
            // A test that failed meanwhile does not wait for this.
            let _ = ended.send(());
        });
        (Stdio::from(sink), Self { bytes, end, terminal })
    }

    /// Gives the terminal another width, as a user does who drags its edge.
    pub(super) fn resize(&self, columns: u16) {
        let terminal = self.terminal.as_ref().expect("the output is a terminal");
        tcsetwinsize(terminal, size(columns)).expect("a terminal has a size");
    }

    /// What was printed so far.
    pub(super) fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until nobody can print any more; false when somebody still can at the deadline.
    pub(super) fn has_ended_by(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        self.end.recv_timeout(left.max(Duration::from_millis(1))).is_ok()
    }
}

/// The two sides of a new terminal: ours and the process's.
fn terminal(columns: u16) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).expect("a terminal is there");
    grantpt(&ours).expect("the terminal is ours");
    unlockpt(&ours).expect("the terminal is ours");
    let name = ptsname(&ours, Vec::new()).expect("a terminal has a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = rustix::fs::open(name, flags, Mode::empty()).expect("the terminal opens");
    tcsetwinsize(&theirs, size(columns)).expect("a terminal has a size");
    (ours, theirs)
}

fn size(columns: u16) -> Winsize {
    Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
