//! Where a run took place: what a reader needs to compare two of them.

use std::{fs, time::Instant};

use corelane_topology::{SysRoot, Topology, allowed_cpus};
use serde::{Deserialize, Serialize};

/// A machine at the time of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the CPU, as the kernel names it.
    pub cpu: String,
    /// CPUs that may be used.
    pub cpus: String,
    /// Cores, NUMA nodes and packages among them.
    pub shape: String,
    /// The kernel's release.
    pub kernel: String,
    /// The compiler of this binary.
    pub rustc: String,
    /// Whether it optimised: figures without say nothing.
    pub is_optimised: bool,
    /// Load average over one minute before the run.
    pub load: Option<f64>,
    /// Smallest step of the clock that was seen, nanoseconds.
    pub clock_step_ns: u64,
}

impl Machine {
    /// Looks at this machine; what cannot be read is "unknown".
    pub fn look() -> Self {
        let unknown = || "unknown".to_owned();
        let read = |path| fs::read_to_string(path).ok();
        let shape = Topology::read(&SysRoot::default()).map_or_else(
            |_| unknown(),
            |topology| {
                let (cores, nodes) = (topology.allowed_cores(), topology.nodes.len());
                format!("{cores} cores, {nodes} nodes, {} packages", topology.packages.len())
            },
        );
        Self {
            cpu: read("/proc/cpuinfo").and_then(|text| cpu_model(&text)).unwrap_or_else(unknown),
            cpus: allowed_cpus().map_or_else(|_| unknown(), |cpus| cpus.to_string()),
            shape,
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            rustc: env!("CORELANE_BENCH_RUSTC").to_owned(),
            is_optimised: !cfg!(debug_assertions),
            load: read("/proc/loadavg").and_then(|text| first_number(&text)),
            clock_step_ns: clock_step_ns(),
        }
    }

    /// What differs so much that figures cannot be compared: names and values of both.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let build = |machine: &Self| match machine.is_optimised {
            true => "optimised".to_owned(),
            false => "not optimised".to_owned(),
        };
        let fields = [
            ("build", &build(self), &build(other)),
            ("cpu", &self.cpu, &other.cpu),
            ("cpus", &self.cpus, &other.cpus),
            ("shape", &self.shape, &other.shape),
        ];
        let (name, one, another) = fields.into_iter().find(|(_, one, other)| one != other)?;
        Some(format!("{name}: {another} then, {one} now"))
    }
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The smallest step between two different readings of the clock.
fn clock_step_ns() -> u64 {
    let step = || {
        let start = Instant::now();
        loop {
            let step = start.elapsed().as_nanos() as u64;
            if step > 0 {
                return step;
            }
        }
    };
    (0..1000).map(|_| step()).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_itself_and_no_other() {
        let machine = Machine::look();
        assert!(machine.clock_step_ns > 0 && !machine.kernel.is_empty(), "{machine:?}");
        assert_eq!(machine.difference(&machine), None);
        let other = Machine { cpu: "abacus".into(), ..machine.clone() };
        let difference = machine.difference(&other).unwrap();
        assert!(difference.starts_with("cpu: abacus then"), "{difference}");
        let slow = Machine { is_optimised: !machine.is_optimised, ..machine.clone() };
        assert!(machine.difference(&slow).unwrap().starts_with("build: "));
    }

    #[test]
    fn the_kernels_files_are_read() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\n";
        assert_eq!(cpu_model(text).as_deref(), Some("AMD EPYC"));
        assert_eq!(first_number("0.52 0.58 0.59 1/467 12"), Some(0.52));
        assert_eq!((cpu_model(""), first_number("")), (None, None));
    }
}
