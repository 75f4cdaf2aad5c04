//! Tests generated from the two tables in the module's documentation, so that neither can change
//! without the other.

use super::*;

/// The cells of the table whose first column has this heading, as (row, column, cell).
fn cells(heading: &str) -> Vec<(String, String, String)> {
    let words = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let text = include_str!("../mod.rs").lines().filter_map(|line| line.strip_prefix("//! "));
    let table = text.skip_while(|line| {
        line.strip_prefix('|').is_none_or(|rest| !rest.trim_start().starts_with(heading))
    });
    let mut lines = table.take_while(|line| line.starts_with('|')).map(words);
    let columns = lines.next().expect("the table has a head");
    let mut cells = Vec::new();
    for row in lines.skip(1) {
        for (column, cell) in columns.iter().zip(&row).skip(1) {
            cells.push((row[0].clone(), column.clone(), cell.clone()));
        }
    }
    cells
}

#[test]
fn policy_by_exit_reason() {
    let cells = cells("policy");
    assert_eq!(cells.len(), 3 * 5);
    for (policy, reason, verdict) in cells {
        let policy = match policy.as_str() {
            "permanent" => RestartPolicy::Permanent,
            "transient" => RestartPolicy::Transient,
            "temporary" => RestartPolicy::Temporary,
            other => panic!("no such policy: {other}"),
        };
        let (reason, if_ended) = match reason.as_str() {
            "normal" => (ExitReason::Normal, Metric::Completed),
            "shutdown" => (ExitReason::Shutdown, Metric::Completed),
            "failed" => (ExitReason::Failed { code: 1 }, Metric::Abandoned),
            "signal" => (ExitReason::Signal { signal: 9 }, Metric::Abandoned),
            "start-failed" => (ExitReason::StartFailed, Metric::Abandoned),
            other => panic!("no such reason: {other}"),
        };
        let expected = match verdict.as_str() {
            "restart" => vec![Action::Count(Metric::Restarted), start(0, 2)],
            "end" => vec![Action::Count(if_ended)],
            other => panic!("no such verdict: {other}"),
        };
        let mut supervisor = supervisor(SupervisorConfig::default(), &[policy]);
        assert_eq!(supervisor.step(0, Event::Start), [start(0, 1)]);
        let end = if reason == ExitReason::StartFailed {
            Event::StartFailed { id: ChildId(0), generation: Generation(1) }
        } else {
            supervisor.step(0, started(0, 1));
            exited(0, 1, reason)
        };
        assert_eq!(supervisor.step(1, end), expected, "{policy:?} after {reason:?}");
    }
}

#[test]
fn strategy_by_failed_child() {
    let cells = cells("strategy");
    assert_eq!(cells.len(), 3 * 3);
    for (strategy, failed, expected) in cells {
        let strategy = match strategy.as_str() {
            "one-for-one" => Strategy::OneForOne,
            "one-for-all" => Strategy::OneForAll,
            "rest-for-one" => Strategy::RestForOne,
            other => panic!("no such strategy: {other}"),
        };
        let failed = id_of(failed.split(' ').next().expect("the column names a child"));
        let config = SupervisorConfig { strategy, ..SupervisorConfig::default() };
        let mut supervisor = supervisor(config, &[RestartPolicy::Permanent; 3]);
        bring_up(&mut supervisor);
        let actions = supervisor.step(1, exited(failed, 1, ExitReason::Signal { signal: 9 }));
        let mut done = settle(&mut supervisor, 1, actions);
        done.retain(|action| !matches!(action, Action::Count(_)));
        assert_eq!(done, actions_of(&expected), "{strategy:?} after the end of {failed}");
    }
}

fn id_of(letter: &str) -> u32 {
    ["a", "b", "c"].iter().position(|name| *name == letter).expect("children are a, b, c") as u32
}

/// `stop c, start b c` as the actions it stands for.
fn actions_of(cell: &str) -> Vec<Action> {
    let mut actions = Vec::new();
    for part in cell.split(", ") {
        let mut words = part.split(' ');
        let verb = words.next();
        actions.extend(words.map(id_of).map(|id| match verb {
            Some("stop") => stop(id, 1),
            Some("start") => start(id, 2),
            other => panic!("neither stop nor start: {other:?}"),
        }));
    }
    actions
}
