//! omango: its bounded queue for one end on each side and its bounded queue for many.

use ::omango::queue::{mpmc, spsc};

use crate::one_by_one::{
    ANY, OneByOne, OneByOneReceiver, Pop, Push, one_by_one_peer, receivers, senders,
};

one_by_one_peer! {
    /// One sender, one receiver.
    OmangoSpsc = "omango, SPSC", One, (1, 1),
    spsc::BSender<M> => spsc::BReceiver<M>,
    |capacity, _sending, _receiving| {
        let (sender, receiver) = spsc::bounded(slots(capacity));
        (vec![OneByOne::new(sender)], vec![OneByOneReceiver(receiver)])
    }
}

one_by_one_peer! {
    /// Many senders, many receivers.
    OmangoMpmc = "omango, MPMC", One, (ANY, ANY),
    mpmc::BSender<M> => mpmc::BReceiver<M>,
    |capacity, sending, receiving| {
        let (sender, receiver) = mpmc::bounded(slots(capacity));
        (senders(sender, sending), receivers(receiver, receiving))
    }
}

fn slots(capacity: usize) -> u32 {
    capacity
        .try_into()
        .expect("a queue of more than four thousand million slots is measured by nobody")
}

macro_rules! ends {
    ($kind:ident) => {
        impl<M: Send> Push<M> for $kind::BSender<M> {
            #[inline]
            fn push(&mut self, message: M) -> Result<(), M> {
                self.try_send(message).map_err(|error| error.into_inner())
            }
        }

        impl<M: Send> Pop<M> for $kind::BReceiver<M> {
            #[inline]
            fn pop(&mut self) -> Option<M> {
                self.try_recv().ok()
            }
        }
    };
}

ends!(spsc);
ends!(mpmc);
