//! `corelane_transport::topic`, as its users have it: an exchange, links, typed ends, and payloads
//! in place.

use std::time::Duration;

use corelane_shm::slab::Trusted;
use corelane_transport::Participant;
use corelane_transport::schema::{Message, Pod, Zeroable};
use corelane_transport::topic::{
    BytesPublisher, BytesSubscriber, PublishOptions, Publisher, SubscribeOptions, Subscriber,
};

use super::{poll, trust};
use crate::{
    bulk_peer::{BulkReceiver, BulkSender},
    fanout_peer::FanoutMessage,
    peer::{Payload, Receiver, Sender, SleepingReceiver, SleepingSender},
    process::{Meeting, Opened, ProcessBulkPeer, ProcessPeer, ProcessSleepingPeer},
};

/// Ends that do not find each other within this time never will.
const LINKING: Duration = Duration::from_secs(20);
/// A number that does not come within this time never will.
const WAIT: Duration = Duration::from_secs(10);

/// What is sent: 64 bytes.
#[derive(Debug, Clone, Copy, Pod, Zeroable, Message)]
#[repr(C)]
#[bytemuck(crate = "corelane_transport::bytemuck")]
struct Line {
    words: [u64; 8],
}

/// A topic of messages of 64 bytes, with reliable subscribers.
#[derive(Debug, Clone, Copy)]
pub struct Topic;

/// Its publisher.
#[derive(Debug)]
pub struct TopicSender(Publisher<Line>);

/// A subscriber.
#[derive(Debug)]
pub struct TopicReceiver(Subscriber<Line>);

impl Sender<FanoutMessage> for TopicSender {
    #[inline]
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        self.0.publish(&Line { words: message.into_words() }).map_err(|_| message)
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        self.0.publish_with(count, || Line { words: make().into_words() }).unwrap_or(0)
    }
}

impl Receiver<FanoutMessage> for TopicReceiver {
    #[inline]
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let mut line = Line::zeroed();
        let is_there = self.0.receive_into(&mut line);
        is_there
            .expect("because the publisher is no stranger")
            .then(|| FanoutMessage::from_words(line.words))
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        self.0
            .drain(count, |line| take(&FanoutMessage::from_words(line.words)))
            .expect("because the publisher is no stranger")
    }
}

fn participant(meeting: &Meeting) -> Opened<Participant> {
    Ok(Participant::open(&meeting.folder().join("exchange"))?)
}

fn name(meeting: &Meeting) -> String {
    format!("topic-{}", meeting.lane())
}

impl ProcessPeer for Topic {
    const NAME: &'static str = "corelane topic";
    const HAS_BATCHES: bool = true;
    const FANS_OUT: bool = true;
    const HAS_CURSORS: bool = true;
    const IN_ONE_PROCESS: bool = true;

    type Sender = TopicSender;
    type Receiver = TopicReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let options = PublishOptions {
            slots: meeting.capacity().next_power_of_two(),
            subscribers_max: meeting.receivers_in_all(),
            ..PublishOptions::default()
        };
        let publisher = participant(meeting)?.publish::<Line>(&name(meeting), &options)?;
        if !publisher.wait_for_subscribers(meeting.others().len(), LINKING) {
            return Err("the subscribers did not come".into());
        }
        Ok(TopicSender(publisher))
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        let siblings = meeting.receivers();
        let options = SubscribeOptions { siblings, holds: 0, ..SubscribeOptions::RELIABLE };
        let first = participant(meeting)?.subscribe::<Line>(&name(meeting), options)?;
        let mut receivers = Vec::with_capacity(siblings);
        for _ in 1..siblings {
            receivers.push(TopicReceiver(first.sibling()?));
        }
        receivers.push(TopicReceiver(first));
        Ok(receivers)
    }
}

/// A topic of large payloads that are lent, and read where they lie.
#[derive(Debug, Clone, Copy)]
pub struct TopicLoans;

/// Its publisher.
#[derive(Debug)]
pub struct LoanSender {
    publisher: BytesPublisher,
    payload_bytes: usize,
}

/// Its subscriber.
#[derive(Debug)]
pub struct LoanReceiver(BytesSubscriber);

impl BulkSender for LoanSender {
    fn try_send(&mut self, fill: &mut impl FnMut(&mut [u8])) -> bool {
        let Ok(mut loan) = self.publisher.loan(self.payload_bytes) else { return false };
        fill(&mut loan);
        // The log has more slots than there are payloads under way.
        self.publisher.publish_loan(loan).is_ok()
    }
}

impl BulkReceiver for LoanReceiver {
    fn try_recv(&mut self, look: &mut impl FnMut(&[u8])) -> bool {
        let sample = self.0.try_receive().expect("because the publisher is no stranger");
        sample.map(|sample| look(&sample)).is_some()
    }
}

impl ProcessBulkPeer for TopicLoans {
    const NAME: &'static str = "corelane topic, loans";

    type Sender = LoanSender;
    type Receiver = LoanReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        // As many payloads as the others have room for; a chunk may be a fifth larger.
        let payload_bytes = meeting.payload_bytes();
        let slab_bytes_max = payload_bytes * (meeting.capacity() + 1) * 5 / 4 + (64 << 10);
        let options = PublishOptions { slab_bytes_max, ..PublishOptions::default() };
        let publisher = participant(meeting)?.publish_bytes(&name(meeting), &options)?;
        if !publisher.wait_for_subscribers(meeting.others().len(), LINKING) {
            return Err("the subscriber did not come".into());
        }
        Ok(LoanSender { publisher, payload_bytes })
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        let trusted: Trusted = trust::own_crew();
        let options = SubscribeOptions::RELIABLE.trusting(trusted);
        Ok(LoanReceiver(participant(meeting)?.subscribe_bytes(&name(meeting), options)?))
    }
}

/// A topic whose subscriber sleeps at once.
#[derive(Debug, Clone, Copy)]
pub struct TopicSleeping;

impl SleepingSender for TopicSender {
    fn send(&mut self, number: u64) {
        let line = Line { words: [number; 8] };
        self.0.publish(&line).expect("because one number is under way at a time");
    }
}

impl SleepingReceiver for TopicReceiver {
    fn recv(&mut self) -> u64 {
        let line = self.0.receive(WAIT).expect("because the publisher is no stranger");
        line.expect("because the publisher is alive").words[0]
    }
}

impl ProcessSleepingPeer for TopicSleeping {
    const NAME: &'static str = "corelane topic, futex";

    type Sender = TopicSender;
    type Receiver = TopicReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        Topic::sender(meeting)
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        let options = SubscribeOptions { holds: 0, spins: 0, ..SubscribeOptions::RELIABLE };
        Ok(TopicReceiver(participant(meeting)?.subscribe(&name(meeting), options)?))
    }
}

/// A topic whose subscriber waits in an event loop.
#[derive(Debug, Clone, Copy)]
pub struct TopicPolled;

/// Its subscriber.
#[derive(Debug)]
pub struct TopicPolledReceiver(Subscriber<Line>);

impl SleepingReceiver for TopicPolledReceiver {
    fn recv(&mut self) -> u64 {
        let mut line = Line::zeroed();
        while !self.0.receive_into(&mut line).expect("because the publisher is no stranger") {
            if self.0.arm().expect("because there are descriptors left") {
                poll(self.0.event_fd().expect("because it is armed"));
            }
        }
        line.words[0]
    }
}

impl ProcessSleepingPeer for TopicPolled {
    const NAME: &'static str = "corelane topic, event loop";

    type Sender = TopicSender;
    type Receiver = TopicPolledReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        Topic::sender(meeting)
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        let options = SubscribeOptions { holds: 0, spins: 0, ..SubscribeOptions::RELIABLE };
        Ok(TopicPolledReceiver(participant(meeting)?.subscribe(&name(meeting), options)?))
    }
}
