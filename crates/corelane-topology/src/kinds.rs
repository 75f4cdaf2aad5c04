//! Tells P-cores, E-cores and low-power cores apart.
//!
//! Sources in order of trust: the kernel's hybrid lists, `cpu_capacity`, the highest frequency.
//! Does not measure anything.

use crate::model::{CpuKind, KindSource, Topology};
use crate::{CpuSet, SysRoot, TopologyError};
use std::collections::BTreeMap;

/// Two values that differ by less than this are one kind: single cores of one kind are sold with a
/// higher boost (4 to 5.5 % seen), while the closest real kinds seen are 7 % apart.
const SAME_KIND_PERCENT_MAX: u64 = 6;

pub(crate) struct Kinds {
    pub(crate) source: KindSource,
    by_cpu: BTreeMap<usize, (CpuKind, u32)>,
}

impl Kinds {
    pub(crate) fn read(root: &SysRoot, online: &CpuSet) -> Result<Self, TopologyError> {
        let listed = hybrid_lists(root, online)?;
        if !listed.is_empty() {
            return Ok(Self { source: KindSource::HybridPmu, by_cpu: listed });
        }
        for (source, file) in [
            (KindSource::CpuCapacity, "cpu_capacity"),
            (KindSource::MaxFrequency, "cpufreq/cpuinfo_max_freq"),
        ] {
            let by_cpu = by_value(root, online, file)?;
            if !by_cpu.is_empty() {
                return Ok(Self { source, by_cpu });
            }
        }
        Ok(Self { source: KindSource::Uniform, by_cpu: BTreeMap::new() })
    }

    /// Kind and rank; a CPU that no source names counts as the fastest.
    pub(crate) fn of(&self, cpu: usize) -> (CpuKind, u32) {
        let unnamed = match self.source {
            KindSource::Uniform => CpuKind::Uniform,
            _ => CpuKind::Performance,
        };
        self.by_cpu.get(&cpu).copied().unwrap_or((unnamed, 0))
    }

    /// The kernel lists the low-power cores of some machines among the E-cores; what gives them
    /// away is that they stand outside the third-level cache that the others have.
    pub(crate) fn mark_low_power(&self, topology: &mut Topology) {
        let level = |domain: Option<usize>| domain.map_or(0, |i| topology.caches[i].level);
        let has_l3: Vec<bool> = topology.threads.iter().map(|t| level(t.domain) >= 3).collect();
        if self.source != KindSource::HybridPmu || !has_l3.contains(&true) {
            return;
        }
        for (thread, has_l3) in topology.threads.iter_mut().zip(has_l3) {
            if thread.kind == CpuKind::Efficiency && thread.l2.is_some() && !has_l3 {
                (thread.kind, thread.rank) = (CpuKind::LowPower, thread.rank + 1);
                let core = &mut topology.cores[thread.core];
                (core.kind, core.rank) = (thread.kind, thread.rank);
            }
        }
    }
}

/// Empty unless the machine has more than one kind.
fn hybrid_lists(
    root: &SysRoot,
    online: &CpuSet,
) -> Result<BTreeMap<usize, (CpuKind, u32)>, TopologyError> {
    let mut by_cpu = BTreeMap::new();
    let mut rank = 0;
    for (name, kind) in [
        ("cpu_core", CpuKind::Performance),
        ("cpu_atom", CpuKind::Efficiency),
        ("cpu_lowpower", CpuKind::LowPower),
    ] {
        let path = format!("sys/devices/{name}/cpus");
        let cpus = root.field::<CpuSet>(&path)?.unwrap_or_default().intersection(online);
        if !cpus.is_empty() {
            by_cpu.extend(cpus.iter().map(|cpu| (cpu, (kind, rank))));
            rank += 1;
        }
    }
    Ok(if rank > 1 { by_cpu } else { BTreeMap::new() })
}

/// Groups by a number in each CPU's folder; empty when one lacks it or all are alike.
fn by_value(
    root: &SysRoot,
    online: &CpuSet,
    file: &str,
) -> Result<BTreeMap<usize, (CpuKind, u32)>, TopologyError> {
    let mut values = Vec::with_capacity(online.len());
    for cpu in online.iter() {
        match root.field::<u64>(&format!("sys/devices/system/cpu/cpu{cpu}/{file}"))? {
            Some(value) => values.push((value, cpu)),
            None => return Ok(BTreeMap::new()),
        }
    }
    values.sort_unstable_by(|a, b| b.cmp(a));
    let mut ranked = Vec::with_capacity(values.len());
    let (mut rank, mut above) = (0, values.first().map_or(0, |first| first.0));
    for (value, cpu) in values {
        if u128::from(above) * 100 > u128::from(value) * u128::from(100 + SAME_KIND_PERCENT_MAX) {
            rank += 1;
        }
        above = value;
        ranked.push((cpu, rank));
    }
    if rank == 0 {
        return Ok(BTreeMap::new());
    }
    let kind = |of: u32| match of {
        0 => CpuKind::Performance,
        _ if of == rank && rank > 1 => CpuKind::LowPower,
        _ => CpuKind::Efficiency,
    };
    Ok(ranked.into_iter().map(|(cpu, of)| (cpu, (kind(of), of))).collect())
}
