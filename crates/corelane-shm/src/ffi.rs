//! The system calls that rustix does not cover, or not for every answer the kernel can give.
//!
//! `SO_PEERCRED` is here because its process id is 0 for a peer in another pid namespace, a value
//! that rustix's type cannot hold. The calls about pages change where memory lies and of what pages
//! it is, never what it holds.

use std::ffi::{c_int, c_long, c_ulong, c_void};
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

/// Largest number of a NUMA node that the kernel can have, and one.
const NODES_MAX: usize = 1024;

/// `MADV_COLLAPSE`, which the `libc` crate names for glibc alone.
const COLLAPSE: c_int = 25;

/// Asks that pages which come into a range from now on lie on `node`, if it has room.
///
/// Preferred and not bound: where a bound node is full, the kernel kills the process.
pub(crate) fn prefer_node(start: *mut c_void, bytes: usize, node: u32) -> Result<(), Errno> {
    const WORD_BITS: usize = c_ulong::BITS as usize;
    let node = node as usize;
    if node >= NODES_MAX {
        return Err(Errno::INVAL);
    }
    let mut nodes: [c_ulong; NODES_MAX / WORD_BITS] = [0; NODES_MAX / WORD_BITS];
    nodes[node / WORD_BITS] = 1 << (node % WORD_BITS);
    // The kernel counts one bit less than it is told.
    let count = NODES_MAX as c_ulong + 1;
    // SAFETY: the kernel reads the mask, which has `count - 1` bits, and sets a policy for pages to
    // come; whatever the range is, no memory changes.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mbind,
            start,
            bytes as c_ulong,
            libc::MPOL_PREFERRED,
            nodes.as_ptr(),
            count,
            0_u32,
        )
    };
    answer(result).map(drop)
}

/// The node of each page that begins at one of the addresses; a negative number is an errno, as of
/// a page that is not there.
pub(crate) fn nodes_of(pages: &[*mut c_void]) -> Result<Vec<c_int>, Errno> {
    let mut nodes: Vec<c_int> = vec![0; pages.len()];
    // SAFETY: without a list of nodes the call moves nothing; the kernel reads as many addresses
    // and writes as many ints as it is told, which is what both have. It accesses no page.
    let result = unsafe {
        libc::syscall(
            libc::SYS_move_pages,
            0_i32,
            pages.len() as c_ulong,
            pages.as_ptr(),
            std::ptr::null::<c_int>(),
            nodes.as_mut_ptr(),
            0_i32,
        )
    };
    answer(result).map(|_| nodes)
}

/// Joins the normal pages of a range, which begins and ends at a multiple of the huge page size,
/// into huge ones. On success all of it is huge.
pub(crate) fn collapse(start: *mut c_void, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the advice changes of what pages the range is and nothing that they hold, for any
    // range; of one that is not mapped the kernel says so.
    let result = unsafe { libc::madvise(start, bytes, COLLAPSE) };
    answer(c_long::from(result)).map(drop)
}

/// What a call of the C library tells: its result, or why it failed.
fn answer(result: c_long) -> Result<c_long, Errno> {
    if result >= 0 {
        return Ok(result);
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
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
    answer(c_long::from(result))?;
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
