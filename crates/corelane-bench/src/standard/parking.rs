//! One word and `thread::park`: the least that the standard library needs to wake a thread.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering, fence},
    },
    thread::{self, Thread},
};

use crate::peer::{SleepingPeer, SleepingReceiver, SleepingSender};

const EMPTY: u64 = 0;

/// A word, and the thread that waits for it.
#[derive(Debug, Clone, Copy)]
pub struct Parking;

#[derive(Debug)]
struct Shared {
    /// Zero, or the number plus one.
    word: AtomicU64,
    receiver: OnceLock<Thread>,
}

/// Either end.
#[derive(Debug)]
pub struct ParkingEnd(Arc<Shared>);

impl SleepingSender for ParkingEnd {
    fn send(&mut self, number: u64) {
        // The other end acts on each number before the next is sent, so the word is free.
        self.0.word.store(number + 1, Ordering::Release);
        // Pairs with the fence in `recv`: one of the two sees what the other did.
        fence(Ordering::SeqCst);
        if let Some(receiver) = self.0.receiver.get() {
            receiver.unpark();
        }
    }
}

impl SleepingReceiver for ParkingEnd {
    fn recv(&mut self) -> u64 {
        self.0.receiver.get_or_init(thread::current);
        fence(Ordering::SeqCst);
        loop {
            match self.0.word.swap(EMPTY, Ordering::Acquire) {
                EMPTY => thread::park(),
                number => return number - 1,
            }
        }
    }
}

impl SleepingPeer for Parking {
    const NAME: &'static str = "thread park";
    type Sender = ParkingEnd;
    type Receiver = ParkingEnd;

    fn open() -> (ParkingEnd, ParkingEnd) {
        let shared = Shared { word: AtomicU64::new(EMPTY), receiver: OnceLock::new() };
        let shared = Arc::new(shared);
        (ParkingEnd(shared.clone()), ParkingEnd(shared))
    }
}
