//! thingbuf: a queue whose slots are written and read in place, for any number of threads.

use std::sync::Arc;

use ::thingbuf::ThingBuf;
use corelane_bench::Payload;

use crate::one_by_one::{ANY, Pop, Push, one_by_one_peer, receivers, senders};

one_by_one_peer! {
    /// Through references to the slots.
    Thingbuf = "thingbuf", One, (ANY, ANY),
    Arc<ThingBuf<M>> => Arc<ThingBuf<M>>,
    |capacity, sending, receiving| {
        let queue = Arc::new(ThingBuf::new(capacity));
        (senders(Arc::clone(&queue), sending), receivers(queue, receiving))
    }
}

impl<M: Payload> Push<M> for Arc<ThingBuf<M>> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.push_with(|slot| *slot = message).map_err(|_full| message)
    }
}

impl<M: Payload> Pop<M> for Arc<ThingBuf<M>> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        self.pop_with(|slot| *slot)
    }
}
