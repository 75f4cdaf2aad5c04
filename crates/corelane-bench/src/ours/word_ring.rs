//! `corelane_ring::latency`: fixed slots of words, the commit word in the record's own line.

use std::any::Any;

use corelane_ring::{HeapWords, Shape, latency};

use crate::peer::{Ends, Message, Peer, Receiver, Sender};

/// The word ring over the heap. It has no batches.
#[derive(Debug, Clone, Copy)]
pub struct WordRing;

/// Its sending end.
pub struct WordSender(latency::Producer<HeapWords, HeapWords>);

/// Its receiving end.
pub struct WordReceiver(latency::Consumer<HeapWords, HeapWords>);

/// The words of a message. Only those that the workloads send have any.
#[inline(always)]
fn words_of(message: &mut dyn Any) -> &mut [u64] {
    macro_rules! downcast {
        ($($words:expr),*) => {$(
            if message.is::<Message<{ $words }>>() {
                let message = message.downcast_mut::<Message<{ $words }>>();
                return message.expect("because it is one").words_mut();
            }
        )*};
    }
    downcast!(1, 8, 32, 512);
    let number = message.downcast_mut::<u64>();
    std::slice::from_mut(number.expect("because the workloads send messages and numbers only"))
}

impl<M: Copy + Default + Send + Sync + 'static> Sender<M> for WordSender {
    #[inline]
    fn try_send(&mut self, mut message: M) -> Result<(), M> {
        let Ok(mut claim) = self.0.claim() else { return Err(message) };
        let words = words_of(&mut message);
        claim.write(0, words);
        claim.commit((words.len() * 8) as u32);
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        for sent in 0..count {
            // A message is made once there is room for it.
            let Ok(mut claim) = self.0.claim() else { return sent };
            let mut message = make();
            let words = words_of(&mut message);
            claim.write(0, words);
            claim.commit((words.len() * 8) as u32);
        }
        count
    }
}

impl<M: Copy + Default + Send + Sync + 'static> Receiver<M> for WordReceiver {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        let record = self.0.peek().expect("because the sender is no stranger")?;
        let mut message = M::default();
        record.read(0, words_of(&mut message));
        record.consume();
        Some(message)
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

impl Peer for WordRing {
    const NAME: &'static str = "corelane word ring";
    const HAS_BATCHES: bool = false;
    const ENDS_MAX: (usize, usize) = (1, 1);

    type Sender<M: Copy + Default + Send + Sync + 'static> = WordSender;
    type Receiver<M: Copy + Default + Send + Sync + 'static> = WordReceiver;

    fn open<M: Copy + Default + Send + Sync + 'static>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        assert_eq!((senders, receivers), (1, 1), "the ring has one end of each kind");
        let slot_words = 1 + size_of::<M>().div_ceil(8);
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
