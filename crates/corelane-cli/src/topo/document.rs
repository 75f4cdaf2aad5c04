//! The document of `corelane topo --json`, schema `corelane.topo/1`. Sets of CPUs are lists in the
//! kernel's format ("0-3,8"); indices count from 0 in the lists of the same document.

use corelane_topology::{
    AllowedSource, CacheKind, CellOrigin, CpuKind, KindSource, LatencyMatrix, Relation, Role,
    Sharing, Topology,
};
use serde_json::{Value, json};

use super::Planned;

/// Everything that was read, measured and chosen.
pub(super) fn document(
    topology: &Topology,
    matrix: Option<&LatencyMatrix>,
    planned: Option<&Planned>,
) -> Value {
    json!({
        "schema": "corelane.topo/1",
        "is_live": topology.is_live,
        "online": topology.online.to_string(),
        "offline": topology.offline.to_string(),
        "allowed": topology.allowed.to_string(),
        "allowed_source": allowed_source(topology.allowed_source),
        "kinds_source": kinds_source(topology.kinds_source),
        "packages": topology.packages.iter().map(|package| json!({
            "id": package.id,
            "cpus": package.cpus.to_string(),
        })).collect::<Vec<_>>(),
        "nodes": topology.nodes.iter().map(|node| json!({
            "id": node.id,
            "cpus": node.cpus.to_string(),
            "memory_kib": node.memory_kib,
            "distances": node.distances,
        })).collect::<Vec<_>>(),
        "caches": topology.caches.iter().map(|cache| json!({
            "level": cache.level,
            "kind": cache_kind(cache.kind),
            "size_kib": cache.size_kib,
            "cpus": cache.cpus.to_string(),
        })).collect::<Vec<_>>(),
        "cores": topology.cores.iter().map(|core| json!({
            "cpus": core.cpus.to_string(),
            "kind": kind(core.kind),
            "rank": core.rank,
        })).collect::<Vec<_>>(),
        "threads": topology.threads.iter().map(|thread| json!({
            "cpu": thread.cpu,
            "is_allowed": topology.allowed.contains(thread.cpu),
            "core": thread.core,
            "package": thread.package,
            "node": thread.node.map(|index| topology.nodes[index].id),
            "l2": thread.l2,
            "domain": thread.domain,
        })).collect::<Vec<_>>(),
        "unknown": topology.unknown,
        "matrix": matrix.map(latencies),
        "plan": planned.map(choices),
    })
}

fn latencies(matrix: &LatencyMatrix) -> Value {
    let cpus = matrix.cpus();
    let row = |of: &dyn Fn(usize, usize) -> Value| -> Vec<Vec<Value>> {
        cpus.iter().map(|a| cpus.iter().map(|b| of(*a, *b)).collect()).collect()
    };
    let rounded = |ns: f64| (ns * 10.0).round() / 10.0;
    json!({
        "cpus": cpus,
        "one_way_ns": row(&|a, b| json!(matrix.cell(a, b).map(|cell| rounded(cell.one_way_ns)))),
        "is_measured": row(&|a, b| {
            json!(matrix.cell(a, b).is_some_and(|cell| cell.origin == CellOrigin::Measured))
        }),
        "classes": matrix.classes().map(|summary| json!({
            "relation": relation(summary.class.relation),
            "kind_fast": kind(summary.class.kind_fast),
            "kind_slow": kind(summary.class.kind_slow),
            "node_distance": summary.class.node_distance,
            "pairs_measured": summary.pairs_measured,
            "one_way_ns": rounded(summary.one_way_ns),
            "one_way_ns_min": rounded(summary.one_way_ns_min),
            "one_way_ns_max": rounded(summary.one_way_ns_max),
        })).collect::<Vec<_>>(),
    })
}

fn choices(planned: &Planned) -> Value {
    json!({
        "routers": planned.request.routers,
        "workers": planned.request.workers,
        "control_threads": planned.request.control_threads,
        "because": planned.because,
        "assignments": planned.plan.assignments.iter().map(|assignment| json!({
            "role": role(assignment.role).0,
            "index": role(assignment.role).1,
            "cpus": assignment.cpus.to_string(),
            "sharing": sharing(assignment.sharing),
            "because": assignment.because,
        })).collect::<Vec<_>>(),
        "rejected": planned.plan.rejected.iter().map(|rejected| json!({
            "cpus": rejected.cpus.to_string(),
            "reason": rejected.reason,
        })).collect::<Vec<_>>(),
    })
}

/// The words below are part of the schema. What a newer library knows besides is "other".
const OTHER: &str = "other";

fn kind(kind: CpuKind) -> &'static str {
    match kind {
        CpuKind::Uniform => "uniform",
        CpuKind::Performance => "performance",
        CpuKind::Efficiency => "efficiency",
        CpuKind::LowPower => "low-power",
        _ => OTHER,
    }
}

fn cache_kind(kind: CacheKind) -> &'static str {
    match kind {
        CacheKind::Data => "data",
        CacheKind::Instruction => "instruction",
        CacheKind::Unified => "unified",
        _ => OTHER,
    }
}

fn allowed_source(source: AllowedSource) -> &'static str {
    match source {
        AllowedSource::Caller => "caller",
        AllowedSource::Affinity => "affinity",
        AllowedSource::Status => "status",
        AllowedSource::Online => "online",
        _ => OTHER,
    }
}

fn kinds_source(source: KindSource) -> &'static str {
    match source {
        KindSource::HybridPmu => "hybrid-pmu",
        KindSource::CpuCapacity => "cpu-capacity",
        KindSource::MaxFrequency => "max-frequency",
        KindSource::Uniform => "uniform",
        _ => OTHER,
    }
}

fn relation(relation: Relation) -> &'static str {
    match relation {
        Relation::Same => "same",
        Relation::SameCore => "same-core",
        Relation::SharedL2 => "shared-l2",
        Relation::SharedCache => "shared-cache",
        Relation::SameNode => "same-node",
        Relation::SamePackage => "same-package",
        Relation::OtherPackage => "other-package",
        _ => OTHER,
    }
}

fn sharing(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::Exclusive => "exclusive",
        Sharing::Sibling => "sibling",
        Sharing::Shared => "shared",
        _ => OTHER,
    }
}

/// The role, and its number where there are several.
fn role(role: Role) -> (&'static str, Option<usize>) {
    match role {
        Role::Router(index) => ("router", Some(index)),
        Role::Worker(index) => ("worker", Some(index)),
        Role::Control => ("control", None),
        _ => (OTHER, None),
    }
}
