//! Sleeping on words of segments and waking the sleepers, across processes.
//!
//! A futex is the low 32 bits of a word. Waiting only reads, so that a peer's read-only words will
//! do. Both calls enter the kernel; who may skip them (a sleeper flag) is the caller's business.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex as sys;
use rustix::time::{ClockId, Timespec};

use crate::WordsRo;
use crate::deadline::Deadline;

/// Most words that one call can wait on.
pub const WAITERS_MAX: usize = 128;

/// Where the kernel has no `futex_waitv`: how long one word is slept on before all are looked at.
const SLICE: Duration = Duration::from_millis(1);

/// A word to sleep on while its low 32 bits have the expected value.
#[derive(Clone, Copy, Debug)]
pub struct Waiter<'a> {
    /// The words, own (`&WordsRw` derefs) or a peer's.
    pub words: &'a WordsRo,
    /// Which of them.
    pub index: usize,
    /// Low 32 bits at which to sleep.
    pub expected: u32,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitOutcome {
    /// A wake arrived, perhaps one meant for an earlier sleep: look at the words again.
    Woken,
    /// A word did not have its expected value (any more).
    ValueChanged,
    /// The time was up.
    TimedOut,
}

/// Why a wait or wake was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FutexError {
    /// There are no words, or too many, to wait on.
    #[error("cannot wait on this many words count={count} min=1 limit={limit}; split the wait")]
    Count {
        /// Words given.
        count: usize,
        /// Most words possible.
        limit: usize,
    },
    /// The system refused the call.
    #[error("{call} failed on a segment's word; see the cause")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl FutexError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Count { .. } => "CL-0351",
            Self::Os { .. } => "CL-0352",
        }
    }
}

/// Wakes everybody who sleeps on the word, in this process and others; returns how many.
///
/// # Errors
///
/// - [`FutexError::Os`] when the system refuses.
///
/// # Panics
///
/// When `index` is out of bounds.
pub fn wake(words: &WordsRo, index: usize) -> Result<usize, FutexError> {
    let everybody = i32::MAX as u32;
    sys::wake(words.raw().futex_half(index), sys::Flags::empty(), everybody)
        .map_err(|errno| os("futex(FUTEX_WAKE)", errno))
}

/// Sleeps while every word has its expected value, until a wake on any of them or the timeout
/// (`None` for ever). Interrupted sleeps go on.
///
/// Without `futex_waitv` (kernels before 5.16) it sleeps on the first word in slices of a
/// millisecond: a wake on another word is then seen when its value has changed.
///
/// # Errors
///
/// - [`FutexError::Count`] for no words or more than [`WAITERS_MAX`].
/// - [`FutexError::Os`] when the system refuses.
///
/// # Panics
///
/// When an index is out of bounds.
pub fn wait_any(
    waiters: &[Waiter<'_>],
    timeout: Option<Duration>,
) -> Result<WaitOutcome, FutexError> {
    let count = waiters.len();
    if !(1..=WAITERS_MAX).contains(&count) {
        return Err(FutexError::Count { count, limit: WAITERS_MAX });
    }
    let deadline = Deadline::after(timeout);
    match wait_vector(waiters, deadline) {
        // Old container filters answer EPERM for calls they do not know.
        Err(Errno::NOSYS | Errno::PERM) => wait_sliced(waiters, deadline),
        result => result.map_err(|errno| os("futex_waitv", errno)),
    }
}

fn wait_vector(waiters: &[Waiter<'_>], deadline: Deadline) -> Result<WaitOutcome, Errno> {
    let mut entries = [sys::Wait::new(); WAITERS_MAX];
    let entries = &mut entries[..waiters.len()];
    for (entry, waiter) in entries.iter_mut().zip(waiters) {
        let half = waiter.words.raw().futex_half(waiter.index);
        entry.val = waiter.expected.into();
        entry.uaddr = sys::WaitPtr::new(half.as_ptr().cast());
        entry.flags = sys::WaitFlags::SIZE_U32;
    }
    let end = deadline.absolute_timespec();
    loop {
        let flags = sys::WaitvFlags::empty();
        let result = sys::waitv(entries, flags, end.as_ref(), ClockId::Monotonic);
        if let Some(outcome) = outcome(result.map(drop))? {
            return Ok(outcome);
        }
    }
}

fn wait_sliced(waiters: &[Waiter<'_>], deadline: Deadline) -> Result<WaitOutcome, FutexError> {
    let first = &waiters[0];
    loop {
        let changed =
            |waiter: &Waiter<'_>| waiter.words.load_acquire(waiter.index) as u32 != waiter.expected;
        if waiters.iter().any(changed) {
            return Ok(WaitOutcome::ValueChanged);
        }
        if deadline.is_past() {
            return Ok(WaitOutcome::TimedOut);
        }
        let slice = deadline.remaining().map_or(SLICE, |left| left.min(SLICE));
        let slice = Timespec { tv_sec: 0, tv_nsec: slice.subsec_nanos().into() };
        let half = first.words.raw().futex_half(first.index);
        let result = sys::wait(half, sys::Flags::empty(), first.expected, Some(&slice));
        match outcome(result).map_err(|errno| os("futex(FUTEX_WAIT)", errno))? {
            None | Some(WaitOutcome::TimedOut) => {}
            Some(outcome) => return Ok(outcome),
        }
    }
}

/// What a wait call's result means; `None` when a signal interrupted it.
fn outcome(result: Result<(), Errno>) -> Result<Option<WaitOutcome>, Errno> {
    match result {
        Ok(()) => Ok(Some(WaitOutcome::Woken)),
        Err(Errno::AGAIN) => Ok(Some(WaitOutcome::ValueChanged)),
        Err(Errno::TIMEDOUT) => Ok(Some(WaitOutcome::TimedOut)),
        Err(Errno::INTR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn os(call: &'static str, errno: Errno) -> FutexError {
    FutexError::Os { call, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{OwnedSegment, SegmentInfo, WordsRw};

    fn words() -> WordsRw {
        let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
        OwnedSegment::create("corelane-test-futex", 256, info).unwrap().into_words()
    }

    fn wake_one_sleeper(words: &WordsRw, index: usize) {
        while wake(words, index).unwrap() == 0 {
            thread::yield_now();
        }
    }

    #[test]
    fn the_vector_wakes_on_any_word() {
        let words = words();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                let waiter = |index| Waiter { words: &words, index, expected: 0 };
                wait_any(&[waiter(0), waiter(8), waiter(255)], None).unwrap()
            });
            wake_one_sleeper(&words, 8);
            assert_eq!(sleeper.join().unwrap(), WaitOutcome::Woken);
        });
    }

    #[test]
    fn only_the_low_half_counts() {
        let words = words();
        let now = Some(Duration::ZERO);
        let waiter = [Waiter { words: &words, index: 3, expected: 7 }];
        assert_eq!(wait_any(&waiter, None).unwrap(), WaitOutcome::ValueChanged);
        words.store_release(3, 0xffff_ffff_0000_0007);
        assert_eq!(wait_any(&waiter, now).unwrap(), WaitOutcome::TimedOut);
        assert_eq!(wait_sliced(&waiter, Deadline::after(now)).unwrap(), WaitOutcome::TimedOut);
    }

    #[test]
    fn slices_see_a_wake_on_the_first_and_a_change_of_any() {
        let words = words();
        let waiter = |index| Waiter { words: &words, index, expected: 0 };
        let never = Deadline::after(None);
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| wait_sliced(&[waiter(0), waiter(1)], never).unwrap());
            wake_one_sleeper(&words, 0);
            assert_eq!(sleeper.join().unwrap(), WaitOutcome::Woken);

            let sleeper = scope.spawn(|| wait_sliced(&[waiter(0), waiter(1)], never).unwrap());
            words.store_release(1, 1);
            assert_eq!(sleeper.join().unwrap(), WaitOutcome::ValueChanged);
        });
        let soon = Deadline::after(Some(Duration::from_millis(3)));
        assert_eq!(wait_sliced(&[waiter(0)], soon).unwrap(), WaitOutcome::TimedOut);
    }

    #[test]
    fn the_number_of_words_is_bounded() {
        let words = words();
        let waiters = |count: usize| -> Vec<Waiter<'_>> {
            (0..count).map(|index| Waiter { words: &words, index, expected: 0 }).collect()
        };
        let now = Some(Duration::ZERO);
        assert_eq!(wait_any(&waiters(WAITERS_MAX), now).unwrap(), WaitOutcome::TimedOut);
        for count in [0, WAITERS_MAX + 1] {
            let refused = wait_any(&waiters(count), now).unwrap_err();
            assert!(matches!(refused, FutexError::Count { count: found, .. } if found == count));
        }
    }
}
