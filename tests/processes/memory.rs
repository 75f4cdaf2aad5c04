//! Messages cross processes in sealed memory: what `/proc` shows of a running demo.

use std::{fs, path::PathBuf};

use corelane_testkit::process::{Place, Signal};

use crate::{start, wait_for_workers};

/// A mapping of lanes: the segment's name, its inode, and whether this process can write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lanes {
    name: String,
    inode: u64,
    is_writable: bool,
}

/// The lanes that a process has mapped; none when there is no such process.
pub(crate) fn lanes(pid: u32) -> Vec<Lanes> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.lines().filter_map(parse).collect()
}

/// Whether node and worker have each other's segments: the worker's two are mapped in both.
pub(crate) fn are_attached(node: u32, worker: u32) -> bool {
    let (ours, theirs) = (lanes(node), lanes(worker));
    let is_shared = |lanes: &Lanes| ours.iter().any(|other| other.inode == lanes.inode);
    theirs.len() == 2 && theirs.iter().all(is_shared)
}

/// `7f3d17001000-7f3d17183000 r--s 00000000 00:01 10863    /memfd:corelane-client (deleted)`
fn parse(line: &str) -> Option<Lanes> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, access, _, _, inode, path, ..] = fields[..] else { return None };
    let name = path.strip_prefix("/memfd:")?.to_owned();
    let is_lane = ["corelane-node", "corelane-client"].contains(&name.as_str());
    let inode = inode.parse().ok()?;
    assert!(!is_lane || access.ends_with('s') && !access.contains('x'), "{line}");
    is_lane.then(|| Lanes { name, inode, is_writable: access.contains('w') })
}

#[test]
fn each_side_writes_its_own_segment_and_reads_the_others() {
    let place = Place::new();
    let demo = start(&place, "demo --json --load-seconds 30");
    let workers = wait_for_workers(&demo, 2);
    let node = lanes(demo.pid());
    for worker in workers {
        let own = lanes(worker);
        println!("worker {worker}: {own:?}");
        let named = |name: &str| own.iter().find(|lanes| lanes.name == name).expect("it is mapped");
        let (to_node, from_node) = (named("corelane-client"), named("corelane-node"));
        assert!(to_node.is_writable && !from_node.is_writable, "{own:?}");
        // The node has the same two files, with the rights the other way round.
        for (segment, is_writable) in [(to_node, false), (from_node, true)] {
            let mirror = Lanes { is_writable, ..segment.clone() };
            assert!(node.contains(&mirror), "{mirror:?} is not in {node:?}");
        }
        // A descriptor that stays open could be passed on: none does, once the node has answered.
        demo.wait_until("a worker without descriptors of segments", || {
            let open = fs::read_dir(format!("/proc/{worker}/fd")).ok()?.flatten();
            let mut open = open.filter_map(|fd| fs::read_link(fd.path()).ok());
            let is_segment = |fd: PathBuf| fd.to_string_lossy().contains("memfd:corelane");
            (!open.any(is_segment)).then_some(())
        });
    }
    demo.signal(Signal::TERM);
    assert_eq!(demo.wait().code(), 128 + 15);
    place.assert_empty();
}
