//! Topics within one process, over real segments and sockets. Other processes are in
//! `tests/topics.rs`.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use corelane_shm::slab::LoanError;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exchange");
    Place { _folder: folder, path }
}

fn pair(name: &str, options: SubscribeOptions) -> (Place, BytesPublisher, BytesSubscriber) {
    let place = place();
    let one = Participant::open(&place.path).unwrap();
    let other = Participant::join(&place.path).unwrap();
    let publisher = one.publish_bytes(name, &small()).unwrap();
    let subscriber = other.subscribe_bytes(name, options).unwrap();
    (place, publisher, subscriber)
}

fn small() -> PublishOptions {
    PublishOptions { slots: 16, subscribers_max: 64, ..PublishOptions::default() }
}

fn payload(index: usize) -> Vec<u8> {
    (0..index * 37 % 3_000).map(|byte| (byte + index) as u8).collect()
}

#[test]
fn messages_of_any_length_arrive_in_order_once() {
    let (_place, mut publisher, mut subscriber) = pair("a", SubscribeOptions::RELIABLE);
    for index in 0..200 {
        publisher.publish(&payload(index)).unwrap();
        let sample = subscriber.receive(PATIENCE).unwrap().expect("because it was published");
        assert_eq!(&*sample, &payload(index)[..]);
        assert_eq!((sample.origin.sequence, sample.is_in_place()), (index as u64, false));
        assert_eq!((sample.origin.time_ns, sample.origin.hash), (None, None));
    }
    assert!(subscriber.try_receive().unwrap().is_none());
    assert_eq!((subscriber.received(), subscriber.missed()), (200, 0));
    assert_eq!(publisher.counts().published, 200);
}

#[test]
fn two_threads_with_more_messages_than_slots_lose_none() {
    let (_place, mut publisher, mut subscriber) = pair("a", SubscribeOptions::RELIABLE);
    let reader = thread::spawn(move || {
        for index in 0..5_000_usize {
            let sample = loop {
                if let Some(sample) = subscriber.receive(PATIENCE).unwrap() {
                    break sample.to_vec();
                }
            };
            assert_eq!(sample, payload(index));
        }
    });
    for index in 0..5_000 {
        publisher.publish_within(&payload(index), PATIENCE).unwrap();
    }
    reader.join().unwrap();
}

#[test]
fn a_publisher_is_refused_while_a_reliable_subscriber_lags() {
    let (_place, mut publisher, mut subscriber) = pair("a", SubscribeOptions::RELIABLE);
    for _ in 0..16 {
        publisher.publish(b"x").unwrap();
    }
    let refused = publisher.publish(b"y").unwrap_err();
    assert!(matches!(refused, PublishError::Full { slots: 16 }), "{refused}");
    let refused = publisher.publish_within(b"y", Duration::from_millis(5)).unwrap_err();
    assert_eq!(refused.code(), "CL-0454");
    for _ in 0..16 {
        assert_eq!(&*subscriber.try_receive().unwrap().unwrap(), b"x");
    }
    assert!(subscriber.try_receive().unwrap().is_none());
    publisher.publish(b"y").unwrap();
    assert_eq!(&*subscriber.try_receive().unwrap().unwrap(), b"y");
    let counts = publisher.counts();
    assert!(counts.refused >= 2, "{counts:?}");
    // One that leaves holds nobody back.
    while publisher.publish(b"x").is_ok() {}
    drop(subscriber);
    publisher.publish_within(b"y", PATIENCE).unwrap();
}

#[test]
fn a_lossy_subscriber_is_told_what_it_missed() {
    let (_place, mut publisher, mut subscriber) = pair("a", SubscribeOptions::LOSSY);
    for index in 0..100_u8 {
        publisher.publish(&[index]).unwrap();
    }
    let (mut received, mut missed) = (0, 0);
    loop {
        match subscriber.try_receive() {
            Ok(Some(sample)) => {
                assert_eq!(sample[0] as u64, sample.origin.sequence);
                received += 1;
            }
            Ok(None) => break,
            Err(ReceiveError::Lagged { missed: gap, .. }) => missed += gap,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(received + missed, 100);
    assert!(missed >= 84, "{missed}");
    assert_eq!(subscriber.missed(), missed);
}

#[test]
fn a_late_subscriber_gets_what_is_still_there() {
    let (place, mut publisher, _subscriber) = pair("a", SubscribeOptions::LOSSY);
    for index in 0..10_u8 {
        publisher.publish(&[index]).unwrap();
    }
    let late = Participant::join(&place.path).unwrap();
    let options = SubscribeOptions::RELIABLE.with_history();
    let mut late = late.subscribe_bytes("a", options).unwrap();
    let first = late.receive(PATIENCE).unwrap().expect("because something was published");
    assert_eq!(first.origin.sequence as u8, first[0]);
    let first = first.origin.sequence;
    assert!(first <= 4, "at least three quarters of a lap are left: {first}");
    for sequence in first + 1..10 {
        assert_eq!(late.try_receive().unwrap().unwrap().origin.sequence, sequence);
    }
    assert!(late.try_receive().unwrap().is_none());
}

#[test]
fn large_payloads_are_read_in_place_by_who_trusts() {
    let options = SubscribeOptions::RELIABLE.trusting(corelane_testkit::trusted());
    let (_place, mut publisher, mut subscriber) = pair("a", options);
    let mut held = Vec::new();
    for index in 0..40_usize {
        let mut loan = publisher.loan(100_000).unwrap();
        loan.fill(index as u8);
        publisher.publish_loan(loan).unwrap();
        let sample = subscriber.receive(PATIENCE).unwrap().expect("because it was published");
        assert!(sample.is_in_place());
        held.push((index, sample.into_held().unwrap()));
        if held.len() == 8 {
            for (index, held) in held.drain(..) {
                assert!(held.len() == 100_000 && held.iter().all(|&byte| byte == index as u8));
            }
        }
    }
    let slab = publisher.counts().slab;
    assert!(slab.chunks <= 24, "chunks are used again: {slab:?}");
    // Holding all of them is told as what it is.
    let mut kept = Vec::new();
    for _ in 0..9 {
        publisher.publish(&[7; 5_000]).unwrap();
        match subscriber.receive(PATIENCE) {
            Ok(sample) => kept.push(sample.unwrap().into_held().unwrap()),
            Err(error) => assert_eq!(error.code(), "CL-0375"),
        }
    }
    assert_eq!(kept.len(), 8);
    kept.clear();
    assert!(subscriber.receive(PATIENCE).unwrap().is_some(), "it is still there");
}

#[test]
fn a_slab_at_its_limit_refuses_and_waits() {
    let place = place();
    let one = Participant::open(&place.path).unwrap();
    let options = PublishOptions { slab_bytes_max: 256 << 10, ..small() };
    let mut publisher = one.publish_bytes("a", &options).unwrap();
    let mut subscriber = one.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    publisher.publish(&[1; 100_000]).unwrap();
    publisher.publish(&[2; 100_000]).unwrap();
    let refused = publisher.publish(&[3; 100_000]).unwrap_err();
    let is_exhausted = matches!(refused, PublishError::Loan(LoanError::Exhausted { .. }));
    assert!(is_exhausted && refused.is_full(), "{refused}");
    let reader = thread::spawn(move || {
        let mut fills = Vec::new();
        while fills.len() < 3 {
            let sample = subscriber.receive(PATIENCE).unwrap();
            fills.extend(sample.map(|sample| sample[99_999]));
        }
        fills
    });
    publisher.publish_within(&[3; 100_000], PATIENCE).unwrap();
    assert_eq!(reader.join().unwrap(), [1, 2, 3]);
}

#[test]
fn times_and_hashes_are_there_on_request() {
    let place = place();
    let one = Participant::open(&place.path).unwrap();
    let options = PublishOptions { has_time: true, has_hash: true, ..small() };
    let mut publisher = one.publish_bytes("a", &options).unwrap();
    let mut subscriber = one.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    let before = crate::monotonic_ns();
    for payload in [&b"short"[..], &[9; 4_000]] {
        publisher.publish(payload).unwrap();
        let sample = subscriber.receive(PATIENCE).unwrap().unwrap();
        let time = sample.origin.time_ns.expect("because the topic has times");
        assert!((before..=crate::monotonic_ns()).contains(&time));
        assert_eq!(sample.origin.hash, Some(xxhash_rust::xxh3::xxh3_64(payload)));
    }
}

#[test]
fn every_publisher_reaches_every_subscriber_and_siblings_count_apart() {
    let place = place();
    let participant = Participant::open(&place.path).unwrap();
    let mut publishers: Vec<_> =
        (0..3).map(|_| participant.publish_bytes("a", &small()).unwrap()).collect();
    let options = SubscribeOptions { siblings: 2, ..SubscribeOptions::RELIABLE };
    let one = participant.subscribe_bytes("a", options).unwrap();
    let two = one.sibling().unwrap();
    assert_eq!(one.sibling().unwrap_err().code(), "CL-0452");
    for (index, publisher) in publishers.iter_mut().enumerate() {
        for round in 0..5 {
            publisher.publish(&[index as u8, round]).unwrap();
        }
    }
    for mut subscriber in [one, two] {
        let mut rounds = [0; 3];
        for _ in 0..15 {
            let sample = subscriber.try_receive().unwrap().unwrap();
            let (index, round) = (sample[0] as usize, sample[1]);
            assert_eq!(
                (sample.origin.publisher, round),
                (publishers[index].number(), rounds[index])
            );
            rounds[index] += 1;
        }
        assert!(subscriber.try_receive().unwrap().is_none());
    }
}

/// A message that is whole words.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable, Message)]
#[repr(C)]
#[message(crate = "crate")]
struct Line {
    words: [u64; 8],
}

/// One that is not.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable, Message)]
#[repr(C)]
#[message(crate = "crate")]
struct Odd {
    words: [u16; 7],
}

/// One that lies in the slab.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable, Message)]
#[repr(C)]
#[message(crate = "crate")]
struct Frame {
    words: [u64; 1_000],
}

fn typed<T: Message + PartialEq + std::fmt::Debug>(make: impl Fn(u16) -> T) {
    for (has_time, has_hash) in [(false, false), (true, true)] {
        let place = place();
        let participant = Participant::open(&place.path).unwrap();
        let options = PublishOptions { has_time, has_hash, ..small() };
        let mut publisher = participant.publish::<T>("a", &options).unwrap();
        let mut subscriber = participant.subscribe::<T>("a", SubscribeOptions::RELIABLE).unwrap();
        let mut next = 0;
        for round in 0..50 {
            publisher.publish(&make(round * 4)).unwrap();
            let batch: Vec<T> = (1..4).map(|index| make(round * 4 + index)).collect();
            assert_eq!(publisher.publish_many(&batch).unwrap(), 3);
            let mut received = [make(0), make(0), make(0)];
            while next < round * 4 + 4 {
                let count = subscriber.receive_many(&mut received).unwrap();
                for message in &received[..count] {
                    assert_eq!(*message, make(next));
                    next += 1;
                }
            }
            assert!(subscriber.try_receive().unwrap().is_none());
        }
        publisher.publish_within(&make(7), PATIENCE).unwrap();
        let (origin, message) = subscriber.try_receive_from().unwrap().unwrap();
        assert_eq!((origin.sequence, origin.hash.is_some(), message), (200, has_hash, make(7)));
        let mut loan = publisher.loan().unwrap();
        *loan = make(8);
        publisher.publish_loan(loan).unwrap();
        assert_eq!(subscriber.receive(PATIENCE).unwrap(), Some(make(8)));
        let full = (0..17).map(&make).collect::<Vec<_>>();
        assert!((1..17).contains(&publisher.publish_many(&full).unwrap()));
        assert!(publisher.publish_many(&full).unwrap_err().is_full());
    }
}

#[test]
fn typed_messages_of_every_size_arrive_one_by_one_and_in_batches() {
    typed(|value| Line { words: [value.into(); 8] });
    typed(|value| Odd { words: [value; 7] });
    typed(|value| Frame { words: [value.into(); 1_000] });
}

#[test]
fn a_large_typed_message_is_read_in_place() {
    let place = place();
    let participant = Participant::open(&place.path).unwrap();
    let mut publisher = participant.publish::<Frame>("a", &small()).unwrap();
    let options = SubscribeOptions::RELIABLE.trusting(corelane_testkit::trusted());
    let mut subscriber = participant.subscribe::<Frame>("a", options).unwrap();
    let mut loan = publisher.loan().unwrap();
    loan.words.fill(7);
    publisher.publish_loan(loan).unwrap();
    let sample =
        subscriber.receive_sample(PATIENCE).unwrap().unwrap().expect("because it is trusted");
    assert_eq!((sample.words, sample.origin.sequence), ([7; 1_000], 0));
}

#[test]
fn another_type_is_refused_with_what_differs() {
    #[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable, Message)]
    #[repr(C)]
    #[message(crate = "crate")]
    struct Other {
        words: [u64; 7],
        last: u64,
    }
    let place = place();
    let participant = Participant::open(&place.path).unwrap();
    let _publisher = participant.publish::<Line>("a", &small()).unwrap();
    let refused = participant.subscribe::<Other>("a", SubscribeOptions::LOSSY).unwrap_err();
    assert_eq!(refused.code(), "CL-0446");
    assert!(refused.to_string().contains("`last`"), "{refused}");
    let refused = participant.publish_bytes("a", &small()).unwrap_err();
    assert_eq!(refused.code(), "CL-0446");
    let any = participant.subscribe_any("a", SubscribeOptions::LOSSY).unwrap();
    assert!(any.tag().is_some());
}

#[test]
fn what_was_published_before_the_publisher_ended_is_received() {
    let (_place, mut publisher, mut subscriber) = pair("a", SubscribeOptions::RELIABLE);
    publisher.publish(b"last").unwrap();
    drop(publisher);
    while subscriber.publishers() > 0 {
        thread::yield_now();
    }
    assert_eq!(&*subscriber.try_receive().unwrap().unwrap(), b"last");
    assert!(subscriber.try_receive().unwrap().is_none());
    assert!(!subscriber.wait(Duration::from_millis(1)).unwrap());
}

#[test]
fn other_types_and_too_many_subscribers_are_refused() {
    let place = place();
    let participant = Participant::open(&place.path).unwrap();
    let options = PublishOptions { subscribers_max: 1, ..small() };
    let mut publisher = participant.publish_bytes("a", &options).unwrap();
    let one = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    let mut two = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    let refused = two.try_receive().unwrap_err();
    assert!(matches!(refused, ReceiveError::TurnedAway { .. }), "{refused}");
    assert!(publisher.why_cut().unwrap().contains("seats"));
    drop((one, two));
    // The seat is free once more.
    let mut three = participant.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    publisher.publish_within(b"x", PATIENCE).unwrap();
    assert_eq!(&*three.receive(PATIENCE).unwrap().unwrap(), b"x");
    for (siblings, holds) in [(0, 1), (1, 65)] {
        let options = SubscribeOptions { siblings, holds, ..SubscribeOptions::LOSSY };
        assert_eq!(participant.subscribe_bytes("a", options).unwrap_err().code(), "CL-0451");
    }
}

#[test]
fn the_next_exchange_is_opened_by_who_is_left() {
    let place = place();
    let first = Participant::open(&place.path).unwrap();
    let second = Participant::open(&place.path).unwrap();
    let mut subscriber = second.subscribe_bytes("a", SubscribeOptions::RELIABLE).unwrap();
    let mut early = second.publish_bytes("a", &small()).unwrap();
    drop(first);
    let third = Participant::open(&place.path).unwrap();
    let mut late = third.publish_bytes("a", &small()).unwrap();
    assert!(late.wait_for_subscribers(1, PATIENCE));
    early.publish(b"early").unwrap();
    assert_eq!(&*subscriber.receive(PATIENCE).unwrap().unwrap(), b"early");
    late.publish(b"late").unwrap();
    assert_eq!(&*subscriber.receive(PATIENCE).unwrap().unwrap(), b"late");
    assert!(subscriber.try_receive().unwrap().is_none(), "no link came twice");
    let listed = third.list().unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].sources, listed[0].sinks), ("a", 2, 1));
}
