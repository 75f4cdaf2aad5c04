//! Waiting by a descriptor and without a thread, over real segments and sockets.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use async_io::block_on;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    _folder: tempfile::TempDir,
    participant: Participant,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let participant = Participant::open(&folder.path().join("exchange")).unwrap();
        Self { _folder: folder, participant }
    }

    fn publisher(&self) -> BytesPublisher {
        self.participant.publish_bytes("a", &PublishOptions::default()).unwrap()
    }

    fn subscriber(&self) -> BytesSubscriber {
        let options = SubscribeOptions { siblings: 2, ..SubscribeOptions::RELIABLE };
        self.participant.subscribe_bytes("a", options).unwrap()
    }
}

fn is_readable(subscriber: &mut BytesSubscriber, timeout: Duration) -> bool {
    let timeout = Timespec::try_from(timeout).unwrap();
    let fd = subscriber.event_fd().unwrap();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// As an event loop does it: receives what there is, arms, and waits for the descriptor.
fn next(subscriber: &mut BytesSubscriber) -> Vec<u8> {
    loop {
        if let Some(sample) = subscriber.try_receive().unwrap() {
            return sample.to_vec();
        }
        if subscriber.arm().unwrap() {
            assert!(is_readable(subscriber, PATIENCE), "nobody rang");
        }
    }
}

/// Now and then does nothing for up to some 100 microseconds, so that the others fall asleep.
fn dawdle() {
    if fastrand::u32(0..4) == 0 {
        (0..fastrand::u32(0..10_000)).for_each(|_| std::hint::spin_loop());
    }
}

#[test]
fn an_event_loop_gets_every_message_of_every_publisher() {
    let place = Place::new();
    let mut subscriber = place.subscriber();
    let publishers: Vec<_> = (0..3_u8)
        .map(|number| {
            let mut publisher = place.publisher();
            thread::spawn(move || {
                for index in 0..2_000_u32 {
                    let message = [&[number][..], &index.to_le_bytes()].concat();
                    publisher.publish_within(&message, PATIENCE).unwrap();
                    dawdle();
                }
                publisher.counts().wakes
            })
        })
        .collect();
    let mut expected = [0_u32; 3];
    for _ in 0..6_000 {
        let message = next(&mut subscriber);
        let expected = &mut expected[usize::from(message[0])];
        assert_eq!(message[1..], expected.to_le_bytes());
        *expected += 1;
    }
    let wakes: u64 = publishers.into_iter().map(|publisher| publisher.join().unwrap()).sum();
    assert!(wakes > 0, "it never slept: nothing was tried");
}

#[test]
fn it_stays_readable_until_somebody_looks_and_is_quiet_afterwards() {
    let place = Place::new();
    let (mut publisher, mut subscriber) = (place.publisher(), place.subscriber());
    assert!(subscriber.arm().unwrap());
    publisher.publish(b"x").unwrap();
    assert!(is_readable(&mut subscriber, PATIENCE));
    assert!(is_readable(&mut subscriber, Duration::ZERO));
    assert!(!subscriber.arm().unwrap(), "a message is there");
    assert_eq!(next(&mut subscriber), b"x");
    // The ring by which its publisher said that it knows the bell may still come.
    while subscriber.arm().unwrap() && is_readable(&mut subscriber, Duration::from_millis(20)) {}
    assert!(!is_readable(&mut subscriber, Duration::ZERO));
}

#[test]
fn nobody_is_rung_who_does_not_listen() {
    let place = Place::new();
    let (mut publisher, mut subscriber) = (place.publisher(), place.subscriber());
    publisher.publish(b"x").unwrap();
    assert!(!subscriber.arm().unwrap());
    publisher.publish(b"y").unwrap();
    assert_eq!((next(&mut subscriber), next(&mut subscriber)), (b"x".to_vec(), b"y".to_vec()));
    assert_eq!(publisher.counts().wakes, 0);
    assert!(subscriber.arm().unwrap());
    publisher.publish(b"z").unwrap();
    publisher.publish(b"z").unwrap();
    assert_eq!(publisher.counts().wakes, 1, "one ring is enough until it listens anew");
    drop(subscriber);
    publisher.publish(b"z").unwrap();
    assert_eq!(publisher.counts().wakes, 1);
}

#[test]
fn whoever_comes_goes_or_listens_elsewhere_is_heard_of() {
    let place = Place::new();
    let mut subscriber = place.subscriber();
    let mut sibling = subscriber.sibling().unwrap();
    assert!(subscriber.arm().unwrap() && sibling.arm().unwrap());
    let mut publisher = place.publisher();
    assert!(is_readable(&mut subscriber, PATIENCE) && is_readable(&mut sibling, PATIENCE));
    for round in 0..50_u8 {
        publisher.publish(&[round]).unwrap();
        assert_eq!((next(&mut subscriber), next(&mut sibling)), (vec![round], vec![round]));
    }
    assert!(subscriber.try_receive().unwrap().is_none());
    drop(publisher);
    while subscriber.publishers() > 0 || subscriber.arm().unwrap() {
        assert!(is_readable(&mut subscriber, PATIENCE));
        assert!(subscriber.try_receive().unwrap().is_none());
        if subscriber.publishers() == 0 {
            break;
        }
    }
}

#[test]
fn without_a_thread_every_message_is_received() {
    let place = Place::new();
    let (mut publisher, mut subscriber) = (place.publisher(), place.subscriber());
    let sender = thread::spawn(move || {
        for number in 0..3_000_u32 {
            publisher.publish_within(&number.to_le_bytes(), PATIENCE).unwrap();
            dawdle();
        }
        publisher
    });
    block_on(async {
        for number in 0..3_000_u32 {
            let sample = subscriber.receive_async().await.unwrap();
            assert_eq!(&*sample, number.to_le_bytes());
        }
    });
    drop(sender.join().unwrap());
}

#[test]
fn a_future_that_is_dropped_loses_nothing_and_listens_no_more() {
    let place = Place::new();
    let (mut publisher, mut subscriber) = (place.publisher(), place.subscriber());
    let mut context = Context::from_waker(Waker::noop());
    for round in 0..10_u8 {
        {
            let mut future = pin!(subscriber.receive_async());
            assert!(matches!(future.as_mut().poll(&mut context), Poll::Pending));
        }
        let wakes = publisher.counts().wakes;
        publisher.publish(&[round]).unwrap();
        assert_eq!(publisher.counts().wakes, wakes, "it was not told that nobody waits");
        let sample = block_on(subscriber.receive_async()).unwrap();
        assert_eq!(&*sample, [round]);
    }
}
