//! Waiting until one of several descriptors has something to say.
//!
//! A thin wrapper of poll(2) for control threads: it allocates, and it keeps no set between calls.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::deadline::Deadline;

/// Waits until at least one descriptor is readable, closed or broken; returns the indexes of all
/// that are, in order, or nothing when `timeout` has passed (`None` waits for ever).
///
/// Works on sockets, listeners, pidfds, eventfds and pipes.
///
/// # Errors
///
/// - What poll(2) says: too many descriptors, no memory. Interrupted calls go on.
pub fn poll_any(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<Vec<usize>> {
    let mut entries: Vec<PollFd<'_>> =
        fds.iter().map(|&fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    poll_until(&mut entries, Deadline::after(timeout))?;
    let ready =
        |(index, entry): (usize, &PollFd<'_>)| (!entry.revents().is_empty()).then_some(index);
    Ok(entries.iter().enumerate().filter_map(ready).collect())
}

/// Polls until an entry is ready (true) or the deadline has passed (false).
pub(crate) fn poll_until(entries: &mut [PollFd<'_>], deadline: Deadline) -> Result<bool, Errno> {
    loop {
        match poll(entries, deadline.remaining_timespec().as_ref()) {
            Err(Errno::INTR) => {}
            result => return result.map(|count| count > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn names_the_ready_ones() {
        let (quiet, _kept) = UnixStream::pair().unwrap();
        let (written, mut writer) = UnixStream::pair().unwrap();
        let (closed, peer) = UnixStream::pair().unwrap();
        let fds = [quiet.as_fd(), written.as_fd(), closed.as_fd()];
        assert!(poll_any(&fds, Some(Duration::ZERO)).unwrap().is_empty());
        writer.write_all(b"x").unwrap();
        peer.shutdown(Shutdown::Both).unwrap();
        assert_eq!(poll_any(&fds, None).unwrap(), [1, 2]);
    }
}
