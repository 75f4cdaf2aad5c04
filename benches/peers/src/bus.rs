//! bus: one sender, and every receiver gets every message.

use ::bus::{Bus, BusReader};

use crate::one_by_one::{ANY, OneByOne, OneByOneReceiver, Pop, Push, one_by_one_peer};

one_by_one_peer! {
    /// Through `try_broadcast` and `try_recv`.
    BusPeer = "bus", Each, (1, ANY),
    Bus<M> => BusReader<M>,
    |capacity, _sending, receiving| {
        let mut bus = Bus::new(capacity);
        let readers = (0..receiving).map(|_| OneByOneReceiver(bus.add_rx())).collect();
        (vec![OneByOne::new(bus)], readers)
    }
}

impl<M: Copy + Send + Sync> Push<M> for Bus<M> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.try_broadcast(message)
    }
}

impl<M: Copy + Send + Sync> Pop<M> for BusReader<M> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        self.try_recv().ok()
    }
}
