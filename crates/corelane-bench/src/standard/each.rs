//! A broadcast of the standard library: one channel for each receiver, a push into every one.

use std::sync::mpsc::sync_channel;

use crate::{
    fanout_peer::{FanoutMessage, FanoutPeer},
    peer::{Delivery, Ends, Payload, Peer, Sender},
    standard::{StdReceiver, StdSender},
};

/// One bounded channel for each receiver.
#[derive(Debug, Clone, Copy)]
pub struct StdEach;

/// Sends into every channel.
#[derive(Debug)]
pub struct StdEachSender<M> {
    channels: Vec<StdSender<M>>,
    /// Channels that have the message already which the others had no room for.
    sent: usize,
}

impl<M: Copy + Send> Sender<M> for StdEachSender<M> {
    fn try_send(&mut self, message: M) -> Result<(), M> {
        // A message that was refused is tried again before any other.
        for channel in &mut self.channels[self.sent..] {
            channel.try_send(message)?;
            self.sent += 1;
        }
        self.sent = 0;
        Ok(())
    }

    fn try_send_many(&mut self, count: usize, make: &mut impl FnMut() -> M) -> usize {
        for _ in 0..count {
            let message = make();
            while self.try_send(message).is_err() {
                std::thread::yield_now();
            }
        }
        count
    }
}

fn open<M: Copy + Send>(
    capacity: usize,
    receivers: usize,
) -> (StdEachSender<M>, Vec<StdReceiver<M>>) {
    let ends = (0..receivers).map(|_| {
        let (sender, receiver) = sync_channel(capacity);
        (StdSender(sender), StdReceiver(receiver))
    });
    let (channels, receivers) = ends.unzip();
    (StdEachSender { channels, sent: 0 }, receivers)
}

impl Peer for StdEach {
    const NAME: &'static str = "std mpsc, one each";
    const DELIVERY: Delivery = Delivery::Each;
    const HAS_BATCHES: bool = false;
    const ENDS_MAX: (usize, usize) = (1, usize::MAX);

    type Sender<M: Payload> = StdEachSender<M>;
    type Receiver<M: Payload> = StdReceiver<M>;

    fn open<M: Payload>(
        capacity: usize,
        senders: usize,
        receivers: usize,
    ) -> Ends<Self::Sender<M>, Self::Receiver<M>> {
        assert_eq!(senders, 1, "the broadcast has one sender");
        let (sender, receivers) = open(capacity, receivers);
        (vec![sender], receivers)
    }
}

impl FanoutPeer for StdEach {
    const NAME: &'static str = "std mpsc, one each";
    type Publisher = StdEachSender<FanoutMessage>;
    type Cursor = StdReceiver<FanoutMessage>;

    fn open(cursors: usize, capacity: usize) -> (Self::Publisher, Vec<Self::Cursor>) {
        open(capacity, cursors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Receiver;

    #[test]
    fn every_receiver_gets_every_message_once_although_one_is_full() {
        let (mut sender, mut receivers) = open(1, 2);
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(receivers[0].try_recv(), Some(1));
        assert_eq!(sender.try_send(2), Err(2), "the second has no room");
        assert_eq!(receivers[1].try_recv(), Some(1));
        assert_eq!(sender.try_send(2), Ok(()));
        assert_eq!([0, 1].map(|i: usize| receivers[i].try_recv()), [Some(2), Some(2)]);
        assert_eq!([0, 1].map(|i: usize| receivers[i].try_recv()), [None, None]);
    }
}
