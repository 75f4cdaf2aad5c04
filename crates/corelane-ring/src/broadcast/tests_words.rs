//! Tests of the ends over words: several groups of cursors, claims, and the end of a log.

use super::*;
use crate::HeapWords;

type WordPublisher = super::WordPublisher<HeapWords, HeapWords>;
type WordSubscriber = super::WordSubscriber<HeapWords, HeapWords>;

/// A log of four records of two words with two groups of two seats each.
struct Log {
    shape: LogShape,
    data: HeapWords,
    groups: [HeapWords; 2],
}

impl Log {
    fn new() -> (WordPublisher, Self) {
        let shape = LogShape::new(4, 2, 4).expect("because the shape is valid");
        let data = HeapWords::new(shape.data_words());
        let groups = [(); 2].map(|()| HeapWords::new(LogShape::group_words(2)));
        let mut publisher =
            WordPublisher::new(shape, LagPolicy::Wait, data.clone()).expect("because it fits");
        for (first, group) in [(0, &groups[0]), (2, &groups[1])] {
            assert_eq!(publisher.add_group(group.clone()), Ok(first));
        }
        (publisher, Self { shape, data, groups })
    }

    fn join(&self, seat: usize) -> Result<WordSubscriber, LogError> {
        let group = seat / 2;
        let seat = Seat { group: self.groups[group].clone(), first: 2 * group, seat };
        WordSubscriber::join_reliable(self.shape, self.data.clone(), seat, Start::Tail)
    }
}

fn publish(publisher: &mut WordPublisher, values: core::ops::Range<u64>) -> Result<(), ClaimError> {
    let mut claim = publisher.claim(values.clone().count())?;
    for value in values.clone() {
        assert_eq!(claim.remaining() as u64, values.end - value);
        claim.put(&[value, !value]);
    }
    assert_eq!(claim.remaining(), 0);
    assert_eq!(claim.commit() as u64, values.end - values.start);
    Ok(())
}

fn take(subscriber: &mut WordSubscriber) -> Result<u64, TryRecvError> {
    let mut record = [0; 2];
    subscriber.try_recv(&mut record)?;
    assert_eq!(record[1], !record[0]);
    Ok(record[0])
}

#[test]
fn every_seat_of_every_group_holds_the_publisher_back() {
    for seat in 0..4 {
        let (mut publisher, log) = Log::new();
        let mut reader = log.join(seat).expect("because the seat is free");
        assert_eq!(log.join(seat).err(), Some(LogError::NoSeat { max: 4 }));
        assert_eq!(take(&mut reader), Err(TryRecvError::Empty));
        for lap in 0..5 {
            assert_eq!(publish(&mut publisher, lap * 4..lap * 4 + 4), Ok(()));
            let refused = ClaimError { asked: 1, free: 0 };
            assert_eq!(publish(&mut publisher, 0..1), Err(refused), "seat={seat}");
            for value in lap * 4..lap * 4 + 4 {
                assert_eq!(take(&mut reader), Ok(value));
            }
            assert_eq!(take(&mut reader), Err(TryRecvError::Empty));
        }
        assert_eq!(publish(&mut publisher, 20..24), Ok(()));
        drop(reader);
        assert_eq!(publish(&mut publisher, 24..28), Ok(()), "who left holds nobody back");
        log.join(seat).expect("because the seat is free again");
    }
}

#[test]
fn a_claim_without_records_does_not_open_a_closed_log() {
    let (mut publisher, log) = Log::new();
    let mut reader = log.join(3).expect("because the seat is free");
    publisher.close();
    assert_eq!(publisher.claim(1).expect("because there is room").commit(), 0);
    assert!(reader.is_closed());
    assert_eq!(take(&mut reader), Err(TryRecvError::Closed));
    assert_eq!(publish(&mut publisher, 7..8), Ok(()));
    assert!(!reader.is_closed(), "a record opens it");
    assert_eq!(take(&mut reader), Ok(7));
}

#[test]
fn a_run_ends_where_a_look_or_a_release_is_due() {
    let shape = LogShape::new(16, 2, 0).expect("because the shape is valid");
    let data = HeapWords::new(shape.data_words());
    let mut publisher: WordPublisher =
        WordPublisher::new(shape, LagPolicy::Wait, data.clone()).expect("because it fits");
    let mut reader: WordSubscriber = WordSubscriber::join_lossy(shape, data, Start::Tail).unwrap();
    let mut record = [9; 2];
    publish(&mut publisher, 0..2).expect("because there is room");
    assert_eq!((reader.run(), reader.take(&mut record)), (0, false), "nobody has looked yet");
    assert_eq!((reader.look(), reader.run()), (Ok(2), 2));
    for value in 0..2 {
        assert!(reader.take(&mut record));
        assert_eq!(record, [value, !value]);
    }
    assert_eq!((reader.run(), reader.take(&mut record)), (0, false), "nothing is left");

    // Released every quarter of a lap, by who takes the last record before it.
    publish(&mut publisher, 2..12).expect("because there is room");
    assert_eq!((reader.look(), reader.run()), (Ok(10), 1));
    assert!(reader.take(&mut record));
    assert_eq!((reader.run(), take(&mut reader), reader.run()), (0, Ok(3), 3));
    assert_eq!((reader.position(), reader.released()), (4, 4));
}

#[test]
fn a_look_at_once_finds_what_any_look_finds() {
    let (mut publisher, log) = Log::new();
    let mut reader = log.join(0).expect("because the seat is free");
    assert_eq!(reader.look_now(), Err(TryRecvError::Empty));
    publish(&mut publisher, 0..3).expect("because there is room");
    assert_eq!((reader.look_now(), reader.look()), (Ok(3), Ok(3)));
    for value in 0..3 {
        assert_eq!((reader.look_now(), take(&mut reader)), (Ok(3 - value), Ok(value)));
    }
    assert_eq!(reader.look_now(), Err(TryRecvError::Empty));
    assert_eq!(reader.released(), 3, "what was read is given back when nothing is left");
    publisher.close();
    assert_eq!(reader.look_now(), Err(TryRecvError::Closed));
}

#[test]
fn a_take_that_does_not_count_changes_nothing() {
    let shape = LogShape::new(4, 2, 0).expect("because the shape is valid");
    let data = HeapWords::new(shape.data_words());
    let mut publisher: WordPublisher =
        WordPublisher::new(shape, LagPolicy::Wait, data.clone()).expect("because it fits");
    let mut reader: WordSubscriber = WordSubscriber::join_lossy(shape, data, Start::Tail).unwrap();
    publish(&mut publisher, 0..1).expect("because there is room");
    assert_eq!(reader.look(), Ok(1));
    for first in 1..6 {
        publish(&mut publisher, first..first + 1).expect("because there is room");
    }
    assert!(!reader.take(&mut [0; 2]));
    assert_eq!((reader.position(), reader.missed()), (0, 0));
    let lagged = take(&mut reader).unwrap_err();
    assert!(matches!(lagged, TryRecvError::Lagged { missed: 2.. }), "{lagged:?}");
}
