//! What the ends of the broadcast do while another one sleeps: it wakes the sleeper.
//!
//! As in `tests_waiting` of the crate, what the other end does is done within the sleep.

use core::fmt::Debug;

use bytemuck::{Pod, Zeroable};

use super::*;
use crate::tests_waiting::{Kept, Meanwhile};
use crate::{SendError, TrySendError};

type Publisher<T = u64> = super::Publisher<T, Meanwhile>;
type Subscriber<T = u64> = super::Subscriber<T, Meanwhile>;

/// Both sides, with one reliable subscriber.
type Ends<T> = (Publisher<T>, Subscribers<T, Meanwhile>, Subscriber<T>, Meanwhile);

fn ends<T: Pod + Send>(capacity: usize) -> Ends<T> {
    let wait = Meanwhile::default();
    let (publisher, subscribers) =
        channel(capacity, 1, wait.clone()).expect("because the shape is valid");
    let reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
    (publisher, subscribers, reader, wait)
}

/// A message that cannot be read where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C, align(256))]
struct Wide([u64; 32]);

impl From<u64> for Wide {
    fn from(value: u64) -> Self {
        Self([value; 32])
    }
}

#[test]
fn a_message_wakes_the_one_who_receives() {
    let sends: [fn(&mut Publisher, u64); 4] = [
        |publisher, value| assert_eq!(publisher.try_send(value), Ok(())),
        |publisher, value| assert_eq!(publisher.send(value), Ok(())),
        |publisher, value| assert_eq!(publisher.send_many([value]), 1),
        |publisher, value| {
            let mut claim = publisher.claim(1).expect("because there is room");
            claim.put(value);
            assert_eq!(claim.commit(), 1);
        },
    ];
    for send in sends {
        let (publisher, _subscribers, mut reader, wait) = ends::<u64>(2);
        let publisher = Kept::new(publisher);
        for value in 0..5 {
            let sender = publisher.clone();
            wait.then(move || sender.with(|publisher| send(publisher, value)));
            assert_eq!(reader.recv(), Ok(value));
            assert!(wait.is_done());
        }
    }
}

#[test]
fn the_publisher_that_goes_wakes_the_one_who_receives() {
    let (publisher, _subscribers, mut reader, wait) = ends::<u64>(2);
    wait.then(move || drop(publisher));
    assert_eq!(reader.recv(), Err(TryRecvError::Closed));
    assert!(wait.is_done());
}

/// Room goes back a record at a time, since the log has only two.
fn room_wakes_the_one_who_sends<T: Pod + Send + PartialEq + Debug + From<u64>>() {
    let takes: [fn(&mut Subscriber<T>) -> T; 4] = [
        |reader| reader.try_recv().expect("because the log is full"),
        |reader| reader.recv().expect("because the log is full"),
        |reader| {
            let mut taken = T::zeroed();
            assert_eq!(reader.drain(1, |message| taken = message), Ok(1));
            taken
        },
        |reader| {
            let mut taken = Vec::new();
            assert_eq!(reader.recv_many(&mut taken, 1), Ok(1));
            taken[0]
        },
    ];
    for take in takes {
        let (mut publisher, _subscribers, reader, wait) = ends::<T>(2);
        let reader = Kept::new(reader);
        for value in 0..5_u64 {
            let [first, second, third] = [0, 1, 2].map(|step| T::from(10 * value + step));
            assert_eq!((publisher.send(first), publisher.send(second)), (Ok(()), Ok(())));
            let taker = reader.clone();
            wait.then(move || assert_eq!(taker.with(take), first));
            assert_eq!(publisher.send(third), Ok(()));
            assert!(wait.is_done());
            assert_eq!(reader.with(Subscriber::recv), Ok(second));
            assert_eq!(reader.with(Subscriber::recv), Ok(third));
        }
    }
}

#[test]
fn room_of_messages_read_in_place_wakes_the_one_who_sends() {
    room_wakes_the_one_who_sends::<u64>();
}

#[test]
fn room_of_messages_that_are_copied_wakes_the_one_who_sends() {
    room_wakes_the_one_who_sends::<Wide>();
}

/// Less than a quarter of a lap goes back when it is asked to, or when nothing is left.
#[test]
fn room_given_back_early_wakes_the_one_who_sends() {
    let releases: [fn(&mut Subscriber); 2] = [Subscriber::release, |reader| {
        assert_eq!(reader.drain(99, |_| ()), Ok(7));
        assert_eq!(reader.try_recv(), Err(TryRecvError::Empty));
    }];
    for release in releases {
        let (mut publisher, _subscribers, reader, wait) = ends::<u64>(8);
        // It must not go with the deed: that would wake too.
        let reader = Kept::new(reader);
        let releaser = reader.clone();
        assert_eq!(publisher.send_many(0..9), 8);
        assert_eq!(reader.with(Subscriber::try_recv), Ok(0));
        assert_eq!(publisher.try_send(8), Err(TrySendError::Full(8)), "it is one of two");
        wait.then(move || releaser.with(release));
        assert_eq!(publisher.send(8), Ok(()));
        assert!(wait.is_done());
    }
}

#[test]
fn a_slow_subscriber_that_goes_wakes_the_one_who_sends() {
    let (mut publisher, subscribers, reader, wait) = ends::<u64>(2);
    assert_eq!(publisher.send_many(0..9), 2);
    wait.then(move || drop(reader));
    assert_eq!(publisher.send(2), Ok(()), "somebody may still join");
    assert!(wait.is_done());
    drop(subscribers);
}

#[test]
fn the_last_who_listens_wakes_the_one_who_sends() {
    let (mut publisher, subscribers, reader, wait) = ends::<u64>(2);
    assert_eq!(publisher.send_many(0..9), 2);
    drop(subscribers);
    wait.then(move || drop(reader));
    assert_eq!(publisher.send(2), Err(SendError(2)));
    assert!(wait.is_done());
}
