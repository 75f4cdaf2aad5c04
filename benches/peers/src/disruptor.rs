//! disruptor: events are written and read in place; a poller takes what is there as one batch.
//!
//! A poller has no call for a single event, so one is taken with a limit of one.

use std::marker::PhantomData;

use ::disruptor::{
    BusySpin, EventPoller, MissingFreeSlots, MultiConsumerBarrier, MultiProducer,
    MultiProducerBarrier, Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
    build_multi_producer, build_single_producer,
};
use corelane_bench::{Delivery, Payload, Peer, Receiver, Sender};

use crate::one_by_one::{ANY, check_ends};

/// The ring of many producers has at least so many slots.
const CAPACITY_MIN: usize = 64;

/// One producer, one consumer.
#[derive(Debug)]
pub(crate) struct DisruptorSingle;

impl Peer for DisruptorSingle {
    const NAME: &'static str = "disruptor, single producer";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (1, 1);

    type Sender<M: Payload> = Publisher<SingleProducer<M, SingleConsumerBarrier>, M>;
    type Receiver<M: Payload> = Poller<M, SingleProducerBarrier>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(senders, receivers);
        let builder = build_single_producer(slots(capacity), M::default, BusySpin);
        let (poller, builder) = builder.new_event_poller();
        (vec![Publisher::new(builder.build())], vec![Poller(poller)])
    }
}

/// Many producers, one consumer.
#[derive(Debug)]
pub(crate) struct DisruptorMulti;

impl Peer for DisruptorMulti {
    const NAME: &'static str = "disruptor, many producers";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (ANY, 1);

    type Sender<M: Payload> = Publisher<MultiProducer<M, SingleConsumerBarrier>, M>;
    type Receiver<M: Payload> = Poller<M, MultiProducerBarrier>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(senders, receivers);
        let builder = build_multi_producer(slots(capacity), M::default, BusySpin);
        let (poller, builder) = builder.new_event_poller();
        let producers = std::iter::repeat_n(builder.build(), senders);
        (producers.map(Publisher::new).collect(), vec![Poller(poller)])
    }
}

/// One producer; every consumer gets every event.
#[derive(Debug)]
pub(crate) struct DisruptorBroadcast;

impl Peer for DisruptorBroadcast {
    const NAME: &'static str = "disruptor, many consumers";
    const DELIVERY: Delivery = Delivery::Each;
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (1, ANY);

    type Sender<M: Payload> = Publisher<SingleProducer<M, MultiConsumerBarrier>, M>;
    type Receiver<M: Payload> = Poller<M, SingleProducerBarrier>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(senders, receivers);
        let builder = build_single_producer(slots(capacity), M::default, BusySpin);
        let mut builder = builder.with_multi_consumer();
        let mut pollers = Vec::new();
        for _ in 0..receivers {
            let (poller, rest) = builder.new_event_poller();
            pollers.push(Poller(poller));
            builder = rest;
        }
        (vec![Publisher::new(builder.build())], pollers)
    }
}

fn slots(capacity: usize) -> usize {
    capacity.next_power_of_two().max(CAPACITY_MIN)
}

/// A producer of either kind.
pub(crate) struct Publisher<P, M> {
    producer: P,
    message: PhantomData<fn(M)>,
}

impl<P, M> Publisher<P, M> {
    fn new(producer: P) -> Self {
        Self { producer, message: PhantomData }
    }
}

impl<M: Copy + Send, P: Producer<M> + Send> Sender<M> for Publisher<P, M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        let published = self.producer.try_publish(|slot| *slot = message);
        published.map(drop).map_err(|_full| message)
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        let mut publish = |count: usize| {
            let published = self.producer.try_batch_publish(count, |slots| {
                slots.for_each(|slot| *slot = make());
            });
            published.map(|_| count)
        };
        match publish(count) {
            Ok(sent) => sent,
            Err(MissingFreeSlots(missing)) => {
                // Other producers may have taken the rest meanwhile: then none is sent.
                let rest = count.saturating_sub(missing as usize);
                if rest == 0 { 0 } else { publish(rest).unwrap_or(0) }
            }
        }
    }
}

/// A consumer.
pub(crate) struct Poller<M, B>(EventPoller<M, B>);

macro_rules! poller {
    ($barrier:ty) => {
        impl<M: Copy + Send + Sync + 'static> Receiver<M> for Poller<M, $barrier> {
            #[inline]
            fn try_recv(&mut self) -> Option<M> {
                let mut events = self.0.take(1).ok()?;
                (&mut events).next().copied()
            }

            #[inline]
            fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
                let Ok(mut events) = self.0.take(count as u64) else { return 0 };
                let taken = (&mut events).len();
                (&mut events).for_each(take);
                taken
            }
        }
    };
}

poller!(SingleProducerBarrier);
poller!(MultiProducerBarrier);
