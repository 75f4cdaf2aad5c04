//! `corelane_ring::throughput`: records of any length, written and read where they lie.

use corelane_ring::{
    HeapWords,
    throughput::{self, Consumer, Producer},
};

use crate::bulk_peer::{BulkPeer, BulkReceiver, BulkSender};

const POSSIBLE: &str = "because no workload asks for more than a ring can have";

/// The ring over the heap.
#[derive(Debug, Clone, Copy)]
pub struct Throughput;

/// Its sending end.
pub struct ThroughputSender {
    producer: Producer<HeapWords, HeapWords>,
    bytes: usize,
}

/// Its receiving end.
pub struct ThroughputReceiver(Consumer<HeapWords, HeapWords>);

impl BulkSender for ThroughputSender {
    #[inline]
    fn try_send(&mut self, fill: &mut impl FnMut(&mut [u8])) -> bool {
        let Ok(mut claim) = self.producer.claim(self.bytes) else { return false };
        fill(claim.bytes_mut());
        claim.commit(self.bytes);
        true
    }
}

impl BulkReceiver for ThroughputReceiver {
    #[inline]
    fn try_recv(&mut self, look: &mut impl FnMut(&[u8])) -> bool {
        let record = self.0.try_recv().expect("because the sender is no stranger");
        let Some(record) = record else { return false };
        look(record.bytes());
        record.consume();
        true
    }
}

impl BulkPeer for Throughput {
    const NAME: &'static str = "corelane throughput";
    type Sender = ThroughputSender;
    type Receiver = ThroughputReceiver;

    fn open(buffers: usize, bytes: usize) -> (Self::Sender, Self::Receiver) {
        // Room for as many records as the hand-over has buffers, with their headers.
        let capacity = (buffers * (bytes + 64)).next_power_of_two();
        let (write, read) = throughput::heap(capacity).expect(POSSIBLE);
        let producer = Producer::new(write);
        (ThroughputSender { producer, bytes }, ThroughputReceiver(Consumer::new(read)))
    }
}
