//! Width, content and fallbacks of the drawings.

use super::*;
use crate::testing::{hybrid, masked, tree, two_packages, uniform};
use crate::{LatencyMatrix, Plan, SysRoot, Topology, plan};
use proptest::prelude::*;

fn read(text: &str) -> Topology {
    Topology::read(&SysRoot::new(tree(text).path())).unwrap()
}

fn planned(topology: &Topology) -> Plan {
    plan(topology, None, &Plan::default_request(topology).request)
}

/// A latency that falls with nearness of the numbers.
fn matrix(topology: &Topology, measured: usize) -> LatencyMatrix {
    let pairs = (0..measured).flat_map(|a| (a + 1..measured).map(move |b| (a, b)));
    LatencyMatrix::from_one_way_ns(topology, pairs.map(|(a, b)| ((a, b), 40.0 + (b - a) as f64)))
}

fn plain(columns: usize) -> RenderStyle {
    RenderStyle { columns, ..RenderStyle::default() }
}

/// Visible characters: escapes end with `m`.
fn width(line: &str) -> usize {
    let mut is_escape = false;
    let visible = line.chars().filter(|c| {
        let hidden = is_escape || *c == '\u{1b}';
        is_escape = hidden && *c != 'm';
        !hidden
    });
    visible.count()
}

#[test]
fn drawing_names_kinds_roles_and_what_is_not_allowed() {
    let topology = read(&(hybrid() + "allowed=0-10\n"));
    let drawn = draw_topology(&topology, Some(&planned(&topology)), &plain(100));
    assert!(drawn.starts_with("1 package, 1 node, 8 cores, 12 threads\n"), "{drawn}");
    for part in ["[P0-1 R0]", "(E11)", "ctl]", "L3 32 MiB", "P P-core, E E-core", "0-10"] {
        assert!(drawn.contains(part), "{part} is missing in\n{drawn}");
    }
    assert!(drawn.is_ascii());
    let compact = draw_topology(&topology, Some(&planned(&topology)), &plain(40));
    assert!(compact.starts_with("1p 1n 8c 12t\np0 n0 L3 32 MiB\n"), "{compact}");
}

#[test]
fn drawing_says_what_is_not_known() {
    let drawn = draw_topology(&read("allowed=3\n"), None, &plain(100));
    assert!(drawn.contains("C3") && drawn.contains("cache unknown"), "{drawn}");
    assert!(drawn.contains("not known: numa nodes"), "{drawn}");
}

#[test]
fn heat_map_shrinks_from_numbers_to_shades_to_classes() {
    let topology = read(&uniform(12));
    let matrix = matrix(&topology, 12);
    let rows = |columns| draw_matrix(&matrix, &plain(columns)).lines().count();
    let wide = draw_matrix(&matrix, &plain(100));
    assert!(wide.lines().nth(2).unwrap().starts_with(" 0    .   41   42"), "{wide}");
    assert_eq!((rows(100), rows(40), rows(12)), (1 + 13 + 1, 1 + 12 + 1, 4 + 1));
    assert!(draw_matrix(&matrix, &plain(40)).contains("shared cache: 44 ns, 41 to 51"));
}

#[test]
fn derived_cells_are_marked() {
    let topology = read(&uniform(6));
    let drawn = draw_matrix(&matrix(&topology, 2), &plain(100));
    assert!(drawn.contains("~41") && drawn.contains(" 41"), "{drawn}");
}

#[test]
fn one_cpu_has_nothing_to_draw() {
    let drawn = draw_matrix(&matrix(&read(&uniform(1)), 1), &plain(80));
    assert_eq!(drawn, "no pair of cpus has a latency: nothing to draw\n");
}

#[test]
fn color_is_used_only_when_allowed() {
    let topology = read(&two_packages());
    let color = RenderStyle { has_color: true, ..plain(80) };
    for (with, without) in [
        (
            draw_matrix(&matrix(&topology, 8), &color),
            draw_matrix(&matrix(&topology, 8), &plain(80)),
        ),
        (
            draw_topology(&topology, Some(&planned(&topology)), &color),
            draw_topology(&topology, Some(&planned(&topology)), &plain(80)),
        ),
    ] {
        assert!(with.contains("\u{1b}[") && !without.contains('\u{1b}'));
    }
}

#[test]
fn plan_gives_every_reason() {
    let topology = read(&hybrid());
    let plan = planned(&topology);
    let drawn = draw_plan(&plan, &plain(300));
    assert_eq!(drawn.lines().count(), plan.assignments.len() + plan.rejected.len());
    assert!(plan.assignments.iter().all(|a| drawn.contains(&a.because)), "{drawn}");
}

#[test]
fn details_count_caches_and_name_memory_without_cpus() {
    let far = "file=sys/devices/system/node/node7/meminfo Node 7 MemTotal: 16777216 kB\n";
    let drawn = draw_details(&read(&(two_packages() + far)), &plain(100));
    for line in
        ["caches: 8 L2 of 2 MiB, 2 L3 of 32 MiB", "memory only: node 7, 16 GiB", "node 1: 21 10"]
    {
        assert!(drawn.contains(line), "{line} is missing in\n{drawn}");
    }
    assert_eq!(draw_details(&read("allowed=3\n"), &plain(100)), "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_line_is_too_long(
        columns in 0..140usize,
        machine in 0..3usize,
        mask in prop::collection::btree_set(0..12usize, 0..12),
        has_color: bool,
        has_unicode: bool,
    ) {
        let topology = masked(machine, mask);
        let plan = planned(&topology);
        let style = RenderStyle { columns, has_color, has_unicode };
        for drawn in [
            draw_topology(&topology, Some(&plan), &style),
            draw_matrix(&matrix(&topology, 12), &style),
            draw_plan(&plan, &style),
            draw_details(&topology, &style),
            wrap_words("some words that are too long for one line", &style),
        ] {
            for line in drawn.lines() {
                prop_assert!(width(line) <= columns, "{} columns: {:?}", columns, line);
            }
            prop_assert!(has_unicode || drawn.is_ascii());
        }
    }
}
