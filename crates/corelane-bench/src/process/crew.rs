//! The processes of a pass: started, led from line to line, and ended, whatever they do.
//!
//! Nothing here waits without a limit, and none of them is left behind: those that have not ended
//! by themselves are killed when this is dropped.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use corelane_shm::{
    fdpass::{Channel, ChannelError, pair},
    poll_any,
    process::PidFd,
};

use crate::{
    counters::ThreadUse,
    harness::{Part, PassError},
    process::{
        EndCommand,
        assignment::{Assignment, FromEnd, Measure, ToEnd, read, tell},
    },
};

/// When one end fails the others get so long to say what they saw: one of them may be the cause.
const GRACE: Duration = Duration::from_millis(500);

/// An end of the pass.
#[derive(Debug)]
struct End {
    control: Channel,
    child: usize,
    has_arrived: bool,
    samples: Vec<(u64, u64)>,
    outcome: Option<Measure>,
    /// It will say nothing more in this pass.
    is_over: bool,
}

/// All processes of a pass.
#[derive(Debug)]
pub(super) struct Crew {
    /// Taken out once it was waited for.
    children: Vec<Option<Child>>,
    ends: Vec<End>,
    silence: Duration,
}

impl Crew {
    pub(super) fn new(silence: Duration) -> Self {
        Self { children: Vec::new(), ends: Vec::new(), silence }
    }

    /// Starts a process with one end, or with several, and tells each its part. An assignment comes
    /// with the descriptors that lead to the others.
    pub(super) fn start(
        &mut self,
        command: &EndCommand,
        assignments: Vec<(Assignment, Vec<OwnedFd>)>,
    ) -> Result<(), PassError> {
        let mut pairs = Vec::with_capacity(assignments.len());
        for _ in &assignments {
            pairs.push(pair().map_err(broken)?);
        }
        let mut pairs = pairs.into_iter();
        let Some((control, stdin)) = pairs.next() else { return Ok(()) };
        let child = Command::new(&command.program)
            .args(&command.arguments)
            .stdin(Stdio::from(OwnedFd::from(stdin)))
            .stdout(Stdio::null())
            // Ctrl-C is for the measuring process, which ends its ends.
            .process_group(0)
            .spawn()
            .map_err(PassError::Process)?;
        let child_index = self.children.len();
        self.children.push(Some(child));
        let (mut controls, mut further) = (vec![control], Vec::new());
        for (ours, theirs) in pairs {
            controls.push(ours);
            further.push(OwnedFd::from(theirs));
        }
        for (control, (mut assignment, fds)) in controls.into_iter().zip(assignments) {
            let further = std::mem::take(&mut further);
            assignment.further = further.len();
            let fds: Vec<BorrowedFd<'_>> = further.iter().chain(&fds).map(AsFd::as_fd).collect();
            // One that died already is told as what it is when it is listened to.
            match tell(&control, &ToEnd::Play(Box::new(assignment)), &fds) {
                Ok(()) | Err(ChannelError::Closed) => {}
                Err(error) => return Err(broken(error)),
            }
            self.ends.push(End {
                control,
                child: child_index,
                has_arrived: false,
                samples: Vec::new(),
                outcome: None,
                is_over: false,
            });
        }
        Ok(())
    }

    /// Listens until all ends have come to the line once.
    pub(super) fn await_arrival(&mut self) -> Result<(), PassError> {
        self.listen(|ends| ends.iter().all(|end| end.has_arrived))
    }

    /// Leads all ends from line to line until each has done its part; gives what they measured.
    pub(super) fn lead(&mut self) -> Result<Vec<(Part, ThreadUse)>, PassError> {
        let mut is_over = false;
        while !is_over {
            self.listen(|ends| {
                ends.iter().all(|end| end.is_over) || ends.iter().all(|end| end.has_arrived)
            })?;
            is_over = self.ends.iter().all(|end| end.is_over);
            for end in &mut self.ends {
                end.has_arrived = false;
                match is_over {
                    true => say(end, &ToEnd::Leave)?,
                    false => say(end, &ToEnd::Go)?,
                }
            }
        }
        let parts = self
            .ends
            .drain(..)
            .filter_map(|end| end.outcome.map(|measure| measure.into_part(&end.samples)));
        let parts = parts.collect();
        self.reap()?;
        Ok(parts)
    }

    /// Tells everybody to leave, and waits until they have.
    pub(super) fn dismiss(&mut self) -> Result<(), PassError> {
        self.ends.iter().try_for_each(|end| say(end, &ToEnd::Leave))?;
        self.ends.clear();
        self.reap()
    }

    /// Waits for all processes, which have no reason to stay.
    fn reap(&mut self) -> Result<(), PassError> {
        for index in 0..self.children.len() {
            let how = self.wait(index, self.silence)?;
            if let Some(how) = how {
                return Err(PassError::Died { how });
            }
        }
        Ok(())
    }

    /// Waits for one process; says how it ended unless it did in order.
    fn wait(&mut self, index: usize, limit: Duration) -> Result<Option<String>, PassError> {
        let Some(mut child) = self.children[index].take() else { return Ok(None) };
        let ended = PidFd::open(child.id())
            .map_err(|error| PassError::Process(io::Error::other(error)))
            .and_then(|fd| poll_any(&[fd.as_fd()], Some(limit)).map_err(PassError::Process));
        if ended.as_ref().map_or(true, |ready| ready.is_empty()) {
            self.children[index] = Some(child);
            return match ended {
                Ok(_) => Err(PassError::Silent { seconds: limit.as_secs() }),
                Err(error) => Err(error),
            };
        }
        let status = child.wait().map_err(PassError::Process)?;
        Ok((!status.success()).then(|| status.to_string()))
    }

    /// Listens to the ends until `is_enough`. After a failure it listens for a moment more, and
    /// gives the cause of the others' failures.
    fn listen(&mut self, is_enough: impl Fn(&[End]) -> bool) -> Result<(), PassError> {
        let mut cause: Option<PassError> = None;
        let mut deadline = Instant::now() + self.silence;
        while cause.is_some() || !is_enough(&self.ends) {
            let open: Vec<usize> =
                (0..self.ends.len()).filter(|&index| !self.ends[index].is_over).collect();
            let fds: Vec<_> = open.iter().map(|&index| self.ends[index].control.as_fd()).collect();
            let left = deadline.saturating_duration_since(Instant::now());
            let ready = match fds.is_empty() {
                true => Vec::new(),
                false => poll_any(&fds, Some(left)).map_err(PassError::Process)?,
            };
            if ready.is_empty() {
                let seconds = self.silence.as_secs();
                return Err(cause.unwrap_or(PassError::Silent { seconds }));
            }
            for index in ready.into_iter().map(|index| open[index]) {
                if let Err(error) = self.hear(index) {
                    self.ends[index].is_over = true;
                    if cause.is_none() {
                        deadline = Instant::now() + GRACE;
                    }
                    cause = Some(match cause {
                        Some(cause) if weight(&cause) >= weight(&error) => cause,
                        _ => error,
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes in what one end says.
    fn hear(&mut self, index: usize) -> Result<(), PassError> {
        let end = &mut self.ends[index];
        let packet = match end.control.recv(Some(Duration::ZERO)) {
            Ok(packet) => packet,
            Err(ChannelError::TimedOut) => return Ok(()),
            Err(ChannelError::Closed) => {
                let child = end.child;
                let how = self.wait(child, GRACE)?;
                let how = how.unwrap_or_else(|| "it left before the pass was over".to_owned());
                return Err(PassError::Died { how });
            }
            Err(error) => return Err(broken(error)),
        };
        match read(&packet.bytes) {
            Some(FromEnd::Arrived) => end.has_arrived = true,
            Some(FromEnd::Samples(samples)) => end.samples.extend(samples),
            Some(FromEnd::Done(measure)) => {
                (end.outcome, end.is_over) = (Some(measure), true);
            }
            Some(FromEnd::Failed(failure)) => return Err(failure.into()),
            None => return Err(PassError::Open("an end said what nobody understands".to_owned())),
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for mut child in self.children.drain(..).flatten() {
            // One that has ended already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Speaks to an end; one that is gone is told as such when it is listened to.
fn say(end: &End, what: &ToEnd) -> Result<(), PassError> {
    match tell(&end.control, what, &[]) {
        Ok(()) | Err(ChannelError::Closed) => Ok(()),
        Err(error) => Err(broken(error)),
    }
}

fn broken(error: ChannelError) -> PassError {
    PassError::Process(io::Error::other(error))
}

/// Which of two failures is the cause: who dies makes others panic, and those make others wait.
fn weight(error: &PassError) -> u8 {
    match error {
        PassError::Died { .. } => 3,
        PassError::Stalled => 0,
        PassError::Panicked => 1,
        _ => 2,
    }
}
