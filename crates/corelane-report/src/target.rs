//! Where a page goes: looked at before the work, written whole or not at all.
//!
//! A page replaces an earlier page and nothing else. It is written beside its place under another
//! name and renamed, so that a reader sees the old page or the new one. Devices and pipes under
//! `/dev` and `/proc`, such as `/dev/stdout`, are written to as they are.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fs::FallocateFlags,
    io::Errno,
    process::{Resource, getrlimit},
};
use thiserror::Error;

/// What every page has near its begin, so that it is known again.
pub(crate) const MARK: &str = "corelane-report/1";
/// The mark stands within so many bytes.
const MARK_WITHIN: u64 = 512;
/// Room that a page may need.
const ROOM_BYTES: u64 = 512 << 10;

/// Why a page cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PageError {
    /// The place is a folder.
    #[error("page cannot be written, {} is a folder: name a file in it", path.display())]
    Folder {
        /// The place.
        path: PathBuf,
    },
    /// Something else is there already.
    #[error(
        "page cannot be written, {} is there and is no page of corelane: name another file, or \
         move this one away",
        path.display()
    )]
    NotOurs {
        /// The place.
        path: PathBuf,
    },
    /// Nothing can be made there.
    #[error(
        "page cannot be written to {}: {source}: name a file in a folder that exists and is yours",
        path.display()
    )]
    Create {
        /// The place.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room for a page.
    #[error(
        "page cannot be written to {}, there is no room for {} KiB: {source}: make room, raise \
         `ulimit -f`, or name a file on another disk",
        path.display(),
        ROOM_BYTES >> 10
    )]
    NoRoom {
        /// The place.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed after the work; what was there before still is.
    #[error(
        "page was not written to {}: {source}: make room there, and run again",
        path.display()
    )]
    Write {
        /// The place.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PageError {
    /// The code of the error in the catalogue.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Folder { .. } => "CL-1201",
            Self::NotOurs { .. } => "CL-1202",
            Self::Create { .. } => "CL-1203",
            Self::NoRoom { .. } => "CL-1204",
            Self::Write { .. } => "CL-1205",
        }
    }
}

/// A place that a page can be written to.
#[derive(Debug)]
pub struct Target {
    /// As the caller named it.
    named: PathBuf,
    /// Where it is behind symbolic links; `None` for what is written to as it is.
    place: Option<PathBuf>,
}

impl Target {
    /// Looks whether a page can be written to `path`: nobody works first and hears of it later.
    /// It leaves nothing there.
    ///
    /// # Errors
    /// - [`PageError::Folder`], [`PageError::NotOurs`]: what is there is not replaced.
    /// - [`PageError::Create`]: folder missing, not writable, or the page there is read-only.
    /// - [`PageError::NoRoom`]: where the file system can tell.
    pub fn prepare(path: &Path) -> Result<Self, PageError> {
        let named = path.to_owned();
        let failed = |source| PageError::Create { path: named.clone(), source };
        let is_system = path.starts_with("/dev") || path.starts_with("/proc");
        let place = match fs::metadata(path) {
            Ok(found) if found.is_dir() => return Err(PageError::Folder { path: named }),
            Ok(found) if is_system || !found.is_file() => {
                OpenOptions::new().write(true).open(path).map_err(failed)?;
                None
            }
            Ok(_) => Some(fs::canonicalize(path).map_err(failed)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(named.clone()),
            Err(error) => return Err(failed(error)),
        };
        let target = Self { named, place };
        if let Some(place) = &target.place {
            target.check_ours(place)?;
            let unfinished = target.open_unfinished(place)?;
            let room = reserve(&unfinished.file, ROOM_BYTES);
            room.map_err(|source| PageError::NoRoom { path: target.named.clone(), source })?;
        }
        Ok(target)
    }

    /// Writes a page: afterwards it is there whole, or what was there before.
    ///
    /// # Errors
    /// - [`PageError::NotOurs`], [`PageError::Create`]: somebody changed the place meanwhile.
    /// - [`PageError::Write`]: no room any more, or the device failed.
    pub fn write(&self, html: &str) -> Result<(), PageError> {
        let failed = |source| PageError::Write { path: self.named.clone(), source };
        let Some(place) = &self.place else {
            let opened = OpenOptions::new().write(true).open(&self.named);
            return opened.and_then(|mut file| file.write_all(html.as_bytes())).map_err(failed);
        };
        self.check_ours(place)?;
        let mut unfinished = self.open_unfinished(place)?;
        let written = unfinished.file.write_all(html.as_bytes());
        written.and_then(|()| unfinished.file.sync_all()).map_err(failed)?;
        fs::rename(&unfinished.path, place).map_err(failed)
    }

    /// The place as the caller named it.
    pub fn path(&self) -> &Path {
        &self.named
    }

    /// What is there may be replaced: nothing, an empty file, or a page, each writable.
    fn check_ours(&self, place: &Path) -> Result<(), PageError> {
        let failed = |source| PageError::Create { path: self.named.clone(), source };
        let file = match OpenOptions::new().read(true).write(true).open(place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        let mut start = Vec::new();
        file.take(MARK_WITHIN).read_to_end(&mut start).map_err(failed)?;
        let mark = MARK.as_bytes();
        match start.is_empty() || start.windows(mark.len()).any(|window| window == mark) {
            true => Ok(()),
            false => Err(PageError::NotOurs { path: self.named.clone() }),
        }
    }

    /// The file that becomes the page. One that a dead process of this number left is replaced.
    fn open_unfinished(&self, place: &Path) -> Result<Unfinished, PageError> {
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
        let name = format!(".corelane-report.{}.part", std::process::id());
        let path = folder.unwrap_or(Path::new(".")).join(name);
        let open = || OpenOptions::new().write(true).create_new(true).open(&path);
        let opened = match open() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(&path).and_then(|()| open())
            }
            opened => opened,
        };
        let file =
            opened.map_err(|source| PageError::Create { path: self.named.clone(), source })?;
        Ok(Unfinished { file, path })
    }
}

/// A file that goes away with its owner, unless it was renamed.
struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// Takes room for a file, where the file system can do that.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    // Beyond this limit (`ulimit -f`) the kernel would not refuse, but end the process.
    if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < bytes) {
        return Err(Errno::FBIG.into());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn page() -> String {
        crate::Page::new("one").render()
    }

    #[test]
    fn a_page_replaces_a_page_and_an_empty_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        let target = Target::prepare(&path).unwrap();
        assert_eq!(names(folder.path()), [""; 0], "nothing is left by a look");
        target.write(&page()).unwrap();
        let again = crate::Page::new("two").render();
        Target::prepare(&path).unwrap().write(&again).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), again);
        fs::write(&path, "").unwrap();
        Target::prepare(&path).unwrap().write(&page()).unwrap();
        assert_eq!(names(folder.path()), ["page.html"]);
    }

    #[test]
    fn what_is_no_page_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thesis.html");
        fs::write(&path, "<!doctype html><title>years of work</title>").unwrap();
        let error = Target::prepare(&path).unwrap_err();
        assert!(matches!(error, PageError::NotOurs { .. }), "{error}");
        assert!(fs::read_to_string(&path).unwrap().contains("years of work"));
        // The same when it comes while the work goes on.
        fs::remove_file(&path).unwrap();
        let target = Target::prepare(&path).unwrap();
        fs::write(&path, "years of work").unwrap();
        let error = target.write(&page()).unwrap_err();
        assert_eq!((error.code(), names(folder.path()).len()), ("CL-1202", 1));
        assert_eq!(fs::read_to_string(&path).unwrap(), "years of work");
    }

    #[test]
    fn folders_and_missing_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Target::prepare(folder.path()).unwrap_err();
        assert_eq!(error.code(), "CL-1201", "{error}");
        let error = Target::prepare(&folder.path().join("missing/page.html")).unwrap_err();
        assert_eq!(error.code(), "CL-1203", "{error}");
        assert!(error.to_string().contains("missing/page.html"), "{error}");
    }

    #[test]
    fn the_file_behind_a_link_is_replaced_and_the_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.html"), folder.path().join("link.html"));
        fs::write(&real, page()).unwrap();
        symlink(&real, &link).unwrap();
        let again = crate::Page::new("two").render();
        Target::prepare(&link).unwrap().write(&again).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), again);
    }

    #[test]
    fn devices_are_written_to_as_they_are() {
        Target::prepare(Path::new("/dev/null")).unwrap().write(&page()).unwrap();
        let full = Target::prepare(Path::new("/dev/full")).unwrap();
        let error = full.write(&page()).unwrap_err();
        assert_eq!(error.code(), "CL-1205", "{error}");
        assert!(error.to_string().contains("make room"), "{error}");
    }
}
