//! Tests of the engine: its rules one by one, then random runs against all of its invariants.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const TURNS: Choice = Choice::Turns;

fn stage(agents: &[u32], choice: Choice) -> StagePlan {
    StagePlan { agents: agents.to_vec(), choice }
}

/// The series of a record is its first byte.
fn series(record: &[u8]) -> u64 {
    record.first().copied().unwrap_or(0).into()
}

fn ask(flow: &mut Flow) -> Option<(u64, usize, u32)> {
    flow.next_ask(series).map(|Ask { item, stage, agent }| (item, stage, agent))
}

fn passed(flow: &mut Flow) -> Option<(u64, Vec<u8>)> {
    match flow.next_done()? {
        Done { item, outcome: Outcome::Passed(record) } => Some((item, record)),
        done => panic!("{done:?}"),
    }
}

#[test]
fn an_item_goes_from_stage_to_stage_and_takes_turns_with_the_agents() {
    let mut flow = Flow::new(vec![stage(&[1, 2], TURNS), stage(&[3], TURNS)], 8);
    flow.admit(b"a".to_vec());
    flow.admit(b"b".to_vec());
    assert_eq!((ask(&mut flow), ask(&mut flow)), (Some((0, 0, 1)), Some((1, 0, 2))));
    assert_eq!(ask(&mut flow), None);
    flow.answered(0, Verdict::Pass(b"A"));
    assert_eq!((flow.record(0), flow.stage(0)), (&b"A"[..], 1));
    assert_eq!(ask(&mut flow), Some((0, 1, 3)));
    assert_eq!(passed(&mut flow), None);
    flow.answered(0, Verdict::Pass(b"AA"));
    assert_eq!(passed(&mut flow), Some((0, b"AA".to_vec())));
    assert!(!flow.is_empty());
}

#[test]
fn items_leave_in_the_order_of_their_admission() {
    let mut flow = Flow::new(vec![stage(&[1], TURNS)], 8);
    (0..3).for_each(|item| flow.admit(vec![item]));
    flow.admit_failed("too long".to_owned());
    while ask(&mut flow).is_some() {}
    flow.answered(2, Verdict::Pass(b"c"));
    flow.failed(1, "no".to_owned());
    assert_eq!(flow.next_done(), None);
    flow.answered(0, Verdict::Drop);
    let outcomes: Vec<_> = std::iter::from_fn(|| flow.next_done()).collect();
    let failed = |stage, reason: &str| Outcome::Failed { stage, reason: reason.to_owned() };
    assert_eq!(outcomes.iter().map(|done| done.item).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(outcomes[0].outcome, Outcome::Dropped);
    assert_eq!(outcomes[1].outcome, failed(Some(0), "no"));
    assert_eq!(outcomes[2].outcome, Outcome::Passed(b"c".to_vec()));
    assert_eq!(outcomes[3].outcome, failed(None, "too long"));
    assert!(flow.is_empty());
}

#[test]
fn an_agent_that_must_be_idle_is_asked_one_thing_at_a_time() {
    let mut flow = Flow::new(vec![stage(&[1, 2], Choice::Idle)], 8);
    (0..3).for_each(|item| flow.admit(vec![item]));
    assert_eq!((ask(&mut flow), ask(&mut flow)), (Some((0, 0, 1)), Some((1, 0, 2))));
    assert_eq!(ask(&mut flow), None);
    flow.answered(1, Verdict::Drop);
    assert_eq!(ask(&mut flow), Some((2, 0, 2)));
}

#[test]
fn no_more_is_open_and_in_flight_than_allowed() {
    let mut flow = Flow::new(vec![stage(&[1], TURNS)], 2);
    while flow.has_room() {
        flow.admit(Vec::new());
    }
    assert_eq!(flow.items.len(), 2 * WINDOW);
    assert_eq!((ask(&mut flow), ask(&mut flow)), (Some((0, 0, 1)), Some((1, 0, 1))));
    assert_eq!(ask(&mut flow), None);
    flow.answered(1, Verdict::Drop);
    assert_eq!(ask(&mut flow), Some((2, 0, 1)));
}

/// At a stage in order and at one that takes turns.
#[test]
fn only_what_was_asked_goes_on_when_the_rest_is_abandoned() {
    for choice in [TURNS, Choice::Series] {
        let mut flow = Flow::new(vec![stage(&[1], choice), stage(&[2], choice)], 3);
        (0..5).for_each(|item| flow.admit(vec![item]));
        flow.admit_failed("too long".to_owned());
        (0..3).for_each(|_| _ = ask(&mut flow));
        flow.answered(0, Verdict::Pass(b"a"));
        flow.expired(1);
        flow.answered(2, Verdict::Drop);
        assert_eq!(flow.abandon_unasked(), 2, "0 at the second stage, 1 once more at the first");
        assert_eq!((ask(&mut flow), ask(&mut flow)), (Some((0, 1, 2)), Some((1, 0, 1))));
        assert_eq!(ask(&mut flow), None);
        flow.answered(0, Verdict::Drop);
        flow.answered(1, Verdict::Drop);
        let outcomes: Vec<_> = std::iter::from_fn(|| Some(flow.next_done()?.outcome)).collect();
        assert_eq!(outcomes[..3], [const { Outcome::Dropped }; 3]);
        assert_eq!(outcomes[3..5], [const { Outcome::Abandoned }; 2]);
        assert!(outcomes.len() == 6 && flow.is_empty());
    }
}

#[test]
fn a_series_keeps_its_agent_and_its_order() {
    let stages = vec![stage(&[1, 2, 3], TURNS), stage(&[8, 9], Choice::Series)];
    let mut flow = Flow::new(stages, 8);
    (0..4).for_each(|item| flow.admit(vec![item % 2]));
    (0..4).for_each(|item| assert_eq!(ask(&mut flow).unwrap().0, item));
    for item in [2, 1, 3] {
        flow.answered(item, Verdict::Pass(&[item as u8 % 2]));
    }
    // Item 0 comes to the second stage later, and the others wait for it.
    assert_eq!(ask(&mut flow), None);
    flow.answered(0, Verdict::Pass(&[0]));
    let asked: Vec<_> = std::iter::from_fn(|| ask(&mut flow)).collect();
    assert_eq!(asked, [(0, 1, 8), (1, 1, 9), (2, 1, 8), (3, 1, 9)]);
}

#[test]
fn an_item_without_an_answer_is_asked_again_and_then_given_up() {
    let mut flow = Flow::new(vec![stage(&[1, 2], TURNS)], 8);
    flow.admit(b"a".to_vec());
    for agent in [1, 2, 1] {
        assert_eq!(ask(&mut flow), Some((0, 0, agent)));
        flow.expired(0);
    }
    assert_eq!(ask(&mut flow), None);
    let Some(Done { outcome: Outcome::Failed { stage: Some(0), reason }, .. }) = flow.next_done()
    else {
        panic!("it was given up")
    };
    assert!(reason.contains("asked 3 times"), "{reason}");
}

#[test]
fn what_is_told_of_an_item_that_is_not_asked_changes_nothing() {
    let mut flow = Flow::new(vec![stage(&[1], TURNS)], 8);
    flow.admit(b"a".to_vec());
    flow.answered(0, Verdict::Drop);
    flow.failed(0, String::new());
    flow.expired(0);
    flow.answered(7, Verdict::Drop);
    assert_eq!(flow.next_done(), None);
    assert_eq!(ask(&mut flow), Some((0, 0, 1)));
    flow.answered(0, Verdict::Pass(b"b"));
    flow.answered(0, Verdict::Drop);
    assert_eq!(passed(&mut flow), Some((0, b"b".to_vec())));
}

/// What a random run does next: which of the open questions ends, and how.
#[derive(Debug, Clone, Copy)]
enum Step {
    Admit(u8),
    Refuse,
    Ask,
    Pass(usize),
    Drop(usize),
    Fail(usize),
    Expire(usize),
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(Step::Admit),
        1 => Just(Step::Refuse),
        8 => Just(Step::Ask),
        6 => any::<usize>().prop_map(Step::Pass),
        1 => any::<usize>().prop_map(Step::Drop),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Expire),
        2 => Just(Step::Take),
    ];
    proptest::collection::vec(step, 0..400)
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = prop_oneof![Just(Choice::Turns), Just(Choice::Idle), Just(Choice::Series)];
    proptest::collection::vec(choice, 1..4)
}

proptest! {
    /// FL-1 to FL-5 hold in every run, and every run can be brought to its end.
    #[test]
    fn the_invariants_hold(choices in choices(), steps in steps(), open_max in 1..6_usize) {
        let plan = |(index, choice): (usize, &Choice)| {
            let first = index as u32 * 10;
            stage(&[first, first + 1, first + 2], *choice)
        };
        let stages: Vec<_> = choices.iter().enumerate().map(plan).collect();
        let mut flow = Flow::new(stages.clone(), open_max);
        // Item to its stage and agent.
        let mut open: BTreeMap<u64, (usize, u32)> = BTreeMap::new();
        let (mut admitted, mut taken) = (0_u64, 0_u64);
        let mut last_asked: Vec<Option<u64>> = vec![None; choices.len()];
        let mut expired: Vec<u64> = Vec::new();
        let end = std::iter::repeat_n([Step::Ask, Step::Pass(0), Step::Take], 2_000).flatten();
        for step in steps.into_iter().chain(end) {
            let chosen = |at: usize| open.keys().nth(at % open.len().max(1)).copied();
            match step {
                Step::Admit(_) | Step::Refuse if !flow.has_room() => {}
                Step::Admit(byte) => {
                    flow.admit(vec![byte]);
                    admitted += 1;
                }
                Step::Refuse => {
                    flow.admit_failed(String::new());
                    admitted += 1;
                }
                Step::Ask => if let Some(Ask { item, stage, agent }) = flow.next_ask(series) {
                    prop_assert!(open.insert(item, (stage, agent)).is_none(), "asked twice");
                    prop_assert!(stages[stage].agents.contains(&agent));
                    match choices[stage] {
                        Choice::Turns => {}
                        Choice::Idle => {
                            let busy = open.values().filter(|(_, busy)| *busy == agent).count();
                            prop_assert_eq!(busy, 1);
                        }
                        Choice::Series => {
                            let own = series(flow.record(item)) as usize % 3;
                            prop_assert_eq!(stages[stage].agents[own], agent);
                            if !expired.contains(&item) {
                                prop_assert!(last_asked[stage].is_none_or(|last| last < item));
                                last_asked[stage] = Some(item);
                            }
                        }
                    }
                },
                Step::Pass(at) => if let Some(item) = chosen(at) {
                    open.remove(&item);
                    expired.retain(|other| *other != item);
                    let record = flow.record(item).to_vec();
                    flow.answered(item, Verdict::Pass(&record));
                },
                Step::Drop(at) => if let Some(item) = chosen(at) {
                    open.remove(&item);
                    flow.answered(item, Verdict::Drop);
                },
                Step::Fail(at) => if let Some(item) = chosen(at) {
                    open.remove(&item);
                    flow.failed(item, String::new());
                },
                Step::Expire(at) => if let Some(item) = chosen(at) {
                    open.remove(&item);
                    expired.push(item);
                    flow.expired(item);
                },
                Step::Take => while let Some(done) = flow.next_done() {
                    prop_assert_eq!(done.item, taken);
                    taken += 1;
                },
            }
            prop_assert!(open.len() <= open_max && flow.items.len() <= WINDOW * open_max);
        }
        prop_assert!(flow.is_empty() && open.is_empty());
        prop_assert_eq!(taken, admitted);
    }
}
