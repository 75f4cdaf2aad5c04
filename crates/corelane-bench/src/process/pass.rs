//! One pass whose ends lie in processes of their own.

use std::{os::fd::OwnedFd, path::Path, process};

use corelane_shm::fdpass::pair;

use crate::{
    harness::{PassError, PassResult, Stage, Team},
    process::{
        Across,
        assignment::{Assignment, Role},
        crew::Crew,
    },
    row::{Mode, RowKey, Workload},
    workload::{bulk, capacity, checksum_up_to, fanout, latency, throughput, wakeup},
};

/// One pass of `count` messages; where the price of very many receivers is measured it has two
/// halves, with one receiver and with all.
pub(crate) fn pass(stage: &Stage, count: u64) -> Result<PassResult, PassError> {
    if stage.key.mode != Mode::Bursts {
        return whole(stage, count);
    }
    let key = RowKey { receivers: 1, processes: 2, ..stage.key.clone() };
    let one = Stage { key, ..stage.clone() };
    let single = whole(&one, count.saturating_mul(fanout::SINGLE_FACTOR))?;
    Ok(fanout::ratio(single, whole(stage, count)?))
}

fn whole(stage: &Stage, count: u64) -> Result<PassResult, PassError> {
    let across = stage.across.as_ref().expect("because rows across processes say how");
    let folder = tempfile::Builder::new().prefix("corelane-bench-").tempdir();
    let folder = folder.map_err(PassError::Process)?;
    let sheet = |role| assignment(stage, across, count, role, folder.path());
    let mut beside = Crew::new(across.command.silence);
    if across.is_attended {
        beside.start(&across.command, vec![(sheet(Role::Attendant), Vec::new())])?;
        beside.await_arrival()?;
    }
    let team = play(stage, across, &sheet)?;
    beside.dismiss()?;
    evaluate(stage, team, count)
}

/// Starts the processes of the ends and leads them through the pass.
fn play(
    stage: &Stage,
    across: &Across,
    sheet: &dyn Fn(Role) -> Assignment,
) -> Result<Team, PassError> {
    let command = &across.command;
    // All processes but the sender's have receivers, and the only process has both.
    let seconds = stage.key.processes.saturating_sub(1).max(1);
    let (mut to_seconds, mut to_first) = (Vec::new(), Vec::new());
    for _ in 0..seconds {
        let (one, other) = pair().map_err(|e| PassError::Process(std::io::Error::other(e)))?;
        to_seconds.push(OwnedFd::from(one));
        to_first.push(OwnedFd::from(other));
    }
    let first = Assignment { cpu: stage.cpu(0), receivers: 1, ..sheet(Role::First) };
    let second = |index: usize| {
        let receivers = stage.key.receivers / seconds;
        Assignment { cpu: stage.cpu(1 + index), receivers, ..sheet(Role::Second) }
    };
    let mut crew = Crew::new(command.silence);
    let mut others = (0..).zip(to_first).map(|(index, fd)| (second(index), vec![fd]));
    if stage.key.processes == 1 {
        let both = [(first, to_seconds)].into_iter().chain(others);
        crew.start(command, both.collect())?;
    } else {
        crew.start(command, vec![(first, to_seconds)])?;
        others.try_for_each(|other| crew.start(command, vec![other]))?;
    }
    let (parts, uses) = crew.lead()?.into_iter().unzip();
    Ok(Team { parts, uses })
}

fn assignment(stage: &Stage, across: &Across, count: u64, role: Role, folder: &Path) -> Assignment {
    Assignment {
        key: stage.key.clone(),
        kind: across.kind,
        count,
        role,
        cpu: None,
        is_spinning: stage.has_own_cpus(),
        receivers: 1,
        folder: folder.to_path_buf(),
        parent: process::id(),
        further: 0,
    }
}

/// The figures, by the same rules as for threads of one process.
fn evaluate(stage: &Stage, team: Team, count: u64) -> Result<PassResult, PassError> {
    let key = &stage.key;
    let words = key.payload_bytes / 8;
    match key.workload {
        Workload::Latency => latency::evaluate(team, latency::counts(count).1, words),
        Workload::Wakeup => wakeup::evaluate(team, wakeup::total(count)),
        Workload::Bulk => bulk::evaluate(key, team, bulk::Load::new(key, count)),
        Workload::Fanout if key.mode == Mode::Bursts => {
            let sent = checksum_up_to(fanout::counts(count).1, words);
            team.check(sent.wrapping_mul(key.receivers as u64))?;
            let (values, wall) = (vec![team.parts[0].value], team.wall());
            Ok(PassResult { values, wall, uses: team.uses, histogram: None })
        }
        Workload::Throughput | Workload::Fanout => {
            let warm = 2 * capacity(key.payload_bytes) as u64;
            let sent = checksum_up_to(warm + count, words);
            team.check(sent.wrapping_mul(key.receivers as u64))?;
            Ok(throughput::rated(team, count))
        }
    }
}
