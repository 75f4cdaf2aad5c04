//! std's bounded channel, asleep only: it is crossbeam-channel's code, an old version of it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::sleeping::{CAPACITY, sleeping_peer};

/// `std::sync::mpsc::sync_channel`.
#[derive(Debug)]
pub(crate) struct Standard;

sleeping_peer! {
    Standard = "std", SyncSender<u64> => Receiver<u64>, sync_channel(CAPACITY),
    |sender, number| sender.send(number), |receiver| receiver.recv().ok()
}
