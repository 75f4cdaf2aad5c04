//! `corelane_ring::fan_in`: many to one, a lane for each sender.

use corelane_ring::{Spin, fan_in};

use crate::peer::{Ends, Payload, Peer, Receiver, Sender};

const POSSIBLE: &str = "because no workload asks for more than a ring can have";

/// The ring, spinning.
#[derive(Debug, Clone, Copy)]
pub struct FanIn;

/// Its sending end.
pub struct FanInSender<M: Payload>(fan_in::Producer<M, Spin>);

/// Its receiving end.
pub struct FanInReceiver<M: Payload>(fan_in::Consumer<M, Spin>);

impl<M: Payload> Sender<M> for FanInSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.0.try_send(message).map_err(|error| error.into_inner())
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        self.0.send_many((0..count).map(|_| make()))
    }
}

impl<M: Payload> Receiver<M> for FanInReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.try_recv().ok()
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        self.0.recv_with(count, |message| take(&message))
    }
}

impl Peer for FanIn {
    const NAME: &'static str = "corelane fan_in";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (usize::MAX, 1);

    type Sender<M: Payload> = FanInSender<M>;
    type Receiver<M: Payload> = FanInReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        assert_eq!(receivers, 1, "the ring has one receiver");
        let (producer, consumer) = fan_in::channel(capacity, Spin).expect(POSSIBLE);
        (
            (0..senders).map(|_| FanInSender(producer.clone())).collect(),
            vec![FanInReceiver(consumer)],
        )
    }
}
