//! The system calls that rustix does not cover, or not for every answer the kernel can give.
//!
//! `SO_PEERCRED` is here because its process id is 0 for a peer in another pid namespace, a value
//! that rustix's type cannot hold. No memory of a segment is touched here.

use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// Credentials of the process that made the other end of a Unix socket.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> Result<libc::ucred, Errno> {
    // SAFETY: the kernel writes a `struct ucred` for SO_PEERCRED, whose fields are integers.
    unsafe { socket_option(socket, libc::SO_PEERCRED) }
}

/// A pidfd of the process that made the other end of a Unix socket.
pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // SAFETY: the kernel writes an int for SO_PEERPIDFD.
    let fd: RawFd = unsafe { socket_option(socket, libc::SO_PEERPIDFD) }?;
    // SAFETY: on success the int is a new descriptor (close-on-exec) that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads a socket option as `T`.
///
/// # Safety
///
/// `T` is the type that the kernel writes for this option of level `SOL_SOCKET`.
unsafe fn socket_option<T>(socket: BorrowedFd<'_>, option: libc::c_int) -> Result<T, Errno> {
    let mut value = MaybeUninit::<T>::uninit();
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the descriptor is open while borrowed; the kernel writes at most `length` bytes to
    // `value`, which has that size, and the number of bytes written to `length`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            value.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if result != 0 {
        let error = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    assert_eq!(length as usize, size_of::<T>(), "the kernel wrote another type for {option}");
    // SAFETY: the call succeeded and wrote all bytes of `T`, by the caller's promise a valid one.
    Ok(unsafe { value.assume_init() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::process::{ExitReason, PidFd};
    use crate::{OwnedSegment, PeerSegment, SegmentExpect, SegmentInfo};

    /// Forks a child that ends when the returned stream is written to or closed.
    fn fork_waiting_child() -> (u32, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (fd, ours_fd) = (theirs.as_raw_fd(), ours.as_raw_fd());
        // SAFETY: the child calls nothing but close, read and _exit, which are allowed after a fork
        // of a process with threads, on a descriptor and a byte that it has copies of.
        let pid = unsafe {
            let pid = libc::fork();
            if pid == 0 {
                let mut byte = 0_u8;
                libc::close(ours_fd);
                libc::read(fd, (&raw mut byte).cast(), 1);
                libc::_exit(i32::from(byte));
            }
            pid
        };
        (u32::try_from(pid).expect("fork works because the test has few processes"), ours)
    }

    #[test]
    fn a_forked_child_has_no_mapping() {
        let name = "corelane-test-fork";
        let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
        let owned = OwnedSegment::create(name, 1024, info).unwrap();
        let expect = SegmentExpect {
            kind: 1,
            layout_version: 1,
            layout_hash: 1,
            min_words: 1,
            max_words: 1024,
        };
        let peer = PeerSegment::open(owned.fd().try_clone_to_owned().unwrap(), &expect).unwrap();

        let (pid, mut stream) = fork_waiting_child();
        let pidfd = PidFd::open(pid).unwrap();
        let count = |pid: u32| {
            let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
            maps.lines().filter(|line| line.contains(name)).count()
        };
        let (here, there) = (count(std::process::id()), count(pid));
        stream.write_all(&[5]).unwrap();
        assert!(pidfd.wait_exit(None).unwrap());
        assert_eq!(pidfd.reap().unwrap(), Some(ExitReason::Code(5)));
        assert_eq!((here, there), (2, 0));
        drop(peer);
    }

    #[test]
    fn options_of_a_socket_of_this_process_name_this_process() {
        let (socket, _other) = UnixStream::pair().unwrap();
        let credentials = peer_credentials(socket.as_fd()).unwrap();
        assert_eq!(credentials.pid as u32, std::process::id());
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(peer_credentials(file.as_fd()), Err(Errno::NOTSOCK)));
        assert!(matches!(peer_pidfd(file.as_fd()), Err(Errno::NOTSOCK)));
    }
}
