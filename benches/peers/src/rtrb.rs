//! rtrb: one producer and one consumer; chunks publish many messages with one store.

use std::iter;

use ::rtrb::{Consumer, Producer, PushError, RingBuffer, chunks::ChunkError};
use corelane_bench::{Payload, Peer, Receiver, Sender};

use crate::one_by_one::check_ends;

/// Through `push` and `pop`; batches through chunks, filled and read in place.
#[derive(Debug)]
pub(crate) struct Rtrb;

impl Peer for Rtrb {
    const NAME: &'static str = "rtrb";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (1, 1);

    type Sender<M: Payload> = RtrbSender<M>;
    type Receiver<M: Payload> = RtrbReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(senders, receivers);
        let (producer, consumer) = RingBuffer::new(capacity);
        (vec![RtrbSender(producer)], vec![RtrbReceiver(consumer)])
    }
}

/// The producer.
#[derive(Debug)]
pub(crate) struct RtrbSender<M>(Producer<M>);

/// The consumer.
#[derive(Debug)]
pub(crate) struct RtrbReceiver<M>(pub(crate) Consumer<M>);

impl<M: Send> Sender<M> for RtrbSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.0.push(message).map_err(|PushError::Full(message)| message)
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        let chunk = match self.0.write_chunk_uninit(count) {
            Ok(chunk) => chunk,
            Err(ChunkError::TooFewSlots(0)) => return 0,
            Err(ChunkError::TooFewSlots(free)) => match self.0.write_chunk_uninit(free) {
                Ok(chunk) => chunk,
                Err(ChunkError::TooFewSlots(_)) => return 0,
            },
        };
        chunk.fill_from_iter(iter::repeat_with(make))
    }
}

impl<M: Send> Receiver<M> for RtrbReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.pop().ok()
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        let chunk = match self.0.read_chunk(count) {
            Ok(chunk) => chunk,
            Err(ChunkError::TooFewSlots(0)) => return 0,
            Err(ChunkError::TooFewSlots(filled)) => match self.0.read_chunk(filled) {
                Ok(chunk) => chunk,
                Err(ChunkError::TooFewSlots(_)) => return 0,
            },
        };
        let taken = chunk.len();
        let (first, second) = chunk.as_slices();
        first.iter().for_each(&mut *take);
        second.iter().for_each(take);
        chunk.commit_all();
        taken
    }
}
