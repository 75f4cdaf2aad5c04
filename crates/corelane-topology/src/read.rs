//! Builds a [`Topology`] from `/sys` and `/proc` under a [`SysRoot`].
//!
//! An absent file becomes a sentence in `unknown`; a file that holds nonsense is an error. Reads
//! nothing outside the root, except the affinity of the calling thread on the live machine.

use crate::kinds::Kinds;
use crate::model::{
    AllowedSource, Cache, CacheKind, Core, HardwareThread, NumaNode, Package, Topology,
};
use crate::{CpuSet, SysRoot, TopologyError, pin};
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

const CPU_DIR: &str = "sys/devices/system/cpu";
const NODE_DIR: &str = "sys/devices/system/node";

impl Topology {
    /// Reads the machine under a root directory.
    ///
    /// # Errors
    /// - [`TopologyError::Content`] when a file holds something else than its format allows.
    /// - [`TopologyError::Affinity`] when the live thread's affinity cannot be read.
    pub fn read(root: &SysRoot) -> Result<Self, TopologyError> {
        let mut reader = Reader { root, absent: BTreeMap::new() };
        let (mask, allowed_source) = reader.mask()?;
        let (online, offline) = reader.online(mask.as_ref())?;
        let kinds = Kinds::read(root, &online)?;
        let nodes = reader.nodes(&online)?;
        let caches = reader.caches(&online)?;
        let mut topology = Self {
            packages: Vec::new(),
            nodes,
            caches,
            cores: Vec::new(),
            threads: Vec::new(),
            kinds_source: kinds.source,
            allowed: mask.map_or_else(|| online.clone(), |mask| mask.intersection(&online)),
            allowed_source,
            offline,
            unknown: Vec::new(),
            is_live: root.is_live(),
            online,
        };
        reader.threads(&mut topology, &kinds)?;
        kinds.mark_low_power(&mut topology);
        topology.unknown = reader.absent.into_iter().map(sentence).collect();
        if topology.online.is_empty() {
            topology.unknown.push("no cpu is known: nothing can be placed or measured".to_owned());
        }
        Ok(topology)
    }
}

struct Reader<'a> {
    root: &'a SysRoot,
    /// What was looked for in vain and what is assumed, to the first path and how often.
    absent: BTreeMap<(&'static str, &'static str), (String, usize)>,
}

impl Reader<'_> {
    fn note(&mut self, what: &'static str, path: &str, assumed: &'static str) {
        self.absent.entry((what, assumed)).or_insert_with(|| (path.to_owned(), 0)).1 += 1;
    }

    fn mask(&mut self) -> Result<(Option<CpuSet>, AllowedSource), TopologyError> {
        if let Some(allowed) = self.root.allowed() {
            return Ok((Some(allowed.clone()), AllowedSource::Caller));
        }
        let affinity = if self.root.is_live() { Some(pin::allowed_cpus()) } else { None };
        if let Some(Ok(allowed)) = affinity {
            return Ok((Some(allowed), AllowedSource::Affinity));
        }
        // A kernel built for more CPUs than the call can express still prints the list here.
        let path = if self.root.is_live() { "proc/thread-self/status" } else { "proc/self/status" };
        let status = self.root.text(path)?.unwrap_or_default();
        if let Some(list) = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        {
            let allowed = list.parse().map_err(|error| self.root.broken(path, list, error))?;
            return Ok((Some(allowed), AllowedSource::Status));
        }
        if let Some(Err(source)) = affinity {
            return Err(TopologyError::Affinity { source });
        }
        self.note("allowed cpus", path, "all online cpus are taken as allowed");
        Ok((None, AllowedSource::Online))
    }

    /// Running CPUs and those that are present but not running.
    fn online(&mut self, mask: Option<&CpuSet>) -> Result<(CpuSet, CpuSet), TopologyError> {
        let folders = self.root.numbered(CPU_DIR, "cpu").unwrap_or_default();
        let present = self.root.field(&format!("{CPU_DIR}/present"))?.unwrap_or(folders.clone());
        let path = format!("{CPU_DIR}/online");
        let online = match self.root.field::<CpuSet>(&path)? {
            Some(online) => online,
            None if !folders.is_empty() => {
                self.note("online cpus", &path, "every cpu with a folder is taken as online");
                let mut online = CpuSet::new();
                for cpu in folders.iter() {
                    let state = self.root.field::<u8>(&format!("{CPU_DIR}/cpu{cpu}/online"))?;
                    if state != Some(0) {
                        online.insert(cpu);
                    }
                }
                online
            }
            None => {
                self.note("online cpus", &path, "the allowed cpus are taken as online");
                mask.cloned().unwrap_or_default()
            }
        };
        let offline = present.difference(&online);
        Ok((online, offline))
    }

    fn nodes(&mut self, online: &CpuSet) -> Result<Vec<NumaNode>, TopologyError> {
        let ids = self.root.numbered(NODE_DIR, "node").unwrap_or_default();
        if ids.is_empty() {
            self.note("numa nodes", NODE_DIR, "distance of memory is not considered");
        }
        let mut nodes = Vec::with_capacity(ids.len());
        for id in ids.iter() {
            let folder = format!("{NODE_DIR}/node{id}");
            let path = format!("{folder}/cpulist");
            let cpus = self.root.field::<CpuSet>(&path)?;
            if cpus.is_none() {
                self.note("cpus of a numa node", &path, "the node is taken as memory only");
            }
            let Distances(distances) =
                self.root.field(&format!("{folder}/distance"))?.unwrap_or_default();
            let memory = self.root.text(&format!("{folder}/meminfo"))?;
            nodes.push(NumaNode {
                id,
                cpus: cpus.unwrap_or_default().intersection(online),
                memory_kib: memory.as_deref().and_then(memory_total_kib),
                distances,
            });
        }
        Ok(nodes)
    }

    fn caches(&mut self, online: &CpuSet) -> Result<Vec<Cache>, TopologyError> {
        // A cache is described once per CPU that shares it, in the same words.
        let mut known: HashMap<(u8, CacheKind, String), Option<u64>> = HashMap::new();
        for cpu in online.iter() {
            let folder = format!("{CPU_DIR}/cpu{cpu}/cache");
            let indices = self.root.numbered(&folder, "index").unwrap_or_default();
            if indices.is_empty() {
                self.note("caches", &folder, "cores of one package are taken as equally near");
            }
            for index in indices.iter() {
                let folder = format!("{folder}/index{index}");
                let level = self.root.field::<u8>(&format!("{folder}/level"))?;
                let kind = self.root.field::<CacheKind>(&format!("{folder}/type"))?;
                let list = format!("{folder}/shared_cpu_list");
                let (Some(level), Some(kind), Some(shared)) = (level, kind, self.root.text(&list)?)
                else {
                    self.note("level, type or sharing of a cache", &folder, "it is left out");
                    continue;
                };
                let key = (level, kind, shared);
                if known.contains_key(&key) {
                    continue;
                }
                self.root.field::<CpuSet>(&list)?;
                let size = self.root.field::<CacheSize>(&format!("{folder}/size"))?;
                known.insert(key, size.map(|size| size.0));
            }
        }
        let mut caches: Vec<Cache> = known
            .into_iter()
            .map(|((level, kind, shared), size_kib)| {
                let shared = shared.parse::<CpuSet>().unwrap_or_default();
                Cache { level, kind, size_kib, cpus: shared.intersection(online) }
            })
            .collect();
        caches.sort_by(|a, b| (a.level, a.kind, &a.cpus).cmp(&(b.level, b.kind, &b.cpus)));
        Ok(caches)
    }

    fn threads(&mut self, topology: &mut Topology, kinds: &Kinds) -> Result<(), TopologyError> {
        let node_of = index_by_cpu(topology.nodes.iter().map(|node| &node.cpus));
        let is_data = |cache: &Cache| cache.kind != CacheKind::Instruction;
        let level_of = |level| {
            let caches = topology.caches.iter().enumerate();
            let of_level = caches.filter(|(_, cache)| is_data(cache) && cache.level == level);
            let cpus = of_level.flat_map(|(i, cache)| cache.cpus.iter().map(move |cpu| (cpu, i)));
            cpus.collect::<HashMap<usize, usize>>()
        };
        let l2_of = level_of(2);
        let mut domain_of = l2_of.clone();
        for level in 3..=topology.caches.last().map_or(2, |cache| cache.level) {
            domain_of.extend(level_of(level));
        }
        let mut core_of = HashMap::new();
        let mut packages: BTreeMap<usize, CpuSet> = BTreeMap::new();
        for cpu in topology.online.iter() {
            let package = self.package(cpu)?;
            packages.entry(package).or_default().insert(cpu);
            let (kind, rank) = kinds.of(cpu);
            let core = match core_of.get(&cpu) {
                Some(core) => *core,
                None => {
                    let index = topology.cores.len();
                    let mut cpus = self.siblings(cpu)?.intersection(&topology.online);
                    // Two files may contradict each other; a CPU belongs to one core here.
                    cpus = cpus.iter().filter(|cpu| !core_of.contains_key(cpu)).collect();
                    cpus.insert(cpu);
                    core_of.extend(cpus.iter().map(|cpu| (cpu, index)));
                    topology.cores.push(Core { cpus, kind, rank });
                    index
                }
            };
            let (l2, domain) = (l2_of.get(&cpu).copied(), domain_of.get(&cpu).copied());
            let node = node_of.get(&cpu).copied();
            topology.threads.push(HardwareThread {
                cpu,
                core,
                package,
                node,
                l2,
                domain,
                kind,
                rank,
            });
        }
        topology.packages = packages.into_iter().map(|(id, cpus)| Package { id, cpus }).collect();
        Ok(())
    }

    fn package(&mut self, cpu: usize) -> Result<usize, TopologyError> {
        let path = format!("{CPU_DIR}/cpu{cpu}/topology/physical_package_id");
        match self.root.field::<i64>(&path)?.map(usize::try_from) {
            Some(Ok(id)) => Ok(id),
            // Firmware without package numbers shows as -1.
            _ => {
                self.note("package", &path, "package 0 is assumed");
                Ok(0)
            }
        }
    }

    fn siblings(&mut self, cpu: usize) -> Result<CpuSet, TopologyError> {
        for name in ["core_cpus_list", "thread_siblings_list"] {
            let path = format!("{CPU_DIR}/cpu{cpu}/topology/{name}");
            if let Some(cpus) = self.root.field(&path)? {
                return Ok(cpus);
            }
        }
        let path = format!("{CPU_DIR}/cpu{cpu}/topology/core_cpus_list");
        self.note("hardware threads of a core", &path, "each cpu is taken as a core");
        Ok(CpuSet::single(cpu))
    }
}

fn sentence(((what, assumed), (path, count)): ((&str, &str), (String, usize))) -> String {
    let times = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
    format!("{what}: {path}{times} is absent; {assumed}")
}

fn index_by_cpu<'a>(sets: impl Iterator<Item = &'a CpuSet>) -> HashMap<usize, usize> {
    sets.enumerate().flat_map(|(i, cpus)| cpus.iter().map(move |cpu| (cpu, i))).collect()
}

/// The value of the line `Node 0 MemTotal:  5728460 kB`.
fn memory_total_kib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.split_once("MemTotal:"))?.1;
    line.split_whitespace().next()?.parse().ok()
}

#[derive(Default)]
struct Distances(Vec<u32>);

impl FromStr for Distances {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_whitespace().map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// In KiB, from the kernel's "48K".
struct CacheSize(u64);

impl FromStr for CacheSize {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "not a size like 48K";
        let digits = text.trim_end_matches(['K', 'M', 'G']);
        let factor = match &text[digits.len()..] {
            "K" => 1,
            "M" => 1 << 10,
            "G" => 1 << 20,
            _ => return Err(EXPECTED),
        };
        let size: u64 = digits.parse().map_err(|_| EXPECTED)?;
        size.checked_mul(factor).map(Self).ok_or(EXPECTED)
    }
}

impl FromStr for CacheKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "Data" => Ok(Self::Data),
            "Instruction" => Ok(Self::Instruction),
            "Unified" => Ok(Self::Unified),
            _ => Err("not Data, Instruction or Unified"),
        }
    }
}

#[cfg(test)]
mod tests;
