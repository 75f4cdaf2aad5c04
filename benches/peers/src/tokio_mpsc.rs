//! tokio's bounded mpsc channel: from outside a runtime, and with ends that sleep.
//!
//! A batch reserves its room at once and is received at once. The ends that sleep are two: threads
//! that block in the channel, and threads that each run a runtime of their own.

use std::task::{Context, Waker};

use ::tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};
use corelane_bench::{Payload, Peer, Receiver, Sender};

use crate::held_back::HeldBack;
use crate::one_by_one::{ANY, check_ends};
use crate::sleeping::{CAPACITY, sleeping_peer};

/// Through `try_send`, `try_recv`, `try_reserve_many` and `poll_recv_many`.
#[derive(Debug)]
pub(crate) struct TokioMpsc;

impl Peer for TokioMpsc {
    const NAME: &'static str = "tokio mpsc";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (ANY, 1);

    type Sender<M: Payload> = TokioSender<M>;
    type Receiver<M: Payload> = TokioReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(senders, receivers);
        let (sender, receiver) = mpsc::channel(capacity);
        let held = HeldBack::with_capacity(capacity);
        let senders = std::iter::repeat_n(TokioSender(sender), senders).collect();
        (senders, vec![TokioReceiver { receiver, held }])
    }
}

/// The sender.
#[derive(Debug, Clone)]
pub(crate) struct TokioSender<M>(mpsc::Sender<M>);

/// The receiver, with what it received at once.
#[derive(Debug)]
pub(crate) struct TokioReceiver<M> {
    receiver: mpsc::Receiver<M>,
    held: HeldBack<M>,
}

impl<M: Send> Sender<M> for TokioSender<M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.0.try_send(message).map_err(|error| error.into_inner())
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        let count = count.min(self.0.capacity());
        // Another sender may have taken the room meanwhile: then none is sent.
        let Ok(permits) = self.0.try_reserve_many(count) else { return 0 };
        permits.map(|permit| permit.send(make())).count()
    }
}

impl<M: Copy + Send> Receiver<M> for TokioReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.held.next().or_else(|| self.receiver.try_recv().ok())
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        if self.held.messages.is_empty() {
            let context = &mut Context::from_waker(Waker::noop());
            let polled = self.receiver.poll_recv_many(context, &mut self.held.messages, count);
            if polled.is_pending() {
                return 0;
            }
        }
        self.held.hand_out(count, take)
    }
}

/// Both ends block their thread in the channel, without a runtime.
#[derive(Debug)]
pub(crate) struct TokioBlocking;

sleeping_peer! {
    TokioBlocking = "tokio mpsc, blocking threads",
    mpsc::Sender<u64> => mpsc::Receiver<u64>, mpsc::channel(CAPACITY),
    |sender, number| sender.blocking_send(number), |receiver| receiver.blocking_recv()
}

/// Each end waits in a current-thread runtime of its own.
#[derive(Debug)]
pub(crate) struct TokioRuntimes;

/// An end and the runtime of its thread.
#[derive(Debug)]
pub(crate) struct InRuntime<E> {
    end: E,
    runtime: Runtime,
}

impl<E> InRuntime<E> {
    fn new(end: E) -> Self {
        let runtime = Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime without I/O and clock needs nothing of the system");
        Self { end, runtime }
    }
}

sleeping_peer! {
    TokioRuntimes = "tokio mpsc, a runtime on each thread",
    InRuntime<mpsc::Sender<u64>> => InRuntime<mpsc::Receiver<u64>>,
    {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (InRuntime::new(sender), InRuntime::new(receiver))
    },
    |sender, number| sender.runtime.block_on(sender.end.send(number)),
    |receiver| receiver.runtime.block_on(receiver.end.recv())
}
