//! The order in which cores are taken, and the words for it.
//!
//! Knows cores and distances, not how roles share them: that is `plan`.

use super::Rejected;
use crate::model::{HardwareThread, Relation};
use crate::{CpuSet, LatencyMatrix, Topology};
use std::collections::{BTreeMap, BTreeSet};

/// Distances that differ by less are the same: the noise of a quiet machine.
const NOISE_NS: f64 = 5.0;

/// A CPU that was taken, and why.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) cpu: usize,
    pub(super) because: String,
}

/// The allowed hardware threads, core by core, with what has been taken of them.
pub(super) struct Cores<'a> {
    latencies: Option<&'a LatencyMatrix>,
    /// First allowed hardware thread of each core.
    whole: Vec<&'a HardwareThread>,
    /// The other allowed ones.
    siblings: Vec<&'a HardwareThread>,
    taken: BTreeSet<usize>,
    /// What each core cost as a router, once that was asked.
    router_cost: BTreeMap<usize, f64>,
}

impl<'a> Cores<'a> {
    pub(super) fn new(topology: &'a Topology, latencies: Option<&'a LatencyMatrix>) -> Self {
        let mut seen = BTreeSet::new();
        let (whole, siblings) = topology.allowed_threads().partition(|t| seen.insert(t.core));
        Self { latencies, whole, siblings, taken: BTreeSet::new(), router_cost: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    pub(super) fn cpu_count(&self) -> usize {
        self.whole.len() + self.siblings.len()
    }

    /// Fast cores, near to as many others as there will be workers, in one cache domain.
    pub(super) fn take_routers(&mut self, count: usize, workers: usize) -> Vec<Choice> {
        let neighbours = (count + workers).saturating_sub(1).clamp(1, self.whole.len());
        self.router_cost = self.whole.iter().map(|t| (t.cpu, self.reach(t, neighbours))).collect();
        let mut chosen: Vec<&HardwareThread> = Vec::new();
        let mut choices = Vec::new();
        while choices.len() < count {
            let first = chosen.first().copied();
            let is_apart = |t: &HardwareThread| first.is_some_and(|f| f.domain != t.domain);
            let Some(best) = self.best_free(|t| (t.rank, is_apart(t), self.cost_step(t))) else {
                break;
            };
            let because = self.router_reason(best, first, neighbours);
            self.taken.insert(best.cpu);
            chosen.push(best);
            choices.push(Choice { cpu: best.cpu, because });
        }
        choices.extend(self.take_siblings(count - choices.len(), &[]));
        choices
    }

    /// The next nearest cores: same node, then fast kind, then distance to the routers.
    pub(super) fn take_workers(&mut self, count: usize, routers: &[Choice]) -> Vec<Choice> {
        let routers = self.threads_of(routers);
        let is_free = |t: &&HardwareThread| !self.taken.contains(&t.cpu);
        let keyed = self.whole.iter().copied().filter(is_free).map(|t| {
            let ns = self.mean_ns(t, &routers);
            ((is_off_node(t, &routers), t.rank, step(ns) as u64, t.cpu), t.kind, ns)
        });
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort_unstable_by_key(|(key, ..)| *key);
        keyed.truncate(count);
        let mut choices = Vec::with_capacity(count);
        for ((is_off_node, _, _, cpu), kind, ns) in keyed {
            let place = match is_off_node {
                true => "no core is left on the routers' node",
                false => "on the routers' node",
            };
            let because = match routers.is_empty() {
                true => format!("next {kind}"),
                false => format!("next nearest {kind}, {place}: {} to the router", self.ns(ns)),
            };
            self.taken.insert(cpu);
            choices.push(Choice { cpu, because });
        }
        choices.extend(self.take_siblings(count - choices.len(), &routers));
        choices
    }

    /// The slowest kind, same node first; the farthest core among equals.
    pub(super) fn take_control(&mut self, routers: &[Choice]) -> Option<Choice> {
        let routers = self.threads_of(routers);
        let farness = |t: &HardwareThread| -step(self.mean_ns(t, &routers));
        let key =
            |t: &HardwareThread| (std::cmp::Reverse(t.rank), is_off_node(t, &routers), farness(t));
        let Some(best) = self.best_free(key) else {
            return self.take_siblings(1, &routers).pop();
        };
        let because = match best.rank {
            0 => format!("least valuable {} left over, control may wait", best.kind),
            _ => format!("{}: control may be slow, the faster cores are for messages", best.kind),
        };
        self.taken.insert(best.cpu);
        Some(Choice { cpu: best.cpu, because })
    }

    /// Second hardware threads, those beside a router last: no whole core is left.
    fn take_siblings(&mut self, count: usize, routers: &[&HardwareThread]) -> Vec<Choice> {
        let is_beside = |t: &HardwareThread| routers.iter().any(|r| r.core == t.core);
        let mut free: Vec<&HardwareThread> =
            self.siblings.iter().copied().filter(|t| !self.taken.contains(&t.cpu)).collect();
        free.sort_by_key(|t| (is_beside(t), t.rank, t.cpu));
        free.truncate(count);
        self.taken.extend(free.iter().map(|t| t.cpu));
        let because = "no whole core is left: second hardware thread of a core in use";
        free.iter().map(|t| Choice { cpu: t.cpu, because: because.to_owned() }).collect()
    }

    /// What is left of the allowed CPUs and why, and why the others are no routers.
    pub(super) fn rejected(&self, routers: &[Choice]) -> Vec<Rejected> {
        let routers = self.threads_of(routers);
        let mut cpus_of: BTreeMap<(u8, String), CpuSet> = BTreeMap::new();
        let mut reject =
            |order, reason, cpu| cpus_of.entry((order, reason)).or_default().insert(cpu);
        if let Some(first) = routers.first() {
            for core in self.whole.iter().filter(|t| !routers.iter().any(|r| r.cpu == t.cpu)) {
                reject(0, format!("as router: {}", self.not_a_router(core, first)), core.cpu);
            }
        }
        let is_free = |t: &&&HardwareThread| !self.taken.contains(&t.cpu);
        for core in self.whole.iter().filter(is_free) {
            reject(1, "not needed: every thread has a nearer core".to_owned(), core.cpu);
        }
        for sibling in self.siblings.iter().filter(is_free) {
            let reason = "left idle: a second busy thread would slow the first of its core";
            reject(2, reason.to_owned(), sibling.cpu);
        }
        let rejected = |((_, reason), cpus)| Rejected { cpus, reason };
        cpus_of.into_iter().map(rejected).collect()
    }

    fn not_a_router(&self, core: &HardwareThread, first: &HardwareThread) -> String {
        let cost = |t: &HardwareThread| self.router_cost.get(&t.cpu).copied().unwrap_or(0.0);
        if core.rank > first.rank {
            format!("{} is slower than the {} chosen", core.kind, first.kind)
        } else if core.domain != first.domain {
            format!("does not share the last-level cache of cpu {}", first.cpu)
        } else if step(cost(core)) > step(cost(first)) {
            format!("{} to its neighbours against {}", self.ns(cost(core)), self.ns(cost(first)))
        } else {
            format!("as good as cpu {}, which comes first", first.cpu)
        }
    }

    fn router_reason(
        &self,
        best: &HardwareThread,
        first: Option<&HardwareThread>,
        neighbours: usize,
    ) -> String {
        let domain = match first {
            Some(first) if first.domain == best.domain => {
                format!(" that shares the last-level cache with cpu {}", first.cpu)
            }
            Some(_) => ", none is left in the first router's cache domain".to_owned(),
            None => String::new(),
        };
        if self.whole.len() == 1 {
            return format!("the only allowed {}{domain}", best.kind);
        }
        let cost = self.router_cost.get(&best.cpu).copied().unwrap_or(0.0);
        let to = match neighbours.min(self.whole.len() - 1) {
            1 => "its nearest core".to_owned(),
            count => format!("its {count} nearest cores"),
        };
        format!("best {}{domain}: mean {} to {to}", best.kind, self.ns(cost))
    }

    /// The free whole core with the smallest key; the lowest CPU number among equals.
    fn best_free<K: PartialOrd>(
        &self,
        key: impl Fn(&HardwareThread) -> K,
    ) -> Option<&'a HardwareThread> {
        let free = self.whole.iter().copied().filter(|t| !self.taken.contains(&t.cpu));
        let keyed = free.map(|t| (key(t), t));
        keyed.reduce(|best, next| if next.0 < best.0 { next } else { best }).map(|(_, t)| t)
    }

    fn threads_of(&self, choices: &[Choice]) -> Vec<&'a HardwareThread> {
        let is_chosen = |t: &&HardwareThread| choices.iter().any(|choice| choice.cpu == t.cpu);
        self.whole.iter().chain(&self.siblings).copied().filter(is_chosen).collect()
    }

    fn cost_step(&self, thread: &HardwareThread) -> f64 {
        step(self.router_cost.get(&thread.cpu).copied().unwrap_or(0.0))
    }

    /// Mean distance to the nearest `count` other cores.
    fn reach(&self, from: &HardwareThread, count: usize) -> f64 {
        let others = self.whole.iter().filter(|to| to.cpu != from.cpu);
        let mut ns: Vec<f64> = others.map(|to| self.pair_ns(from, to)).collect();
        if count < ns.len() {
            ns.select_nth_unstable_by(count, f64::total_cmp);
            ns.truncate(count);
        }
        mean(&ns)
    }

    fn mean_ns(&self, from: &HardwareThread, to: &[&HardwareThread]) -> f64 {
        mean(&to.iter().map(|to| self.pair_ns(from, to)).collect::<Vec<_>>())
    }

    fn pair_ns(&self, a: &HardwareThread, b: &HardwareThread) -> f64 {
        let cell = self.latencies.and_then(|latencies| latencies.cell(a.cpu, b.cpu));
        cell.map_or_else(|| assumed_ns(a.relation(b)), |cell| cell.one_way_ns)
    }

    fn ns(&self, ns: f64) -> String {
        let how = if self.latencies.is_some() { "measured" } else { "assumed" };
        format!("{ns:.0} ns {how}")
    }
}

/// Stands in for a measurement; only the order matters.
fn assumed_ns(relation: Relation) -> f64 {
    match relation {
        Relation::Same => 0.0,
        Relation::SameCore => 10.0,
        Relation::SharedL2 => 25.0,
        Relation::SharedCache => 50.0,
        Relation::SameNode => 90.0,
        Relation::SamePackage => 120.0,
        Relation::OtherPackage => 200.0,
    }
}

fn is_off_node(thread: &HardwareThread, routers: &[&HardwareThread]) -> bool {
    !routers.is_empty() && !routers.iter().any(|router| router.node == thread.node)
}

fn mean(ns: &[f64]) -> f64 {
    if ns.is_empty() { 0.0 } else { ns.iter().sum::<f64>() / ns.len() as f64 }
}

fn step(ns: f64) -> f64 {
    (ns / NOISE_NS).round()
}
