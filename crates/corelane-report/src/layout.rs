//! The machine as boxes within boxes, who runs on which core, and why.

use corelane_topology::{Assignment, CacheKind, Core, CpuKind, Plan, Role, Sharing, Topology};
use maud::{Markup, html};

use crate::Table;

/// A machine and the roles on it.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    cores: Vec<CoreTile>,
    roles: Vec<PlacedRole>,
    rejected: Vec<Vec<String>>,
    notes: Vec<String>,
}

/// A core and what it lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreTile {
    /// Names of package, node and cache, outermost first; neighbours with the same name share a
    /// box. An empty name is no box.
    pub inside: [String; 3],
    /// What sort of core it is, such as "P-core".
    pub kind: String,
    /// Its hardware threads.
    pub cpus: Vec<usize>,
    /// Whether this process may use it.
    pub is_allowed: bool,
}

/// A role and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRole {
    /// The name on its cores, two or three letters.
    pub short: String,
    /// Its name.
    pub name: String,
    /// Where it is pinned; empty when it floats.
    pub cpus: Vec<usize>,
    /// Who else runs there.
    pub sharing: String,
    /// Why it runs there.
    pub because: String,
}

impl Layout {
    /// Adds a core.
    pub fn core(mut self, core: CoreTile) -> Self {
        self.cores.push(core);
        self
    }

    /// Adds a role.
    pub fn role(mut self, role: PlacedRole) -> Self {
        self.roles.push(role);
        self
    }

    /// Adds CPUs that were looked at and not taken.
    pub fn rejected(mut self, cpus: impl Into<String>, reason: impl Into<String>) -> Self {
        self.rejected.push(vec![cpus.into(), reason.into()]);
        self
    }

    /// Adds a sentence below the picture.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// A machine and the plan for it; without `is_pinned` nobody is on a core of his own.
    pub fn of(topology: &Topology, plan: &Plan, is_pinned: bool) -> Self {
        let mut layout = Self::default();
        for core in &topology.cores {
            layout.cores.push(tile(topology, core));
        }
        // Cores of one box are neighbours, whatever their numbers.
        layout.cores.sort_by_key(|core| {
            let first = core.cpus.first().copied().unwrap_or(0);
            let thread = topology.thread(first);
            thread.map(|thread| (thread.package, thread.node, thread.domain, first))
        });
        layout.roles = plan.assignments.iter().map(|role| placed(role, is_pinned)).collect();
        if is_pinned {
            for rejected in &plan.rejected {
                layout = layout.rejected(format!("cpus {}", rejected.cpus), &rejected.reason);
            }
        } else {
            layout = layout.note("Nothing is pinned: the kernel places every thread.");
        }
        layout = layout.note(format!("Allowed cpus: {}.", topology.allowed));
        if !topology.offline.is_empty() {
            layout = layout.note(format!("Offline cpus: {}.", topology.offline));
        }
        let unknown = topology.unknown.iter();
        unknown.fold(layout, |layout, text| layout.note(format!("Not known: {text}.")))
    }

    pub(crate) fn render(&self) -> Markup {
        let cores: Vec<&CoreTile> = self.cores.iter().collect();
        html! {
            figure.machine {
                figcaption { "The cores of this machine, and who runs on them" }
                (self.boxes(&cores, 0))
            }
            @for note in &self.notes { p.note { (note) } }
            @if !self.roles.is_empty() { (self.role_table().render()) }
            @if !self.rejected.is_empty() {
                (Table::new("what was looked at and not taken", ["cpus", "why"])
                    .rows(self.rejected.iter().cloned()).behind())
            }
        }
    }

    /// The boxes of one depth, and in the innermost the cores.
    fn boxes(&self, cores: &[&CoreTile], depth: usize) -> Markup {
        if depth == 3 {
            return html! { ul.cores { @for core in cores { (self.tile(core)) } } };
        }
        let groups = cores.chunk_by(|a, b| a.inside[depth] == b.inside[depth]);
        html! {
            @for group in groups {
                @match group[0].inside[depth].as_str() {
                    "" => (self.boxes(group, depth + 1)),
                    name => div class=(format!("box d{depth}")) {
                        div.name { (name) }
                        (self.boxes(group, depth + 1))
                    },
                }
            }
        }
    }

    fn tile(&self, core: &CoreTile) -> Markup {
        let is_here = |role: &&PlacedRole| role.cpus.iter().any(|cpu| core.cpus.contains(cpu));
        let roles: Vec<&PlacedRole> = self.roles.iter().filter(is_here).collect();
        let cpus: Vec<String> = core.cpus.iter().map(ToString::to_string).collect();
        let class = match (core.is_allowed, roles.is_empty()) {
            (false, _) => "barred",
            (true, true) => "free",
            (true, false) => "used",
        };
        html! {
            li class=(class) {
                span.cpu { "cpu " (cpus.join(", ")) }
                @if !core.kind.is_empty() { span.kind { (core.kind) } }
                @if !core.is_allowed { span.kind { "not allowed" } }
                @for role in roles {
                    abbr class=(role.class()) title=(role.name) { (role.short) }
                }
            }
        }
    }

    fn role_table(&self) -> Table {
        let row = |role: &PlacedRole| {
            let cpus: Vec<String> = role.cpus.iter().map(ToString::to_string).collect();
            let cpus = if cpus.is_empty() { "floats".to_owned() } else { cpus.join(", ") };
            let name = format!("{} ({})", role.name, role.short);
            vec![name, cpus, role.sharing.clone(), role.because.clone()]
        };
        Table::new("who runs where, and why", ["role", "cpus", "core", "because"])
            .rows(self.roles.iter().map(row))
    }
}

impl PlacedRole {
    /// Routers, workers and the rest look different, and carry their letters besides.
    fn class(&self) -> &'static str {
        match self.short.chars().next() {
            Some('R') => "role r",
            Some('W') => "role w",
            _ => "role c",
        }
    }
}

fn tile(topology: &Topology, core: &Core) -> CoreTile {
    let first = core.cpus.first().unwrap_or(0);
    let thread = topology.thread(first);
    let package = thread.map_or_else(String::new, |thread| format!("package {}", thread.package));
    let node = thread.and_then(|thread| topology.nodes.get(thread.node?));
    let node = node.map_or_else(String::new, |node| {
        let memory = node.memory_kib.map(|kib| format!(", {}", kibibytes(kib)));
        format!("node {}{}", node.id, memory.unwrap_or_default())
    });
    let cache = thread.and_then(|thread| topology.caches.get(thread.domain?));
    let cache = cache.filter(|cache| cache.kind != CacheKind::Instruction);
    let cache = cache.map_or_else(String::new, |cache| {
        let size = cache.size_kib.map(|kib| format!(" {}", kibibytes(kib))).unwrap_or_default();
        format!("L{}{size} shared by cpus {}", cache.level, cache.cpus)
    });
    CoreTile {
        inside: [package, node, cache],
        kind: if core.kind == CpuKind::Uniform { String::new() } else { core.kind.to_string() },
        cpus: core.cpus.iter().collect(),
        is_allowed: core.cpus.iter().any(|cpu| topology.allowed.contains(cpu)),
    }
}

fn placed(assignment: &Assignment, is_pinned: bool) -> PlacedRole {
    let (short, name) = match assignment.role {
        Role::Router(index) => (format!("R{index}"), format!("router {index}")),
        Role::Worker(index) => (format!("W{index}"), format!("worker {index}")),
        role => ("ctl".to_owned(), role.to_string()),
    };
    let sharing = match assignment.sharing {
        Sharing::Exclusive => "alone",
        Sharing::Sibling => "beside another thread of the core",
        _ => "shared",
    };
    let (cpus, sharing, because) = match is_pinned {
        true => (assignment.cpus.iter().collect(), sharing, assignment.because.clone()),
        false => (Vec::new(), "any", "the command line says so".to_owned()),
    };
    PlacedRole { short, name, cpus, sharing: sharing.to_owned(), because }
}

fn kibibytes(kib: u64) -> String {
    match kib {
        0..1024 => format!("{kib} KiB"),
        1024..1_048_576 => format!("{} MiB", kib >> 10),
        _ => format!("{} GiB", kib >> 20),
    }
}
