//! The boxes of a machine: packages hold nodes, nodes cache domains, domains cores, cores threads.
//!
//! Chooses words and style classes; sizes and places are the business of `frame`.

use super::frame::Frame;
use crate::model::{CacheKind, Core, CpuKind};
use crate::render::drawing::{cache_words, domains, node_words, role_words, size_words};
use crate::{CpuSet, Plan, Role, Topology};

/// A thread is never narrower.
const THREAD_WIDTH_MIN: f64 = 42.0;

/// All packages, and the nodes that are memory only.
pub(super) fn machine(topology: &Topology, plan: Option<&Plan>) -> Frame {
    let mut packages: Vec<(usize, Frame)> = Vec::new();
    let mut last = None;
    for ((package, node, domain), cores) in domains(topology) {
        if packages.last().is_none_or(|(id, _)| *id != package) {
            packages.push((package, holder("package", format!("package {package}"))));
            last = None;
        }
        let nodes = &mut packages.last_mut().expect("because one was pushed").1.children;
        if last != Some(node) {
            nodes.push(holder("node", node_words(topology, node)));
            last = Some(node);
        }
        let cache = cache_words(topology, domain);
        let mut frame = holder("domain", cache);
        frame.children = by_second_level(topology, plan, domain, &cores);
        nodes.last_mut().expect("because one was pushed").children.push(frame);
    }
    let mut children: Vec<Frame> = packages.into_iter().map(|(_, frame)| frame).collect();
    for (index, node) in topology.nodes.iter().enumerate().filter(|(_, n)| n.cpus.is_empty()) {
        let words = format!("{}, no cpus", node_words(topology, Some(index)));
        let tip = format!("node {}: memory without cpus", node.id);
        children.push(Frame { tip, ..holder("node", words) });
    }
    Frame { children, ..Frame::default() }
}

fn holder(class: &str, label: String) -> Frame {
    Frame { class: class.to_owned(), label: vec![label], is_elastic: true, ..Frame::default() }
}

/// Cores of a domain, those that share a second-level cache in a box of it. A cache of one core
/// stands in the core's box, and one that is the domain itself around all of them.
fn by_second_level(
    topology: &Topology,
    plan: Option<&Plan>,
    domain: Option<usize>,
    cores: &[usize],
) -> Vec<Frame> {
    let second = |core: &Core| {
        let l2 = topology.thread(core.cpus.first()?)?.l2?;
        let is_shared = !topology.caches[l2].cpus.is_subset(&core.cpus);
        (Some(l2) != domain && is_shared).then_some(l2)
    };
    let mut frames: Vec<(Option<usize>, Frame)> = Vec::new();
    for core in cores.iter().map(|index| &topology.cores[*index]) {
        let drawn = core_frame(topology, plan, core);
        let l2 = second(core);
        let known = frames.iter_mut().find(|(cache, _)| l2.is_some() && *cache == l2);
        match (known, l2) {
            (Some((_, frame)), _) => frame.children.push(drawn),
            (None, Some(_)) => {
                let mut frame = holder("second", cache_words(topology, l2));
                frame.is_elastic = false;
                frame.children.push(drawn);
                frames.push((l2, frame));
            }
            (None, None) => frames.push((None, drawn)),
        }
    }
    frames.into_iter().map(|(_, frame)| frame).collect()
}

fn core_frame(topology: &Topology, plan: Option<&Plan>, core: &Core) -> Frame {
    let class = match core.kind {
        CpuKind::Performance => "core p-core",
        CpuKind::Efficiency => "core e-core",
        CpuKind::LowPower => "core l-core",
        CpuKind::Uniform => "core",
    };
    let mut label = vec![match core.kind {
        CpuKind::LowPower => "LP-core".to_owned(),
        kind => kind.to_string(),
    }];
    let thread = core.cpus.first().and_then(|cpu| topology.thread(cpu));
    let own = thread.and_then(|thread| thread.l2.filter(|l2| Some(*l2) != thread.domain));
    if own.is_some_and(|l2| topology.caches[l2].cpus.is_subset(&core.cpus)) {
        label.push(cache_words(topology, own));
    }
    label.extend(first_level(topology, core));
    let children = core.cpus.iter().map(|cpu| thread_frame(topology, plan, cpu)).collect();
    let tip = format!("{}, cpus {}", core.kind, core.cpus);
    Frame { class: class.to_owned(), label, tip, children, ..Frame::default() }
}

/// "L1 48+32 KiB": data, then instructions.
fn first_level(topology: &Topology, core: &Core) -> Option<String> {
    let size = |kind| {
        let is_its = |cpu| core.cpus.contains(cpu);
        let of_core = |cache: &&crate::Cache| {
            cache.level == 1 && cache.kind == kind && cache.cpus.iter().any(is_its)
        };
        topology.caches.iter().find(of_core)?.size_kib
    };
    match (size(CacheKind::Data), size(CacheKind::Instruction), size(CacheKind::Unified)) {
        (Some(data), Some(code), _) if data < 10_240 => Some(format!("L1 {data}+{code} KiB")),
        (Some(kib), ..) | (None, _, Some(kib)) => Some(format!("L1 {}", size_words(kib))),
        _ => None,
    }
}

fn thread_frame(topology: &Topology, plan: Option<&Plan>, cpu: usize) -> Frame {
    let width_min = THREAD_WIDTH_MIN;
    if !topology.allowed.contains(cpu) {
        let words = vec![("cpu", format!("({cpu})"))];
        let tip = format!("cpu {cpu}: outside the allowed mask");
        return Frame { class: "thread outside".into(), words, tip, width_min, ..Frame::default() };
    }
    let roles: Vec<Role> = plan.map(|plan| plan.roles_on(cpu).collect()).unwrap_or_default();
    let class = match roles.iter().min() {
        Some(Role::Router(_)) => "thread router",
        Some(Role::Worker(_)) => "thread worker",
        Some(Role::Control) => "thread control",
        None => "thread",
    };
    let mut words = vec![("cpu", cpu.to_string())];
    if !roles.is_empty() {
        words.push(("role", role_words(&roles)));
    }
    let tip = tip(plan, cpu);
    Frame { class: class.to_owned(), words, tip, width_min, ..Frame::default() }
}

/// Why a CPU has its roles, or none.
fn tip(plan: Option<&Plan>, cpu: usize) -> String {
    let mut lines = vec![format!("cpu {cpu}")];
    if let Some(plan) = plan {
        let has = |cpus: &CpuSet| cpus.contains(cpu);
        for assignment in plan.assignments.iter().filter(|assignment| has(&assignment.cpus)) {
            lines.push(format!("{}: {}", assignment.role, assignment.because));
        }
        for rejected in plan.rejected.iter().filter(|rejected| has(&rejected.cpus)) {
            lines.push(format!("not taken: {}", rejected.reason));
        }
    }
    lines.join("\n")
}
