//! Builds synthetic sysfs trees from a short text, for unit tests and `tests/`.
//!
//! One line per CPU: `cpu=0 pkg=0 node=0 core=0,1 l2=0-1 l3=0-7 kind=P mhz=5000 cap=1024`; missing
//! words leave the file out. Other lines: `online=0-3`, `present=0-4`, `allowed=0-1`,
//! `file=<path> <text>` (written last). Nothing here comes from a real machine.

use crate::{CpuSet, SysRoot, Topology};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Writes the described tree into a new folder that vanishes with the value.
pub(crate) fn tree(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let mut nodes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (files, lines): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("file="));
    for line in lines {
        let words: BTreeMap<&str, &str> =
            line.split(' ').map(|word| word.split_once('=').expect("key=value")).collect();
        if let Some(allowed) = words.get("allowed") {
            let status = format!("Name:\tx\nCpus_allowed_list:\t{allowed}");
            write(folder.path(), "proc/self/status", &status);
        }
        for name in ["online", "present"] {
            if let Some(list) = words.get(name) {
                write(folder.path(), &format!("sys/devices/system/cpu/{name}"), list);
            }
        }
        let Some(cpu) = words.get("cpu") else { continue };
        write_cpu(folder.path(), cpu, &words);
        if let Some(node) = words.get("node") {
            nodes.entry((*node).to_owned()).or_default().push((*cpu).to_owned());
        }
        if let Some(kind) = words.get("kind") {
            kinds.entry(kind).or_default().push((*cpu).to_owned());
        }
    }
    for (node, cpus) in nodes {
        let path = format!("sys/devices/system/node/node{node}");
        write(folder.path(), &format!("{path}/cpulist"), &cpus.join(","));
        let memory = format!("Node {node} MemTotal:  1048576 kB");
        write(folder.path(), &format!("{path}/meminfo"), &memory);
    }
    for (kind, cpus) in kinds {
        let name = match kind {
            "P" => "cpu_core",
            "E" => "cpu_atom",
            _ => "cpu_lowpower",
        };
        write(folder.path(), &format!("sys/devices/{name}/cpus"), &cpus.join(","));
    }
    for (path, content) in files.iter().filter_map(|line| line[5..].split_once(' ')) {
        write(folder.path(), path, content);
    }
    folder
}

fn write_cpu(root: &Path, cpu: &str, words: &BTreeMap<&str, &str>) {
    let folder = format!("sys/devices/system/cpu/cpu{cpu}");
    fs::create_dir_all(root.join(&folder)).expect("the temporary folder can be written");
    for (word, file) in [
        ("pkg", "topology/physical_package_id"),
        ("core", "topology/core_cpus_list"),
        ("mhz", "cpufreq/cpuinfo_max_freq"),
        ("cap", "cpu_capacity"),
    ] {
        if let Some(value) = words.get(word) {
            write(root, &format!("{folder}/{file}"), value);
        }
    }
    for (level, word, size) in [("2", "l2", "2M"), ("3", "l3", "32768K")] {
        if let Some(shared) = words.get(word) {
            let cache = format!("{folder}/cache/index{level}");
            for (file, text) in
                [("level", level), ("type", "Unified"), ("size", size), ("shared_cpu_list", shared)]
            {
                write(root, &format!("{cache}/{file}"), text);
            }
        }
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("writable");
    fs::write(path, format!("{text}\n")).expect("the temporary folder can be written");
}

/// `count` cores without siblings in one package, node and L3.
pub(crate) fn uniform(count: usize) -> String {
    let last = count - 1;
    let cpu = |cpu| format!("cpu={cpu} pkg=0 node=0 core={cpu} l2={cpu} l3=0-{last}\n");
    format!("online=0-{last}\npresent=0-{last}\n") + &(0..count).map(cpu).collect::<String>()
}

/// 4 P-cores with 2 threads (0-7) and 4 E-cores in one L2 cluster (8-11), one L3.
pub(crate) fn hybrid() -> String {
    let mut text = "online=0-11\npresent=0-11\n".to_owned();
    for cpu in 0..8 {
        let pair = format!("{}-{}", cpu & !1, cpu | 1);
        text += &format!("cpu={cpu} pkg=0 node=0 core={pair} l2={pair} l3=0-11 kind=P\n");
    }
    for cpu in 8..12 {
        text += &format!("cpu={cpu} pkg=0 node=0 core={cpu} l2=8-11 l3=0-11 kind=E\n");
    }
    text
}

/// 2 packages, a node each, 4 cores each, an L3 each.
pub(crate) fn two_packages() -> String {
    let mut text = "online=0-7\npresent=0-7\n".to_owned();
    for cpu in 0..8 {
        let package = cpu / 4;
        let l3 = ["0-3", "4-7"][package];
        text += &format!("cpu={cpu} pkg={package} node={package} core={cpu} l2={cpu} l3={l3}\n");
    }
    text += "file=sys/devices/system/node/node0/distance 10 21\n";
    text + "file=sys/devices/system/node/node1/distance 21 10\n"
}

/// One of three machines (9 like cores, hybrid, two packages) inside a mask. The trees are written
/// once for all cases of a property test.
pub(crate) fn masked(machine: usize, mask: impl IntoIterator<Item = usize>) -> Topology {
    static MACHINES: OnceLock<[Topology; 3]> = OnceLock::new();
    let read = |text: String| Topology::read(&SysRoot::new(tree(&text).path())).expect("valid");
    let machines = MACHINES.get_or_init(|| [uniform(9), hybrid(), two_packages()].map(read));
    let mut topology = machines[machine].clone();
    topology.allowed = CpuSet::from_iter(mask).intersection(&topology.online);
    topology
}
