//! concurrent-queue, bounded: for any number of threads, never parks.

use std::sync::Arc;

use ::concurrent_queue::ConcurrentQueue;

use crate::one_by_one::{ANY, Pop, Push, one_by_one_peer, receivers, senders};

one_by_one_peer! {
    /// Through `push` and `pop`.
    Concurrent = "concurrent-queue", One, (ANY, ANY),
    Arc<ConcurrentQueue<M>> => Arc<ConcurrentQueue<M>>,
    |capacity, sending, receiving| {
        let queue = Arc::new(ConcurrentQueue::bounded(capacity));
        (senders(Arc::clone(&queue), sending), receivers(queue, receiving))
    }
}

impl<M: Send> Push<M> for Arc<ConcurrentQueue<M>> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        ConcurrentQueue::push(self, message).map_err(|error| error.into_inner())
    }
}

impl<M: Send> Pop<M> for Arc<ConcurrentQueue<M>> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        ConcurrentQueue::pop(self).ok()
    }
}
