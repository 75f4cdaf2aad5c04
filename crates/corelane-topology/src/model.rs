//! The machine as this crate sees it: plain values, built by `read`, never changed afterwards.
//!
//! Holds no policy; which core is good for what is decided in `plan`.

use crate::CpuSet;
use std::fmt;

/// A machine. All lists are sorted by their number; every set holds online CPUs only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topology {
    /// Sockets.
    pub packages: Vec<Package>,
    /// NUMA nodes, those without CPUs included; empty when the kernel does not say.
    pub nodes: Vec<NumaNode>,
    /// Caches, lowest level first.
    pub caches: Vec<Cache>,
    /// Cores, by their lowest CPU.
    pub cores: Vec<Core>,
    /// Hardware threads (logical CPUs) that are online, by CPU number.
    pub threads: Vec<HardwareThread>,
    /// What told the CPU kinds apart.
    pub kinds_source: KindSource,
    /// CPUs that are running.
    pub online: CpuSet,
    /// CPUs that are present and not running.
    pub offline: CpuSet,
    /// Online CPUs that this thread may use.
    pub allowed: CpuSet,
    /// Where the allowed CPUs were read.
    pub allowed_source: AllowedSource,
    /// What could not be read and what was assumed instead, one sentence each.
    pub unknown: Vec<String>,
    /// Whether this is the machine we run on.
    pub is_live: bool,
}

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Package {
    /// The kernel's number.
    pub id: usize,
    /// Its CPUs.
    pub cpus: CpuSet,
}

/// A NUMA node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NumaNode {
    /// The kernel's number.
    pub id: usize,
    /// Its CPUs; empty for a node that is memory only.
    pub cpus: CpuSet,
    /// Memory of the node.
    pub memory_kib: Option<u64>,
    /// The kernel's relative distance to each node, in the order of [`Topology::nodes`].
    pub distances: Vec<u32>,
}

/// One cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cache {
    /// 1 is nearest to the core.
    pub level: u8,
    /// What it holds.
    pub kind: CacheKind,
    /// Its size.
    pub size_kib: Option<u64>,
    /// The CPUs that share it.
    pub cpus: CpuSet,
}

/// What a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CacheKind {
    /// Data only.
    Data,
    /// Instructions only.
    Instruction,
    /// Both.
    Unified,
}

/// A core: one or more hardware threads that share its units.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Core {
    /// Its hardware threads.
    pub cpus: CpuSet,
    /// What sort of core it is.
    pub kind: CpuKind,
    /// 0 is the fastest kind of this machine.
    pub rank: u32,
}

/// A hardware thread, with what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HardwareThread {
    /// The kernel's number.
    pub cpu: usize,
    /// Index into [`Topology::cores`].
    pub core: usize,
    /// [`Package::id`].
    pub package: usize,
    /// Index into [`Topology::nodes`].
    pub node: Option<usize>,
    /// Index into [`Topology::caches`] of its second-level cache.
    pub l2: Option<usize>,
    /// Index into [`Topology::caches`] of its last-level cache: the cache domain.
    pub domain: Option<usize>,
    /// What sort of core it is on.
    pub kind: CpuKind,
    /// 0 is the fastest kind of this machine.
    pub rank: u32,
}

/// The sort of a core, fastest first.
///
/// With more than three groups by capacity or frequency all between the first and the last are
/// `Efficiency`; the rank tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CpuKind {
    /// All cores are alike, or nothing is known.
    Uniform,
    /// Fast (P-core).
    Performance,
    /// Slower and smaller (E-core).
    Efficiency,
    /// Meant for an idle machine; often outside the shared cache.
    LowPower,
}

impl CpuKind {
    /// The letter it has in a drawing.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Uniform => 'C',
            Self::Performance => 'P',
            Self::Efficiency => 'E',
            Self::LowPower => 'L',
        }
    }
}

impl fmt::Display for CpuKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "core",
            Self::Performance => "P-core",
            Self::Efficiency => "E-core",
            Self::LowPower => "low-power core",
        })
    }
}

/// What told the CPU kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KindSource {
    /// The kernel's own lists under `/sys/devices/cpu_core`, `cpu_atom`, `cpu_lowpower`.
    HybridPmu,
    /// Different values of `cpu_capacity`.
    CpuCapacity,
    /// Different values of `cpufreq/cpuinfo_max_freq`.
    MaxFrequency,
    /// Nothing tells them apart.
    Uniform,
}

impl fmt::Display for KindSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HybridPmu => "kernel's hybrid lists",
            Self::CpuCapacity => "cpu_capacity",
            Self::MaxFrequency => "cpuinfo_max_freq",
            Self::Uniform => "no difference found",
        })
    }
}

/// Where the allowed CPUs were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllowedSource {
    /// The caller gave them.
    Caller,
    /// The affinity of the calling thread.
    Affinity,
    /// `Cpus_allowed_list` of `proc/self/status`.
    Status,
    /// Nothing said, so all that are online.
    Online,
}

/// How near two hardware threads are, nearest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Relation {
    /// The same hardware thread.
    Same,
    /// Two hardware threads of one core.
    SameCore,
    /// Cores that share a second-level cache.
    SharedL2,
    /// Cores of one cache domain.
    SharedCache,
    /// Cores of one NUMA node.
    SameNode,
    /// Cores of one package.
    SamePackage,
    /// Cores of two packages.
    OtherPackage,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same cpu",
            Self::SameCore => "same core",
            Self::SharedL2 => "shared L2",
            Self::SharedCache => "shared cache",
            Self::SameNode => "same node",
            Self::SamePackage => "same package",
            Self::OtherPackage => "other package",
        })
    }
}

impl HardwareThread {
    /// How near the other thread of the same machine is.
    #[must_use]
    pub fn relation(&self, other: &Self) -> Relation {
        let is_both = |a: Option<usize>, b: Option<usize>| a.is_some() && a == b;
        if self.cpu == other.cpu {
            Relation::Same
        } else if self.core == other.core {
            Relation::SameCore
        } else if is_both(self.l2, other.l2) {
            Relation::SharedL2
        } else if is_both(self.domain, other.domain) {
            Relation::SharedCache
        } else if is_both(self.node, other.node) {
            Relation::SameNode
        } else if self.package == other.package {
            Relation::SamePackage
        } else {
            Relation::OtherPackage
        }
    }
}

impl Topology {
    /// The hardware thread with this number, when it is online.
    #[must_use]
    pub fn thread(&self, cpu: usize) -> Option<&HardwareThread> {
        self.threads.binary_search_by_key(&cpu, |thread| thread.cpu).ok().map(|i| &self.threads[i])
    }

    /// The hardware threads that may be used, by CPU number.
    pub fn allowed_threads(&self) -> impl Iterator<Item = &HardwareThread> + '_ {
        self.threads.iter().filter(|thread| self.allowed.contains(thread.cpu))
    }

    /// The number of cores with at least one allowed hardware thread.
    #[must_use]
    pub fn allowed_cores(&self) -> usize {
        let is_allowed = |core: &&Core| core.cpus.iter().any(|cpu| self.allowed.contains(cpu));
        self.cores.iter().filter(is_allowed).count()
    }
}
