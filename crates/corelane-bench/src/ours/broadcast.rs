//! `corelane_ring::broadcast`: one write for every subscriber.

use corelane_ring::{
    Spin,
    broadcast::{self, Start},
};

use crate::{
    fanout_peer::{FanoutMessage, FanoutPeer},
    peer::{Delivery, Ends, Payload, Peer, Receiver, Sender},
};

const POSSIBLE: &str = "because no workload asks for more than a broadcast can have";

/// The broadcast with reliable subscribers, spinning.
#[derive(Debug, Clone, Copy)]
pub struct Broadcast;

/// Its sending end.
pub struct BroadcastSender<M: Payload>(broadcast::Publisher<M::Words, Spin>);

/// A subscriber that gets everything.
pub struct BroadcastReceiver<M: Payload>(broadcast::Subscriber<M::Words, Spin>);

impl<M: Payload> Sender<M> for BroadcastSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        let sent = self.0.try_send(message.into_words());
        sent.map_err(|error| M::from_words(error.into_inner()))
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        self.0.send_many((0..count).map(|_| make().into_words()))
    }
}

impl<M: Payload> Receiver<M> for BroadcastReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.try_recv().ok().map(M::from_words)
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        self.0.drain(count, |words| take(&M::from_words(words))).unwrap_or(0)
    }
}

fn open<M: Payload>(
    capacity: usize,
    receivers: usize,
) -> (BroadcastSender<M>, Vec<BroadcastReceiver<M>>) {
    let (publisher, subscribers) = broadcast::channel(capacity, receivers, Spin).expect(POSSIBLE);
    let subscribe = |_| BroadcastReceiver(subscribers.reliable(Start::Oldest).expect(POSSIBLE));
    let receivers = (0..receivers).map(subscribe).collect();
    (BroadcastSender(publisher), receivers)
}

impl Peer for Broadcast {
    const NAME: &'static str = "corelane broadcast";
    const DELIVERY: Delivery = Delivery::Each;
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (1, usize::MAX);

    type Sender<M: Payload> = BroadcastSender<M>;
    type Receiver<M: Payload> = BroadcastReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        assert_eq!(senders, 1, "the broadcast has one sender");
        let (sender, receivers) = open(capacity, receivers);
        (vec![sender], receivers)
    }
}

impl FanoutPeer for Broadcast {
    const NAME: &'static str = "corelane broadcast";
    type Publisher = BroadcastSender<FanoutMessage>;
    type Cursor = BroadcastReceiver<FanoutMessage>;

    fn open(cursors: usize, capacity: usize) -> (Self::Publisher, Vec<Self::Cursor>) {
        open(capacity, cursors)
    }
}
