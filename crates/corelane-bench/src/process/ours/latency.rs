//! `corelane_ring::latency` over two segments: the sender's slots, the receiver's cursor.

use std::slice;

use bytemuck::Zeroable;
use corelane_ring::{Shape, latency};
use corelane_shm::{WordsRo, WordsRw};

use super::segments::{create, open};
use crate::{
    fanout_peer::FanoutMessage,
    peer::{Payload, Receiver, Sender},
    process::{Meeting, Opened, ProcessPeer},
};

/// The word ring over segments. It has no batches.
#[derive(Debug, Clone, Copy)]
pub struct MappedLatency;

/// Its sending end.
#[derive(Debug)]
pub struct MappedLatencySender(latency::Producer<WordsRw, WordsRo>);

/// Its receiving end.
#[derive(Debug)]
pub struct MappedLatencyReceiver(latency::Consumer<WordsRo, WordsRw>);

impl Sender<FanoutMessage> for MappedLatencySender {
    #[inline]
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        let Ok(mut claim) = self.0.claim() else { return Err(message) };
        claim.write(0, bytemuck::cast_slice(slice::from_ref(&message.into_words())));
        claim.commit(FanoutMessage::BYTES as u32);
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        for sent in 0..count {
            // A message is made once there is room for it.
            let Ok(mut claim) = self.0.claim() else { return sent };
            claim.write(0, bytemuck::cast_slice(slice::from_ref(&make().into_words())));
            claim.commit(FanoutMessage::BYTES as u32);
        }
        count
    }
}

impl Receiver<FanoutMessage> for MappedLatencyReceiver {
    #[inline]
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let record = self.0.peek().expect("because the sender is no stranger")?;
        let mut words = <FanoutMessage as Payload>::Words::zeroed();
        record.read(0, bytemuck::cast_slice_mut(slice::from_mut(&mut words)));
        record.consume();
        Some(FanoutMessage::from_words(words))
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

/// Whole lines, so that no two records share one.
fn shape(meeting: &Meeting) -> Opened<Shape> {
    let slot_words = (1 + meeting.payload_bytes().div_ceil(8)).next_multiple_of(8);
    Ok(Shape::new(meeting.capacity().next_power_of_two(), slot_words)?)
}

impl ProcessPeer for MappedLatency {
    const NAME: &'static str = "corelane latency";
    const IN_ONE_PROCESS: bool = true;

    type Sender = MappedLatencySender;
    type Receiver = MappedLatencyReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let shape = shape(meeting)?;
        let data = create("corelane-bench-data", shape.data_words())?;
        meeting.give(b"data", &[data.fd()])?;
        let cursor = open(meeting.take_fd_from(0)?, latency::CURSOR_WORDS)?;
        let producer = latency::Producer::new(shape, data.into_words(), cursor)?;
        Ok(MappedLatencySender(producer))
    }

    fn receivers(meeting: &Meeting) -> Opened<Vec<Self::Receiver>> {
        let shape = shape(meeting)?;
        let data = open(meeting.take_fd_from(0)?, shape.data_words())?;
        let cursor = create("corelane-bench-cursor", latency::CURSOR_WORDS)?;
        meeting.give(b"cursor", &[cursor.fd()])?;
        let consumer = latency::Consumer::new(shape, data, cursor.into_words())?;
        Ok(vec![MappedLatencyReceiver(consumer)])
    }
}
