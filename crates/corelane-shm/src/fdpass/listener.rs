//! Owning a path in the file system, and connecting to one.
//!
//! It never removes anything but a socket that nobody listens on.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

use super::{BACKLOG, CONNECT_SECONDS_MAX, Channel, ChannelError, ListenError};
use crate::deadline::Deadline;
use crate::poll::poll_until;

/// Most bytes of a path in a socket address.
const PATH_BYTES_MAX: usize = 108;

/// A socket at a path, mode 0600, removed on drop.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode of the path when it was bound: drop removes nothing else.
    identity: (u64, u64),
}

impl Listener {
    /// Listens at `path`, taking over a socket that a dead process left there.
    ///
    /// Binders of one directory take turns through a lock on the directory, so that two never take
    /// over the same path; this waits for its turn.
    ///
    /// # Errors
    ///
    /// - [`ListenError::Live`] when a living process listens there.
    /// - [`ListenError::Busy`] when one does and its backlog stays full.
    /// - [`ListenError::NotASocket`] when something else has the path.
    /// - [`ListenError::PathLength`], [`ListenError::Os`] when the system refuses.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, ListenError> {
        let path = path.as_ref();
        let address = address(path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = fs::File::open(directory.unwrap_or(Path::new(".")))
            .map_err(|source| os("open of the directory", path, source))?;
        retry_on_intr(|| flock(&directory, FlockOperation::LockExclusive))
            .map_err(|errno| os("flock of the directory", path, errno.into()))?;

        remove_stale(path)?;
        let socket = new_socket(path, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        // A bound path gets the mode of its socket, so that it is never open to others.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| os("fchmod", path, errno.into()))?;
        bind(&socket, &address).map_err(|errno| os("bind", path, errno.into()))?;
        let metadata = fs::symlink_metadata(path).map_err(|source| os("lstat", path, source))?;
        let identity = (metadata.dev(), metadata.ino());
        let listener = Self { socket, path: path.to_owned(), identity };
        // The lock is held until here: a socket that is bound and does not listen looks stale.
        listen(&listener.socket, BACKLOG).map_err(|errno| os("listen", path, errno.into()))?;
        Ok(listener)
    }

    /// Accepts one connection, waiting up to `timeout` (`None` for ever, zero not at all).
    ///
    /// # Errors
    ///
    /// - [`ChannelError::TimedOut`] when nobody connected.
    /// - [`ChannelError::Os`] when the system refuses, for want of descriptors.
    pub fn accept(&self, timeout: Option<Duration>) -> Result<Channel, ChannelError> {
        let deadline = Deadline::after(timeout);
        loop {
            match retry_on_intr(|| accept_with(&self.socket, SocketFlags::CLOEXEC)) {
                Ok(socket) => return Ok(Channel::from(socket)),
                Err(Errno::AGAIN) => {}
                Err(errno) => return Err(ChannelError::os("accept4")(errno)),
            }
            let mut entries = [PollFd::new(&self.socket, PollFlags::IN)];
            if !poll_until(&mut entries, deadline).map_err(ChannelError::os("poll"))? {
                return Err(ChannelError::TimedOut);
            }
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It still listens here, so nobody can have taken the path over as stale; a path that
        // somebody removed or replaced by hand is left alone, and so is one that cannot be removed.
        let identity = fs::symlink_metadata(&self.path).map(|found| (found.dev(), found.ino()));
        if identity.is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Connects to a [`Listener`]; waits up to [`CONNECT_SECONDS_MAX`] when its backlog is full.
///
/// # Errors
///
/// - [`ListenError::Absent`] when nothing has the path.
/// - [`ListenError::Stale`] when nobody listens there.
/// - [`ListenError::Busy`] when the backlog stayed full.
/// - [`ListenError::PathLength`], [`ListenError::Os`] when the system refuses.
pub fn connect(path: impl AsRef<Path>) -> Result<Channel, ListenError> {
    let path = path.as_ref();
    let address = address(path)?;
    let socket = new_socket(path, SocketFlags::CLOEXEC)?;
    let patience = Some(Duration::from_secs(CONNECT_SECONDS_MAX));
    set_socket_timeout(&socket, Timeout::Send, patience)
        .map_err(|errno| os("setsockopt(SO_SNDTIMEO)", path, errno.into()))?;
    let owned = || path.to_owned();
    match retry_on_intr(|| rustix::net::connect(&socket, &address)) {
        Ok(()) => Ok(Channel::from(socket)),
        Err(Errno::NOENT) => Err(ListenError::Absent { path: owned() }),
        Err(Errno::CONNREFUSED) => Err(ListenError::Stale { path: owned() }),
        Err(Errno::AGAIN) => {
            Err(ListenError::Busy { path: owned(), waited_seconds: CONNECT_SECONDS_MAX })
        }
        Err(errno) => Err(os("connect", path, errno.into())),
    }
}

/// Removes the socket of a dead process; fails when the path is somebody's.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(os("lstat", path, error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match connect(path) {
        Ok(_) => Err(ListenError::Live { path: path.to_owned() }),
        Err(ListenError::Stale { .. }) => {
            fs::remove_file(path).map_err(|source| os("unlink", path, source))
        }
        Err(ListenError::Absent { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn new_socket(path: &Path, flags: SocketFlags) -> Result<OwnedFd, ListenError> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(|errno| os("socket", path, errno.into()))
}

fn address(path: &Path) -> Result<SocketAddrUnix, ListenError> {
    SocketAddrUnix::new(path).map_err(|errno| match errno {
        Errno::NAMETOOLONG => {
            ListenError::PathLength { path: path.to_owned(), limit: PATH_BYTES_MAX }
        }
        errno => os("socket address", path, errno.into()),
    })
}

fn os(call: &'static str, path: &Path, source: io::Error) -> ListenError {
    ListenError::Os { call, path: path.to_owned(), source }
}
