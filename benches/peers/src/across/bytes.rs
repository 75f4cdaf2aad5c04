//! Messages as bytes, and the ends of what carries bytes one message at a time.

use corelane_bench::{FanoutMessage, Payload, Receiver, Sender, SleepingReceiver, SleepingSender};

const BYTES: usize = FanoutMessage::BYTES;

/// The bytes of a message.
#[inline]
pub(super) fn encode(message: FanoutMessage) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(message.into_words()) {
        *chunk = word.to_ne_bytes();
    }
    bytes
}

/// The message of these bytes; of the first of them when there are more.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> FanoutMessage {
    let (chunks, _) = bytes.as_chunks::<8>();
    let mut words = [0; BYTES / 8];
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_ne_bytes(*chunk);
    }
    FanoutMessage::from_words(words)
}

/// Sends bytes.
pub(super) trait ByteSender {
    /// False when there is no room now.
    fn try_send(&mut self, bytes: &[u8]) -> bool;

    /// Makes sure that what was sent is on its way.
    fn flush(&mut self) {}
}

/// Receives bytes.
pub(super) trait ByteReceiver {
    /// Lets `look` read what comes next; false without a call when there is nothing now.
    fn try_recv(&mut self, look: impl FnOnce(&[u8])) -> bool;
}

/// An end over bytes.
#[derive(Debug)]
pub(crate) struct Bytes<E>(pub(super) E);

impl<E: ByteSender> Sender<FanoutMessage> for Bytes<E> {
    fn try_send(&mut self, message: FanoutMessage) -> Result<(), FanoutMessage> {
        if !self.0.try_send(&encode(message)) {
            return Err(message);
        }
        self.0.flush();
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> FanoutMessage) -> usize {
        for _ in 0..count {
            let bytes = encode(make());
            // A message that was made must go.
            while !self.0.try_send(&bytes) {
                std::thread::yield_now();
            }
        }
        self.0.flush();
        count
    }
}

impl<E: ByteReceiver> Receiver<FanoutMessage> for Bytes<E> {
    fn try_recv(&mut self) -> Option<FanoutMessage> {
        let mut message = None;
        self.0.try_recv(|bytes| message = Some(decode(bytes)));
        message
    }

    fn try_recv_many(&mut self, count: usize, take: &mut impl FnMut(&FanoutMessage)) -> usize {
        (0..count).map_while(|_| self.try_recv()).inspect(|message| take(message)).count()
    }
}

/// Sends and receives bytes asleep.
pub(super) trait ByteSleeper {
    /// Sends.
    fn send(&mut self, _bytes: &[u8]);

    /// Waits for what comes next and lets `look` read it.
    fn recv(&mut self, look: impl FnOnce(&[u8]));
}

/// An end over bytes that sleeps.
#[derive(Debug)]
pub(crate) struct Asleep<E>(pub(super) E);

impl<E: ByteSleeper> SleepingSender for Asleep<E> {
    fn send(&mut self, number: u64) {
        self.0.send(&number.to_ne_bytes());
    }
}

impl<E: ByteSleeper> SleepingReceiver for Asleep<E> {
    fn recv(&mut self) -> u64 {
        let mut number = 0;
        self.0.recv(|bytes| {
            number = u64::from_ne_bytes(bytes.try_into().expect("a number has eight bytes"));
        });
        number
    }
}
