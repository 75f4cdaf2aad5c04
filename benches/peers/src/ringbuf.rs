//! ringbuf: one producer and one consumer, each with a cached copy of the other's index.
//!
//! Its caching ends publish before an operation returns; the plain ends read the other's index at
//! every call and are slower. A batch is pushed from an iterator and read in place.

use std::{iter, sync::Arc};

use ::ringbuf::{
    CachingCons, CachingProd, HeapRb,
    traits::{Consumer, Producer, Split},
};
use corelane_bench::{Payload, Peer, Receiver, Sender};

use crate::one_by_one::check_ends;

/// Through the caching ends.
#[derive(Debug)]
pub(crate) struct Ringbuf;

impl Peer for Ringbuf {
    const NAME: &'static str = "ringbuf";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (1, 1);

    type Sender<M: Payload> = RingbufSender<M>;
    type Receiver<M: Payload> = RingbufReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(senders, receivers);
        let (producer, consumer) = HeapRb::new(capacity).split();
        (vec![RingbufSender(producer)], vec![RingbufReceiver(consumer)])
    }
}

/// The producer.
pub(crate) struct RingbufSender<M>(CachingProd<Arc<HeapRb<M>>>);

/// The consumer.
pub(crate) struct RingbufReceiver<M>(CachingCons<Arc<HeapRb<M>>>);

impl<M: Send> Sender<M> for RingbufSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.0.try_push(message)
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        self.0.push_iter(iter::repeat_with(make).take(count))
    }
}

impl<M: Copy + Send> Receiver<M> for RingbufReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.try_pop()
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        let (first, second) = self.0.as_slices();
        let count = count.min(first.len() + second.len());
        let first = &first[..count.min(first.len())];
        let second = &second[..count - first.len()];
        first.iter().for_each(&mut *take);
        second.iter().for_each(take);
        self.0.skip(count)
    }
}
