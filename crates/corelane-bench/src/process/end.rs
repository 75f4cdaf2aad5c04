//! The process of an end: what the command that the measuring process starts has to call.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use corelane_shm::fdpass::{Channel, ChannelError, Packet};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::{
    harness::{Line, PassError},
    patience::Patience,
    process::{
        Meeting, ProcessCast,
        assignment::{Assignment, Failure, FromEnd, Role, ToEnd, read, tell},
        cast::Entry,
        play::{ControlLine, Scene},
    },
    row::Workload,
    workload::{bulk::Load, capacity},
};

/// Whoever starts an end gives it its assignment at once.
const ASSIGNED: Duration = Duration::from_secs(20);

/// Plays the end that the measuring process asks for over `control`, which it gave as stdin, and
/// returns when the pass is over. What goes wrong with the queue is told to that process.
///
/// # Errors
/// Those of [`Channel::recv`]: the socket is not one of a measuring process, or that one is gone.
pub fn play_end(cast: &ProcessCast, control: &Channel) -> Result<(), ChannelError> {
    let (assignment, packet) = assignment(control)?;
    // It ends with the process that measures, however that one ends. If that happened already, the
    // socket says so.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let parent = getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if u32::try_from(parent) != Ok(assignment.parent) {
        return Err(ChannelError::Closed);
    }
    let mut sockets = packet.fds.into_iter().map(Channel::from);
    let further: Vec<Channel> = sockets.by_ref().take(assignment.further).collect();
    let others = sockets.collect();
    thread::scope(|scope| {
        let further: Vec<_> =
            further.into_iter().map(|own| scope.spawn(move || play_further(cast, &own))).collect();
        play(cast, control, &assignment, others);
        // A thread that panicked has told it over its socket.
        further.into_iter().for_each(|end| drop(end.join()));
    });
    Ok(())
}

/// Another end of this process, on a thread of its own.
fn play_further(cast: &ProcessCast, control: &Channel) -> Result<(), ChannelError> {
    let (assignment, packet) = assignment(control)?;
    play(cast, control, &assignment, packet.fds.into_iter().map(Channel::from).collect());
    Ok(())
}

fn assignment(control: &Channel) -> Result<(Assignment, Packet), ChannelError> {
    let packet = control.recv(Some(ASSIGNED))?;
    match read(&packet.bytes) {
        Some(ToEnd::Play(assignment)) => Ok((*assignment, packet)),
        _ => Err(ChannelError::Closed),
    }
}

/// Plays, and tells how it failed if it did.
fn play(cast: &ProcessCast, control: &Channel, assignment: &Assignment, others: Vec<Channel>) {
    let part = || -> Result<(), PassError> {
        let (kind, name) = (assignment.kind, &assignment.key.peer);
        let entry = cast.find(kind, name);
        let entry = entry.ok_or_else(|| PassError::Open(format!("{name} is not known here")))?;
        let mut scene = Scene { assignment, control, meeting: meeting(assignment, others) };
        match assignment.role {
            Role::Attendant => attend(entry, &scene),
            Role::First | Role::Second => (entry.play)(&mut scene),
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(part)).unwrap_or(Err(PassError::Panicked));
    if let Err(error) = outcome {
        // When nobody listens any more nobody wants to know.
        let _ = tell(control, &FromEnd::Failed(Failure::from(error)), &[]);
    }
}

fn meeting(assignment: &Assignment, others: Vec<Channel>) -> Meeting {
    let key = &assignment.key;
    let capacity = match key.workload {
        Workload::Bulk => Load::new(key, 0).buffers,
        _ => capacity(key.payload_bytes),
    };
    Meeting {
        lane: 0,
        folder: assignment.folder.clone(),
        others,
        payload_bytes: key.payload_bytes,
        capacity,
        receivers: assignment.receivers,
        receivers_in_all: key.receivers,
    }
}

/// Starts what runs beside the ends, says so, and keeps it until the pass is over.
fn attend(entry: &Entry, scene: &Scene<'_>) -> Result<(), PassError> {
    let attended = (entry.attend)(&scene.meeting);
    let attendant = attended.map_err(|error| PassError::Open(error.to_string()))?;
    ControlLine(scene.control).meet(&mut Patience::new(false))?;
    // Either way the pass is over.
    let _ = scene.control.recv(None);
    drop(attendant);
    Ok(())
}
