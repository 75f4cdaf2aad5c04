//! tokio's broadcast channel, kept from losing messages.
//!
//! It never refuses a message: a receiver that lags loses the oldest. So the receivers publish how
//! far they read, and the sender refuses what would overwrite a message that somebody lacks. The
//! channel's own `len` says the same and takes a lock for each of a dozen slots.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ::tokio::sync::broadcast;
use corelane_bench::{Delivery, Payload};
use crossbeam_utils::CachePadded;

use crate::one_by_one::{ANY, OneByOne, OneByOneReceiver, Pop, Push, check_ends};

/// Through `send` and `try_recv`.
#[derive(Debug)]
pub(crate) struct TokioBroadcast;

impl corelane_bench::Peer for TokioBroadcast {
    const NAME: &'static str = "tokio broadcast";
    const DELIVERY: Delivery = Delivery::Each;
    const HAS_BATCHES: bool = false;
    const ENDS_MAX: (usize, usize) = (1, ANY);

    type Sender<M: Payload> = OneByOne<Reliable<M>, M>;
    type Receiver<M: Payload> = OneByOneReceiver<Counting<M>>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(senders, receivers);
        let (sender, _) = broadcast::channel(capacity);
        let counting = |_| Counting { receiver: sender.subscribe(), read: Arc::default() };
        let counting: Vec<Counting<M>> = (0..receivers).map(counting).collect();
        let read = counting.iter().map(|receiver| Arc::clone(&receiver.read)).collect();
        let sent_max = capacity as u64;
        let sender = Reliable { sender, read, sent: 0, sent_max, capacity: capacity as u64 };
        (vec![OneByOne::new(sender)], counting.into_iter().map(OneByOneReceiver).collect())
    }
}

/// The sender, with how far everybody read.
#[derive(Debug)]
pub(crate) struct Reliable<M> {
    sender: broadcast::Sender<M>,
    read: Vec<Arc<CachePadded<AtomicU64>>>,
    sent: u64,
    /// It may send up to this many before it looks again how far everybody read.
    sent_max: u64,
    capacity: u64,
}

/// A receiver that says how far it read.
#[derive(Debug)]
pub(crate) struct Counting<M> {
    receiver: broadcast::Receiver<M>,
    read: Arc<CachePadded<AtomicU64>>,
}

impl<M: Copy + Send + Sync> Push<M> for Reliable<M> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        if self.sent == self.sent_max {
            // The channel orders the messages; this count only has to arrive some time.
            let read = self.read.iter().map(|read| read.load(Ordering::Relaxed)).min();
            self.sent_max = read.unwrap_or(self.sent) + self.capacity;
            if self.sent == self.sent_max {
                return Err(message);
            }
        }
        self.sender.send(message).map_err(|error| error.0)?;
        self.sent += 1;
        Ok(())
    }
}

impl<M: Copy + Send + Sync> Pop<M> for Counting<M> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        let message = self.receiver.try_recv().ok()?;
        // Only this receiver writes its count.
        let read = self.read.load(Ordering::Relaxed);
        self.read.store(read + 1, Ordering::Relaxed);
        Some(message)
    }
}
