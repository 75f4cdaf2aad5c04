//! `corelane_ring::latency`: fixed slots of words, the commit word in the record's own line.

use std::slice;

use bytemuck::Zeroable;
use corelane_ring::{HeapWords, Shape, latency};

use crate::peer::{Ends, Payload, Peer, Receiver, Sender};

/// The word ring over the heap. It has no batches.
#[derive(Debug, Clone, Copy)]
pub struct WordRing;

/// Its sending end.
pub struct WordSender(latency::Producer<HeapWords, HeapWords>);

/// Its receiving end.
pub struct WordReceiver(latency::Consumer<HeapWords, HeapWords>);

impl<M: Payload> Sender<M> for WordSender {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        let Ok(mut claim) = self.0.claim() else { return Err(message) };
        claim.write(0, bytemuck::cast_slice(slice::from_ref(&message.into_words())));
        claim.commit(size_of::<M>() as u32);
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        for sent in 0..count {
            // A message is made once there is room for it.
            let Ok(mut claim) = self.0.claim() else { return sent };
            claim.write(0, bytemuck::cast_slice(slice::from_ref(&make().into_words())));
            claim.commit(size_of::<M>() as u32);
        }
        count
    }
}

impl<M: Payload> Receiver<M> for WordReceiver {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        let record = self.0.peek().expect("because the sender is no stranger")?;
        let mut words = M::Words::zeroed();
        record.read(0, bytemuck::cast_slice_mut(slice::from_mut(&mut words)));
        record.consume();
        Some(M::from_words(words))
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

impl Peer for WordRing {
    const NAME: &'static str = "corelane latency";
    const HAS_BATCHES: bool = false;
    const ENDS_MAX: (usize, usize) = (1, 1);

    type Sender<M: Payload> = WordSender;
    type Receiver<M: Payload> = WordReceiver;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        assert_eq!((senders, receivers), (1, 1), "the ring has one end of each kind");
        // Whole lines, so that no two records share one.
        let slot_words = (1 + size_of::<M>().div_ceil(8)).next_multiple_of(8);
        let shape = Shape::new(capacity.next_power_of_two().max(2), slot_words);
        let shape = shape.expect("because no workload asks for more than a ring can have");
        let data = HeapWords::new(shape.data_words());
        let cursor = HeapWords::new(latency::CURSOR_WORDS);
        const FITS: &str = "because the words were made for this shape";
        let sender = latency::Producer::new(shape, data.clone(), cursor.clone()).expect(FITS);
        let receiver = latency::Consumer::new(shape, data, cursor).expect(FITS);
        (vec![WordSender(sender)], vec![WordReceiver(receiver)])
    }
}
