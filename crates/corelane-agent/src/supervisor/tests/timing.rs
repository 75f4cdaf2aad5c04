//! Hand-made cases: the budget and its window, delays, stops that cross other news, and
//! specifications that are refused.

use super::*;

const KILLED: ExitReason = ExitReason::Signal { signal: 9 };

fn config(restarts_max: u32, first_ns: u64, cap_ns: u64) -> SupervisorConfig {
    let budget = RestartBudget { restarts_max, window_ns: 1_000 };
    SupervisorConfig {
        strategy: Strategy::OneForOne,
        budget,
        backoff: Backoff { first_ns, cap_ns },
    }
}

/// Kills the child, which is up, at `now_ns` and brings it up again at once if it may.
fn kill(supervisor: &mut Supervisor, now_ns: u64, generation: u64) -> Vec<Action> {
    let actions = supervisor.step(now_ns, exited(0, generation, KILLED));
    settle(supervisor, now_ns, actions)
}

#[test]
fn the_budget_is_spent_within_its_window_and_recovers_after_it() {
    let mut supervisor = supervisor(config(2, 0, 0), &[RestartPolicy::Permanent]);
    bring_up(&mut supervisor);
    for (now_ns, generation) in [(100, 1), (200, 2), (1_100, 3), (1_200, 4)] {
        let restarted = vec![Action::Count(Metric::Restarted), start(0, generation + 1)];
        assert_eq!(kill(&mut supervisor, now_ns, generation), restarted, "at {now_ns}");
    }
    let reason = Escalation::BudgetSpent {
        id: ChildId(0),
        generation: Generation(5),
        exit: KILLED,
        budget: RestartBudget { restarts_max: 2, window_ns: 1_000 },
    };
    let escalated = vec![Action::Count(Metric::Escalated), Action::Escalate { reason }];
    assert_eq!(kill(&mut supervisor, 2_099, 5), escalated);
    assert_eq!(
        reason.to_string(),
        "supervisor gave up because its restart budget is spent, repair the child or raise the \
         budget: child=0 generation=5 exit=signal:9 restarts_max=2 window_ns=1000",
    );
}

#[test]
fn escalation_stops_the_others_in_reverse_first() {
    let mut supervisor = supervisor(config(0, 0, 0), &[RestartPolicy::Permanent; 3]);
    bring_up(&mut supervisor);
    let done = kill(&mut supervisor, 1, 1);
    let stopped = Action::Count(Metric::Stopped);
    let [first, rest @ .., last] = done.as_slice() else { panic!("too short: {done:?}") };
    assert_eq!(*first, Action::Count(Metric::Escalated));
    assert_eq!(rest, [stop(2, 1), stopped, stop(1, 1), stopped]);
    assert!(matches!(last, Action::Escalate { .. }), "{last:?}");
}

#[test]
fn delays_double_up_to_the_cap_and_fall_back_after_a_quiet_window() {
    let mut supervisor = supervisor(config(99, 10, 50), &[RestartPolicy::Permanent]);
    bring_up(&mut supervisor);
    let mut now_ns = 1;
    for (generation, delay_ns) in [(1, 0), (2, 10), (3, 20), (4, 40), (5, 50), (6, 50)] {
        let mut actions = supervisor.step(now_ns, exited(0, generation, KILLED));
        if delay_ns > 0 {
            let at_ns = now_ns + delay_ns;
            assert_eq!(actions[1..], [Action::ArmTimer { at_ns }]);
            assert_eq!(supervisor.step(at_ns - 1, Event::Tick), []);
            now_ns = at_ns;
            actions = supervisor.step(now_ns, Event::Tick);
        }
        assert_eq!(actions.last(), Some(&start(0, generation + 1)));
        supervisor.step(now_ns, started(0, generation + 1));
    }
    let actions = supervisor.step(now_ns + 999, exited(0, 7, KILLED));
    assert_eq!(actions.last(), Some(&Action::ArmTimer { at_ns: now_ns + 999 + 50 }));
    now_ns += 999 + 50;
    supervisor.step(now_ns, Event::Tick);
    supervisor.step(now_ns, started(0, 8));
    let actions = supervisor.step(now_ns + 1_000, exited(0, 8, KILLED));
    assert_eq!(actions.last(), Some(&start(0, 9)));
}

#[test]
fn delays_do_not_overflow() {
    let backoff = Backoff { first_ns: 3, cap_ns: u64::MAX };
    assert_eq!(backoff.delay_ns(63), 3 << 62);
    assert_eq!(backoff.delay_ns(64), u64::MAX);
    assert_eq!(backoff.delay_ns(u32::MAX), u64::MAX);
    assert_eq!(Backoff { cap_ns: 5, ..backoff }.delay_ns(u32::MAX), 5);
}

#[test]
fn a_waiting_child_holds_up_no_sibling_and_an_earlier_deadline_moves_the_timer() {
    let mut supervisor = supervisor(config(99, 100, 100), &[RestartPolicy::Permanent; 2]);
    bring_up(&mut supervisor);
    kill(&mut supervisor, 1, 1);
    let at = |at_ns| Action::ArmTimer { at_ns };
    let restarted = Action::Count(Metric::Restarted);
    assert_eq!(supervisor.step(2, exited(0, 2, KILLED)), [restarted, at(102)]);
    assert_eq!(supervisor.step(3, exited(1, 1, KILLED)), [restarted, start(1, 2)]);
    assert_eq!(supervisor.step(3, exited(1, 2, KILLED)), [restarted]);
    assert_eq!(supervisor.step(102, Event::Tick), [start(0, 3), at(103)]);
    assert_eq!(supervisor.step(103, Event::Tick), [start(1, 3)]);
}

#[test]
fn the_restart_of_an_earlier_child_does_not_shorten_a_delay() {
    let config = SupervisorConfig { strategy: Strategy::RestForOne, ..config(99, 100, 100) };
    let mut supervisor = supervisor(config, &[RestartPolicy::Permanent; 2]);
    bring_up(&mut supervisor);
    let restarted = Action::Count(Metric::Restarted);
    assert_eq!(supervisor.step(1, exited(1, 1, KILLED)), [restarted, start(1, 2)]);
    let delayed = [restarted, Action::ArmTimer { at_ns: 102 }];
    assert_eq!(supervisor.step(2, exited(1, 2, KILLED)), delayed);
    assert_eq!(supervisor.step(3, exited(0, 1, KILLED)), [restarted, start(0, 2)]);
    assert_eq!(supervisor.step(4, started(0, 2)), []);
    assert_eq!(supervisor.step(102, Event::Tick), [start(1, 3)]);
}

#[test]
fn the_first_start_is_in_order_and_waits_for_a_child_that_fails_to_start() {
    let mut supervisor = supervisor(config(99, 0, 0), &[RestartPolicy::Permanent; 2]);
    assert_eq!(supervisor.step(0, Event::Start), [start(0, 1)]);
    let failed = Event::StartFailed { id: ChildId(0), generation: Generation(1) };
    let restarted = Action::Count(Metric::Restarted);
    assert_eq!(supervisor.step(1, failed), [restarted, start(0, 2)]);
    assert_eq!(supervisor.step(2, started(0, 2)), [start(1, 1)]);
}

#[test]
fn temporary_siblings_are_stopped_but_not_started_again() {
    let config = SupervisorConfig { strategy: Strategy::OneForAll, ..config(9, 0, 0) };
    let policies = [RestartPolicy::Permanent, RestartPolicy::Temporary];
    let mut supervisor = supervisor(config, &policies);
    bring_up(&mut supervisor);
    let stopped = Action::Count(Metric::Stopped);
    let expected = [Action::Count(Metric::Restarted), stop(1, 1), stopped, start(0, 2)];
    assert_eq!(kill(&mut supervisor, 1, 1), expected);
}

#[test]
fn news_of_an_older_generation_is_stale() {
    let mut supervisor = supervisor(config(9, 0, 0), &[RestartPolicy::Permanent]);
    bring_up(&mut supervisor);
    kill(&mut supervisor, 1, 1);
    let stale = [Action::Count(Metric::Stale)];
    for event in [exited(0, 1, KILLED), started(0, 1), started(0, 2), exited(7, 1, KILLED)] {
        assert_eq!(supervisor.step(2, event), stale, "{event:?}");
    }
    let failed = Event::StartFailed { id: ChildId(0), generation: Generation(1) };
    assert_eq!(supervisor.step(2, failed), stale);
}

#[test]
fn a_child_that_comes_up_while_it_is_stopped_is_still_stopped() {
    let mut supervisor = supervisor(config(9, 0, 0), &[RestartPolicy::Permanent]);
    supervisor.step(0, Event::Start);
    assert_eq!(supervisor.step(1, Event::Stop), [stop(0, 1)]);
    assert_eq!(supervisor.step(2, started(0, 1)), [Action::Count(Metric::Stale)]);
    let last = [Action::Count(Metric::Stopped), Action::Finished];
    assert_eq!(supervisor.step(3, exited(0, 1, KILLED)), last);
    assert_eq!(supervisor.step(4, Event::Start), []);
    assert_eq!(supervisor.step(5, Event::Stop), []);
}

#[test]
fn a_supervisor_that_never_started_finishes_at_once_and_stays_down() {
    let mut supervisor = supervisor(config(9, 0, 0), &[RestartPolicy::Permanent]);
    assert_eq!(supervisor.step(0, Event::Tick), []);
    assert_eq!(supervisor.step(0, Event::Stop), [Action::Finished]);
    assert_eq!(supervisor.step(1, Event::Start), []);
}

#[test]
fn bad_specifications_are_refused() {
    let child = ChildSpec { id: ChildId(3), policy: RestartPolicy::Permanent };
    let twice = Supervisor::new(config(9, 0, 0), vec![child, child]);
    assert_eq!(twice.err(), Some(SpecError::DuplicateId { id: ChildId(3) }));
    let mut config = config(9, 0, 0);
    config.budget.window_ns = 0;
    assert_eq!(Supervisor::new(config, vec![child]).err(), Some(SpecError::EmptyWindow));
}
