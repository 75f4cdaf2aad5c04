//! The file of the answers before the first of them.
//!
//! It is opened early, so that one which cannot be written is told at once, and emptied late, so
//! that a run which cannot start leaves it as it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};

use super::error::RunError;
use crate::{interrupt::Interrupt, terminal};

/// Between two looks for the reader of a pipe.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A file that is to be overwritten, and is whole so far.
#[derive(Debug)]
pub(super) struct OutputFile {
    file: File,
    path: PathBuf,
    /// Where it is, if it was not there before: it goes away with a run that does not start.
    made: Option<PathBuf>,
}

impl OutputFile {
    /// Opens `path`, making it if it is not there. Of a pipe the reader is waited for.
    pub(super) fn open(path: &Path, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let mut is_told = false;
        loop {
            interrupt.check()?;
            match Self::try_open(path) {
                Err(error) if has_no_reader(path, &error) => {
                    if !is_told {
                        let path = path.display();
                        terminal::tell!("corelane: {path} has no reader yet, waiting for one");
                        is_told = true;
                    }
                    thread::sleep(LOOK_EVERY);
                }
                opened => return Ok(opened.map_err(|source| refused(path, source))?),
            }
        }
    }

    fn try_open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // Without the flag, opening a pipe would wait for its reader and hear no signal.
        options.write(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        let path = path.to_owned();
        let opened = options.open(&path);
        let is_new = matches!(&opened, Err(error) if error.kind() == ErrorKind::NotFound);
        // A link may lead to a file that is not there, which `create_new` would not make.
        let file = if is_new { options.create(true).open(&path)? } else { opened? };
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        let made = is_new.then(|| fs::canonicalize(&path)).transpose()?;
        Ok(Self { file, path, made })
    }

    /// Its name, for people.
    pub(super) fn place(&self) -> String {
        self.path.display().to_string()
    }

    /// The file, empty, for the answers of a run that starts.
    pub(super) fn begin(mut self) -> Result<File, RunError> {
        let emptied = self.file.metadata().and_then(|found| match found.is_file() {
            true => self.file.set_len(0),
            false => Ok(()),
        });
        emptied.map_err(|source| refused(&self.path, source))?;
        let file = self.file.try_clone().map_err(|source| refused(&self.path, source))?;
        self.made = None;
        Ok(file)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        let is_empty = || self.file.metadata().is_ok_and(|found| found.len() == 0);
        if let Some(made) = self.made.take_if(|_| is_empty()) {
            // Somebody may have removed it already.
            let _ = fs::remove_file(made);
        }
    }
}

fn refused(path: &Path, source: io::Error) -> RunError {
    RunError::Output { place: path.display().to_string(), source }
}

/// Whether it is a pipe that nobody reads; a socket gives the same error for ever.
fn has_no_reader(path: &Path, error: &io::Error) -> bool {
    let is_pipe = || fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) && is_pipe()
}
