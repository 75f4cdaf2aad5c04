//! heapless: its queue for one end on each side and its queue for many, both of a fixed size.
//!
//! The sizes are types, so a few of them are instantiated; the ends forget the size again. A queue
//! is split for ever, so its memory is never given back: a run opens a few hundred of them.

use std::{sync::Arc, thread};

use ::heapless::{
    mpmc::{Queue as ManyQueue, QueueView},
    spsc::{Consumer, Producer, Queue},
};

use crate::one_by_one::{
    ANY, OneByOne, OneByOneReceiver, Pop, Push, one_by_one_peer, receivers, senders,
};

/// Stack of the thread that makes a queue: it is built there before it moves to the heap.
const STACK_BYTES: usize = 1 << 28;

one_by_one_peer! {
    /// One producer, one consumer. It holds one message less than it has slots.
    HeaplessSpsc = "heapless, SPSC", One, (1, 1),
    Producer<'static, M> => Consumer<'static, M>,
    |capacity, _sending, _receiving| {
        let (producer, consumer) = with_stack(move || match capacity {
            ..64 => Box::leak(Box::new(Queue::<M, 64>::new())).split(),
            64..256 => Box::leak(Box::new(Queue::<M, 256>::new())).split(),
            256..1024 => Box::leak(Box::new(Queue::<M, 1024>::new())).split(),
            1024..2048 => Box::leak(Box::new(Queue::<M, 2048>::new())).split(),
            2048..8192 => Box::leak(Box::new(Queue::<M, 8192>::new())).split(),
            _ => no_such_size(capacity),
        });
        (vec![OneByOne::new(producer)], vec![OneByOneReceiver(consumer)])
    }
}

one_by_one_peer! {
    /// Many producers, many consumers.
    HeaplessMpmc = "heapless, MPMC", One, (ANY, ANY),
    Arc<QueueView<M>> => Arc<QueueView<M>>,
    |capacity, sending, receiving| {
        let queue: Arc<QueueView<M>> = with_stack(move || match capacity {
            ..=64 => Arc::new(ManyQueue::<M, 64>::default()) as Arc<QueueView<M>>,
            65..=256 => Arc::new(ManyQueue::<M, 256>::default()),
            257..=1024 => Arc::new(ManyQueue::<M, 1024>::default()),
            1025..=2048 => Arc::new(ManyQueue::<M, 2048>::default()),
            2049..=8192 => Arc::new(ManyQueue::<M, 8192>::default()),
            _ => no_such_size(capacity),
        });
        (senders(Arc::clone(&queue), sending), receivers(queue, receiving))
    }
}

fn no_such_size(capacity: usize) -> ! {
    panic!("heapless has no queue for capacity={capacity} here: add the size to its file")
}

fn with_stack<T: Send>(make: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let maker = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, make);
        let maker = maker.expect("a thread starts, its stack is only reserved");
        maker.join().expect("making a queue does not panic but for its size")
    })
}

impl<M: Send> Push<M> for Producer<'static, M> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.enqueue(message)
    }
}

impl<M: Send> Pop<M> for Consumer<'static, M> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        self.dequeue()
    }
}

impl<M: Send> Push<M> for Arc<QueueView<M>> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.enqueue(message)
    }
}

impl<M: Send> Pop<M> for Arc<QueueView<M>> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        self.dequeue()
    }
}
