//! A file as it grows, like `tail -F`.
//!
//! It looks every 100 ms with plain calls. Notifications of the kernel would say a little sooner
//! that something happened, but not what: rotation and truncation need the same looks, and on
//! network file systems and in some containers no notification comes at all.
//!
//! Lines that the file has at the start are passed over; of a file that appears later all are read.
//! A file that another takes the place of is read for one more look, so that a writer that still
//! has it open can finish. A file that became shorter is read from its beginning; one that was
//! emptied and grew beyond its old length between two looks cannot be told from one that grew.
//! What has the name and is no regular file, such as a folder, counts as not there.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rustix::{fs::OFlags, io::Errno};

use super::{Entry, Outlet, lines::Lines};
use crate::run::error::RunError;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Bytes that are read at once; few, because what was read when the time is over is still answered.
const CHUNK: usize = 4 << 10;

/// Follows `file` for `time`, or until the flow ends.
///
/// A file that grows faster than it is read has more for ever: what it has when the time is over is
/// read for one more [`LOOK_EVERY`].
pub(super) fn follow(file: &Path, time: Option<Duration>, outlet: &Outlet) -> Result<(), RunError> {
    let until = time.map(|time| Instant::now() + time);
    let refused = |source| RunError::Input { place: file.display().to_string(), source };
    let mut follower = Follower::new(file, outlet.record_bytes_max).map_err(refused)?;
    loop {
        let begun = Instant::now();
        let is_last = until.is_some_and(|until| begun >= until);
        let pass_end = if is_last { Some(begun + LOOK_EVERY) } else { until };
        loop {
            let mut batch = Vec::new();
            let has_more = follower.look(&mut batch).map_err(refused)?;
            if is_last && !has_more {
                follower.lines.end(&mut batch);
            }
            outlet.counts.rotations.store(follower.rotations, Ordering::Relaxed);
            outlet.counts.truncations.store(follower.truncations, Ordering::Relaxed);
            if !outlet.send(batch) {
                return Ok(());
            }
            if !has_more || pass_end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        if is_last || !outlet.wait(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY))) {
            return Ok(());
        }
    }
}

/// The file as it is open now.
struct Follower<'a> {
    path: &'a Path,
    file: Option<File>,
    position: u64,
    /// Another file has its name since the last look.
    is_replaced: bool,
    lines: Lines,
    rotations: u64,
    truncations: u64,
}

impl<'a> Follower<'a> {
    fn new(path: &'a Path, record_bytes_max: usize) -> io::Result<Self> {
        let lines = Lines::new(record_bytes_max);
        let mut follower = Self {
            path,
            file: None,
            position: 0,
            is_replaced: false,
            lines,
            rotations: 0,
            truncations: 0,
        };
        follower.open()?;
        if let Some(file) = &mut follower.file {
            follower.position = file.seek(SeekFrom::End(0))?;
        }
        Ok(follower)
    }

    /// Opens the file if there is one.
    fn open(&mut self) -> io::Result<()> {
        (self.file, self.position) = (open_regular(self.path)?, 0);
        self.is_replaced = false;
        Ok(())
    }

    /// Appends the lines that are complete by now; true when there is more at once.
    fn look(&mut self, out: &mut Vec<Entry>) -> io::Result<bool> {
        let Some(file) = &mut self.file else {
            self.open()?;
            return Ok(self.file.is_some());
        };
        let mut chunk = vec![0; CHUNK];
        let count = file.read(&mut chunk)?;
        self.position += count as u64;
        self.lines.take(&chunk[..count], out);
        if count > 0 {
            return Ok(true);
        }
        let open = file.metadata()?;
        if open.len() < self.position {
            self.truncations += 1;
            self.lines.end(out);
            self.position = file.seek(SeekFrom::Start(0))?;
            return Ok(true);
        }
        let named = fs::metadata(self.path).ok().filter(Metadata::is_file);
        if named.as_ref().is_some_and(|named| is_same(named, &open)) {
            self.is_replaced = false;
        } else if !self.is_replaced {
            // One look more: its writer may not know yet.
            self.is_replaced = true;
        } else if named.is_some() {
            self.rotations += 1;
            self.lines.end(out);
            self.open()?;
            return Ok(true);
        }
        Ok(false)
    }
}

/// Opens a regular file, if that is what has the name.
fn open_regular(path: &Path) -> io::Result<Option<File>> {
    // Without the flag, opening a pipe would wait for its writer.
    let flags = OFlags::NONBLOCK.bits() as i32;
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // A socket.
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, atomic::AtomicBool, mpsc},
        thread,
    };

    use corelane_transport::EventCount;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    fn append(path: &Path, text: &str) {
        let file = File::options().append(true).create(true).open(path);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// All lines until a look finds nothing.
    fn looked(follower: &mut Follower<'_>) -> Vec<String> {
        let mut out = Vec::new();
        while follower.look(&mut out).unwrap() {}
        let text = |entry| match entry {
            Entry::Record(line) => String::from_utf8(line).unwrap(),
            Entry::Refused(reason) => reason,
        };
        out.into_iter().map(text).collect()
    }

    #[test]
    fn only_what_is_added_is_read_and_only_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "old\n");
        let mut follower = Follower::new(&path, 100).unwrap();
        assert_eq!(looked(&mut follower), [""; 0]);
        append(&path, "one\ntw");
        assert_eq!(looked(&mut follower), ["one"]);
        append(&path, "o\n");
        assert_eq!(looked(&mut follower), ["two"]);
    }

    #[test]
    fn a_file_that_appears_later_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut follower = Follower::new(&path, 100).unwrap();
        assert_eq!(looked(&mut follower), [""; 0]);
        append(&path, "first\n");
        assert_eq!(looked(&mut follower), ["first"]);
        assert_eq!(follower.rotations, 0);
    }

    #[test]
    fn rotation_by_rename_loses_nothing_of_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        append(&path, "");
        let mut follower = Follower::new(&path, 100).unwrap();
        append(&path, "one\n");
        fs::rename(&path, &old).unwrap();
        assert_eq!(looked(&mut follower), ["one"]);
        // Its writer still has it open, and there is no new one yet.
        append(&old, "two\n");
        assert_eq!(looked(&mut follower), ["two"]);
        append(&path, "three\n");
        append(&old, "late");
        assert_eq!(looked(&mut follower), ["late", "three"]);
        assert_eq!((follower.rotations, follower.truncations), (1, 0));
        append(&path, "four\n");
        assert_eq!(looked(&mut follower), ["four"]);
    }

    #[test]
    fn a_file_that_became_shorter_is_read_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "a long line that was there\n");
        let mut follower = Follower::new(&path, 100).unwrap();
        fs::write(&path, "new\n").unwrap();
        assert_eq!(looked(&mut follower), ["new"]);
        assert_eq!((follower.rotations, follower.truncations), (0, 1));
    }

    #[test]
    fn a_file_that_always_has_more_is_left_when_the_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        append(&path, "");
        let is_over = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    append(&path, &"x\n".repeat(CHUNK));
                }
            });
            let (batches, inbox) = mpsc::sync_channel(1);
            let (_going_on, stop) = mpsc::channel();
            let (news, counts) = (EventCount::new().unwrap(), Arc::default());
            let outlet = Outlet { batches, stop, news, counts, record_bytes_max: 10 };
            threads.spawn(|| inbox.into_iter().for_each(drop));
            let followed = follow(&path, Some(LOOK_EVERY), &outlet);
            // Before it is judged: the scope waits for the writer.
            is_over.store(true, Ordering::Relaxed);
            followed.unwrap();
        });
    }

    #[test]
    fn a_folder_or_a_pipe_is_no_file_yet() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        append(&path, "");
        let mut follower = Follower::new(&path, 100).unwrap();
        append(&path, "one\n");
        fs::rename(&path, &old).unwrap();
        fs::create_dir(&path).unwrap();
        append(&old, "two\n");
        assert_eq!(looked(&mut follower), ["one", "two"]);
        assert_eq!(looked(&mut follower), [""; 0]);
        fs::remove_dir(&path).unwrap();
        append(&path, "three\n");
        assert_eq!((looked(&mut follower), follower.rotations), (vec!["three".to_owned()], 1));
        // The same when there was none before.
        let pipe = folder.path().join("pipe");
        mkfifoat(CWD, &pipe, Mode::RWXU).unwrap();
        let mut follower = Follower::new(&pipe, 100).unwrap();
        assert_eq!(looked(&mut follower), [""; 0]);
        fs::remove_file(&pipe).unwrap();
        append(&pipe, "four\n");
        assert_eq!(looked(&mut follower), ["four"]);
    }
}
