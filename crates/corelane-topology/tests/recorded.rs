//! Recorded sysfs trees of real hybrid machines, when a folder with them stands beside the project.
//!
//! They are not part of the repository; without them, or without `tar` and `bzip2`, it is skipped.

use corelane_topology::{CpuKind, CpuSet, KindSource, Plan, Role, SysRoot, Topology, plan};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Unpacks an archive into a folder of its own; the reason when that cannot be done.
fn unpack(name: &str) -> Result<TempDir, String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/topologies");
    let archive: PathBuf = beside.join(name);
    if !archive.is_file() {
        return Err(format!("no recorded topology {name}"));
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut tar = Command::new("tar");
    let output = tar.arg("xjf").arg(&archive).arg("-C").arg(folder.path()).output();
    match output {
        Ok(output) if output.status.success() => Ok(folder),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("tar cannot be run: {error}")),
    }
}

fn cpus_of(topology: &Topology, kind: CpuKind) -> String {
    let of_kind = topology.threads.iter().filter(|thread| thread.kind == kind);
    of_kind.map(|thread| thread.cpu).collect::<CpuSet>().to_string()
}

fn assert_router_is_fast_and_control_is_not(topology: &Topology) {
    let plan = plan(topology, None, &Plan::default_request(topology).request);
    let kind = |role| {
        let cpu = plan.assignment(role)?.cpus.first()?;
        Some(topology.thread(cpu)?.kind)
    };
    assert_eq!(kind(Role::Router(0)), Some(CpuKind::Performance), "{plan:#?}");
    assert_eq!(kind(Role::Control), Some(CpuKind::Efficiency), "{plan:#?}");
}

#[test]
fn raptor_lake() {
    let name = "20em64t-hybrid-1p6c2t+2ca4co1t";
    let folder = match unpack(&format!("{name}.tar.bz2")) {
        Ok(folder) => folder,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let topology = Topology::read(&SysRoot::new(folder.path().join(name))).unwrap();
    assert_eq!((topology.cores.len(), topology.threads.len()), (14, 20));
    assert_eq!(topology.kinds_source, KindSource::MaxFrequency);
    assert_eq!(cpus_of(&topology, CpuKind::Performance), "0-11");
    assert_eq!(cpus_of(&topology, CpuKind::Efficiency), "12-19");
    let l2_of = |cpu| topology.thread(cpu).unwrap().l2;
    assert_eq!(l2_of(12), l2_of(15));
    assert_ne!(l2_of(15), l2_of(16));
    assert_router_is_fast_and_control_is_not(&topology);
}

#[test]
fn lakefield() {
    let name = "5intel64-hybrid-lakefield";
    let folder = match unpack(&format!("{name}.tar.bz2")) {
        Ok(folder) => folder,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let topology = Topology::read(&SysRoot::new(folder.path().join(name).join("fsroot"))).unwrap();
    assert_eq!((topology.cores.len(), topology.threads.len()), (5, 5));
    assert_eq!(cpus_of(&topology, CpuKind::Performance), "4");
    assert_eq!(cpus_of(&topology, CpuKind::Efficiency), "0-3");
    assert_router_is_fast_and_control_is_not(&topology);
}
