//! crossbeam-channel, bounded: its `try` forms, ends that park, and ends that sleep.

use ::crossbeam_channel::{Receiver, Sender, bounded};

use crate::one_by_one::{ANY, Pop, Push, one_by_one_peer, receivers, senders};
use crate::parking::{PATIENCE, Parking};
use crate::sleeping::{CAPACITY, sleeping_peer};

one_by_one_peer! {
    /// Through `try_send` and `try_recv`.
    CrossbeamChannel = "crossbeam-channel", One, (ANY, ANY),
    Sender<M> => Receiver<M>,
    |capacity, sending, receiving| {
        let (sender, receiver) = bounded(capacity);
        (senders(sender, sending), receivers(receiver, receiving))
    }
}

impl<M: Send> Push<M> for Sender<M> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.try_send(message).map_err(|error| error.into_inner())
    }
}

impl<M: Send> Pop<M> for Receiver<M> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        self.try_recv().ok()
    }
}

one_by_one_peer! {
    /// Whoever must wait parks in the channel.
    CrossbeamChannelParking = "crossbeam-channel, parking", One, (ANY, ANY),
    Parking<Sender<M>> => Parking<Receiver<M>>,
    |capacity, sending, receiving| {
        let (sender, receiver) = bounded(capacity);
        (senders(Parking(sender), sending), receivers(Parking(receiver), receiving))
    }
}

impl<M: Send> Push<M> for Parking<Sender<M>> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.0.try_send(message).or_else(|error| {
            self.0.send_timeout(error.into_inner(), PATIENCE).map_err(|error| error.into_inner())
        })
    }
}

impl<M: Send> Pop<M> for Parking<Receiver<M>> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        self.0.try_recv().ok().or_else(|| self.0.recv_timeout(PATIENCE).ok())
    }
}

sleeping_peer! {
    CrossbeamChannel = "crossbeam-channel", Sender<u64> => Receiver<u64>, bounded(CAPACITY),
    |sender, number| sender.send(number), |receiver| receiver.recv().ok()
}
