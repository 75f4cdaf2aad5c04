//! Planning on imagined machines with planted latencies.

use super::*;
use crate::SysRoot;
use crate::testing::{hybrid, masked, tree, two_packages, uniform};
use proptest::prelude::*;

fn read(text: &str) -> Topology {
    Topology::read(&SysRoot::new(tree(text).path())).unwrap()
}

fn request(routers: usize, workers: usize, control_threads: usize) -> PlanRequest {
    PlanRequest { routers, workers, control_threads }
}

fn cpu_of(plan: &Plan, role: Role) -> usize {
    plan.assignment(role).unwrap().cpus.first().unwrap()
}

fn sharing_of(plan: &Plan, role: Role) -> Sharing {
    plan.assignment(role).unwrap().sharing
}

#[test]
fn router_goes_where_the_planted_latencies_are_low() {
    let topology = read(&uniform(6));
    // Cores 2, 3 and 5 are near to each other, 2 is nearest of all; the others are far.
    let near = [((2, 3), 30.0), ((2, 5), 35.0), ((3, 5), 70.0)];
    let far = (0..6).flat_map(|a| (a + 1..6).map(move |b| ((a, b), 200.0)));
    let matrix = LatencyMatrix::from_one_way_ns(&topology, far.chain(near));
    let plan = plan(&topology, Some(&matrix), &request(1, 2, 1));
    assert_eq!(cpu_of(&plan, Role::Router(0)), 2);
    assert_eq!(cpu_of(&plan, Role::Worker(0)), 3);
    assert_eq!(cpu_of(&plan, Role::Worker(1)), 5);
    assert!(![2, 3, 5].contains(&cpu_of(&plan, Role::Control)));
    assert!(!plan.must_yield());
    let because = &plan.assignment(Role::Router(0)).unwrap().because;
    assert!(because.contains("32 ns measured"), "{because}");
    assert!(plan.rejected.iter().any(|r| r.reason.contains("against 32 ns")), "{plan:?}");
}

#[test]
fn hybrid_keeps_routers_on_p_cores_and_control_on_an_e_core() {
    let topology = read(&hybrid());
    let plan = plan(&topology, None, &request(2, 4, 1));
    for router in [cpu_of(&plan, Role::Router(0)), cpu_of(&plan, Role::Router(1))] {
        assert!([0, 2, 4, 6].contains(&router), "{router}");
    }
    let workers: CpuSet = (0..4).map(|i| cpu_of(&plan, Role::Worker(i))).collect();
    assert_eq!(workers.iter().filter(|cpu| *cpu < 8).count(), 2, "P-cores first: {workers}");
    assert!(cpu_of(&plan, Role::Control) >= 8);
    assert!(plan.assignments.iter().all(|a| a.sharing == Sharing::Exclusive), "{plan:#?}");
    let idle = plan.rejected.iter().find(|r| r.reason.starts_with("left idle")).unwrap();
    assert_eq!(idle.cpus.to_string(), "1,3,5,7");
    assert!(plan.rejected.iter().any(|r| r.reason.contains("E-core is slower")));
}

#[test]
fn siblings_are_used_only_when_no_whole_core_is_left() {
    let topology = read(&hybrid());
    let plan = plan(&topology, None, &request(1, 8, 0));
    let on_siblings = |a: &&Assignment| [1, 3, 5, 7].contains(&a.cpus.first().unwrap());
    let siblings: Vec<_> = plan.assignments.iter().filter(on_siblings).collect();
    assert_eq!(siblings.len(), 1, "{plan:#?}");
    assert_eq!(siblings[0].sharing, Sharing::Sibling);
    assert!(siblings[0].because.contains("no whole core"));
    let router = cpu_of(&plan, Role::Router(0));
    assert_ne!(siblings[0].cpus.first(), Some(router + 1), "the router's core is kept to itself");
    assert!(!plan.must_yield());
}

#[test]
fn workers_fill_the_routers_node_first() {
    let topology = read(&two_packages());
    let plan = plan(&topology, None, &request(2, 3, 0));
    let node_of = |role| topology.thread(cpu_of(&plan, role)).unwrap().node.unwrap();
    let node = node_of(Role::Router(0));
    assert_eq!(node_of(Role::Router(1)), node, "routers share a cache");
    assert_eq!([0, 1].map(|i| node_of(Role::Worker(i))), [node, node]);
    assert_ne!(node_of(Role::Worker(2)), node);
    assert!(plan.assignment(Role::Worker(2)).unwrap().because.contains("no core is left"));
}

#[test]
fn the_faster_package_wins_when_it_is_measured() {
    let topology = read(&two_packages());
    let ns = |a: usize, b: usize| if a >= 4 && b >= 4 { 40.0 } else { 120.0 };
    let pairs = (0..8).flat_map(|a| (a + 1..8).map(move |b| ((a, b), ns(a, b))));
    let matrix = LatencyMatrix::from_one_way_ns(&topology, pairs);
    let plan = plan(&topology, Some(&matrix), &request(1, 3, 1));
    assert!(cpu_of(&plan, Role::Router(0)) >= 4);
    assert!((0..3).all(|i| cpu_of(&plan, Role::Worker(i)) >= 4), "{plan:#?}");
}

#[test]
fn routers_share_a_cache_even_when_a_core_elsewhere_is_nearer_to_its_own() {
    let topology = read(&two_packages());
    let near = [((0, 1), 40.0), ((0, 2), 40.0), ((4, 5), 50.0), ((4, 6), 50.0)];
    let far = (0..8).flat_map(|a| (a + 1..8).map(move |b| ((a, b), 300.0)));
    let matrix = LatencyMatrix::from_one_way_ns(&topology, far.chain(near));
    let plan = plan(&topology, Some(&matrix), &request(2, 1, 0));
    assert_eq!([0, 1].map(|i| cpu_of(&plan, Role::Router(i))), [0, 1]);
    let elsewhere = plan.rejected.iter().find(|r| r.reason.contains("does not share")).unwrap();
    assert_eq!(elsewhere.cpus.to_string(), "4-7");
}

#[test]
fn too_many_routers_leave_the_workers_half_of_the_cpus() {
    let plan = plan(&read(&uniform(2)), None, &request(3, 1, 0));
    let routers: CpuSet = (0..3).map(|i| cpu_of(&plan, Role::Router(i))).collect();
    assert_eq!(routers.len(), 1, "{plan:#?}");
    assert_eq!(sharing_of(&plan, Role::Worker(0)), Sharing::Exclusive);
    assert_eq!(sharing_of(&plan, Role::Router(2)), Sharing::Shared);
}

#[test]
fn one_core_shares_everything_and_says_so() {
    let plan = plan(&read(&uniform(1)), None, &request(1, 2, 1));
    assert_eq!(plan.assignments.len(), 4);
    assert!(plan.assignments.iter().all(|a| a.cpus == CpuSet::single(0)));
    assert!(plan.assignments.iter().all(|a| a.because.contains("must yield")), "{plan:#?}");
    assert!(plan.must_yield());
}

#[test]
fn two_cores_give_the_router_one_of_its_own() {
    let plan = plan(&read(&uniform(2)), None, &request(1, 2, 1));
    let router = cpu_of(&plan, Role::Router(0));
    assert_eq!(sharing_of(&plan, Role::Router(0)), Sharing::Exclusive);
    for role in [Role::Worker(0), Role::Worker(1), Role::Control] {
        assert_ne!(cpu_of(&plan, role), router);
        assert_eq!(sharing_of(&plan, role), Sharing::Shared);
    }
    assert_eq!(plan.roles_on(router).count(), 1);
}

#[test]
fn a_mask_of_one_is_kept() {
    let topology = read(&(hybrid() + "allowed=9\n"));
    let plan = plan(&topology, None, &Plan::default_request(&topology).request);
    assert!(plan.assignments.iter().all(|a| a.cpus == CpuSet::single(9)), "{plan:#?}");
    let outside = plan.rejected.iter().find(|r| r.reason.contains("mask")).unwrap();
    assert_eq!(outside.cpus.len(), 11);
}

#[test]
fn no_known_cpu_lets_the_threads_float() {
    let topology = read("allowed=\n");
    let plan = plan(&topology, None, &request(1, 1, 1));
    assert_eq!(plan.assignments.len(), 3);
    assert!(plan.must_yield() && plan.assignments.iter().all(|a| a.cpus.is_empty()));
}

#[test]
fn default_request_grows_with_the_cores() {
    for (cores, routers, workers) in
        [(1, 1, 2), (2, 1, 2), (4, 1, 2), (7, 1, 5), (8, 2, 5), (15, 2, 12), (16, 3, 12)]
    {
        let suggested = Plan::default_request(&read(&uniform(cores)));
        assert_eq!(suggested.request, request(routers, workers, 1), "{cores}");
        assert!(suggested.because.contains(&format!("{cores} allowed cores")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// PL-1 and PL-2 for any mask and request.
    #[test]
    fn plans_stay_inside_the_mask(
        machine in 0..3usize,
        mask in prop::collection::btree_set(0..14usize, 0..14),
        counts in (0..6usize, 0..12usize, 0..3usize),
        planted in prop::collection::vec(1.0..500.0f64, 0..66),
    ) {
        let topology = masked(machine, mask);
        let pairs = (0..12).flat_map(|a| (a + 1..12).map(move |b| (a, b)));
        let matrix = LatencyMatrix::from_one_way_ns(&topology, pairs.zip(planted));
        let request = request(counts.0, counts.1, counts.2);
        for latencies in [None, Some(&matrix)] {
            let plan = plan(&topology, latencies, &request);
            let expected = counts.0 + counts.1 + usize::from(counts.2 > 0);
            prop_assert_eq!(plan.assignments.len(), expected);
            for a in &plan.assignments {
                prop_assert!(a.cpus.is_subset(&topology.allowed) && !a.because.is_empty());
                prop_assert_eq!(a.cpus.is_empty(), topology.allowed.is_empty());
                let core = |a: &Assignment| topology.thread(a.cpus.first()?).map(|t| t.core);
                let others = plan.assignments.iter().filter(|b| b.role != a.role);
                if a.sharing == Sharing::Exclusive {
                    prop_assert!(others.clone().all(|b| core(b) != core(a)), "{:#?}", plan);
                }
                if a.sharing == Sharing::Sibling {
                    prop_assert!(others.clone().all(|b| b.cpus != a.cpus), "{:#?}", plan);
                }
                if a.sharing == Sharing::Shared && !a.cpus.is_empty() {
                    prop_assert!(others.clone().any(|b| b.cpus == a.cpus), "{:#?}", plan);
                }
            }
            prop_assert!(plan.rejected.iter().all(|r| !r.cpus.is_empty()));
        }
    }
}
