//! System calls that a container's seccomp profile forbids, forbidden for a test's processes.

use std::{collections::BTreeMap, thread};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// `MADV_COLLAPSE`, which the `libc` crate names for glibc alone.
const COLLAPSE: u64 = 25;

/// A system call that a profile may forbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Makes the memory that lanes lie in.
    MemfdCreate,
    /// Sleeps on several words at once.
    FutexWaitv,
    /// Makes threads and processes.
    Clone,
    /// Makes memory of huge pages that are set aside.
    HugetlbMemory,
    /// The same, and joins normal pages into huge ones.
    HugePages,
    /// Says on which NUMA node memory should lie.
    NodePolicy,
}

impl Call {
    /// Numbers of calls, with the arguments for which they are forbidden: all where none are named.
    fn rules(self) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
        let numbers: &[i64] = match self {
            Self::MemfdCreate => &[libc::SYS_memfd_create],
            Self::FutexWaitv => &[libc::SYS_futex_waitv],
            Self::Clone => &[libc::SYS_clone, libc::SYS_clone3],
            Self::NodePolicy => &[libc::SYS_mbind],
            Self::HugetlbMemory | Self::HugePages => &[],
        };
        let mut rules: BTreeMap<_, _> = numbers.iter().map(|number| (*number, vec![])).collect();
        if matches!(self, Self::HugetlbMemory | Self::HugePages) {
            let flag = u64::from(libc::MFD_HUGETLB);
            let (length, mask) = (SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag));
            let has_flag = SeccompCondition::new(1, length, mask, flag)?;
            rules.insert(libc::SYS_memfd_create, vec![SeccompRule::new(vec![has_flag])?]);
        }
        if self == Self::HugePages {
            let (length, equal) = (SeccompCmpArgLen::Dword, SeccompCmpOp::Eq);
            let is_collapse = SeccompCondition::new(2, length, equal, COLLAPSE)?;
            rules.insert(libc::SYS_madvise, vec![SeccompRule::new(vec![is_collapse])?]);
        }
        Ok(rules)
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
    let rules = call.rules().map_err(|error| error.to_string())?;
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch);
    filter.and_then(TryInto::try_into).map_err(|error| error.to_string())
}
