//! What the sleeping peers share: two ends that wait inside the queue.

use corelane_bench::{SleepingReceiver, SleepingSender};

/// Messages of the queue of a sleeping peer: a question waits for its answer, so few are enough.
pub(crate) const CAPACITY: usize = 4;

/// An end that waits inside the queue.
#[derive(Debug)]
pub(crate) struct Asleep<E>(pub(crate) E);

/// Wraps both ends.
pub(crate) fn asleep<S, R>((sender, receiver): (S, R)) -> (Asleep<S>, Asleep<R>) {
    (Asleep(sender), Asleep(receiver))
}

/// How a rival sends, waiting for room; an error says that the receiver is gone.
pub(crate) trait SendAsleep: Send {
    /// Sends a number.
    fn send_asleep(&mut self, number: u64) -> Option<()>;
}

/// How a rival receives, waiting for a message; `None` says that the sender is gone.
pub(crate) trait RecvAsleep: Send {
    /// Receives a number.
    fn recv_asleep(&mut self) -> Option<u64>;
}

impl<E: SendAsleep> SleepingSender for Asleep<E> {
    fn send(&mut self, number: u64) {
        self.0.send_asleep(number).expect("the receiver lives until the pass is over");
    }
}

impl<E: RecvAsleep> SleepingReceiver for Asleep<E> {
    fn recv(&mut self) -> u64 {
        self.0.recv_asleep().expect("the sender lives until the pass is over")
    }
}

/// A sleeping peer: its name, the types of its two ends, how it opens, sends and receives.
macro_rules! sleeping_peer {
    (
        $peer:ident = $name:literal, $sender:ty => $receiver:ty, $open:expr,
        $send:expr, $recv:expr
    ) => {
        impl corelane_bench::SleepingPeer for $peer {
            const NAME: &'static str = $name;
            type Sender = crate::sleeping::Asleep<$sender>;
            type Receiver = crate::sleeping::Asleep<$receiver>;

            fn open() -> (Self::Sender, Self::Receiver) {
                crate::sleeping::asleep($open)
            }
        }

        impl crate::sleeping::SendAsleep for $sender {
            fn send_asleep(&mut self, number: u64) -> Option<()> {
                let send: fn(&$sender, u64) -> _ = $send;
                send(self, number).ok()
            }
        }

        impl crate::sleeping::RecvAsleep for $receiver {
            fn recv_asleep(&mut self) -> Option<u64> {
                let recv: fn(&mut $receiver) -> Option<u64> = $recv;
                recv(self)
            }
        }
    };
}
pub(crate) use sleeping_peer;
