//! `corelane_ring::broadcast` over segments: the publisher's log, and a group of cursors for each
//! process that subscribes.

use std::slice;

use bytemuck::Zeroable;
use corelane_ring::broadcast::{
    LagPolicy, LogShape, Seat, Start, TryRecvError, WordPublisher, WordSubscriber,
};
use corelane_shm::{WordsRo, WordsRw};

use super::segments::{create, open};
use crate::{
    fanout_peer::FanoutMessage,
    peer::{Payload, Receiver, Sender},
    process::{Meeting, Opened, ProcessPeer},
};

/// The broadcast over segments, with reliable subscribers.
#[derive(Debug, Clone, Copy)]
pub struct MappedBroadcast;

/// Its publisher.
#[derive(Debug)]
pub struct MappedBroadcastSender(WordPublisher<WordsRw, WordsRo>);

/// A subscriber that gets everything.
#[derive(Debug)]
pub struct MappedBroadcastReceiver(WordSubscriber<WordsRo, WordsRw>);

impl Sender<FanoutMessage> for MappedBroadcastSender {
    #[inline]
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        let Ok(mut claim) = self.0.claim(1) else { return Err(message) };
        claim.put(bytemuck::cast_slice(slice::from_ref(&message.into_words())));
        claim.commit();
        Ok(())
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        let free = match self.0.claim(count) {
            Ok(_) => count,
            Err(error) => error.free,
        };
        let Ok(mut claim) = self.0.claim(free) else { return 0 };
        for _ in 0..free {
            claim.put(bytemuck::cast_slice(slice::from_ref(&make().into_words())));
        }
        claim.commit()
    }
}

impl Receiver<FanoutMessage> for MappedBroadcastReceiver {
    #[inline]
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let mut words = <FanoutMessage as Payload>::Words::zeroed();
        match self.0.try_recv(bytemuck::cast_slice_mut(slice::from_mut(&mut words))) {
            Ok(()) => Some(FanoutMessage::from_words(words)),
            Err(TryRecvError::Empty) => None,
            Err(error) => panic!("a reliable subscriber keeps its place: {error}"),
        }
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

fn shape(meeting: &Meeting) -> Opened<LogShape> {
    let words = meeting.payload_bytes().div_ceil(8);
    Ok(LogShape::new(meeting.capacity().next_power_of_two(), words, meeting.receivers_in_all())?)
}

impl ProcessPeer for MappedBroadcast {
    const NAME: &'static str = "corelane broadcast";
    const HAS_BATCHES: bool = true;
    const FANS_OUT: bool = true;
    const HAS_CURSORS: bool = true;
    const IN_ONE_PROCESS: bool = true;

    type Sender = MappedBroadcastSender;
    type Receiver = MappedBroadcastReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let shape = shape(meeting)?;
        let data = create("corelane-bench-log", shape.data_words())?;
        meeting.give(b"log", &[data.fd()])?;
        let mut publisher = WordPublisher::new(shape, LagPolicy::Wait, data.words().clone())?;
        let group = meeting.receivers_in_all() / meeting.others().len();
        for other in 0..meeting.others().len() {
            let cursors = open(meeting.take_fd_from(other)?, LogShape::group_words(group))?;
            let first = publisher.add_group(cursors)? as u64;
            meeting.others()[other].send(&first.to_le_bytes(), &[], None)?;
        }
        Ok(MappedBroadcastSender(publisher))
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        let shape = shape(meeting)?;
        let data = open(meeting.take_fd_from(0)?, shape.data_words())?;
        let count = meeting.receivers();
        let cursors = create("corelane-bench-cursors", LogShape::group_words(count))?;
        meeting.give(b"cursors", &[cursors.fd()])?;
        let first = u64::from_le_bytes(meeting.take_from(0)?.bytes.as_slice().try_into()?) as usize;
        let subscribe = |seat| {
            let seat = Seat { group: cursors.words().clone(), first, seat };
            let joined = WordSubscriber::join_reliable(shape, data.clone(), seat, Start::Oldest);
            Ok(MappedBroadcastReceiver(joined?))
        };
        (first..first + count).map(subscribe).collect()
    }
}
