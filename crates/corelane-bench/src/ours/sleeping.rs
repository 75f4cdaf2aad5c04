//! `corelane_ring::spsc` with ends that sleep at once, on a futex or on an eventfd.

use corelane_ring::{Wait, spsc};
use corelane_transport::strategy::{Barrier, EventFd, Futex};

use crate::peer::{SleepingPeer, SleepingReceiver, SleepingSender};

/// Messages that fit: one is under way at a time.
const CAPACITY: usize = 8;
const LIVES: &str = "because the other end lives as long as the pass";
const POSSIBLE: &str = "because the capacity is possible";

/// The ring whose ends sleep on a futex.
#[derive(Debug, Clone, Copy)]
pub struct SpscFutex;

/// The ring whose ends sleep on an eventfd each.
#[derive(Debug, Clone, Copy)]
pub struct SpscEventFd;

/// A sending end.
pub struct SpscSleepingSender<W: Wait>(spsc::Producer<u64, W>);

/// A receiving end.
pub struct SpscSleepingReceiver<W: Wait>(spsc::Consumer<u64, W>);

impl<W: Wait> SleepingSender for SpscSleepingSender<W> {
    fn send(&mut self, number: u64) {
        self.0.send(number).expect(LIVES);
    }
}

impl<W: Wait> SleepingReceiver for SpscSleepingReceiver<W> {
    fn recv(&mut self) -> u64 {
        self.0.recv().expect(LIVES)
    }
}

impl SleepingPeer for SpscFutex {
    const NAME: &'static str = "corelane spsc, futex";
    type Sender = SpscSleepingSender<Futex>;
    type Receiver = SpscSleepingReceiver<Futex>;

    fn open() -> (Self::Sender, Self::Receiver) {
        let wait = Futex::with(0, Barrier::for_spins(0));
        let (producer, consumer) = spsc::channel(CAPACITY, wait).expect(POSSIBLE);
        (SpscSleepingSender(producer), SpscSleepingReceiver(consumer))
    }
}

impl SleepingPeer for SpscEventFd {
    const NAME: &'static str = "corelane spsc, eventfd";
    type Sender = SpscSleepingSender<EventFd>;
    type Receiver = SpscSleepingReceiver<EventFd>;

    fn open() -> (Self::Sender, Self::Receiver) {
        let wait = || EventFd::new(0).expect("because descriptors are not short");
        let (producer, consumer) = spsc::channel_with(CAPACITY, wait(), wait()).expect(POSSIBLE);
        (SpscSleepingSender(producer), SpscSleepingReceiver(consumer))
    }
}
