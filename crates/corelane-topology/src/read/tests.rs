//! Reading synthetic trees: whole, sparse, absent and broken ones.

use super::*;
use crate::testing::{hybrid, tree, two_packages, uniform};
use crate::{CpuKind, KindSource, Relation};

fn read(text: &str) -> Topology {
    Topology::read(&SysRoot::new(tree(text).path())).unwrap()
}

fn cpus_of(topology: &Topology, kind: CpuKind) -> String {
    let of_kind = topology.threads.iter().filter(|t| t.kind == kind).map(|t| t.cpu);
    of_kind.collect::<CpuSet>().to_string()
}

#[test]
fn hybrid_machine() {
    let topology = read(&hybrid());
    assert_eq!((topology.cores.len(), topology.threads.len()), (8, 12));
    assert_eq!(topology.kinds_source, KindSource::HybridPmu);
    assert_eq!(cpus_of(&topology, CpuKind::Performance), "0-7");
    assert_eq!(cpus_of(&topology, CpuKind::Efficiency), "8-11");
    let relation = |a, b| topology.thread(a).unwrap().relation(topology.thread(b).unwrap());
    assert_eq!(relation(0, 0), Relation::Same);
    assert_eq!(relation(0, 1), Relation::SameCore);
    assert_eq!(relation(8, 11), Relation::SharedL2);
    assert_eq!(relation(0, 8), Relation::SharedCache);
    let sizes: Vec<_> = topology.caches.iter().map(|c| (c.level, c.size_kib)).collect();
    assert_eq!(sizes.len(), 6);
    assert_eq!((sizes[0], sizes[5]), ((2, Some(2_048)), (3, Some(32_768))));
}

#[test]
fn two_packages_with_a_node_each() {
    let topology = read(&two_packages());
    assert_eq!((topology.packages.len(), topology.nodes.len()), (2, 2));
    assert_eq!(topology.nodes[1].distances, [21, 10]);
    assert_eq!(topology.nodes[1].memory_kib, Some(1_048_576));
    let (near, far) = (topology.thread(0).unwrap(), topology.thread(7).unwrap());
    assert_eq!(near.relation(far), Relation::OtherPackage);
    assert_eq!((far.package, far.node), (1, Some(1)));
}

#[test]
fn kinds_by_capacity_and_by_frequency() {
    let capacity =
        read("online=0-3\ncpu=0 cap=400\ncpu=1 cap=1024\ncpu=2 cap=870\ncpu=3 cap=1000\n");
    assert_eq!(capacity.kinds_source, KindSource::CpuCapacity);
    assert_eq!(cpus_of(&capacity, CpuKind::Performance), "1,3");
    assert_eq!(cpus_of(&capacity, CpuKind::Efficiency), "2");
    assert_eq!(cpus_of(&capacity, CpuKind::LowPower), "0");
    assert_eq!(capacity.thread(0).unwrap().rank, 2);
    // A favoured core boosts a little higher and is no kind of its own.
    let boost = read("online=0-2\ncpu=0 mhz=5000\ncpu=1 mhz=5200\ncpu=2 mhz=3900\n");
    assert_eq!(boost.kinds_source, KindSource::MaxFrequency);
    assert_eq!(cpus_of(&boost, CpuKind::Performance), "0-1");
    let equal = read("online=0-1\ncpu=0 cap=1024 mhz=3000\ncpu=1 cap=1024 mhz=3000\n");
    assert_eq!(equal.kinds_source, KindSource::Uniform);
    assert_eq!(cpus_of(&equal, CpuKind::Uniform), "0-1");
    let half = read("online=0-1\ncpu=0 mhz=3000\ncpu=1\n");
    assert_eq!(half.kinds_source, KindSource::Uniform, "one unknown value decides nothing");
}

#[test]
fn low_power_cores_are_listed_or_stand_outside_the_shared_cache() {
    let listed = read("online=0-2\ncpu=0 kind=P\ncpu=1 kind=E\ncpu=2 kind=L\n");
    let outside =
        read("online=0-2\ncpu=0 l2=0 l3=0-1 kind=P\ncpu=1 l2=1 l3=0-1 kind=E\ncpu=2 l2=2 kind=E\n");
    for topology in [listed, outside] {
        assert_eq!(cpus_of(&topology, CpuKind::LowPower), "2");
        assert_eq!((topology.cores[2].kind, topology.cores[2].rank), (CpuKind::LowPower, 2));
    }
}

#[test]
fn sparse_numbers_and_offline_cpus() {
    let topology = read(
        "online=2,64\npresent=2-3,64\nallowed=0-64\ncpu=2 pkg=0 core=2-3 l3=2-3\ncpu=3\n\
         cpu=64 pkg=1 core=64\n",
    );
    assert_eq!(
        (topology.online.to_string(), topology.offline.to_string()),
        ("2,64".into(), "3".into())
    );
    assert_eq!(topology.allowed.to_string(), "2,64");
    assert_eq!(topology.cores[0].cpus.to_string(), "2");
    assert_eq!(topology.thread(64).unwrap().core, 1);
    assert_eq!(topology.thread(3), None);
    let folders = "cpu=0\ncpu=1\nfile=sys/devices/system/cpu/cpu1/online 0\n";
    assert_eq!(read(folders).online.to_string(), "0", "without a list the folders tell");
}

#[test]
fn nothing_at_all_is_known_and_said() {
    let topology = read("");
    assert!(topology.threads.is_empty() && topology.cores.is_empty());
    assert!(topology.unknown.iter().any(|u| u.starts_with("no cpu is known")), "{topology:?}");
    let masked = read("allowed=1,5\n");
    assert_eq!((masked.cores.len(), masked.allowed_source), (2, AllowedSource::Status));
    let only_caches_missing =
        read("online=0-1\ncpu=0 pkg=0 node=0 core=0\ncpu=1 pkg=0 node=0 core=1\n");
    let said = only_caches_missing.unknown.join("\n");
    assert!(said.contains("caches: ") && said.contains("and 1 more"), "{said}");
    assert!(!said.contains("numa nodes"), "{said}");
    assert!(read(&(uniform(2) + "allowed=0\n")).unknown.is_empty());
}

#[test]
fn four_thousand_cpus() {
    let node = |id: usize| {
        let first = id * 64;
        format!("file=sys/devices/system/node/node{id}/cpulist {first}-{}\n", first + 63)
    };
    let text = "online=0-4095\ncpu=0 pkg=0\ncpu=4095 pkg=7\n".to_owned();
    let topology = read(&(text + &(0..64).map(node).collect::<String>()));
    assert_eq!((topology.cores.len(), topology.nodes.len()), (4_096, 64));
    let last = topology.thread(4_095).unwrap();
    assert_eq!((last.package, last.node), (7, Some(63)));
    let request = crate::Plan::default_request(&topology).request;
    let plan = crate::plan(&topology, None, &request);
    assert_eq!(plan.assignments.len(), 4_096);
    assert!(!plan.must_yield());
}

#[test]
fn broken_content_names_the_file() {
    let cpu0 = "sys/devices/system/cpu/cpu0";
    for (path, content) in [
        ("sys/devices/system/cpu/online".to_owned(), "0-"),
        ("sys/devices/system/cpu/present".to_owned(), "abc"),
        ("sys/devices/system/node/node0/cpulist".to_owned(), "0;1"),
        ("sys/devices/system/node/node0/distance".to_owned(), "10 far"),
        ("sys/devices/cpu_core/cpus".to_owned(), "P"),
        (format!("{cpu0}/topology/core_cpus_list"), "1-0"),
        (format!("{cpu0}/topology/physical_package_id"), "zero"),
        (format!("{cpu0}/cache/index3/size"), "32"),
        (format!("{cpu0}/cache/index3/type"), "Magic"),
        (format!("{cpu0}/cache/index3/shared_cpu_list"), "x"),
        (format!("{cpu0}/cpu_capacity"), "-5"),
        ("proc/self/status".to_owned(), "Cpus_allowed_list:\tall"),
    ] {
        let root = tree(&format!("{}file={path} {content}\n", uniform(2)));
        let error = Topology::read(&SysRoot::new(root.path())).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, TopologyError::Content { .. }), "{message}");
        assert!(message.contains(&path), "{path} is not named in: {message}");
    }
}

#[test]
fn contradicting_core_lists_still_give_each_cpu_one_core() {
    let topology = read("online=0-2\ncpu=0 core=0-1\ncpu=1 core=1-2\ncpu=2 core=0-2\n");
    let total: usize = topology.cores.iter().map(|core| core.cpus.len()).sum();
    assert_eq!(total, 3);
    assert!(topology.threads.iter().all(|t| topology.cores[t.core].cpus.contains(t.cpu)));
}
