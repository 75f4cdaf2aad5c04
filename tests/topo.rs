//! `corelane topo` as its users meet it: what it prints, draws, and refuses.
//!
//! Which core is good for what is judged in `corelane-topology`; here it is told whole.

use std::{fs, path::Path, process::Command, thread};

use corelane_testkit::process::{Ended, Output, Place};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Deserialize;

fn command(place: &Place, arguments: &str) -> Command {
    let mut command = place.command(env!("CARGO_BIN_EXE_corelane"));
    command.arg("topo").args(arguments.split_whitespace());
    command
}

fn run(place: &Place, arguments: &str) -> Ended {
    place.start(command(place, arguments), Output::Pipes).wait()
}

#[track_caller]
fn succeeds(place: &Place, arguments: &str) -> String {
    let ended = run(place, arguments);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{arguments}\n{}", ended.stdout);
    ended.stdout
}

/// Schema `corelane.topo/1`, whole: a field more or less fails.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    is_live: bool,
    online: String,
    offline: String,
    allowed: String,
    allowed_source: String,
    kinds_source: String,
    packages: Vec<Package>,
    nodes: Vec<Node>,
    caches: Vec<Cache>,
    cores: Vec<Core>,
    threads: Vec<Thread>,
    unknown: Vec<String>,
    matrix: Option<Matrix>,
    plan: Option<Plan>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    id: usize,
    cpus: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    id: usize,
    cpus: String,
    memory_kib: Option<u64>,
    distances: Vec<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cache {
    level: u8,
    kind: String,
    size_kib: Option<u64>,
    cpus: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Core {
    cpus: String,
    kind: String,
    rank: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thread {
    cpu: usize,
    is_allowed: bool,
    core: usize,
    package: usize,
    node: Option<usize>,
    l2: Option<usize>,
    domain: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    cpus: Vec<usize>,
    one_way_ns: Vec<Vec<Option<f64>>>,
    is_measured: Vec<Vec<bool>>,
    classes: Vec<Class>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    relation: String,
    kind_fast: String,
    kind_slow: String,
    #[serde(rename = "node_distance")]
    _node_distance: Option<u32>,
    pairs_measured: usize,
    one_way_ns: f64,
    one_way_ns_min: f64,
    one_way_ns_max: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    routers: usize,
    workers: usize,
    control_threads: usize,
    because: String,
    assignments: Vec<Assignment>,
    rejected: Vec<Rejected>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Assignment {
    role: String,
    index: Option<usize>,
    cpus: String,
    sharing: String,
    because: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rejected {
    cpus: String,
    reason: String,
}

/// The CPUs of a list in the kernel's format.
fn cpus(list: &str) -> Vec<usize> {
    let number = |text: &str| text.parse::<usize>().unwrap_or_else(|e| panic!("{list}: {e}"));
    let items = list.split(',').filter(|item| !item.is_empty());
    let range = |item: &str| match item.split_once('-') {
        Some((first, last)) => number(first)..number(last) + 1,
        None => number(item)..number(item) + 1,
    };
    items.flat_map(range).collect()
}

impl Document {
    #[track_caller]
    fn of(text: &str) -> Self {
        let document: Self = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(document.schema, "corelane.topo/1");
        document.assert_parts_agree();
        document
    }

    /// Every list speaks of the same CPUs, and every index leads somewhere.
    fn assert_parts_agree(&self) {
        let (online, allowed) = (cpus(&self.online), cpus(&self.allowed));
        assert_eq!(self.threads.iter().map(|t| t.cpu).collect::<Vec<_>>(), online);
        assert!(cpus(&self.offline).iter().all(|cpu| !online.contains(cpu)), "{self:?}");
        for thread in &self.threads {
            assert_eq!(thread.is_allowed, allowed.contains(&thread.cpu), "{thread:?}");
            assert!(cpus(&self.cores[thread.core].cpus).contains(&thread.cpu), "{thread:?}");
            let package = self.packages.iter().find(|package| package.id == thread.package);
            assert!(package.is_some_and(|p| cpus(&p.cpus).contains(&thread.cpu)), "{thread:?}");
            for cache in [thread.l2, thread.domain].into_iter().flatten() {
                assert!(cpus(&self.caches[cache].cpus).contains(&thread.cpu), "{thread:?}");
                assert!(self.caches[cache].level >= 2, "{thread:?}");
            }
            if let Some(node) = thread.node {
                let node = self.nodes.iter().find(|found| found.id == node);
                assert!(node.is_some_and(|n| cpus(&n.cpus).contains(&thread.cpu)), "{thread:?}");
            }
        }
        let kinds = ["uniform", "performance", "efficiency", "low-power"];
        assert!(self.cores.iter().all(|core| kinds.contains(&core.kind.as_str())), "{self:?}");
        assert!(self.cores.iter().any(|core| core.rank == 0), "{self:?}");
        let holds = ["data", "instruction", "unified"];
        assert!(self.caches.iter().all(|cache| holds.contains(&cache.kind.as_str())), "{self:?}");
        assert!(["affinity", "status", "online"].contains(&self.allowed_source.as_str()));
        let sources = ["hybrid-pmu", "cpu-capacity", "max-frequency", "uniform"];
        assert!(sources.contains(&self.kinds_source.as_str()), "{self:?}");
    }
}

impl Matrix {
    /// Square, symmetric, and known but for a CPU with itself.
    fn assert_whole(&self) {
        let count = self.cpus.len();
        for (a, row) in self.one_way_ns.iter().enumerate() {
            assert_eq!((row.len(), self.is_measured[a].len()), (count, count));
            for (b, ns) in row.iter().enumerate() {
                assert_eq!(ns.is_some(), a != b, "{self:?}");
                assert!(ns.is_none_or(|ns| ns > 0.0) && *ns == self.one_way_ns[b][a], "{self:?}");
                assert!(a != b || !self.is_measured[a][b], "{self:?}");
            }
        }
        for class in &self.classes {
            assert!(class.pairs_measured > 0 && class.relation != "other", "{class:?}");
            assert!(class.one_way_ns_min <= class.one_way_ns, "{class:?}");
            assert!(class.one_way_ns <= class.one_way_ns_max, "{class:?}");
            assert!(class.kind_fast != "other" && class.kind_slow != "other", "{class:?}");
        }
    }
}

impl Plan {
    /// Every role that was asked for has its CPU and its reason.
    fn assert_whole(&self, allowed: &[usize]) {
        let count = |role| self.assignments.iter().filter(|a| a.role == role).count();
        assert_eq!((count("router"), count("worker")), (self.routers, self.workers), "{self:?}");
        assert_eq!(count("control"), self.control_threads, "{self:?}");
        for assignment in &self.assignments {
            assert_eq!(assignment.index.is_none(), assignment.role == "control", "{self:?}");
            assert!(cpus(&assignment.cpus).iter().all(|cpu| allowed.contains(cpu)), "{self:?}");
            assert!(["exclusive", "sibling", "shared"].contains(&assignment.sharing.as_str()));
            assert!(!assignment.because.is_empty(), "{self:?}");
        }
        assert!(!self.because.is_empty());
        assert!(self.rejected.iter().all(|r| !r.reason.is_empty() && !r.cpus.is_empty()));
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("it is writable");
    fs::write(path, text).expect("it is writable");
}

/// A machine that nobody has: two P-cores with two threads, four E-cores, the last two of which
/// may not be used, and a node of memory alone.
fn recorded(root: &Path) {
    let cpu_folder = root.join("sys/devices/system/cpu");
    write(&cpu_folder.join("online"), "0-7\n");
    write(&cpu_folder.join("present"), "0-8\n");
    for cpu in 0..8 {
        let (core, l2) = match cpu {
            0..4 => (format!("{}-{}", cpu & !1, cpu | 1), format!("{}-{}", cpu & !1, cpu | 1)),
            _ => (cpu.to_string(), "4-7".to_owned()),
        };
        let folder = cpu_folder.join(format!("cpu{cpu}"));
        write(&folder.join("topology/physical_package_id"), "0\n");
        write(&folder.join("topology/core_cpus_list"), &core);
        let caches = [("1", "48K", &core), ("2", "2048K", &l2), ("3", "32768K", &"0-7".to_owned())];
        for (level, size, shared) in caches {
            let cache = folder.join(format!("cache/index{level}"));
            write(&cache.join("level"), level);
            write(&cache.join("type"), if level == "1" { "Data" } else { "Unified" });
            write(&cache.join("size"), size);
            write(&cache.join("shared_cpu_list"), shared);
        }
    }
    write(&root.join("sys/devices/cpu_core/cpus"), "0-3\n");
    write(&root.join("sys/devices/cpu_atom/cpus"), "4-7\n");
    for (node, list, distances) in [("0", "0-7", "10 40"), ("1", "", "40 10")] {
        let folder = root.join(format!("sys/devices/system/node/node{node}"));
        write(&folder.join("cpulist"), list);
        write(&folder.join("distance"), distances);
        write(&folder.join("meminfo"), &format!("Node {node} MemTotal: 33554432 kB\n"));
    }
    write(&root.join("proc/self/status"), "Name:\tx\nCpus_allowed_list:\t0-5\n");
}

#[test]
fn json_is_the_promised_document() {
    let place = Place::new();
    let plain = Document::of(&succeeds(&place, "--json"));
    assert!(plain.is_live && plain.matrix.is_none() && plain.plan.is_none());
    let full = Document::of(&succeeds(&place, "--json --measure --plan"));
    let allowed = cpus(&full.allowed);
    let matrix = full.matrix.expect("it was asked for");
    assert_eq!(matrix.cpus, allowed);
    matrix.assert_whole();
    full.plan.expect("it was asked for").assert_whole(&allowed);
    place.assert_empty();
}

#[test]
fn another_machine_is_read_from_its_folder() {
    let place = Place::new();
    let root = place.runtime_folder().join("machine");
    recorded(&root);
    let arguments = format!("--sys {} --json --plan --workers 3", root.display());
    let document = Document::of(&succeeds(&place, &arguments));
    assert!(!document.is_live);
    assert_eq!((document.cores.len(), document.threads.len()), (6, 8));
    assert_eq!((document.allowed.as_str(), document.offline.as_str()), ("0-5", "8"));
    assert_eq!(
        (document.kinds_source.as_str(), document.allowed_source.as_str()),
        ("hybrid-pmu", "status")
    );
    assert_eq!(document.nodes[1].cpus, "");
    assert_eq!(document.nodes[1].memory_kib, Some(32 << 20));
    assert_eq!(document.nodes[1].distances, [40, 10]);
    assert_eq!(document.caches.last().and_then(|cache| cache.size_kib), Some(32 << 10));
    assert_eq!(document.unknown, Vec::<String>::new());
    let plan = document.plan.expect("it was asked for");
    assert_eq!((plan.workers, plan.because.as_str()), (3, "the command line says so"));
    plan.assert_whole(&[0, 1, 2, 3, 4, 5]);
    let outside = plan.rejected.iter().find(|rejected| rejected.cpus == "6-7");
    assert_eq!(outside.map(|o| o.reason.as_str()), Some("outside the allowed mask"));

    let text = succeeds(&place, &format!("--sys {} --plan", root.display()));
    for part in ["[P0-1 R0]", "(E6)", "memory only: node 1, 32 GiB", "node 0: 10 40", "not taken"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn the_drawing_has_every_thread_and_marks_the_outside_without_colour() {
    let place = Place::new();
    let root = place.runtime_folder().join("machine");
    recorded(&root);
    let file = place.runtime_folder().join("machine.svg");
    succeeds(&place, &format!("--sys {} --plan --svg {}", root.display(), file.display()));
    let svg = fs::read_to_string(&file).expect("it was written");
    let document = roxmltree::Document::parse(&svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
    let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
    for part in ["P-core", "E-core", "0", "5", "(6)", "(7)", "R0", "ctl", "node 1, 32 GiB, no cpus"]
    {
        assert!(texts.contains(&part), "no {part:?} in\n{svg}");
    }
    for name in ["title", "desc", "style"] {
        assert!(
            document
                .descendants()
                .any(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name))),
            "no {name} in\n{svg}"
        );
    }
    assert!(svg.contains("prefers-color-scheme: dark"), "{svg}");
    for foreign in ["<script", "href", "@import"] {
        assert!(!svg.contains(foreign), "{foreign} in\n{svg}");
    }
}

#[test]
fn a_measured_drawing_has_the_map() {
    let place = Place::new();
    let file = place.runtime_folder().join("machine.svg");
    let text = succeeds(&place, &format!("--measure --svg {}", file.display()));
    let svg = fs::read_to_string(&file).expect("it was written");
    match text.contains("nothing to draw") {
        true => assert!(!svg.contains("latency"), "one cpu has no pair:\n{svg}"),
        false => assert!(svg.contains("one-way cache-line latency in ns"), "{svg}"),
    }
}

#[test]
fn terminals_of_80_and_of_40_columns_are_wide_enough() {
    for columns in [80, 40] {
        let place = Place::new();
        let terminals = Output::Terminals { columns };
        let ended = place.start(command(&place, "--measure --plan"), terminals).wait();
        assert_eq!(ended.code(), 0, "{}\n{}", ended.stdout, ended.stderr);
        let size = |n| std::num::NonZeroU16::new(n).expect("it is not zero");
        let mut screen = vt100::Parser::new(size(500), size(columns), 0);
        screen.process(ended.stdout.as_bytes());
        let wrapped = (0..500).filter(|row| screen.screen().row_wrapped(*row)).count();
        let text = screen.screen().contents();
        assert_eq!(wrapped, 0, "wider than {columns} columns:\n{text}");
        for part in ["R0", "L", "router 0", "control", "allowed cores"] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        assert!(ended.stdout.contains('\u{1b}'), "a terminal gets colours:\n{text}");
    }
}

#[test]
fn one_cpu_is_enough() {
    let run = thread::spawn(|| {
        let allowed = sched_getaffinity(None).expect("a thread has an affinity");
        let mut one = CpuSet::new();
        let cpu = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu));
        let cpu = cpu.expect("a thread may run somewhere");
        one.set(cpu);
        sched_setaffinity(None, &one).expect("a narrower affinity is allowed");
        let place = Place::new();
        let text = succeeds(&place, "--measure --plan");
        assert!(text.contains(&format!("allowed cpus: {cpu}\n")), "{text}");
        assert!(text.contains("no pair of cpus has a latency"), "{text}");
        let document = Document::of(&succeeds(&place, "--json --measure --plan"));
        document.plan.expect("it was asked for").assert_whole(&[cpu]);
        assert_eq!(document.matrix.expect("it was asked for").cpus, [cpu]);
    });
    run.join().expect("its assertions hold");
}

#[test]
fn a_folder_without_a_machine_is_an_error_with_a_remedy() {
    let place = Place::new();
    let ended = run(&place, &format!("--sys {}", place.runtime_folder().display()));
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    for part in ["error[CL-1170]: no cpu is found under", "sys/devices/system/cpu"] {
        assert!(ended.stderr.contains(part), "no {part:?} in\n{}", ended.stderr);
    }
    let broken = place.runtime_folder().join("broken");
    write(&broken.join("sys/devices/system/cpu/online"), "zero\n");
    let ended = run(&place, &format!("--sys {}", broken.display()));
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("cpu/online"), "{}", ended.stderr);
}

#[test]
fn without_sys_it_says_what_it_does_not_know() {
    let place = Place::new();
    let mut command = place.command("unshare");
    let line = "mount -t tmpfs none /sys || exit 77; exec \"$0\" topo --plan";
    command.args(["--mount", "sh", "-c", line, env!("CARGO_BIN_EXE_corelane")]);
    if Command::new("unshare").arg("--version").output().is_err() {
        return println!("skipped: there is no unshare to take /sys away with");
    }
    let ended = place.start(command, Output::Pipes).wait();
    if ended.code() != 0 && ended.stdout.is_empty() && !ended.stderr.contains("corelane: ") {
        return println!("skipped: /sys cannot be taken away here: {}", ended.stderr.trim());
    }
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    for part in ["cache unknown", "not known: online cpus", "not known: numa nodes", "router 0"] {
        assert!(ended.stdout.contains(part), "no {part:?} in\n{}", ended.stdout);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::new();
    let cases = [
        ("--measure --sys /", 2, "cannot be used with"),
        ("--routers 2", 2, "--plan"),
        ("--plan --workers 1025", 2, "0..=1024"),
        ("--svg -", 2, "goes to a file"),
        ("--svg /nonexistent/machine.svg", 1, "/nonexistent/machine.svg"),
        ("--svg /nonexistent/machine.svg", 1, "error[CL-1171]"),
        ("--speed", 2, "--help"),
    ];
    for (arguments, code, expected) in cases {
        let ended = run(&place, arguments);
        assert_eq!((ended.code(), ended.stdout.as_str()), (code, ""), "{arguments}");
        assert!(ended.stderr.contains(expected), "no {expected:?} in\n{}", ended.stderr);
    }
    place.assert_empty();
}
