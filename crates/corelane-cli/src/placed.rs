//! Whether threads still are where they were pinned: a cpuset or `taskset` can move them at any
//! moment, and nobody tells them.

use std::{fs, path::Path};

use anyhow::Context;
use corelane_topology::{CpuSet, PinError, Role, pin_current_thread_to};
use rustix::{
    process::Pid,
    thread::{CpuSet as Mask, sched_getaffinity},
};

use crate::terminal;

/// Pins the calling thread. A CPU that was taken away since it was chosen is no reason to give up:
/// the thread floats, and says so.
pub(crate) fn pin(who: &str, cpus: &CpuSet) -> anyhow::Result<()> {
    match pin_current_thread_to(cpus) {
        Err(error @ PinError::NotAllowed { .. }) if cpus.iter().all(is_there) => {
            terminal::tell!("corelane: {who} is not pinned, and floats: {error}");
            Ok(())
        }
        pinned => pinned.with_context(|| format!("{who} cannot be pinned")),
    }
}

/// Whether the machine has this CPU.
fn is_there(cpu: usize) -> bool {
    Path::new("/sys/devices/system/cpu").join(format!("cpu{cpu}")).exists()
}

/// Id of the thread of this process that has this name.
pub(crate) fn thread_of_this_process(name: &str) -> Option<u32> {
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten();
    let mut threads = threads.filter(|thread| {
        fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    });
    threads.next()?.file_name().to_str()?.parse().ok()
}

/// What to say of a thread that may run on other CPUs than it was pinned to; `None` when all is
/// well, and when the thread is gone.
pub(crate) fn displaced(role: Role, thread: u32, pinned: &CpuSet) -> Option<String> {
    let thread = i32::try_from(thread).ok().and_then(Pid::from_raw)?;
    let mask = sched_getaffinity(Some(thread)).ok()?;
    let now: CpuSet = (0..Mask::MAX_CPU).filter(|cpu| mask.is_set(*cpu)).collect();
    (now != *pinned).then(|| {
        format!(
            "{role} was pinned to cpu {pinned} and may run on {now} now: a cpuset or taskset took \
             its cpu away, so its figures are of another placement: give it back, or run again"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use corelane_topology::allowed_cpus;

    use super::*;

    #[test]
    fn a_thread_that_was_moved_is_told() {
        let moved = thread::Builder::new().name("test-moved".into()).spawn(|| {
            let own = thread_of_this_process("test-moved").expect("it has a name");
            assert_eq!(own, rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned());
            let allowed = allowed_cpus().expect("a thread has an affinity");
            let first = CpuSet::single(allowed.first().expect("it may run somewhere"));
            pin_current_thread_to(&first).expect("the cpu is allowed");
            assert_eq!(displaced(Role::Router(0), own, &first), None);
            let elsewhere = CpuSet::single(1000);
            let told = displaced(Role::Router(0), own, &elsewhere).expect("it is not there");
            assert!(told.contains("pinned to cpu 1000 and may run on"), "{told}");
        });
        moved.expect("a thread starts").join().expect("its assertions hold");
        assert_eq!(thread_of_this_process("no-such-thread"), None);
        assert_eq!(displaced(Role::Worker(0), u32::MAX, &CpuSet::single(0)), None);
    }
}
