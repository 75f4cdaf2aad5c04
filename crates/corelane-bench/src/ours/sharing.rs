//! `corelane_ring::sharing`: many to many, a lane for each sender.

use corelane_ring::{Spin, sharing};

use crate::peer::{Ends, Payload, Peer, Receiver, Sender};

const POSSIBLE: &str = "because no workload asks for more than a ring can have";

/// The ring, spinning.
#[derive(Debug, Clone, Copy)]
pub struct Sharing;

/// Its sending end.
pub struct SharingSender<M: Payload>(sharing::Producer<M::Words, Spin>);

/// Its receiving end.
pub struct SharingReceiver<M: Payload>(sharing::Consumer<M::Words, Spin>);

impl<M: Payload> Sender<M> for SharingSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.0.try_send(message.into_words()).map_err(|error| M::from_words(error.into_inner()))
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        self.0.send_many((0..count).map(|_| make().into_words()))
    }
}

impl<M: Payload> Receiver<M> for SharingReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.try_recv().ok().map(M::from_words)
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        self.0.recv_with(count, |message| take(&M::from_words(message)))
    }
}

impl Peer for Sharing {
    const NAME: &'static str = "corelane sharing";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (usize::MAX, usize::MAX);

    type Sender<M: Payload> = SharingSender<M>;
    type Receiver<M: Payload> = SharingReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        let (producer, consumer) = sharing::channel(capacity, Spin).expect(POSSIBLE);
        (
            (0..senders).map(|_| SharingSender(producer.clone())).collect(),
            (0..receivers).map(|_| SharingReceiver(consumer.clone())).collect(),
        )
    }
}
