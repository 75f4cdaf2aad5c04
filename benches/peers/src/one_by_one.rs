//! What a queue without batches needs to be measured: push and pop of one message.
//!
//! A rival's file says how it pushes and pops; the rest of the engine's traits is the same for all.

use corelane_bench::{Receiver, Sender};

/// A sending end that takes one message.
pub(crate) trait Push<M>: Send {
    /// Sends a message, or gives it back.
    fn push(&mut self, message: M) -> Result<(), M>;
}

/// A receiving end that gives one message.
pub(crate) trait Pop<M>: Send {
    /// Takes the next message.
    fn pop(&mut self) -> Option<M>;
}

/// A sending end without batches.
#[derive(Debug)]
pub(crate) struct OneByOne<E, M> {
    end: E,
    /// A message of a batch that was made and then refused: the first of the next batch.
    refused: Option<M>,
}

impl<E, M> OneByOne<E, M> {
    pub(crate) fn new(end: E) -> Self {
        Self { end, refused: None }
    }
}

impl<M: Send, E: Push<M>> Sender<M> for OneByOne<E, M> {
    #[inline]
    fn try_send(&mut self, message: M) -> Result<(), M> {
        self.end.push(message)
    }

    #[inline]
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        for sent in 0..count {
            let message = self.refused.take().unwrap_or_else(&mut *make);
            if let Err(message) = self.end.push(message) {
                self.refused = Some(message);
                return sent;
            }
        }
        count
    }
}

/// A receiving end without batches.
#[derive(Debug)]
pub(crate) struct OneByOneReceiver<E>(pub(crate) E);

impl<M, E: Pop<M>> Receiver<M> for OneByOneReceiver<E> {
    #[inline]
    fn try_recv(&mut self) -> Option<M> {
        self.0.pop()
    }

    #[inline]
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize {
        for taken in 0..count {
            let Some(message) = self.0.pop() else { return taken };
            take(&message);
        }
        count
    }
}

/// A sending end without batches for each copy of `end`.
pub(crate) fn senders<E: Clone, M>(end: E, count: usize) -> Vec<OneByOne<E, M>> {
    std::iter::repeat_n(end, count).map(OneByOne::new).collect()
}

/// A receiving end without batches for each copy of `end`.
pub(crate) fn receivers<E: Clone>(end: E, count: usize) -> Vec<OneByOneReceiver<E>> {
    std::iter::repeat_n(end, count).map(OneByOneReceiver).collect()
}

/// Fails when a queue is asked for more ends than it has.
pub(crate) fn check_ends<P: corelane_bench::Peer>(senders: usize, receivers: usize) {
    let (senders_max, receivers_max) = P::ENDS_MAX;
    assert!(
        (1..=senders_max).contains(&senders) && (1..=receivers_max).contains(&receivers),
        "{} has no {senders} senders and {receivers} receivers, at most {senders_max} and \
         {receivers_max}",
        P::NAME
    );
}

/// As many ends as anybody wants.
pub(crate) const ANY: usize = usize::MAX;

/// A queue without batches: its name, the ends it has, the types of its two ends, and how it opens.
macro_rules! one_by_one_peer {
    (
        $(#[$doc:meta])*
        $peer:ident = $name:literal, $delivery:ident, $ends:expr,
        $sender:ty => $receiver:ty,
        |$capacity:ident, $sending:ident, $receiving:ident| $open:expr
    ) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $peer;

        impl corelane_bench::Peer for $peer {
            const NAME: &'static str = $name;
            const DELIVERY: corelane_bench::Delivery = corelane_bench::Delivery::$delivery;
            const HAS_BATCHES: bool = false;
            const ENDS_MAX: (usize, usize) = $ends;

            type Sender<M: corelane_bench::Payload> =
                crate::one_by_one::OneByOne<$sender, M>;
            type Receiver<M: corelane_bench::Payload> =
                crate::one_by_one::OneByOneReceiver<$receiver>;

            fn open<M: corelane_bench::Payload>(
                $capacity: usize,
                $sending: usize,
                $receiving: usize,
            ) -> (Vec<Self::Sender<M>>, Vec<Self::Receiver<M>>) {
                crate::one_by_one::check_ends::<Self>($sending, $receiving);
                $open
            }
        }
    };
}
pub(crate) use one_by_one_peer;
