//! What the kernel counted: CPU time of the machine, of this process and of a thread.

use std::{fs, io, ops::Sub, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Length of the kernel's step in `/proc/stat`.
const TICK: Duration = Duration::from_millis(10);

/// CPU time since the machine and this process were started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MachineUse {
    /// Time that all CPUs ran anything.
    pub(crate) busy: Duration,
    /// Time that the hypervisor gave to others.
    pub(crate) steal: Duration,
    /// Time that this process ran, and those that it started and waited for.
    pub(crate) own: Duration,
}

impl MachineUse {
    pub(crate) fn now() -> io::Result<Self> {
        let children = parse_own_stat(&fs::read_to_string("/proc/self/stat")?)?;
        let own = clock(ClockId::ProcessCPUTime) + children;
        let (busy, steal) = parse_stat(&fs::read_to_string("/proc/stat")?)?;
        Ok(Self { busy, steal, own })
    }
}

impl Sub for MachineUse {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            busy: self.busy.saturating_sub(before.busy),
            steal: self.steal.saturating_sub(before.steal),
            own: self.own.saturating_sub(before.own),
        }
    }
}

/// What the calling thread did since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ThreadUse {
    /// Times that it slept.
    pub(crate) voluntary: u64,
    /// Times that it had to leave its CPU.
    pub(crate) involuntary: u64,
    /// Time that it waited for a CPU; zero on kernels that do not count it.
    pub(crate) waited: Duration,
}

impl ThreadUse {
    pub(crate) fn now() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/thread-self/status")?;
        let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        parse_thread(&status, &schedstat)
    }
}

impl Sub for ThreadUse {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            voluntary: self.voluntary - before.voluntary,
            involuntary: self.involuntary - before.involuntary,
            waited: self.waited.saturating_sub(before.waited),
        }
    }
}

/// CPU time of the calling thread.
pub(crate) fn thread_time() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn not_counted(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is missing"))
}

/// Busy and stolen time of the first line of `/proc/stat`.
fn parse_stat(text: &str) -> io::Result<(Duration, Duration)> {
    let line = text.lines().next().and_then(|line| line.strip_prefix("cpu "));
    let fields: Vec<u32> =
        line.into_iter().flat_map(str::split_whitespace).map_while(|f| f.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
    match fields[..] {
        [user, nice, system, _, _, irq, softirq, steal, ..] => {
            Ok((TICK * (user + nice + system + irq + softirq), TICK * steal))
        }
        _ => Err(not_counted("the cpu line of /proc/stat")),
    }
}

/// CPU time of the children that were waited for, in `/proc/self/stat`.
fn parse_own_stat(text: &str) -> io::Result<Duration> {
    // The name, in brackets, may have any character; the 14th and 15th field behind it count.
    let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u32>().ok());
    let (user, system) = ticks(13).zip(ticks(14)).ok_or_else(|| not_counted("/proc/self/stat"))?;
    Ok(TICK * (user + system))
}

fn parse_thread(status: &str, schedstat: &str) -> io::Result<ThreadUse> {
    let count = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.ok_or_else(|| not_counted(name))
    };
    let waited = schedstat.split_whitespace().nth(1).and_then(|ns| ns.parse().ok());
    Ok(ThreadUse {
        voluntary: count("voluntary_ctxt_switches:")?,
        involuntary: count("nonvoluntary_ctxt_switches:")?,
        waited: Duration::from_nanos(waited.unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let (busy, steal) = parse_stat("cpu  10 1 5 900 7 2 2 4 0 0\ncpu0 1 2\n").unwrap();
        assert_eq!((busy, steal), (TICK * 20, TICK * 4));
        assert!(parse_stat("cpu 1 2\n").is_err());
        let own = "7 (a ) b) S 1 7 7 0 -1 4194304 1 2 3 4 11 12 13 14 20 0 1 0 9 9 9\n";
        assert_eq!(parse_own_stat(own).unwrap(), TICK * 27);
        assert!(parse_own_stat("7 (a) S 1 2\n").is_err());
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t3\n";
        let used = parse_thread(status, "100 2500 4\n").unwrap();
        assert_eq!((used.voluntary, used.involuntary), (7, 3));
        assert_eq!(used.waited, Duration::from_nanos(2_500));
        assert_eq!(parse_thread(status, "").unwrap().waited, Duration::ZERO);
        assert!(parse_thread("Name:\tx\n", "").is_err());
    }

    #[test]
    fn this_machine_counts() {
        let (machine, thread) = (MachineUse::now().unwrap(), ThreadUse::now().unwrap());
        let start = thread_time();
        while thread_time() - start < Duration::from_millis(15) {}
        let machine = MachineUse::now().unwrap() - machine;
        assert!(machine.own >= Duration::from_millis(15), "{machine:?}");
        // Nobody sends: the kernel has to put this thread to sleep until the time is over.
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        assert!(receiver.recv_timeout(Duration::from_millis(1)).is_err());
        let used = ThreadUse::now().unwrap() - thread;
        assert!(used.voluntary >= 1, "{used:?}");
    }
}
