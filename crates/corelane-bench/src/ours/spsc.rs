//! `corelane_ring::spsc`: one to one, messages of any type.

use corelane_ring::{Spin, spsc};

use crate::peer::{Ends, Payload, Peer, Receiver, Sender};

const POSSIBLE: &str = "because no workload asks for more than a ring can have";

/// The ring, spinning.
#[derive(Debug, Clone, Copy)]
pub struct Spsc;

/// Its sending end.
pub struct SpscSender<M: Payload>(spsc::Producer<M, Spin>);

/// Its receiving end.
pub struct SpscReceiver<M: Payload>(spsc::Consumer<M, Spin>);

impl<M: Payload> Sender<M> for SpscSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.0.try_send(message).map_err(|error| error.into_inner())
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        self.0.send_many((0..count).map(|_| make()))
    }
}

impl<M: Payload> Receiver<M> for SpscReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.try_recv().ok()
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        let batch = self.0.drain(count);
        let ready = batch.len();
        batch.for_each(|message| take(&message));
        ready
    }
}

impl Peer for Spsc {
    const NAME: &'static str = "corelane spsc";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (1, 1);

    type Sender<M: Payload> = SpscSender<M>;
    type Receiver<M: Payload> = SpscReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        assert_eq!((senders, receivers), (1, 1), "the ring has one end of each kind");
        let (producer, consumer) = spsc::channel(capacity, Spin).expect(POSSIBLE);
        (vec![SpscSender(producer)], vec![SpscReceiver(consumer)])
    }
}
