//! The machine the tests run on, whatever it is: read, measured, planned and pinned.

use corelane_topology::{
    PingPongOptions, Plan, SysRoot, Topology, allowed_cpus, measure_matrix, pin_current_thread_to,
    plan,
};
use std::ops::ControlFlow;
use std::thread;

#[test]
fn read_measure_plan_and_pin() {
    let topology = Topology::read(&SysRoot::default()).unwrap();
    assert!(topology.is_live);
    assert_eq!(topology.allowed, allowed_cpus().unwrap());
    assert!(topology.allowed.is_subset(&topology.online));

    let options = PingPongOptions { passes: 3, round_trips_per_pass: 200, ..Default::default() };
    let mut steps = Vec::new();
    let matrix = measure_matrix(&topology, &options, |step| {
        steps.push(step);
        ControlFlow::Continue(())
    });
    let matrix = matrix.unwrap();
    assert!(steps.iter().enumerate().all(|(i, step)| step.done == i + 1));
    assert_eq!(steps.last().map_or(0, |step| step.total), steps.len());
    for a in matrix.cpus() {
        for b in matrix.cpus() {
            let cell = matrix.cell(*a, *b);
            assert_eq!(cell.is_some(), a != b);
            assert!(cell.is_none_or(|cell| cell.one_way_ns > 0.0));
        }
    }

    let plan = plan(&topology, Some(&matrix), &Plan::default_request(&topology).request);
    for assignment in plan.assignments {
        let pinned = thread::spawn(move || {
            pin_current_thread_to(&assignment.cpus).unwrap();
            allowed_cpus().unwrap() == assignment.cpus
        });
        assert!(pinned.join().unwrap());
    }
}

#[test]
fn a_measurement_that_is_broken_off_keeps_what_it_has() {
    let topology = Topology::read(&SysRoot::default()).unwrap();
    let options = PingPongOptions { passes: 1, round_trips_per_pass: 100, ..Default::default() };
    let mut steps = Vec::new();
    let matrix = measure_matrix(&topology, &options, |step| {
        steps.push(step);
        ControlFlow::Break(())
    });
    let matrix = matrix.unwrap();
    assert!(steps.len() <= 1, "{steps:?}");
    let cpus = matrix.cpus();
    let pairs = cpus.iter().flat_map(|a| cpus.iter().map(move |b| (*a, *b))).filter(|(a, b)| a < b);
    assert_eq!(pairs.filter(|(a, b)| matrix.cell(*a, *b).is_some()).count(), steps.len());
}
