//! `corelane_transport::lane`, as its users have it: an exchange, a link, and either kind of ring.

use std::time::Duration;

use bytemuck::Zeroable;
use corelane_transport::Participant;
use corelane_transport::lane::{LaneKind, LaneOptions, LaneReceiver, LaneSender};

use super::{poll, trust};
use crate::{
    fanout_peer::FanoutMessage,
    peer::{Payload, Receiver, Sender, SleepingReceiver, SleepingSender},
    process::{Meeting, Opened, ProcessPeer, ProcessSleepingPeer},
};

/// Ends that do not find each other within this time never will.
const LINKING: Duration = Duration::from_secs(20);
/// A number that does not come within this time never will.
const WAIT: Duration = Duration::from_secs(10);

type Words = <FanoutMessage as Payload>::Words;

/// A lane with fixed slots.
#[derive(Debug, Clone, Copy)]
pub struct LatencyLane;

/// A lane with records of any size.
#[derive(Debug, Clone, Copy)]
pub struct ThroughputLane;

/// The sending end of either.
#[derive(Debug)]
pub struct SendingLane(LaneSender);

/// The receiving end of either.
#[derive(Debug)]
pub struct ReceivingLane(LaneReceiver);

impl Sender<FanoutMessage> for SendingLane {
    #[inline]
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        let words = message.into_words();
        self.0.send(bytemuck::cast_slice(&words)).map_err(|_| message)
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        let fill = |record: &mut [u8]| {
            record.copy_from_slice(bytemuck::cast_slice(&make().into_words()));
        };
        self.0.send_with(count, FanoutMessage::BYTES, fill).unwrap_or(0)
    }
}

impl Receiver<FanoutMessage> for ReceivingLane {
    #[inline]
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let mut message = None;
        self.try_recv_many(1, &mut |received| message = Some(*received));
        message
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        let drained = self.0.drain(count, |record| {
            let mut words = Words::zeroed();
            bytemuck::cast_slice_mut(&mut words).copy_from_slice(record);
            take(&FanoutMessage::from_words(words));
        });
        drained.expect("because the sender is no stranger")
    }
}

fn participant(meeting: &Meeting) -> Opened<Participant> {
    Ok(Participant::open(&meeting.folder().join("exchange"))?)
}

fn name(meeting: &Meeting) -> String {
    format!("lane-{}", meeting.lane())
}

fn sender(meeting: &Meeting, kind: LaneKind) -> Opened<SendingLane> {
    let sender = participant(meeting)?.lane_sender(&name(meeting), kind)?;
    if !sender.wait_for_receiver(LINKING) {
        return Err("the receiver did not come".into());
    }
    Ok(SendingLane(sender))
}

fn receiver(meeting: &Meeting, spins: u32) -> Opened<ReceivingLane> {
    let options = LaneOptions { trusted: Some(trust::own_crew()), spins };
    let receiver = participant(meeting)?.lane_receiver(&name(meeting), options)?;
    if !receiver.wait_for_sender(LINKING) {
        return Err("the sender did not come".into());
    }
    Ok(ReceivingLane(receiver))
}

fn latency(meeting: &Meeting) -> LaneKind {
    // Whole lines, so that no two records share one.
    let slot_lines = (8 + meeting.payload_bytes()).div_ceil(64);
    LaneKind::Latency { slots: meeting.capacity().next_power_of_two(), slot_lines }
}

impl ProcessPeer for LatencyLane {
    const NAME: &'static str = "corelane lane, latency";
    const IN_ONE_PROCESS: bool = true;

    type Sender = SendingLane;
    type Receiver = ReceivingLane;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        sender(meeting, latency(meeting))
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        Ok(vec![receiver(meeting, LaneOptions::default().spins)?])
    }
}

impl ProcessPeer for ThroughputLane {
    const NAME: &'static str = "corelane lane, throughput";
    const HAS_BATCHES: bool = true;
    const IN_ONE_PROCESS: bool = true;

    type Sender = SendingLane;
    type Receiver = ReceivingLane;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        // A record has a header of a word and begins on a line.
        let record_bytes = (8 + meeting.payload_bytes()).next_multiple_of(64);
        let capacity_bytes = (meeting.capacity() * record_bytes).next_power_of_two();
        sender(meeting, LaneKind::Throughput { capacity_bytes })
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        Ok(vec![receiver(meeting, LaneOptions::default().spins)?])
    }
}

/// A lane whose receiver sleeps at once.
#[derive(Debug, Clone, Copy)]
pub struct SleepingLane;

impl SleepingSender for SendingLane {
    fn send(&mut self, number: u64) {
        self.0.send(&number.to_le_bytes()).expect("because one number is under way at a time");
    }
}

/// The receiving end of a lane that sleeps.
#[derive(Debug)]
pub struct SleepingReceivingLane(LaneReceiver, Vec<u8>);

impl SleepingReceiver for SleepingReceivingLane {
    fn recv(&mut self) -> u64 {
        let is_there = self.0.receive(&mut self.1, WAIT);
        assert!(is_there.expect("because the sender is no stranger"), "the sender is silent");
        u64::from_le_bytes(self.1.as_slice().try_into().expect("because a number was sent"))
    }
}

impl ProcessSleepingPeer for SleepingLane {
    const NAME: &'static str = "corelane lane, futex";

    type Sender = SendingLane;
    type Receiver = SleepingReceivingLane;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        sender(meeting, LaneKind::Latency { slots: 8, slot_lines: 1 })
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        let ReceivingLane(receiver) = receiver(meeting, 0)?;
        Ok(SleepingReceivingLane(receiver, Vec::new()))
    }
}

/// A lane whose receiver waits in an event loop.
#[derive(Debug, Clone, Copy)]
pub struct PolledLane;

/// Its receiving end.
#[derive(Debug)]
pub struct PolledReceivingLane(LaneReceiver, Vec<u8>);

impl SleepingReceiver for PolledReceivingLane {
    fn recv(&mut self) -> u64 {
        while !self.0.try_receive(&mut self.1).expect("because the sender is no stranger") {
            if self.0.arm().expect("because there are descriptors left") {
                poll(self.0.event_fd().expect("because it is armed"));
            }
        }
        u64::from_le_bytes(self.1.as_slice().try_into().expect("because a number was sent"))
    }
}

impl ProcessSleepingPeer for PolledLane {
    const NAME: &'static str = "corelane lane, event loop";

    type Sender = SendingLane;
    type Receiver = PolledReceivingLane;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        sender(meeting, LaneKind::Latency { slots: 8, slot_lines: 1 })
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        let ReceivingLane(receiver) = receiver(meeting, 0)?;
        Ok(PolledReceivingLane(receiver, Vec::new()))
    }
}
