//! crossfire: its channels for one and for many ends, in the blocking flavour.
//!
//! `detect_backoff_cfg` runs first, as its documentation asks: it fits the spinning to the cores.

use ::crossfire::{MRx, MTx, Rx, Tx, detect_backoff_cfg, mpmc, mpsc, spsc};

use crate::one_by_one::{
    ANY, OneByOne, OneByOneReceiver, Pop, Push, one_by_one_peer, receivers, senders,
};
use crate::parking::{PATIENCE, Parking};
use crate::sleeping::{CAPACITY, sleeping_peer};

one_by_one_peer! {
    /// One sender, one receiver.
    CrossfireSpsc = "crossfire, SPSC", One, (1, 1),
    Tx<spsc::Array<M>> => Rx<spsc::Array<M>>,
    |capacity, _sending, _receiving| {
        detect_backoff_cfg();
        let (sender, receiver) = spsc::bounded_blocking(capacity);
        (vec![OneByOne::new(sender)], vec![OneByOneReceiver(receiver)])
    }
}

one_by_one_peer! {
    /// Many senders, one receiver.
    CrossfireMpsc = "crossfire, MPSC", One, (ANY, 1),
    MTx<mpsc::Array<M>> => Rx<mpsc::Array<M>>,
    |capacity, sending, _receiving| {
        detect_backoff_cfg();
        let (sender, receiver) = mpsc::bounded_blocking(capacity);
        (senders(sender, sending), vec![OneByOneReceiver(receiver)])
    }
}

one_by_one_peer! {
    /// Many senders, many receivers.
    CrossfireMpmc = "crossfire, MPMC", One, (ANY, ANY),
    MTx<mpmc::Array<M>> => MRx<mpmc::Array<M>>,
    |capacity, sending, receiving| {
        detect_backoff_cfg();
        let (sender, receiver) = mpmc::bounded_blocking(capacity);
        (senders(sender, sending), receivers(receiver, receiving))
    }
}

one_by_one_peer! {
    /// Many senders, one receiver; whoever must wait parks in the channel.
    CrossfireMpscParking = "crossfire, MPSC, parking", One, (ANY, 1),
    Parking<MTx<mpsc::Array<M>>> => Parking<Rx<mpsc::Array<M>>>,
    |capacity, sending, _receiving| {
        detect_backoff_cfg();
        let (sender, receiver) = mpsc::bounded_blocking(capacity);
        (senders(Parking(sender), sending), vec![OneByOneReceiver(Parking(receiver))])
    }
}

one_by_one_peer! {
    /// Many senders, many receivers; whoever must wait parks in the channel.
    CrossfireMpmcParking = "crossfire, MPMC, parking", One, (ANY, ANY),
    Parking<MTx<mpmc::Array<M>>> => Parking<MRx<mpmc::Array<M>>>,
    |capacity, sending, receiving| {
        detect_backoff_cfg();
        let (sender, receiver) = mpmc::bounded_blocking(capacity);
        (senders(Parking(sender), sending), receivers(Parking(receiver), receiving))
    }
}

macro_rules! sender {
    ($sender:ty) => {
        impl<M: Send + 'static> Push<M> for $sender {
            #[inline]
            fn push(&mut self, message: M) -> Result<(), M> {
                self.try_send(message).map_err(|error| error.into_inner())
            }
        }

        impl<M: Send + 'static> Push<M> for Parking<$sender> {
            #[inline]
            fn push(&mut self, message: M) -> Result<(), M> {
                self.0.push(message).or_else(|message| {
                    self.0.send_timeout(message, PATIENCE).map_err(|error| error.into_inner())
                })
            }
        }
    };
}

macro_rules! receiver {
    ($receiver:ty) => {
        impl<M: Send + 'static> Pop<M> for $receiver {
            #[inline]
            fn pop(&mut self) -> Option<M> {
                self.try_recv().ok()
            }
        }

        impl<M: Send + 'static> Pop<M> for Parking<$receiver> {
            #[inline]
            fn pop(&mut self) -> Option<M> {
                self.0.pop().or_else(|| self.0.recv_timeout(PATIENCE).ok())
            }
        }
    };
}

sender!(Tx<spsc::Array<M>>);
sender!(MTx<mpsc::Array<M>>);
sender!(MTx<mpmc::Array<M>>);
receiver!(Rx<spsc::Array<M>>);
receiver!(Rx<mpsc::Array<M>>);
receiver!(MRx<mpmc::Array<M>>);

sleeping_peer! {
    CrossfireSpsc = "crossfire, SPSC", Tx<spsc::Array<u64>> => Rx<spsc::Array<u64>>,
    {
        detect_backoff_cfg();
        spsc::bounded_blocking(CAPACITY)
    },
    |sender, number| sender.send(number), |receiver| receiver.recv().ok()
}
