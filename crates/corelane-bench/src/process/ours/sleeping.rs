//! `corelane_ring::latency` over two segments, with a bell: its ends sleep at once, on a futex.

use std::time::Duration;

use corelane_ring::{Bell, Shape, Sleeper, latency};
use corelane_shm::{
    WordsRo, WordsRw,
    futex::{self, WaitOutcome, Waiter},
};

use super::segments::{create, open};
use crate::{
    peer::{SleepingReceiver, SleepingSender},
    process::{Meeting, Opened, ProcessSleepingPeer},
};

/// One number is under way at a time.
const SLOTS: usize = 8;
/// Bell and sleep word lie on a line of their own, behind what the ring has in the segment.
const LINE_WORDS: usize = 8;
/// A number that does not come within this time never will.
const WAIT: Duration = Duration::from_secs(10);

/// The word ring whose ends sleep on a futex.
#[derive(Debug, Clone, Copy)]
pub struct MappedSleeping;

/// Its sending end.
#[derive(Debug)]
pub struct MappedSleepingSender {
    producer: latency::Producer<WordsRw, WordsRo>,
    bell: Bell<WordsRw, WordsRo>,
}

/// Its receiving end.
#[derive(Debug)]
pub struct MappedSleepingReceiver {
    consumer: latency::Consumer<WordsRo, WordsRw>,
    sleeper: Sleeper<WordsRw>,
    /// The sender's segment, and the bell in it.
    data: WordsRo,
    bell: usize,
}

impl SleepingSender for MappedSleepingSender {
    fn send(&mut self, number: u64) {
        let mut claim = self.producer.claim().expect("because one number is under way at a time");
        claim.write(0, &[number]);
        claim.commit(8);
        if self.bell.ring() {
            let (words, index) = self.bell.target();
            futex::wake(words, index).expect("because the word is mapped");
        }
    }
}

impl SleepingReceiver for MappedSleepingReceiver {
    fn recv(&mut self) -> u64 {
        loop {
            if let Some(number) = self.try_recv() {
                return number;
            }
            // S2 of the ring's bell: it is read before the last look.
            let expected = self.data.load_acquire(self.bell) as u32;
            self.sleeper.prepare();
            if let Some(number) = self.try_recv() {
                self.sleeper.finish();
                return number;
            }
            let bell = Waiter { words: &self.data, index: self.bell, expected };
            let woken = futex::wait_any(&[bell], Some(WAIT)).expect("because the word is mapped");
            assert_ne!(woken, WaitOutcome::TimedOut, "the sender is gone or a wake-up was lost");
            self.sleeper.finish();
        }
    }
}

impl MappedSleepingReceiver {
    fn try_recv(&mut self) -> Option<u64> {
        let record = self.consumer.peek().expect("because the sender is no stranger")?;
        let number = record.word(0);
        record.consume();
        self.consumer.release();
        Some(number)
    }
}

fn shape() -> Opened<Shape> {
    Ok(Shape::new(SLOTS, LINE_WORDS)?)
}

impl ProcessSleepingPeer for MappedSleeping {
    const NAME: &'static str = "corelane latency, futex";

    type Sender = MappedSleepingSender;
    type Receiver = MappedSleepingReceiver;

    fn sender(meeting: &Meeting) -> Opened<Self::Sender> {
        let shape = shape()?;
        let bell = shape.data_words();
        let data = create("corelane-bench-data", bell + LINE_WORDS)?;
        meeting.give(b"data", &[data.fd()])?;
        let cursor_words = latency::CURSOR_WORDS + LINE_WORDS;
        let cursor = open(meeting.take_fd_from(0)?, cursor_words)?;
        let data = data.into_words();
        let bell = Bell::new(data.clone(), bell, cursor.clone(), latency::CURSOR_WORDS);
        let producer = latency::Producer::new(shape, data, cursor)?;
        Ok(MappedSleepingSender { producer, bell })
    }

    fn receiver(meeting: &Meeting) -> Opened<Self::Receiver> {
        let shape = shape()?;
        let bell = shape.data_words();
        let data = open(meeting.take_fd_from(0)?, bell + LINE_WORDS)?;
        let cursor = create("corelane-bench-cursor", latency::CURSOR_WORDS + LINE_WORDS)?;
        meeting.give(b"cursor", &[cursor.fd()])?;
        let cursor = cursor.into_words();
        let sleeper = Sleeper::new(cursor.clone(), latency::CURSOR_WORDS);
        let consumer = latency::Consumer::new(shape, data.clone(), cursor)?;
        Ok(MappedSleepingReceiver { consumer, sleeper, data, bell })
    }
}
