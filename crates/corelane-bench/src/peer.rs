//! What a queue must offer to be measured: the same few calls for ours and for every rival.
//!
//! A peer's adapter calls the fastest way that its documentation names for each of them, and does
//! nothing else.

use bytemuck::Pod;

/// A message of `WORDS` words, every one of which depends on its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Message<WORDS> {
    /// Bytes of a message.
    pub const BYTES: usize = WORDS * 8;

    /// The message of this number.
    #[inline(always)]
    pub fn new(number: u64) -> Self {
        Self(core::array::from_fn(|index| number.wrapping_mul(2 * index as u64 + 1)))
    }

    /// The number it was made from, as its first word says.
    #[inline(always)]
    pub fn number(&self) -> u64 {
        self.0[0]
    }

    /// Sum over every word, so that every byte is read.
    #[inline(always)]
    pub fn checksum(&self) -> u64 {
        self.0.iter().fold(0, |sum, word| sum.wrapping_add(*word))
    }
}

impl<const WORDS: usize> Default for Message<WORDS> {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

/// What a queue is asked to carry: plain data, for those that copy bits.
pub trait Payload: Copy + Default + Send + Sync + 'static {
    /// The same as words.
    type Words: Pod + Send;

    /// As words.
    fn into_words(self) -> Self::Words;

    /// From words.
    fn from_words(words: Self::Words) -> Self;
}

impl<const WORDS: usize> Payload for Message<WORDS> {
    type Words = [u64; WORDS];

    #[inline(always)]
    fn into_words(self) -> [u64; WORDS] {
        self.0
    }

    #[inline(always)]
    fn from_words(words: [u64; WORDS]) -> Self {
        Self(words)
    }
}

impl Payload for u64 {
    type Words = Self;

    #[inline(always)]
    fn into_words(self) -> Self {
        self
    }

    #[inline(always)]
    fn from_words(words: Self) -> Self {
        words
    }
}

/// A sending end that does not wait.
pub trait Sender<M> {
    /// Sends one message, visible to the receiver on return; gives it back when there is no room.
    ///
    /// # Errors
    /// The message, when the queue is full.
    fn try_send(&mut self, message: M) -> Result<(), M>;

    /// Sends up to `count` messages that `make` makes, as one batch where the queue has batches,
    /// and returns how many. `make` is called exactly once for each message sent.
    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize;
}

/// A receiving end that does not wait.
pub trait Receiver<M> {
    /// Takes the next message, if there is one.
    fn try_recv(&mut self) -> Option<M>;

    /// Takes up to `count` messages, as one batch where the queue has batches, and returns how
    /// many.
    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&M)) -> usize;
}

/// Who gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// One of the receivers.
    One,
    /// Every receiver.
    Each,
}

/// All sending and all receiving ends of a queue.
pub type Ends<S, R> = (Vec<S>, Vec<R>);

/// A kind of queue.
pub trait Peer: 'static {
    /// Name in the tables.
    const NAME: &'static str;
    /// Who gets a message.
    const DELIVERY: Delivery = Delivery::One;
    /// Whether it has batches of its own: if not, it has no row in the batch workloads.
    const HAS_BATCHES: bool;
    /// Most senders and receivers that it serves.
    const ENDS_MAX: (usize, usize);

    /// A sending end.
    type Sender<M: Payload>: Sender<M> + Send + 'static;
    /// A receiving end.
    type Receiver<M: Payload>: Receiver<M> + Send + 'static;

    /// Makes a queue for at least `capacity` messages.
    ///
    /// # Panics
    /// When it is asked for more ends than [`ENDS_MAX`](Self::ENDS_MAX).
    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>>;
}

/// A sending end that sleeps while there is no room, and wakes the receiver.
pub trait SleepingSender {
    /// Sends one number.
    fn send(&mut self, number: u64);
}

/// A receiving end that sleeps while there is nothing.
pub trait SleepingReceiver {
    /// Receives one number.
    fn recv(&mut self) -> u64;
}

/// A kind of one-to-one queue whose ends sleep as soon as they can, without spinning.
pub trait SleepingPeer: 'static {
    /// Name in the tables.
    const NAME: &'static str;
    /// A sending end.
    type Sender: SleepingSender + Send + 'static;
    /// A receiving end.
    type Receiver: SleepingReceiver + Send + 'static;

    /// Makes a queue with room for a few numbers.
    fn open() -> (Self::Sender, Self::Receiver);
}
