//! System calls that a container's seccomp profile forbids, forbidden for a test's processes.

use std::{collections::BTreeMap, thread};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

/// A system call that a profile may forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Makes the memory that lanes lie in.
    MemfdCreate,
    /// Sleeps on several words at once.
    FutexWaitv,
    /// Makes threads and processes.
    Clone,
}

impl Call {
    fn numbers(self) -> &'static [i64] {
        match self {
            Self::MemfdCreate => &[libc::SYS_memfd_create],
            Self::FutexWaitv => &[libc::SYS_futex_waitv],
            Self::Clone => &[libc::SYS_clone, libc::SYS_clone3],
        }
    }
}

/// Runs `work` on a thread that may not make this call, and neither may what it starts: the call
/// fails with EPERM, as in a container. An error when the machine has no such filters.
///
/// # Errors
/// What the system said to the filter.
///
/// # Panics
/// When `work` does.
pub fn forbidding<T: Send>(call: Call, work: impl FnOnce() -> T + Send) -> Result<T, String> {
    let filter = filter(call)?;
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            apply_filter(&filter).map_err(|error| error.to_string())?;
            Ok(work())
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn filter(call: Call) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let rules = call.numbers().iter().map(|number| (*number, Vec::new()));
    let rules = BTreeMap::from_iter(rules);
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch);
    filter.and_then(TryInto::try_into).map_err(|error| error.to_string())
}
