//! What a drawing says, and that it says it in well-formed XML.

use super::*;
use crate::testing::{hybrid, masked, tree, two_packages, uniform};
use crate::{Plan, SysRoot, plan};
use proptest::prelude::*;

fn read(text: &str) -> Topology {
    Topology::read(&SysRoot::new(tree(text).path())).unwrap()
}

fn planned(topology: &Topology) -> Plan {
    plan(topology, None, &Plan::default_request(topology).request)
}

/// Texts of the elements of this name that carry this class.
fn texts(svg: &str, name: &str, class: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
    let is_asked = |node: &roxmltree::Node<'_, '_>| {
        let classes = node.attribute("class").unwrap_or_default();
        node.has_tag_name(("http://www.w3.org/2000/svg", name))
            && classes.split(' ').any(|word| word == class)
    };
    let text = |node: roxmltree::Node<'_, '_>| node.text().unwrap_or_default().to_owned();
    document.descendants().filter(is_asked).map(text).collect()
}

#[test]
fn every_thread_has_its_box_and_the_outside_is_marked_without_colour() {
    let topology = read(&(hybrid() + "allowed=0-10\n"));
    let svg = draw_svg(&topology, Some(&planned(&topology)), None);
    let mut cpus: Vec<String> = (0..11).map(|cpu| cpu.to_string()).collect();
    cpus.push("(11)".to_owned());
    assert_eq!(texts(&svg, "text", "cpu"), cpus);
    assert_eq!(texts(&svg, "g", "p-core").len(), 4);
    assert_eq!(texts(&svg, "g", "e-core").len(), 4);
    // The four E-cores share an L2; each P-core has its own, in its box.
    assert_eq!(texts(&svg, "g", "second").len(), 1);
    assert_eq!(texts(&svg, "text", "note").iter().filter(|note| *note == "L2 2 MiB").count(), 4);
    // One in the drawing, one in the legend.
    assert_eq!(texts(&svg, "g", "outside").len(), 2);
    for words in ["( ): outside the allowed mask", "allowed cpus: 0-10", "L3 32 MiB"] {
        assert!(svg.contains(words), "{words} is missing in\n{svg}");
    }
}

#[test]
fn roles_and_their_reasons_are_in_it() {
    let topology = read(&two_packages());
    let plan = planned(&topology);
    let svg = draw_svg(&topology, Some(&plan), None);
    assert_eq!(texts(&svg, "text", "role").len(), 8, "{svg}");
    for assignment in &plan.assignments {
        assert!(svg.contains(&escape(&assignment.because)), "{assignment:?}\n{svg}");
    }
    let description = format!("{} on cpu {}", Role::Control, plan.assignments.last().unwrap().cpus);
    assert!(svg.contains(&description), "{svg}");
    assert_eq!(texts(&draw_svg(&topology, None, None), "text", "role").len(), 0);
}

#[test]
fn a_node_without_cpus_is_drawn() {
    let memory = "file=sys/devices/system/node/node7/meminfo Node 7 MemTotal: 16777216 kB\n";
    let text = uniform(2) + memory;
    let svg = draw_svg(&read(&text), None, None);
    assert!(svg.contains("node 7, 16 GiB, no cpus"), "{svg}");
}

#[test]
fn measured_pairs_are_squares_with_numbers_and_shades_when_there_are_many() {
    let pairs = |count: usize| {
        (0..count).flat_map(move |a| (a + 1..count).map(move |b| ((a, b), 40.0 + b as f64)))
    };
    for (count, numbers) in [(4, 12), (30, 0)] {
        let topology = read(&uniform(count));
        let matrix = LatencyMatrix::from_one_way_ns(&topology, pairs(count));
        let svg = draw_svg(&topology, None, Some(&matrix));
        assert_eq!(texts(&svg, "text", "role").len(), numbers);
        assert_eq!(texts(&svg, "rect", "heat").len(), count * (count - 1) + 1);
        assert!(svg.contains("cpus 1 and 0: 41 ns"), "{svg}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_well_formed_on_every_machine(
        machine in 0..3usize,
        mask in prop::collection::btree_set(0..12usize, 0..12),
    ) {
        let topology = masked(machine, mask);
        let svg = draw_svg(&topology, Some(&planned(&topology)), None);
        prop_assert_eq!(texts(&svg, "text", "cpu").len(), topology.threads.len());
    }
}
