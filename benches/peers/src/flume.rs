//! flume, bounded: its `try` forms, ends that park, and ends that sleep.
//!
//! Receiving has a batch of its own, sending has none.

use corelane_bench::{Payload, Peer, Receiver};

use crate::held_back::HeldBack;
use crate::one_by_one::{
    ANY, OneByOne, Pop, Push, check_ends, one_by_one_peer, receivers, senders,
};
use crate::parking::{PATIENCE, Parking};
use crate::sleeping::{CAPACITY, sleeping_peer};

/// Through `try_send`, `try_recv` and `drain`.
#[derive(Debug)]
pub(crate) struct Flume;

impl Peer for Flume {
    const NAME: &'static str = "flume";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (ANY, ANY);

    type Sender<M: Payload> = OneByOne<::flume::Sender<M>, M>;
    type Receiver<M: Payload> = FlumeReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        sending: usize,
        receiving: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(sending, receiving);
        let (sender, receiver) = ::flume::bounded(capacity);
        let drained = || FlumeReceiver {
            receiver: receiver.clone(),
            held: HeldBack::with_capacity(capacity),
        };
        (senders(sender, sending), (0..receiving).map(|_| drained()).collect())
    }
}

/// The receiver, with what it drained.
pub(crate) struct FlumeReceiver<M> {
    receiver: ::flume::Receiver<M>,
    held: HeldBack<M>,
}

impl<M: Copy + Send> Receiver<M> for FlumeReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.held.next().or_else(|| self.receiver.try_recv().ok())
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        if self.held.messages.is_empty() {
            self.held.messages.extend(self.receiver.drain());
        }
        self.held.hand_out(count, take)
    }
}

impl<M: Send> Push<M> for ::flume::Sender<M> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.try_send(message).map_err(|error| error.into_inner())
    }
}

one_by_one_peer! {
    /// Whoever must wait parks in the channel.
    FlumeParking = "flume, parking", One, (ANY, ANY),
    Parking<::flume::Sender<M>> => Parking<::flume::Receiver<M>>,
    |capacity, sending, receiving| {
        let (sender, receiver) = ::flume::bounded(capacity);
        (senders(Parking(sender), sending), receivers(Parking(receiver), receiving))
    }
}

impl<M: Send> Push<M> for Parking<::flume::Sender<M>> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.0.push(message).or_else(|message| {
            self.0.send_timeout(message, PATIENCE).map_err(|error| error.into_inner())
        })
    }
}

impl<M: Send> Pop<M> for Parking<::flume::Receiver<M>> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        self.0.try_recv().ok().or_else(|| self.0.recv_timeout(PATIENCE).ok())
    }
}

sleeping_peer! {
    Flume = "flume", ::flume::Sender<u64> => ::flume::Receiver<u64>, ::flume::bounded(CAPACITY),
    |sender, number| sender.send(number), |receiver| receiver.recv().ok()
}
