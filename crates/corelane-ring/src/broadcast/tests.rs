//! Unit, property and stress tests of the broadcast in real time; the models are in `loom_models`.

use std::thread;

use proptest::prelude::*;

use super::shape::{cursor_position, cursor_word, free_word};
use super::*;
use crate::{HeapWords, ReadWords, Spin, TrySendError, WriteWords};

type Ends = super::Ends<u64, Spin>;

fn ends(capacity: usize, subscribers_max: usize, policy: LagPolicy) -> Ends {
    channel_with(capacity, subscribers_max, policy, Spin).expect("because the shape is valid")
}

fn send_all(publisher: &mut Publisher<u64, Spin>, values: core::ops::Range<u64>) {
    for value in values {
        publisher.try_send(value).expect("because there is room");
    }
}

#[test]
fn shapes_are_checked() {
    assert_eq!(LogShape::new(3, 1, 1), Err(LogError::Slots(3)));
    assert_eq!(LogShape::new(1, 1, 1), Err(LogError::Slots(1)));
    assert_eq!(LogShape::new(4, 0, 1), Err(LogError::RecordWords(0)));
    assert_eq!(LogShape::new(4, 1, 65_537), Err(LogError::SubscribersMax(65_537)));
    assert!(channel::<u64, _>(0, 1, Spin).is_err());
    assert_eq!(channel::<u64, _>(5, 1, Spin).expect("because it is valid").0.capacity(), 8);
    assert_eq!(channel::<u64, _>(1, 1, Spin).expect("because it is valid").0.capacity(), 2);
    let refused = channel::<u64, _>(usize::MAX, 1, Spin).err();
    assert_eq!(refused, Some(LogError::Slots(usize::MAX)));
    for lag_max in [0, 5] {
        let refused = channel_with::<u64, _>(4, 1, LagPolicy::Evict { lag_max }, Spin);
        assert_eq!(refused.err(), Some(LogError::LagLimit { lag_max, slots: 4 }));
    }
}

#[test]
fn storages_are_checked() {
    let shape = LogShape::new(4, 2, 3).expect("because the shape is valid");
    let words = shape.data_words();
    assert_eq!(words, 56, "three lines and a pair, then four records of two words");
    let small = WordPublisher::<_, HeapWords>::new(shape, LagPolicy::Wait, HeapWords::new(55));
    assert!(matches!(small, Err(LogError::StorageTooSmall { what: "data", found: 55, .. })));
    let data = HeapWords::new(words);
    let mut log = WordPublisher::new(shape, LagPolicy::Wait, data.clone()).expect("it fits");
    let refused = log.add_group(HeapWords::new(LogShape::group_words(0)));
    assert!(matches!(refused, Err(LogError::StorageTooSmall { what: "cursors", .. })));
    let trusted = HeapWords::new(LogShape::group_words(2));
    assert_eq!(log.add_group(trusted.clone()), Ok(0));
    assert_eq!(log.add_group(HeapWords::new(LogShape::group_words(1))), Ok(2));
    let refused = log.add_group(HeapWords::new(LogShape::group_words(1)));
    assert_eq!(refused, Err(LogError::NoSeat { max: 3 }));

    let join = |group: &HeapWords, first, seat| {
        let seat = Seat { group: group.clone(), first, seat };
        WordSubscriber::join_reliable(shape, data.clone(), seat, Start::Tail)
    };
    assert_eq!(join(&trusted, 1, 0).err(), Some(LogError::NoSeat { max: 3 }));
    assert_eq!(join(&trusted, 0, 3).err(), Some(LogError::NoSeat { max: 3 }));
    assert!(matches!(
        join(&trusted, 0, 2).err(),
        Some(LogError::StorageTooSmall { what: "cursors", found: 10, needed: 11 })
    ));
    let joined = join(&trusted, 0, 1).expect("because the seat is free");
    assert_eq!(join(&trusted, 0, 1).err(), Some(LogError::NoSeat { max: 3 }), "seat is taken");
    drop(joined);
    join(&trusted, 0, 1).expect("because the seat is free again");
}

#[test]
fn everybody_gets_every_message() {
    let (mut publisher, subscribers) = ends(4, 3, LagPolicy::Wait);
    let mut readers: Vec<_> = (0..3).map(|_| subscribers.reliable(Start::Tail)).collect();
    assert_eq!(subscribers.reliable(Start::Tail).err(), Some(LogError::NoSeat { max: 3 }));
    readers.push(Ok(subscribers.lossy(Start::Tail)));
    for round in 0..9 {
        send_all(&mut publisher, round * 3..round * 3 + 3);
        for reader in readers.iter_mut().map(|reader| reader.as_mut().expect("it joined")) {
            for value in round * 3..round * 3 + 3 {
                assert_eq!(reader.recv(), Ok(value));
            }
            assert_eq!(reader.try_recv(), Err(TryRecvError::Empty));
        }
    }
    drop(readers);
    assert_eq!(subscribers.seats_free(), 3, "who leaves gives the seat back");
}

#[test]
fn the_slowest_reliable_subscriber_holds_the_publisher_back() {
    let (mut publisher, subscribers) = ends(4, 2, LagPolicy::Wait);
    let mut slow = subscribers.reliable(Start::Tail).expect("because a seat is free");
    let mut quick = subscribers.reliable(Start::Tail).expect("because a seat is free");
    send_all(&mut publisher, 0..4);
    assert_eq!(quick.drain(9, |_| ()), Ok(4));
    assert_eq!(publisher.try_send(4), Err(TrySendError::Full(4)));
    assert_eq!(publisher.try_send(4), Err(TrySendError::Full(4)));
    assert_eq!(publisher.counts().refused, 2);
    let scans = publisher.counts().scans;
    assert!(scans > 0);
    publisher.try_send(4).expect_err("because nobody read");
    assert_eq!(publisher.counts().scans, scans, "a blocked publisher looks at the blocker alone");
    assert_eq!(slow.try_recv(), Ok(0));
    publisher.try_send(4).expect("because the oldest record was read");
    assert_eq!(publisher.try_send(5), Err(TrySendError::Full(5)));
    drop(slow);
    send_all(&mut publisher, 5..8);
    assert_eq!(publisher.try_send(8), Err(TrySendError::Full(8)));
}

#[test]
fn without_reliable_subscribers_nothing_is_ever_full() {
    let (mut publisher, subscribers) = ends(8, 1, LagPolicy::Wait);
    let mut lossy = subscribers.lossy(Start::Tail);
    send_all(&mut publisher, 0..100);
    assert!(publisher.counts().scans <= 100 / 8 + 1, "one look a lap");
    let Err(TryRecvError::Lagged { missed }) = lossy.try_recv() else { panic!("no gap told") };
    assert_eq!(missed, lossy.position());
    assert!((92..=94).contains(&missed), "all but the last lap and a quarter: {missed}");
    let mut messages = Vec::new();
    assert_eq!(lossy.recv_many(&mut messages, 99), Ok(100 - missed as usize));
    assert!(messages.into_iter().eq(missed..100));
    assert_eq!(lossy.missed(), missed);
}

#[test]
fn late_joiners_choose_where_they_begin() {
    let (mut publisher, subscribers) = ends(8, 4, LagPolicy::Wait);
    let mut early = subscribers.reliable(Start::Oldest).expect("because a seat is free");
    assert_eq!(early.position(), 0);
    for _ in 0..5 {
        send_all(&mut publisher, 0..4);
        assert_eq!(early.drain(9, |_| ()), Ok(4));
    }
    let tail = subscribers.reliable(Start::Tail).expect("because a seat is free");
    let oldest = subscribers.reliable(Start::Oldest).expect("because a seat is free");
    assert_eq!((tail.position(), oldest.position()), (20, 12));
    assert_eq!(subscribers.lossy(Start::Oldest).position(), 12);
    assert_eq!(publisher.try_send(20), Err(TrySendError::Full(20)), "a replay is protected");
}

#[test]
fn who_lags_is_demoted_and_told_once() {
    let (mut publisher, subscribers) = ends(8, 2, LagPolicy::Demote { lag_max: 8 });
    let mut slow = subscribers.reliable(Start::Tail).expect("because a seat is free");
    let mut quick = subscribers.reliable(Start::Tail).expect("because a seat is free");
    for value in 0..20 {
        publisher.try_send(value).expect("because the slow one does not count");
        assert_eq!(quick.try_recv(), Ok(value));
    }
    assert_eq!((publisher.counts().demoted, publisher.counts().evicted), (1, 0));
    assert_eq!(slow.try_recv(), Err(TryRecvError::Demoted));
    assert!(!slow.is_reliable() && quick.is_reliable());
    assert_eq!(slow.try_recv(), Err(TryRecvError::Lagged { missed: 12 }));
    assert_eq!(slow.try_recv(), Ok(12));
    assert_eq!(slow.drain(99, |_| ()), Ok(7));
    drop(slow);
    let mut fresh = subscribers.reliable(Start::Tail).expect("because a seat is free");
    publisher.try_send(20).expect("because there is room");
    assert_eq!(fresh.try_recv(), Ok(20), "the next in the same seat is not demoted with it");
    assert!(fresh.is_reliable());
}

#[test]
fn who_lags_is_evicted_for_good() {
    let (mut publisher, subscribers) = ends(4, 1, LagPolicy::Evict { lag_max: 3 });
    let mut slow = subscribers.reliable(Start::Tail).expect("because a seat is free");
    send_all(&mut publisher, 0..3);
    assert!(publisher.claim(4).is_ok(), "who lags by the limit gives way to a batch");
    assert_eq!(publisher.counts().evicted, 1);
    for _ in 0..2 {
        assert_eq!(slow.try_recv(), Err(TryRecvError::Evicted));
        assert_eq!(slow.drain(1, |_| ()), Err(TryRecvError::Evicted));
        assert_eq!(slow.recv(), Err(TryRecvError::Evicted));
    }
    assert!(!slow.is_reliable());
}

#[test]
fn who_lags_less_than_the_limit_is_waited_for() {
    for policy in [LagPolicy::Demote { lag_max: 3 }, LagPolicy::Evict { lag_max: 3 }] {
        let (mut publisher, subscribers) = ends(4, 1, policy);
        let mut slow = subscribers.reliable(Start::Tail).expect("because a seat is free");
        send_all(&mut publisher, 0..2);
        let refused = publisher.claim(4).expect_err("because two records are unread");
        assert_eq!(refused, ClaimError { asked: 4, free: 2 });
        assert_eq!((publisher.counts().demoted, publisher.counts().evicted), (0, 0));
        assert_eq!((slow.recv(), slow.recv()), (Ok(0), Ok(1)));
    }
}

/// Who was refused asks for less: what became free meanwhile counts.
#[test]
fn a_smaller_claim_is_not_refused_for_a_larger_one() {
    let (mut publisher, subscribers) = ends(4, 1, LagPolicy::Wait);
    let mut slow = subscribers.reliable(Start::Tail).expect("because a seat is free");
    send_all(&mut publisher, 0..2);
    assert!(publisher.claim(4).is_err(), "two records are unread");
    assert_eq!(slow.try_recv(), Ok(0));
    assert!(publisher.claim(4).is_err(), "one is");
    assert!(publisher.claim(3).is_ok());
}

/// A claim that was refused is judged anew once the publisher went on.
#[test]
fn who_comes_to_lag_by_the_limit_is_dismissed_after_a_refused_claim() {
    let (mut publisher, subscribers) = ends(4, 1, LagPolicy::Demote { lag_max: 3 });
    let _slow = subscribers.reliable(Start::Tail).expect("because a seat is free");
    send_all(&mut publisher, 0..2);
    assert!(publisher.claim(4).is_err(), "two records are unread");
    send_all(&mut publisher, 2..3);
    assert!(publisher.claim(4).is_ok(), "three are");
    assert_eq!(publisher.counts().demoted, 1);
}

/// A subscriber that stands in the way is looked at alone, also when the publisher went on.
#[test]
fn who_stands_in_the_way_is_remembered() {
    for policy in [LagPolicy::Wait, LagPolicy::Demote { lag_max: 4 }] {
        let (mut publisher, subscribers) = ends(4, 2, policy);
        let mut slow = subscribers.reliable(Start::Tail).expect("because a seat is free");
        send_all(&mut publisher, 0..2);
        assert_eq!(slow.drain(2, |_| ()), Ok(2));
        assert_eq!(slow.try_recv(), Err(TryRecvError::Empty));
        send_all(&mut publisher, 2..4);
        assert!(publisher.claim(4).is_err());
        let scans = publisher.counts().scans;
        send_all(&mut publisher, 4..5);
        assert!(publisher.claim(4).is_err());
        assert_eq!(publisher.counts().scans, scans, "policy={policy:?}");
    }
}

/// Only who stands in the way is dismissed, however far others lag; and who was spared is not
/// taken for the one that a claim was refused for.
#[test]
fn who_lags_and_stands_in_nobodys_way_is_spared() {
    let (mut publisher, subscribers) = ends(8, 2, LagPolicy::Demote { lag_max: 4 });
    let mut first = subscribers.reliable(Start::Tail).expect("because a seat is free");
    let mut second = subscribers.reliable(Start::Tail).expect("because a seat is free");
    send_all(&mut publisher, 0..6);
    assert_eq!((second.try_recv(), second.try_recv()), (Ok(0), Ok(1)));
    assert!(publisher.claim(4).is_ok(), "the first one makes room, two suffice");
    assert_eq!(publisher.counts().demoted, 1);
    assert_eq!(first.try_recv(), Err(TryRecvError::Demoted));
    assert_eq!(second.try_recv(), Ok(2));
    assert!(publisher.claim(5).is_ok(), "now the second one is in the way");
    assert_eq!(publisher.counts().demoted, 2);
}

/// The intent goes no further than a claim needs: what it reaches is lost to late joiners.
#[test]
fn room_that_was_announced_is_not_announced_anew() {
    let (mut publisher, subscribers) = ends(8, 1, LagPolicy::Wait);
    send_all(&mut publisher, 0..1);
    let mut reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
    send_all(&mut publisher, 1..7);
    assert_eq!(publisher.claim(3).err(), Some(ClaimError { asked: 3, free: 2 }));
    send_all(&mut publisher, 7..9);
    assert_eq!((reader.try_recv(), reader.try_recv()), (Ok(1), Ok(2)));
    send_all(&mut publisher, 9..10);
    assert_eq!(subscribers.lossy(Start::Oldest).position(), 2);
}

/// Who finds nothing gives back what it read.
#[test]
fn a_look_in_vain_gives_room_back() {
    let (mut publisher, subscribers) = ends(8, 1, LagPolicy::Wait);
    let mut reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
    send_all(&mut publisher, 0..1);
    assert_eq!(reader.try_recv(), Ok(0));
    assert!(publisher.claim(8).is_err(), "less than a quarter of a lap was read");
    assert_eq!(reader.try_recv(), Err(TryRecvError::Empty));
    assert!(publisher.claim(8).is_ok());
}

/// More cursors than are looked at in one go.
#[test]
fn the_slowest_of_many_subscribers_counts() {
    for slowest in [0, 63, 64, 69] {
        let (mut publisher, subscribers) = ends(4, 70, LagPolicy::Wait);
        let join = |_| subscribers.reliable(Start::Tail).expect("because a seat is free");
        let mut readers: Vec<_> = (0..70).map(join).collect();
        send_all(&mut publisher, 0..4);
        for (index, reader) in readers.iter_mut().enumerate() {
            let count = if index == slowest { 1 } else { 4 };
            assert_eq!(reader.drain(count, |_| ()), Ok(count));
        }
        send_all(&mut publisher, 4..5);
        assert_eq!(publisher.try_send(5), Err(TrySendError::Full(5)), "slowest={slowest}");
    }
}

#[test]
fn claims_publish_at_once_or_not_at_all() {
    let (mut publisher, subscribers) = ends(4, 1, LagPolicy::Wait);
    let mut reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
    assert_eq!(publisher.claim(5).err(), Some(ClaimError { asked: 5, free: 0 }));
    let mut claim = publisher.claim(3).expect("because there is room");
    assert_eq!(claim.remaining(), 3);
    claim.put(7);
    assert_eq!(claim.remaining(), 2);
    claim.put(8);
    assert_eq!((reader.try_recv(), claim.remaining()), (Err(TryRecvError::Empty), 1));
    assert_eq!(claim.commit(), 2);
    assert_eq!((reader.try_recv(), reader.try_recv()), (Ok(7), Ok(8)));
    let mut claim = publisher.claim(4).expect("because everything was read");
    claim.put(9);
    drop(claim);
    assert_eq!(reader.try_recv(), Err(TryRecvError::Empty));
    publisher.try_send(10).expect("because the claim was dropped");
    assert_eq!(reader.try_recv(), Ok(10));
}

#[test]
#[should_panic(expected = "claim is full")]
fn a_claim_takes_no_more_than_it_asked_for() {
    let (mut publisher, _subscribers) = ends(4, 1, LagPolicy::Wait);
    let mut claim = publisher.claim(1).expect("because there is room");
    claim.put(1);
    claim.put(2);
}

#[test]
fn what_an_aborted_claim_damaged_is_not_delivered() {
    let (mut publisher, subscribers) = ends(8, 1, LagPolicy::Wait);
    let mut lossy = subscribers.lossy(Start::Tail);
    send_all(&mut publisher, 0..8);
    let mut claim = publisher.claim(5).expect("because nobody holds the publisher back");
    (90..95).for_each(|value| claim.put(value));
    drop(claim);
    assert_eq!(lossy.try_recv(), Err(TryRecvError::Lagged { missed: 5 }));
    assert_eq!(lossy.try_recv(), Ok(5));
    let late = subscribers.reliable(Start::Oldest).expect("because a seat is free");
    assert_eq!(late.position(), 5);
}

/// Only lossy subscribers: there is no seat for others.
#[test]
fn a_log_without_seats_is_possible() {
    let (mut publisher, subscribers) = ends(4, 0, LagPolicy::Wait);
    assert_eq!(subscribers.reliable(Start::Tail).err(), Some(LogError::NoSeat { max: 0 }));
    let mut lossy = subscribers.lossy(Start::Tail);
    assert_eq!(publisher.published(), 0);
    send_all(&mut publisher, 0..3);
    assert_eq!(publisher.published(), 3);
    assert_eq!(lossy.drain(9, |_| ()), Ok(3));
}

#[test]
fn an_iterator_that_has_ended_is_not_asked_again() {
    let (mut publisher, _subscribers) = ends(64, 1, LagPolicy::Wait);
    let mut left = Some(3_u64);
    let ends_once = core::iter::from_fn(|| {
        left = left.expect("because it has not ended").checked_sub(1);
        left
    });
    assert_eq!(publisher.send_many(ends_once), 3);
}

#[test]
fn send_many_sends_what_fits() {
    let (mut publisher, subscribers) = ends(8, 1, LagPolicy::Wait);
    let mut reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
    let mut source = 0..20;
    assert_eq!(publisher.send_many(&mut source), 8);
    assert_eq!(source.start, 8, "nothing is taken that was not sent");
    assert_eq!(publisher.send_many(&mut source), 0);
    let mut messages = Vec::new();
    assert_eq!(reader.recv_many(&mut messages, 3), Ok(3));
    assert_eq!(reader.recv_many(&mut messages, 0), Ok(0));
    assert_eq!(publisher.send_many(&mut source), 2, "a quarter of a lap was given back");
    assert_eq!(reader.recv_many(&mut messages, 99), Ok(7));
    assert_eq!(publisher.send_many([]), 0);
    assert_eq!(publisher.send_many(source.take(2)), 2);
    assert!(messages.into_iter().eq(0..10));
}

#[test]
fn both_sides_close() {
    let (mut publisher, subscribers) = ends(4, 1, LagPolicy::Wait);
    let mut reader = subscribers.clone().reliable(Start::Tail).expect("because a seat is free");
    publisher.send(1).expect("because there is room");
    assert!(!reader.is_closed());
    drop(publisher);
    assert!(reader.is_closed());
    assert_eq!((reader.recv(), reader.recv()), (Ok(1), Err(TryRecvError::Closed)));
    assert_eq!(reader.try_recv(), Err(TryRecvError::Closed));

    let (mut publisher, subscribers) = ends(4, 1, LagPolicy::Wait);
    let reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
    send_all(&mut publisher, 0..4);
    drop(subscribers);
    assert!(!publisher.is_closed(), "one subscriber is left");
    drop(reader);
    assert!(publisher.is_closed());
    assert_eq!(publisher.try_send(4), Err(TrySendError::Closed(4)));
    assert_eq!(publisher.send(4).map_err(|error| error.0), Err(4));
}

#[test]
fn a_sender_that_waits_goes_on_when_there_is_room() {
    let (mut publisher, subscribers) = ends(2, 1, LagPolicy::Wait);
    let mut reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
    drop(subscribers);
    let sender = thread::spawn(move || {
        for value in 0..100 {
            publisher.send(value).expect("because the reader is there");
        }
        // What is sent while the reader leaves may still find room.
        (100..).take_while(|&value| publisher.send(value).is_ok()).count()
    });
    for value in 0..100 {
        assert_eq!(reader.recv(), Ok(value));
    }
    drop(reader);
    let sent_after = sender.join().expect("because the sender does not panic");
    assert!(sent_after <= 4, "who waits is told that everybody left: {sent_after}");
}

#[test]
fn what_a_taker_took_before_its_panic_is_not_taken_twice() {
    for policy in [LagPolicy::Wait, LagPolicy::Demote { lag_max: 8 }] {
        let (mut publisher, subscribers) = ends(8, 1, policy);
        let mut reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
        send_all(&mut publisher, 0..8);
        let panics = core::panic::AssertUnwindSafe(|| {
            reader.drain(8, |message| assert!(message < 3, "as planned"))
        });
        std::panic::catch_unwind(panics).expect_err("because the fourth message is refused");
        assert_eq!(reader.try_recv(), Ok(4));
    }
}

/// The publisher comes round while a batch is taken: what was taken before counts, the gap is told
/// by the next call.
#[test]
fn a_batch_ends_where_its_messages_were_overwritten() {
    let (mut publisher, subscribers) = ends(8, 1, LagPolicy::Wait);
    let mut lossy = subscribers.lossy(Start::Tail);
    send_all(&mut publisher, 0..8);
    let mut taken = Vec::new();
    let drained = lossy.drain(8, |message| {
        if message == 2 {
            send_all(&mut publisher, 8..16);
        }
        taken.push(message);
    });
    assert_eq!((drained, taken), (Ok(3), vec![0, 1, 2]));
    assert!(matches!(lossy.try_recv(), Err(TryRecvError::Lagged { .. })));
}

#[test]
fn the_highest_position_is_the_last_that_a_cursor_can_tell() {
    let told = |position| cursor_position(cursor_word(7, position));
    assert_eq!((told(0), told(POSITION_MAX)), (0, POSITION_MAX));
    assert_eq!(told(POSITION_MAX + 1), u64::MAX);
}

/// Neither aligned to words nor as long as a line.
#[test]
fn messages_of_any_plain_type_arrive() {
    fn check<T: bytemuck::Pod + Send + PartialEq + core::fmt::Debug>(make: impl Fn(u8) -> T) {
        let (mut publisher, subscribers) = channel(4, 1, Spin).expect("because it is valid");
        let mut reader = subscribers.reliable(Start::Tail).expect("because a seat is free");
        for value in 0..11 {
            publisher.try_send(make(value)).expect("because everything was read");
            assert_eq!(reader.try_recv(), Ok(make(value)));
            publisher.try_send(make(!value)).expect("because everything was read");
            let mut found = Vec::new();
            assert_eq!(reader.recv_many(&mut found, 9), Ok(1));
            assert_eq!(found, [make(!value)]);
        }
    }
    check(|value| [value.wrapping_mul(77); 24]);
    check(|value| core::array::from_fn::<u32, 16, _>(|index| u32::from(value) << index));
    check(|value| core::array::from_fn::<u64, 3, _>(|index| u64::from(value) << index));
    check(|value| core::array::from_fn::<u64, 8, _>(|index| u64::from(value) << index));
    check(|value| core::array::from_fn::<u64, 19, _>(|index| u64::from(value) << index));
    check(|value| u128::from(value) << 64 | 5);
}

/// A subscriber can lie about its own cursor and nothing else (RB-24).
#[test]
fn cursors_that_cannot_be_are_clamped() {
    let shape = LogShape::new(4, 1, 2).expect("because the shape is valid");
    let data = HeapWords::new(shape.data_words());
    let group = HeapWords::new(LogShape::group_words(2));
    let policy = LagPolicy::Evict { lag_max: 4 };
    let mut log = WordPublisher::new(shape, policy, data.clone()).expect("because it fits");
    log.add_group(group.clone()).expect("because it fits");
    let seat = Seat { group: group.clone(), first: 0, seat: 1 };
    let mut honest = WordSubscriber::join_reliable(shape, data, seat, Start::Tail)
        .expect("because the seat is free");
    let publish = |log: &mut WordPublisher<_, _>, value: u64| {
        let mut claim = log.claim(1)?;
        claim.put(&[value]);
        claim.commit();
        Ok::<_, ClaimError>(())
    };
    let mut record = [0];
    for value in 0..20 {
        group.store_relaxed(8, cursor_word(3, 1 << 40));
        publish(&mut log, value).expect("because a liar ahead of the tail does not count");
        assert_eq!((honest.try_recv(&mut record), record), (Ok(()), [value]));
    }
    let clamped = log.counts().clamped;
    assert!(clamped > 0);
    group.store_relaxed(8, cursor_word(3, 2));
    group.store_relaxed(0, 77);
    for value in 20..30 {
        publish(&mut log, value).expect("because a liar a lap behind is evicted");
        assert_eq!((honest.try_recv(&mut record), record), (Ok(()), [value]));
    }
    assert!(log.counts().clamped > clamped);
    assert_eq!(log.counts().evicted, 1);
    group.store_relaxed(8, free_word(3));
    assert_eq!(group.load_relaxed(8), 3 << 56);
}

/// One step of the property test.
#[derive(Debug, Clone)]
enum Step {
    Send(u8),
    Batch(u8, bool),
    Receive(usize, u8),
    Drain(usize, u8),
    JoinReliable(bool),
    JoinLossy(bool),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u8..12).prop_map(Step::Send),
        2 => (1_u8..9, any::<bool>()).prop_map(|(count, keep)| Step::Batch(count, keep)),
        4 => (any::<usize>(), 1_u8..12).prop_map(|(who, count)| Step::Receive(who, count)),
        4 => (any::<usize>(), 1_u8..30).prop_map(|(who, count)| Step::Drain(who, count)),
        1 => any::<bool>().prop_map(Step::JoinReliable),
        1 => any::<bool>().prop_map(Step::JoinLossy),
        1 => any::<usize>().prop_map(Step::Leave),
    ]
}

/// What the property test knows about a subscriber.
struct Reader {
    end: Subscriber<u64, Spin>,
    /// Sequence of the next record.
    next: u64,
    is_reliable: bool,
    lag_worst: u64,
}

/// The log as it should behave. Messages are their own sequences.
struct Model {
    publisher: Publisher<u64, Spin>,
    subscribers: Subscribers<u64, Spin>,
    readers: Vec<Reader>,
    tail: u64,
    slots: u64,
    /// Most by which the intent can be ahead of the tail.
    ahead_max: u64,
    policy: LagPolicy,
}

impl Model {
    fn lag_max(&self) -> u64 {
        match self.policy {
            LagPolicy::Wait => u64::MAX,
            LagPolicy::Demote { lag_max } | LagPolicy::Evict { lag_max } => lag_max,
        }
    }

    fn stride(&self) -> u64 {
        (self.slots / 4).max(1)
    }

    /// Notes who may have been dismissed for a claim of `count`.
    fn note_lags(&mut self, count: u64) {
        for reader in &mut self.readers {
            let lag = self.tail - reader.next + self.slots.div_ceil(4) - 1;
            if reader.next + self.slots < self.tail + count + self.slots.div_ceil(4) {
                reader.lag_worst = reader.lag_worst.max(lag);
            }
        }
    }

    fn send(&mut self, count: u64, is_batch: bool, keep: bool) {
        self.note_lags(count);
        // Also a refused claim may have raised the intent.
        self.ahead_max = self.ahead_max.max(count);
        let behind = self.readers.iter().filter(|reader| reader.is_reliable);
        let slowest = behind.map(|reader| reader.next).min().unwrap_or(self.tail);
        let is_sent = match is_batch {
            false => self.publisher.try_send(self.tail).is_ok(),
            true => match self.publisher.claim(count as usize) {
                Ok(mut claim) => {
                    (0..count).for_each(|index| claim.put(self.tail + index));
                    if keep {
                        assert_eq!(claim.commit(), count as usize);
                    }
                    true
                }
                Err(_) => false,
            },
        };
        let needed = self.tail + count;
        if is_sent {
            // RB-20: nothing that a reliable subscriber has not read is given away.
            assert!(needed <= slowest + self.slots || self.policy != LagPolicy::Wait);
            self.tail += if keep { count } else { 0 };
        } else {
            let unreleased = self.stride() - 1;
            assert!(needed + unreleased > slowest + self.slots, "refused though there is room");
        }
    }

    fn take(&mut self, who: usize, result: Result<u64, TryRecvError>) {
        let (slots, tail, ahead_max) = (self.slots, self.tail, self.ahead_max);
        let (policy, lag_max) = (self.policy, self.lag_max());
        let reader = &mut self.readers[who];
        match result {
            Ok(message) => {
                // RB-21: every message is the published one, and none is there twice or too late.
                assert_eq!(message, reader.next);
                assert!(reader.next < tail && tail <= reader.next + slots);
                reader.next += 1;
            }
            Err(TryRecvError::Empty) => assert_eq!(reader.next, tail),
            Err(TryRecvError::Lagged { missed }) => {
                assert!(!reader.is_reliable && missed > 0);
                assert!(reader.next + slots < tail + ahead_max, "nothing was in danger");
                reader.next += missed;
                assert!(reader.next <= tail && tail <= reader.next + slots);
                assert!(reader.next + slots <= tail + ahead_max, "more was skipped than needed");
            }
            Err(TryRecvError::Demoted) => {
                assert!(reader.is_reliable && matches!(policy, LagPolicy::Demote { .. }));
                assert!(reader.lag_worst >= lag_max, "demoted without a reason");
                reader.is_reliable = false;
            }
            Err(TryRecvError::Evicted) => {
                assert!(matches!(policy, LagPolicy::Evict { .. }));
                assert!(reader.lag_worst >= lag_max, "evicted without a reason");
                reader.is_reliable = false;
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(self.readers[who].end.position(), self.readers[who].next);
    }

    fn drain(&mut self, who: usize, count: u64) {
        let mut messages = Vec::new();
        match self.readers[who].end.recv_many(&mut messages, count as usize) {
            Err(error) => {
                assert!(messages.is_empty());
                self.take(who, Err(error));
            }
            Ok(taken) => {
                assert_eq!(taken, messages.len());
                let reader = &mut self.readers[who];
                assert!(messages.iter().copied().eq(reader.next..reader.next + taken as u64));
                assert!(self.tail <= reader.next + self.slots);
                reader.next += taken as u64;
                assert_eq!(reader.end.position(), reader.next);
            }
        }
    }

    fn join(&mut self, is_reliable: bool, start: Start) {
        let end = match is_reliable {
            true => self.subscribers.reliable(start),
            false => Ok(self.subscribers.lossy(start)),
        };
        let Ok(end) = end else {
            // A demoted one keeps its seat until it is dropped.
            assert_eq!(self.subscribers.seats_free(), 0);
            return;
        };
        let next = end.position();
        match start {
            Start::Tail => assert_eq!(next, self.tail),
            Start::Oldest => {
                assert!(next <= self.tail && self.tail <= next + self.slots);
                assert!(next <= (self.tail + self.ahead_max).saturating_sub(self.slots));
            }
        }
        self.readers.push(Reader { end, next, is_reliable, lag_worst: 0 });
    }

    fn run(&mut self, step: Step) {
        let start = |is_tail| if is_tail { Start::Tail } else { Start::Oldest };
        match step {
            Step::Send(count) => (0..count).for_each(|_| self.send(1, false, true)),
            Step::Batch(count, keep) => self.send(u64::from(count).min(self.slots), true, keep),
            Step::JoinReliable(is_tail) => self.join(true, start(is_tail)),
            Step::JoinLossy(is_tail) => self.join(false, start(is_tail)),
            _ if self.readers.is_empty() => {}
            Step::Receive(who, count) => {
                let who = who % self.readers.len();
                for _ in 0..count {
                    let result = self.readers[who].end.try_recv();
                    self.take(who, result);
                }
            }
            Step::Drain(who, count) => self.drain(who % self.readers.len(), u64::from(count)),
            Step::Leave(who) => drop(self.readers.swap_remove(who % self.readers.len())),
        }
    }
}

proptest! {
    /// Random actions of everybody against a model that knows what was published.
    #[test]
    fn subscribers_see_what_was_published(
        bits in 1_u32..6,
        policy in 0_u8..3,
        lag in 0_u64..32,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let slots = 1_u64 << bits;
        let lag_max = lag % slots + 1;
        let policy = match policy {
            0 => LagPolicy::Wait,
            1 => LagPolicy::Demote { lag_max },
            _ => LagPolicy::Evict { lag_max },
        };
        let (publisher, subscribers) = ends(slots as usize, 3, policy);
        let ahead_max = (slots / 4).max(1);
        let readers = Vec::new();
        let mut model =
            Model { publisher, subscribers, readers, tail: 0, slots, ahead_max, policy };
        for step in steps {
            model.run(step);
        }
    }
}

type Message = [u64; 8];

/// A message whose words all depend on its sequence.
fn message(sequence: u64) -> Message {
    let mut random = fastrand::Rng::with_seed(sequence ^ SEED);
    let mut words: Message = core::array::from_fn(|_| random.u64(..));
    words[0] = sequence;
    words
}

const SEED: u64 = 41;
const MESSAGES: u64 = 200_000;

fn publish_in_batches(mut publisher: Publisher<Message, Spin>) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut next = 0;
    while next < MESSAGES {
        let count = random.u64(1..40).min(MESSAGES - next);
        let Ok(mut claim) = publisher.claim(count as usize) else {
            thread::yield_now();
            continue;
        };
        (next..next + count).for_each(|sequence| claim.put(message(sequence)));
        if random.u8(..) < 240 {
            next += claim.commit() as u64;
        }
    }
}

/// Reads to the end, or until `stop`; what was received and missed must add up to all there was.
fn follow(mut reader: Subscriber<Message, Spin>, stop: u64) -> u64 {
    let (mut next, mut received, first) = (reader.position(), 0, reader.position());
    while next < stop {
        let result = reader.drain(33, |found| {
            assert_eq!(found, message(next), "seed={SEED}");
            next += 1;
            received += 1;
        });
        match result {
            Ok(_) => {}
            Err(TryRecvError::Empty) => thread::yield_now(),
            Err(TryRecvError::Closed) => break,
            Err(TryRecvError::Lagged { missed }) if !reader.is_reliable() => next += missed,
            Err(other) => panic!("seed={SEED}: {other}"),
        }
    }
    assert_eq!(received + reader.missed(), next - first, "seed={SEED}");
    next
}

/// One publisher, three reliable subscribers, a lossy one, and one that comes and goes.
#[test]
fn stress_with_checksums() {
    let (publisher, subscribers) =
        channel::<Message, Spin>(128, 4, Spin).expect("because the shape is valid");
    let reliable: Vec<_> = (0..3)
        .map(|_| subscribers.reliable(Start::Tail).expect("because a seat is free"))
        .map(|reader| thread::spawn(move || follow(reader, u64::MAX)))
        .collect();
    let lossy = subscribers.lossy(Start::Tail);
    let lossy = thread::spawn(move || follow(lossy, u64::MAX));
    let guests = thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(SEED);
        let mut next = 0;
        while next < MESSAGES {
            let start = if random.bool() { Start::Tail } else { Start::Oldest };
            let guest = subscribers.reliable(start).expect("because its last seat is free");
            next = follow(guest, next + random.u64(..500));
            next = next.max(subscribers.lossy(Start::Tail).position());
        }
    });
    publish_in_batches(publisher);
    for reader in reliable {
        assert_eq!(reader.join().expect("because it does not panic"), MESSAGES);
    }
    assert_eq!(lossy.join().expect("because it does not panic"), MESSAGES);
    guests.join().expect("because it does not panic");
}
