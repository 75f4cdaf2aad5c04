//! `corelane_ring::mpmc`: many to many, in the order of the claims.

use corelane_ring::{Spin, mpmc};

use crate::peer::{Ends, Payload, Peer, Receiver, Sender};

const POSSIBLE: &str = "because no workload asks for more than a ring can have";

/// The ring, spinning.
#[derive(Debug, Clone, Copy)]
pub struct Mpmc;

/// Its sending end.
pub struct MpmcSender<M: Payload>(mpmc::Producer<M, Spin>);

/// Its receiving end.
pub struct MpmcReceiver<M: Payload>(mpmc::Consumer<M, Spin>);

impl<M: Payload> Sender<M> for MpmcSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.0.try_send(message).map_err(|error| error.into_inner())
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        self.0.send_many((0..count).map(|_| make()))
    }
}

impl<M: Payload> Receiver<M> for MpmcReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.try_recv().ok()
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        self.0.recv_with(count, |message| take(&message))
    }
}

impl Peer for Mpmc {
    const NAME: &'static str = "corelane mpmc";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (usize::MAX, usize::MAX);

    type Sender<M: Payload> = MpmcSender<M>;
    type Receiver<M: Payload> = MpmcReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        let (producer, consumer) = mpmc::channel(capacity, Spin).expect(POSSIBLE);
        (
            (0..senders).map(|_| MpmcSender(producer.clone())).collect(),
            (0..receivers).map(|_| MpmcReceiver(consumer.clone())).collect(),
        )
    }
}
