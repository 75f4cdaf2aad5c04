//! nexus-queue: its queue for one producer and its queue for many.

use ::nexus_queue::{Full, mpsc, spmc, spsc};

use crate::one_by_one::{
    ANY, OneByOne, OneByOneReceiver, Pop, Push, one_by_one_peer, receivers, senders,
};

one_by_one_peer! {
    /// One producer, one consumer.
    NexusSpsc = "nexus-queue, SPSC", One, (1, 1),
    spsc::Producer<M> => spsc::Consumer<M>,
    |capacity, _sending, _receiving| {
        let (producer, consumer) = spsc::ring_buffer(capacity);
        (vec![OneByOne::new(producer)], vec![OneByOneReceiver(consumer)])
    }
}

one_by_one_peer! {
    /// Many producers, one consumer.
    NexusMpsc = "nexus-queue, MPSC", One, (ANY, 1),
    mpsc::Producer<M> => mpsc::Consumer<M>,
    |capacity, sending, _receiving| {
        let (producer, consumer) = mpsc::ring_buffer(capacity);
        (senders(producer, sending), vec![OneByOneReceiver(consumer)])
    }
}

one_by_one_peer! {
    /// One producer, many consumers.
    NexusSpmc = "nexus-queue, SPMC", One, (1, ANY),
    spmc::Producer<M> => spmc::Consumer<M>,
    |capacity, _sending, receiving| {
        let (producer, consumer) = spmc::ring_buffer(capacity);
        (vec![OneByOne::new(producer)], receivers(consumer, receiving))
    }
}

macro_rules! ends {
    ($kind:ident) => {
        impl<M: Send> Push<M> for $kind::Producer<M> {
            #[inline]
            fn push(&mut self, message: M) -> Result<(), M> {
                $kind::Producer::push(self, message).map_err(|Full(message)| message)
            }
        }

        impl<M: Send> Pop<M> for $kind::Consumer<M> {
            #[inline]
            fn pop(&mut self) -> Option<M> {
                $kind::Consumer::pop(self)
            }
        }
    };
}

ends!(spsc);
ends!(mpsc);
ends!(spmc);
