//! The machine as a tree: packages, nodes, cache domains, cores with kind and role.
//!
//! Draws only; the roles come from a plan made elsewhere.

use super::RenderStyle;
use super::line::{Page, Span};
use crate::model::{CpuKind, HardwareThread};
use crate::{CpuSet, Plan, Role, Topology};
use std::collections::BTreeMap;

/// Draws the machine, with the roles of a plan when there is one.
///
/// A core is its kind letter and its CPUs, in brackets with its roles when it is used, in
/// parentheses when it is outside the allowed mask.
#[must_use]
pub fn draw_topology(topology: &Topology, plan: Option<&Plan>, style: &RenderStyle) -> String {
    let mut page = Page::new(style);
    header(topology, &mut page, style);
    let domains = domains(topology);
    let (mut package, mut node) = (None, None);
    for ((at_package, at_node, domain), cores) in &domains {
        if !style.is_compact() && package != Some(*at_package) {
            page.line([Span::plain(format!("package {at_package}"))]);
            node = None;
        }
        package = Some(*at_package);
        if !style.is_compact() && node != Some(*at_node) {
            page.line([Span::plain(format!("  {}", node_words(topology, *at_node)))]);
        }
        node = Some(*at_node);
        let cache = cache_words(topology, *domain);
        let (first, indent) = if style.is_compact() {
            let id = at_node.map_or(String::new(), |i| format!(" n{}", topology.nodes[i].id));
            page.line([Span::plain(format!("p{at_package}{id} {cache}"))]);
            (" ".to_owned(), " ".to_owned())
        } else {
            let branch = if style.has_unicode { "└" } else { "`" };
            let first = format!("    {branch} {cache}: ");
            let indent = " ".repeat(first.chars().count());
            (first, indent)
        };
        page.flow(&first, &indent, cores.iter().map(|core| core_span(topology, plan, *core)));
    }
    footer(topology, &mut page);
    page.finish()
}

fn header(topology: &Topology, page: &mut Page<'_>, style: &RenderStyle) {
    let words = match style.is_compact() {
        true => counts(topology).map(|(name, count)| format!("{count}{}", &name[..1])).join(" "),
        false => count_words(topology),
    };
    page.line([Span::plain(words)]);
}

fn counts(topology: &Topology) -> [(&'static str, usize); 4] {
    [
        ("package", topology.packages.len()),
        ("node", topology.nodes.len()),
        ("core", topology.cores.len()),
        ("thread", topology.threads.len()),
    ]
}

/// "1 package, 2 nodes, 8 cores, 16 threads".
pub(super) fn count_words(topology: &Topology) -> String {
    let plural = |count| if count == 1 { "" } else { "s" };
    let word = |(name, count)| format!("{count} {name}{}", plural(count));
    counts(topology).map(word).join(", ")
}

pub(super) type DomainKey = (usize, Option<usize>, Option<usize>);

/// Core indices by package, node and cache domain. A core stands where its first thread does.
pub(super) fn domains(topology: &Topology) -> BTreeMap<DomainKey, Vec<usize>> {
    let mut domains: BTreeMap<DomainKey, Vec<usize>> = BTreeMap::new();
    for (index, core) in topology.cores.iter().enumerate() {
        if let Some(thread) = core.cpus.first().and_then(|cpu| topology.thread(cpu)) {
            let HardwareThread { package, node, domain, .. } = *thread;
            domains.entry((package, node, domain)).or_default().push(index);
        }
    }
    domains
}

pub(super) fn node_words(topology: &Topology, node: Option<usize>) -> String {
    let Some(node) = node.map(|i| &topology.nodes[i]) else { return "node unknown".to_owned() };
    let memory = node.memory_kib.map_or(String::new(), |kib| format!(", {}", size_words(kib)));
    format!("node {}{memory}", node.id)
}

pub(super) fn cache_words(topology: &Topology, domain: Option<usize>) -> String {
    let Some(cache) = domain.map(|i| &topology.caches[i]) else {
        return "cache unknown".to_owned();
    };
    let size = cache.size_kib.map_or(String::new(), |kib| format!(" {}", size_words(kib)));
    format!("L{}{size}", cache.level)
}

pub(super) fn size_words(kib: u64) -> String {
    match kib {
        1024..10_240 if kib.is_multiple_of(1024) => format!("{} MiB", kib / 1024),
        0..10_240 => format!("{kib} KiB"),
        10_240..10_485_760 => format!("{} MiB", kib / 1024),
        _ => format!("{} GiB", kib / (1024 * 1024)),
    }
}

fn core_span(topology: &Topology, plan: Option<&Plan>, index: usize) -> Span {
    let core = &topology.cores[index];
    let name = format!("{}{}", core.kind.letter(), core.cpus.to_string().replace(',', "+"));
    if core.cpus.intersection(&topology.allowed).is_empty() {
        return Span::colored(format!("({name})"), 8);
    }
    let roles: Vec<Role> = plan
        .into_iter()
        .flat_map(|plan| core.cpus.iter().flat_map(|cpu| plan.roles_on(cpu)))
        .collect();
    let color = match core.kind {
        CpuKind::Performance => 11,
        CpuKind::Efficiency => 10,
        CpuKind::LowPower => 14,
        CpuKind::Uniform => 7,
    };
    if roles.is_empty() {
        return Span::colored(name, color);
    }
    Span::on(format!("[{name} {}]", role_words(&roles)), role_ground(&roles))
}

/// "R0 W1,3 ctl", and counts when there are many.
pub(super) fn role_words(roles: &[Role]) -> String {
    let numbers = |of: fn(&Role) -> Option<usize>| CpuSet::from_iter(roles.iter().filter_map(of));
    let routers = numbers(|role| if let Role::Router(i) = role { Some(*i) } else { None });
    let workers = numbers(|role| if let Role::Worker(i) = role { Some(*i) } else { None });
    let mut words = Vec::new();
    for (letter, numbers) in [("R", routers), ("W", workers)] {
        if !numbers.is_empty() {
            words.push(format!("{letter}{numbers}"));
        }
    }
    if roles.contains(&Role::Control) {
        words.push("ctl".to_owned());
    }
    words.join(" ")
}

fn role_ground(roles: &[Role]) -> u8 {
    match roles.iter().min() {
        Some(Role::Router(_)) => 125,
        Some(Role::Worker(_)) => 25,
        _ => 240,
    }
}

fn footer(topology: &Topology, page: &mut Page<'_>) {
    let mut kinds: Vec<CpuKind> = topology.cores.iter().map(|core| core.kind).collect();
    kinds.sort();
    kinds.dedup();
    let mut words: Vec<String> =
        kinds.iter().map(|kind| format!("{} {kind}", kind.letter())).collect();
    words.push(format!("kinds from: {}", topology.kinds_source));
    page.sentence("", "", &words.join(", "));
    masks(topology, page);
}

/// Which CPUs may be used, and what could not be read.
pub(super) fn masks(topology: &Topology, page: &mut Page<'_>) {
    page.sentence("", "  ", &format!("allowed cpus: {}", or_none(&topology.allowed)));
    if !topology.offline.is_empty() {
        page.sentence("", "  ", &format!("offline cpus: {}", topology.offline));
    }
    for unknown in &topology.unknown {
        page.sentence("not known: ", "  ", unknown);
    }
}

pub(super) fn or_none(cpus: &CpuSet) -> String {
    if cpus.is_empty() { "none".to_owned() } else { cpus.to_string() }
}
