//! Ways to break the rings that the other tests do not try: who is woken when several sleep for
//! different reasons, and messages with an alignment above that of the memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, Thread};
use std::time::Duration;

use bytemuck::{Pod, Zeroable};

use crate::broadcast::{self, Start};
use crate::{SleepWord, Spin, Wait, sharing};

/// How long a test waits for something that must happen by itself.
const LONG: Duration = Duration::from_secs(20);

/// Sleeps at once, and wakes exactly as many as it is told, first those that sleep longest: as a
/// futex does.
#[derive(Debug, Clone, Default)]
struct Queued(Arc<Mutex<VecDeque<(usize, Thread)>>>);

impl Queued {
    /// Waits until as many threads sleep.
    fn wait_for_sleepers(&self, count: usize) {
        while self.0.lock().unwrap().len() < count {
            thread::yield_now();
        }
    }

    fn is_queued(&self, thread: &Thread) -> bool {
        self.0.lock().unwrap().iter().any(|(_, other)| other.id() == thread.id())
    }
}

impl Wait for Queued {
    const SLEEPS: bool = true;

    fn idle(&self, _looks: u32) -> bool {
        true
    }

    fn sleep(&self, word: &SleepWord, seen: u32, _timeout: Option<Duration>) {
        let mut queue = self.0.lock().unwrap();
        if word.load() != seen {
            return;
        }
        queue.push_back((core::ptr::from_ref(word).addr(), thread::current()));
        drop(queue);
        while self.is_queued(&thread::current()) {
            thread::park_timeout(LONG);
        }
    }

    fn wake(&self, word: &SleepWord, count: u32) {
        let mut queue = self.0.lock().unwrap();
        for _ in 0..count {
            let address = core::ptr::from_ref(word).addr();
            let Some(first) = queue.iter().position(|(other, _)| *other == address) else { return };
            if let Some((_, thread)) = queue.remove(first) {
                thread.unpark();
            }
        }
    }
}

#[test]
fn the_producer_whose_lane_got_room_is_woken_among_others() {
    let wait = Queued::default();
    let (mut with_room, mut consumer) =
        sharing::channel::<u64, _>(1, wait.clone()).expect("because the capacity is in range");
    let mut without = with_room.clone();
    assert_eq!((with_room.try_send(1), without.try_send(2)), (Ok(()), Ok(())));
    let (tell, told) = mpsc::channel();
    let tell_too = tell.clone();
    let first = thread::spawn(move || {
        let sent = without.send(20);
        tell_too.send((2, sent)).expect("because the test listens");
        without
    });
    wait.wait_for_sleepers(1);
    let second = thread::spawn(move || {
        let sent = with_room.send(10);
        tell.send((1, sent)).expect("because the test listens");
        with_room
    });
    wait.wait_for_sleepers(2);
    // Only the lane of the one who sleeps shorter gets room.
    assert_eq!(consumer.try_recv(), Ok(1));
    assert_eq!(told.recv_timeout(LONG), Ok((1, Ok(()))), "who has room sleeps on");
    let mut rest = [0; 3].map(|_| consumer.recv().expect("because both producers send"));
    rest.sort_unstable();
    assert_eq!(rest, [2, 10, 20]);
    first.join().expect("because the first producer does not panic");
    second.join().expect("because the second producer does not panic");
}

/// More alignment than the memory of a log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(4096))]
struct Page([u64; 512]);

#[test]
fn a_broadcast_takes_messages_of_any_alignment() {
    let (mut publisher, subscribers) =
        broadcast::channel::<Page, _>(4, 1, Spin).expect("because the shape is in range");
    let mut subscriber = subscribers.reliable(Start::Tail).expect("because a seat is free");
    let pages = [1, 2, 3].map(|value| Page([value; 512]));
    assert_eq!(publisher.send_many(pages), 3);
    assert_eq!(subscriber.try_recv(), Ok(pages[0]));
    let mut received = Vec::new();
    assert_eq!(subscriber.recv_many(&mut received, 8), Ok(2));
    assert_eq!(received, pages[1..]);
}
