//! Waiting on an eventfd, which can lie in the epoll set of somebody else's event loop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use corelane_ring::{Clock, SleepWord, Wait};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::Barrier;

/// Sleeps on a descriptor that is readable once there is something to look for.
///
/// It serves one sleeper: the single receiver or the single sender of a ring. It cannot be cloned,
/// so that each end gets a descriptor of its own (`spsc::channel_with`).
///
/// An event loop that cannot block on the ring waits so: it puts the descriptor into its set,
/// polls a receive future with [`waker`](Self::waker), and when the descriptor becomes readable,
/// calls [`clear`](Self::clear) and polls again.
#[derive(Debug)]
pub struct EventFd {
    fd: Arc<Bell>,
    spins: u32,
    barrier: Barrier,
}

impl EventFd {
    /// For an end that looks `spins` times before it sleeps.
    ///
    /// # Errors
    /// - What eventfd(2) says: no descriptors or no memory are left.
    pub fn new(spins: u32) -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { fd: Arc::new(Bell(fd)), spins, barrier: Barrier::for_spins(spins) })
    }

    /// A waker that makes the descriptor readable.
    pub fn waker(&self) -> Waker {
        Waker::from(self.fd.clone())
    }

    /// Makes the descriptor unreadable. Call it before looking, never between looking and waiting.
    pub fn clear(&self) {
        self.fd.clear();
    }

    /// The fences it uses.
    pub const fn barrier(&self) -> Barrier {
        self.barrier
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.0.as_fd()
    }
}

impl Wait for EventFd {
    const SLEEPS: bool = true;

    #[inline]
    fn idle(&self, looks: u32) -> bool {
        if looks < self.spins {
            std::hint::spin_loop();
        }
        looks >= self.spins
    }

    fn sleep(&self, word: &SleepWord, seen: u32, timeout: Option<Duration>) {
        if word.load() != seen {
            return;
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut entry = [PollFd::new(&self.fd.0, PollFlags::IN)];
        // Readable, timed out or interrupted: the event looks again in any case. A wake-up that
        // comes before this call is kept by the descriptor.
        let _ = poll(&mut entry, timeout.as_ref());
        self.clear();
    }

    fn wake(&self, _word: &SleepWord, _count: u32) {
        self.fd.ring();
    }

    #[inline(always)]
    fn fence_waker(&self) {
        self.barrier.of_waker();
    }

    #[inline]
    fn fence_sleeper(&self) {
        self.barrier.of_sleeper();
    }
}

impl Clock for EventFd {
    fn now(&self) -> Duration {
        super::now()
    }
}

/// The descriptor, shared with its wakers.
#[derive(Debug)]
struct Bell(OwnedFd);

impl Bell {
    fn ring(&self) {
        // It fails only when the counter is at its end, and then the descriptor is readable.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    fn clear(&self) {
        // It fails only when the counter is zero.
        let _ = rustix::io::read(&self.0, &mut [0_u8; 8]);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
