//! `std::sync::mpsc::sync_channel`, awake and asleep.

use std::sync::mpsc::{Receiver as StdEnd, SyncSender, TrySendError, sync_channel};

use crate::peer::{
    Ends, Payload, Peer, Receiver, Sender, SleepingPeer, SleepingReceiver, SleepingSender,
};

/// The bounded channel of the standard library. It has no batches.
#[derive(Debug, Clone, Copy)]
pub struct StdChannel;

/// Its sending end.
#[derive(Debug, Clone)]
pub struct StdSender<M>(pub(crate) SyncSender<M>);

/// Its receiving end.
#[derive(Debug)]
pub struct StdReceiver<M>(pub(crate) StdEnd<M>);

impl<M: Send> Sender<M> for StdSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.0.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        })
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        // A message that was made must go, so this end only makes it when it can wait for room.
        (0..count).take_while(|_| self.0.send(make()).is_ok()).count()
    }
}

impl<M: Send> Receiver<M> for StdReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.try_recv().ok()
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        self.0.try_iter().take(count).inspect(take).count()
    }
}

impl Peer for StdChannel {
    const NAME: &'static str = "std mpsc";
    const HAS_BATCHES: bool = false;
    const ENDS_MAX: (usize, usize) = (usize::MAX, 1);

    type Sender<M: Payload> = StdSender<M>;
    type Receiver<M: Payload> = StdReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        assert_eq!(receivers, 1, "the channel has one receiver");
        let (sender, receiver) = sync_channel(capacity);
        (vec![StdSender(sender); senders], vec![StdReceiver(receiver)])
    }
}

impl SleepingSender for StdSender<u64> {
    fn send(&mut self, number: u64) {
        self.0.send(number).expect("because the other end is alive");
    }
}

impl SleepingReceiver for StdReceiver<u64> {
    fn recv(&mut self) -> u64 {
        self.0.recv().expect("because the other end is alive")
    }
}

impl SleepingPeer for StdChannel {
    const NAME: &'static str = "std mpsc";
    type Sender = StdSender<u64>;
    type Receiver = StdReceiver<u64>;

    fn open() -> (Self::Sender, Self::Receiver) {
        let (sender, receiver) = sync_channel(8);
        (StdSender(sender), StdReceiver(receiver))
    }
}
