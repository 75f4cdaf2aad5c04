//! crossbeam-queue's `ArrayQueue`: a bounded queue for any number of threads, which never parks.

use std::sync::Arc;

use ::crossbeam_queue::ArrayQueue;

use crate::one_by_one::{ANY, Pop, Push, one_by_one_peer, receivers, senders};

one_by_one_peer! {
    /// Through `push` and `pop`.
    CrossbeamArrayQueue = "crossbeam ArrayQueue", One, (ANY, ANY),
    Arc<ArrayQueue<M>> => Arc<ArrayQueue<M>>,
    |capacity, sending, receiving| {
        let queue = Arc::new(ArrayQueue::new(capacity));
        (senders(Arc::clone(&queue), sending), receivers(queue, receiving))
    }
}

impl<M: Send> Push<M> for Arc<ArrayQueue<M>> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        ArrayQueue::push(self, message)
    }
}

impl<M: Send> Pop<M> for Arc<ArrayQueue<M>> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        ArrayQueue::pop(self)
    }
}
