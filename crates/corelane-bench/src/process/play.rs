//! What an end does in its process: open, come to the line, move messages, say what it measured.

use std::time::Instant;

use corelane_shm::{WordsRo, WordsRw, fdpass::Channel};
use corelane_topology::pin_current_thread;

use crate::{
    counters::ThreadUse,
    fanout_peer::FanoutMessage,
    harness::{Line, Part, PassError},
    patience::Patience,
    peer::Receiver,
    process::{
        Meeting, Opened, ProcessBulkPeer, ProcessPeer, ProcessSleepingPeer,
        assignment::{Assignment, FromEnd, Measure, Role, SAMPLES_PER_PACKET, ToEnd, read, tell},
        ours::segments::{create, open},
    },
    row::{Mode, Workload},
    workload::{bulk, capacity, fanout, latency, throughput, wakeup},
};

/// Messages that are taken from a receiver before the next one's turn.
const STRIDE: usize = 64;
/// Words of a page on which receivers say how far they are.
const PAGE_WORDS: usize = 8;

/// The line at which ends of different processes wait: asleep, for a word of the measuring process.
#[derive(Debug)]
pub(super) struct ControlLine<'a>(pub(super) &'a Channel);

impl Line for ControlLine<'_> {
    fn meet(&self, patience: &mut Patience) -> Result<(), PassError> {
        let lost = |_| PassError::Stalled;
        tell(self.0, &FromEnd::Arrived, &[]).map_err(lost)?;
        let packet = self.0.recv(None).map_err(lost)?;
        patience.reset();
        match read(&packet.bytes) {
            Some(ToEnd::Go) => Ok(()),
            _ => Err(PassError::Stalled),
        }
    }
}

/// Everything that an end has.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) assignment: &'a Assignment,
    pub(super) control: &'a Channel,
    pub(super) meeting: Meeting,
}

impl Scene<'_> {
    /// Opens something for a queue of this pass.
    fn open<T>(
        &mut self,
        lane: usize,
        open: impl FnOnce(&Meeting) -> Opened<T>,
    ) -> Result<T, PassError> {
        self.meeting.lane = lane;
        open(&self.meeting).map_err(|error| PassError::Open(error.to_string()))
    }

    /// Does the measured part on the end's CPU, and tells the result. What was opened before may
    /// have threads, which are not pinned.
    fn measure(
        &self,
        work: impl FnOnce(&ControlLine<'_>, &mut Patience) -> Result<Part, PassError>,
    ) -> Result<(), PassError> {
        self.assignment.cpu.map_or(Ok(()), pin_current_thread)?;
        let mut patience = Patience::new(self.assignment.is_spinning);
        let line = ControlLine(self.control);
        // Nothing is sent before everybody is there to receive it.
        line.meet(&mut patience)?;
        let before = ThreadUse::now().map_err(PassError::Counters)?;
        let part = work(&line, &mut patience)?;
        let used = ThreadUse::now().map_err(PassError::Counters)? - before;
        let told = self.tell_samples(&part);
        let told =
            told.and_then(|()| tell(self.control, &FromEnd::Done(Measure::new(&part, used)), &[]));
        // Both ends stay until both are done: what one drops early, the other might miss.
        told.and_then(|()| self.control.recv(None)).map_err(|_| PassError::Stalled)?;
        Ok(())
    }

    fn tell_samples(&self, part: &Part) -> Result<(), corelane_shm::fdpass::ChannelError> {
        let counted = part.histogram.iter().flat_map(|histogram| histogram.iter_recorded());
        let counted = counted.map(|step| (step.value_iterated_to(), step.count_at_value()));
        let samples: Vec<(u64, u64)> = counted.collect();
        samples
            .chunks(SAMPLES_PER_PACKET)
            .try_for_each(|chunk| tell(self.control, &FromEnd::Samples(chunk.to_vec()), &[]))
    }

    fn is_first(&self) -> bool {
        self.assignment.role == Role::First
    }
}

/// Messages by value.
pub(super) fn messages<P: ProcessPeer>(scene: &mut Scene<'_>) -> Result<(), PassError> {
    let (count, key) = (scene.assignment.count, &scene.assignment.key);
    let one = |meeting: &Meeting| P::receivers(meeting).and_then(first);
    let (half, total) = latency::counts(count);
    match (key.workload, scene.is_first()) {
        (Workload::Latency, true) => {
            let mut there = scene.open(0, P::sender)?;
            let mut back = scene.open(1, one)?;
            scene.measure(|line, patience| {
                latency::ping(&mut there, &mut back, half, line, patience)
            })
        }
        (Workload::Latency, false) => {
            let mut there = scene.open(0, one)?;
            let mut back = scene.open(1, P::sender)?;
            scene.measure(|line, patience| {
                latency::echo(&mut there, &mut back, total, line, patience)
            })
        }
        (Workload::Fanout, is_first) if key.mode == Mode::Bursts => {
            if is_first {
                let mut sender = scene.open(0, P::sender)?;
                let pages = scene.open(0, open_pages)?;
                let slowest = || pages.iter().map(|page| page.load_acquire(0)).min().unwrap_or(0);
                return scene.measure(|line, patience| {
                    fanout::publish(&mut sender, count, &slowest, line, patience)
                });
            }
            let mut receivers = scene.open(0, P::receivers)?;
            let page = scene.open(0, create_page)?;
            let say = |slowest| page.store_release(0, slowest);
            scene.measure(|line, patience| {
                fanout::drain(&mut receivers, count, &say, line, patience)
            })
        }
        (workload, is_first) => {
            let counts = [2 * capacity(key.payload_bytes) as u64, count];
            let is_batch = key.mode == Mode::Batch;
            if is_first {
                let mut sender = scene.open(0, P::sender)?;
                return scene.measure(|line, patience| {
                    throughput::send_timed(&mut sender, counts, is_batch, line, patience)
                });
            }
            let mut receivers = scene.open(0, P::receivers)?;
            if workload == Workload::Fanout {
                return scene.measure(|line, patience| {
                    receive_each(&mut receivers, counts, line, patience)
                });
            }
            let mut receiver = first(receivers).map_err(|e| PassError::Open(e.to_string()))?;
            scene.measure(|line, patience| {
                throughput::receive_timed(&mut receiver, counts, is_batch, None, line, patience)
            })
        }
    }
}

/// A page on which the receivers of a process say how far the slowest of them is.
fn create_page(meeting: &Meeting) -> Opened<WordsRw> {
    let page = create("corelane-bench-drained", PAGE_WORDS)?;
    meeting.give(b"drained", &[page.fd()])?;
    Ok(page.into_words())
}

/// Those of all processes that receive.
fn open_pages(meeting: &Meeting) -> Opened<Vec<WordsRo>> {
    let page = |other| open(meeting.take_fd_from(other)?, PAGE_WORDS);
    (0..meeting.others().len()).map(page).collect()
}

fn first<T>(ends: Vec<T>) -> Opened<T> {
    ends.into_iter().next().ok_or_else(|| "the queue gave no receiver".into())
}

/// All receivers of a process, drained in turn by one thread.
fn receive_each(
    receivers: &mut [impl Receiver<FanoutMessage>],
    [warm, timed]: [u64; 2],
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    let mut positions = vec![0; receivers.len()];
    let mut checksum = drain(receivers, &mut positions, warm, patience)?;
    line.meet(patience)?;
    let start = Instant::now();
    let sum = drain(receivers, &mut positions, warm + timed, patience)?;
    checksum = checksum.wrapping_add(sum);
    let end = Instant::now();
    line.meet(patience)?;
    Ok(Part { span: Some((start, end)), checksum, ..Part::default() })
}

/// Takes from every receiver until each has had `until` messages.
fn drain(
    receivers: &mut [impl Receiver<FanoutMessage>],
    positions: &mut [u64],
    until: u64,
    patience: &mut Patience,
) -> Result<u64, PassError> {
    let mut checksum = 0u64;
    while positions.iter().any(|position| *position < until) {
        let mut has_moved = false;
        for (receiver, position) in receivers.iter_mut().zip(&mut *positions) {
            let most = STRIDE.min((until - *position) as usize);
            if most == 0 {
                continue;
            }
            let taken = receiver.try_recv_many(most, &mut |message: &FanoutMessage| {
                checksum = checksum.wrapping_add(message.checksum());
            });
            *position += taken as u64;
            has_moved |= taken > 0;
        }
        match has_moved {
            true => patience.reset(),
            false => patience.wait()?,
        }
    }
    Ok(checksum)
}

/// Large payloads in place.
pub(super) fn payloads<P: ProcessBulkPeer>(scene: &mut Scene<'_>) -> Result<(), PassError> {
    let load = bulk::Load::new(&scene.assignment.key, scene.assignment.count);
    if scene.is_first() {
        let mut sender = scene.open(0, P::sender)?;
        return scene.measure(|line, patience| bulk::send(&mut sender, load, line, patience));
    }
    let mut receiver = scene.open(0, P::receiver)?;
    scene.measure(|line, patience| bulk::receive(&mut receiver, load, line, patience))
}

/// Round trips between ends that sleep.
pub(super) fn wake_ups<P: ProcessSleepingPeer>(scene: &mut Scene<'_>) -> Result<(), PassError> {
    let total = wakeup::total(scene.assignment.count);
    if scene.is_first() {
        let mut there = scene.open(0, P::sender)?;
        let mut back = scene.open(1, P::receiver)?;
        return scene
            .measure(|line, patience| wakeup::ping(&mut there, &mut back, total, line, patience));
    }
    let mut there = scene.open(0, P::receiver)?;
    let mut back = scene.open(1, P::sender)?;
    scene.measure(|line, patience| wakeup::echo(&mut there, &mut back, total, line, patience))
}
