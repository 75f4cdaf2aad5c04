//! kanal, bounded: its `try` forms, ends that park, and ends that sleep.
//!
//! A refused message is dropped by `try_send`, but ours are copies, so it can still be given back;
//! the form that keeps it costs more. Receiving has a batch of its own, sending has none.

use corelane_bench::{Payload, Peer, Receiver};

use crate::held_back::HeldBack;
use crate::one_by_one::{
    ANY, OneByOne, Pop, Push, check_ends, one_by_one_peer, receivers, senders,
};
use crate::parking::{PATIENCE, Parking};
use crate::sleeping::{CAPACITY, sleeping_peer};

/// Through `try_send`, `try_recv` and `drain_into`.
#[derive(Debug)]
pub(crate) struct Kanal;

impl Peer for Kanal {
    const NAME: &'static str = "kanal";
    const HAS_BATCHES: bool = true;
    const ENDS_MAX: (usize, usize) = (ANY, ANY);

    type Sender<M: Payload> = OneByOne<::kanal::Sender<M>, M>;
    type Receiver<M: Payload> = KanalReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        sending: usize,
        receiving: usize,
    ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
        check_ends::<Self>(sending, receiving);
        let (sender, receiver) = ::kanal::bounded(capacity);
        let drained = || KanalReceiver {
            receiver: receiver.clone(),
            held: HeldBack::with_capacity(capacity),
        };
        (senders(sender, sending), (0..receiving).map(|_| drained()).collect())
    }
}

/// The receiver, with what it drained.
pub(crate) struct KanalReceiver<M> {
    receiver: ::kanal::Receiver<M>,
    held: HeldBack<M>,
}

impl<M: Copy + Send> Receiver<M> for KanalReceiver<M> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.held.next().or_else(|| self.receiver.try_recv().ok().flatten())
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        if self.held.messages.is_empty() {
            // An error says that the senders are gone and nothing is left.
            let _ = self.receiver.drain_into(&mut self.held.messages);
        }
        self.held.hand_out(count, take)
    }
}

impl<M: Copy + Send> Push<M> for ::kanal::Sender<M> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        if matches!(self.try_send(message), Ok(true)) { Ok(()) } else { Err(message) }
    }
}

one_by_one_peer! {
    /// Whoever must wait parks in the channel.
    KanalParking = "kanal, parking", One, (ANY, ANY),
    Parking<::kanal::Sender<M>> => Parking<::kanal::Receiver<M>>,
    |capacity, sending, receiving| {
        let (sender, receiver) = ::kanal::bounded(capacity);
        (senders(Parking(sender), sending), receivers(Parking(receiver), receiving))
    }
}

impl<M: Copy + Send> Push<M> for Parking<::kanal::Sender<M>> {
    #[inline]
    fn push(&mut self, message: M) -> Result<(), M> {
        self.0.push(message).or_else(|message| {
            let mut kept = Some(message);
            match self.0.send_option_timeout(&mut kept, PATIENCE) {
                Ok(()) => Ok(()),
                Err(_) => Err(message),
            }
        })
    }
}

impl<M: Send> Pop<M> for Parking<::kanal::Receiver<M>> {
    #[inline]
    fn pop(&mut self) -> Option<M> {
        self.0.try_recv().ok().flatten().or_else(|| self.0.recv_timeout(PATIENCE).ok())
    }
}

sleeping_peer! {
    Kanal = "kanal", ::kanal::Sender<u64> => ::kanal::Receiver<u64>, ::kanal::bounded(CAPACITY),
    |sender, number| sender.send(number), |receiver| receiver.recv().ok()
}
