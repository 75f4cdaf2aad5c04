//! Binds the calling thread to CPUs and proves it by reading back.
//!
//! Does not choose CPUs and does not touch other threads. The kernel checks the cpuset only: a
//! mask set by `taskset` is a wish that `plan` respects and this module can overrule.

use crate::{CpuSet, PinError};
use rustix::io::Errno;
use rustix::thread::{CpuSet as Mask, sched_getaffinity, sched_setaffinity};
use std::io;

/// The CPUs the calling thread may run on.
///
/// # Errors
/// The kernel's answer, for example on a kernel built for more CPUs than the call can express.
pub fn allowed_cpus() -> io::Result<CpuSet> {
    Ok(from_mask(&sched_getaffinity(None)?))
}

/// Binds the calling thread to one CPU.
///
/// # Errors
/// As [`pin_current_thread_to`].
pub fn pin_current_thread(cpu: usize) -> Result<(), PinError> {
    pin_current_thread_to(&CpuSet::single(cpu))
}

/// Binds the calling thread to a set of CPUs; all of them are granted, or nothing changes.
///
/// # Errors
/// - [`PinError::Empty`] when the set is empty.
/// - [`PinError::AboveLimit`] when a number is too high for the call.
/// - [`PinError::NotAllowed`] when a CPU is offline or outside the cpuset.
/// - [`PinError::Refused`] for any other answer of the kernel.
pub fn pin_current_thread_to(cpus: &CpuSet) -> Result<(), PinError> {
    let last = cpus.last().ok_or(PinError::Empty)?;
    if last >= Mask::MAX_CPU {
        return Err(PinError::AboveLimit { cpu: last, limit: Mask::MAX_CPU });
    }
    let refused = |source: Errno| PinError::Refused { asked: cpus.clone(), source: source.into() };
    let before = sched_getaffinity(None).map_err(refused)?;
    match sched_setaffinity(None, &to_mask(cpus)) {
        Ok(()) => {}
        Err(Errno::INVAL) => {
            return Err(PinError::NotAllowed { asked: cpus.clone(), granted: CpuSet::new() });
        }
        Err(source) => return Err(refused(source)),
    }
    let granted = from_mask(&sched_getaffinity(None).map_err(refused)?);
    if granted == *cpus {
        return Ok(());
    }
    // The kernel silently narrows a set to the cpuset: half a grant is a refusal here.
    sched_setaffinity(None, &before).map_err(refused)?;
    Err(PinError::NotAllowed { asked: cpus.clone(), granted })
}

fn from_mask(mask: &Mask) -> CpuSet {
    (0..Mask::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect()
}

fn to_mask(cpus: &CpuSet) -> Mask {
    let mut mask = Mask::new();
    cpus.iter().for_each(|cpu| mask.set(cpu));
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Runs on a thread of its own, so that the test runner's affinity stays.
    fn on_a_thread(test: impl FnOnce() + Send + 'static) {
        thread::spawn(test).join().unwrap();
    }

    #[test]
    fn pins_to_each_allowed_cpu_and_runs_there() {
        on_a_thread(|| {
            let allowed = allowed_cpus().unwrap();
            for cpu in allowed.iter().take(4) {
                pin_current_thread(cpu).unwrap();
                assert_eq!(allowed_cpus().unwrap(), CpuSet::single(cpu));
                assert_eq!(rustix::thread::sched_getcpu(), cpu);
            }
            pin_current_thread_to(&allowed).unwrap();
            assert_eq!(allowed_cpus().unwrap(), allowed);
        });
    }

    #[test]
    fn refusals_leave_the_affinity_alone() {
        on_a_thread(|| {
            let before = allowed_cpus().unwrap();
            let absent = Mask::MAX_CPU - 1;
            assert!(!before.contains(absent), "no kernel runs this test on 1,024 cpus");
            assert!(matches!(pin_current_thread_to(&CpuSet::new()), Err(PinError::Empty)));
            assert!(matches!(pin_current_thread(absent), Err(PinError::NotAllowed { .. })));
            let limit = pin_current_thread(Mask::MAX_CPU);
            assert!(matches!(limit, Err(PinError::AboveLimit { .. })), "{limit:?}");
            let mut half = CpuSet::single(before.first().unwrap());
            half.insert(absent);
            match pin_current_thread_to(&half) {
                Err(PinError::NotAllowed { granted, .. }) => assert_eq!(granted.len(), 1),
                other => panic!("half of the set is absent: {other:?}"),
            }
            assert_eq!(allowed_cpus().unwrap(), before);
        });
    }
}
