//! Tests of groups that come and go while the publisher is at work, of the floor, and of looking at
//! a record before it is taken.

use std::cell::RefCell;
use std::rc::Rc;

use proptest::prelude::*;

use super::shape::{CURSORS, cursor_position};
use super::*;
use crate::{HeapWords, ReadWords};

type WordPublisher = super::WordPublisher<HeapWords, HeapWords, Ear>;
type WordSubscriber = super::WordSubscriber<HeapWords, HeapWords>;

const SLOTS: usize = 8;
const SEATS: usize = 2;
const GROUPS: usize = 3;

/// News of the same thread.
#[derive(Debug, Clone, Default)]
struct Ear(Rc<RefCell<Vec<Change<HeapWords>>>>);

impl Arrivals<HeapWords> for Ear {
    fn has_news(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    fn take(&mut self) -> Vec<Change<HeapWords>> {
        self.0.take()
    }
}

/// A log of eight records of a word, with room for three groups of two seats.
struct Log {
    shape: LogShape,
    data: HeapWords,
    ear: Ear,
}

impl Log {
    fn new(policy: LagPolicy) -> (WordPublisher, Self) {
        let shape = LogShape::new(SLOTS, 1, GROUPS * SEATS).expect("because the shape is valid");
        let data = HeapWords::new(shape.data_words());
        let ear = Ear::default();
        let publisher = WordPublisher::with_arrivals(shape, policy, data.clone(), ear.clone())
            .expect("it fits");
        (publisher, Self { shape, data, ear })
    }

    /// A group comes, in the given one of the places for groups.
    fn came(&self, place: usize) -> HeapWords {
        let cursors = HeapWords::new(LogShape::group_words(SEATS));
        let change = Change::Came { first: place * SEATS, cursors: cursors.clone() };
        self.ear.0.borrow_mut().push(change);
        cursors
    }

    fn left(&self, place: usize) {
        self.ear.0.borrow_mut().push(Change::Left { first: place * SEATS });
    }

    fn join(&self, group: &HeapWords, place: usize, seat: usize, start: Start) -> WordSubscriber {
        let first = place * SEATS;
        let seat = Seat { group: group.clone(), first, seat: first + seat };
        WordSubscriber::join_reliable(self.shape, self.data.clone(), seat, start)
            .expect("because the seat is free")
    }

    fn lossy(&self, start: Start) -> WordSubscriber {
        WordSubscriber::join_lossy(self.shape, self.data.clone(), start).expect("it fits")
    }
}

/// Publishes `count` records whose value is their position.
fn publish(publisher: &mut WordPublisher, count: u64) -> Result<(), ClaimError> {
    let first = publisher.published();
    let mut claim = publisher.claim(count as usize)?;
    (first..first + count).for_each(|value| claim.put(&[value]));
    claim.commit();
    Ok(())
}

fn take(subscriber: &mut WordSubscriber) -> Result<u64, TryRecvError> {
    let mut record = [0];
    subscriber.try_recv(&mut record).map(|()| record[0])
}

fn peek(subscriber: &mut WordSubscriber) -> Result<u64, TryRecvError> {
    let mut record = [0];
    subscriber.peek(&mut record).map(|()| record[0])
}

#[test]
fn a_group_that_came_holds_the_publisher_back_and_one_that_left_does_not() {
    let (mut publisher, log) = Log::new(LagPolicy::Wait);
    assert_eq!(publish(&mut publisher, 5), Ok(()));
    assert_eq!(publisher.groups().count(), 0);
    let group = log.came(1);
    let mut reader = log.join(&group, 1, 1, Start::Tail);
    assert_eq!(reader.position(), 5);
    // Nobody asked for the news: the publisher hears of them when it looks at cursors.
    assert_eq!(publish(&mut publisher, 8), Ok(()));
    assert_eq!(publisher.groups().count(), 1);
    assert_eq!(publish(&mut publisher, 1), Err(ClaimError { asked: 1, free: 0 }));
    assert!((5..13).all(|value| take(&mut reader) == Ok(value)));
    assert_eq!(take(&mut reader), Err(TryRecvError::Empty));
    assert_eq!(publish(&mut publisher, 8), Ok(()));

    // It is gone without a word, and its cursor stays.
    let full = Err(ClaimError { asked: 1, free: 0 });
    assert_eq!(publish(&mut publisher, 1), full);
    std::mem::forget(reader);
    log.left(1);
    assert_eq!(publish(&mut publisher, 1), full, "no cursor moved, so it looks no more");
    publisher.admit();
    assert_eq!(publish(&mut publisher, 8), Ok(()));
    assert_eq!(publisher.groups().count(), 0);
    // The next group has the same seats.
    let group = log.came(1);
    let mut next = log.join(&group, 1, 1, Start::Oldest);
    assert_eq!(publish(&mut publisher, 1), Err(ClaimError { asked: 1, free: 0 }));
    assert_eq!(take(&mut next), Ok(21));
}

#[test]
fn admit_without_news_changes_nothing() {
    let (mut publisher, log) = Log::new(LagPolicy::Wait);
    let group = log.came(0);
    let _reader = log.join(&group, 0, 0, Start::Tail);
    assert_eq!(publish(&mut publisher, 8), Ok(()));
    assert!(publish(&mut publisher, 1).is_err());
    let scans = publisher.counts().scans;
    publisher.admit();
    assert!(publisher.blocker().is_some(), "it is still known who stands in the way");
    assert!(publish(&mut publisher, 1).is_err());
    assert_eq!(publisher.counts().scans, scans, "and nobody else is looked at");
}

#[test]
fn the_blocker_is_the_cursor_that_was_run_into() {
    let (mut publisher, log) = Log::new(LagPolicy::Wait);
    let groups = [log.came(0), log.came(2)];
    let mut quick = log.join(&groups[0], 0, 0, Start::Tail);
    let mut slow = log.join(&groups[1], 2, 1, Start::Tail);
    assert!(publisher.blocker().is_none());
    assert_eq!(publish(&mut publisher, 8), Ok(()));
    assert!((0..8).all(|value| take(&mut quick) == Ok(value)));
    assert!(publish(&mut publisher, 1).is_err());
    let (storage, index, word) = publisher.blocker().expect("because the claim was refused");
    assert_eq!((index, cursor_position(word)), (CURSORS + 1, 0));
    assert_eq!((storage.load_relaxed(index), groups[1].load_relaxed(index)), (word, word));
    assert_eq!(take(&mut slow), Ok(0));
    slow.release();
    assert_ne!(groups[1].load_relaxed(index), word, "its word changes when it reads on");
    assert_eq!(publish(&mut publisher, 1), Ok(()));
    assert!(publisher.blocker().is_none());
    log.left(2);
    publisher.admit();
    let groups: Vec<_> = publisher.groups().map(ReadWords::len).collect();
    assert_eq!(groups, [LogShape::group_words(SEATS)]);
}

#[test]
#[should_panic(expected = "group beyond the seats")]
fn a_group_beyond_the_seats_is_a_mistake_of_the_teller() {
    let (mut publisher, log) = Log::new(LagPolicy::Wait);
    let _group = log.came(GROUPS);
    publisher.admit();
}

#[test]
fn below_the_floor_nobody_joins() {
    let (mut publisher, log) = Log::new(LagPolicy::Wait);
    assert_eq!(publisher.retire(7), 0, "nothing was published");
    assert_eq!(publish(&mut publisher, 6), Ok(()));
    assert_eq!(publisher.retire(3), 3);
    assert_eq!(publisher.retire(1), 3, "a floor is never lowered");
    let group = log.came(0);
    let mut reader = log.join(&group, 0, 0, Start::Oldest);
    assert_eq!(take(&mut reader), Ok(3));
    assert_eq!(take(&mut log.lossy(Start::Oldest)), Ok(3));
    // The reader has released nothing beyond 3, and stands at 4.
    assert_eq!(publisher.retire(6), 3, "it is still there");
    reader.release();
    assert_eq!(publisher.retire(6), 4);
    let mut other = log.join(&group, 0, 1, Start::Oldest);
    assert_eq!(other.position(), 4);
    assert_eq!((take(&mut reader), take(&mut other)), (Ok(4), Ok(4)));
    drop((reader, other));
    assert_eq!(publisher.retire(100), 6, "to the tail at most");
    assert_eq!(log.join(&group, 0, 0, Start::Oldest).position(), 6);
    assert_eq!(publish(&mut publisher, 1), Ok(()));
}

#[test]
fn retiring_dismisses_nobody() {
    let (mut publisher, log) = Log::new(LagPolicy::Evict { lag_max: 2 });
    let group = log.came(0);
    let mut slow = log.join(&group, 0, 0, Start::Tail);
    assert_eq!(publish(&mut publisher, 8), Ok(()));
    assert_eq!(publisher.retire(8), 0);
    assert_eq!(publisher.counts().evicted, 0);
    assert_eq!(take(&mut slow), Ok(0));
    assert_eq!(publish(&mut publisher, 4), Ok(()), "only who stands in the way is dismissed");
    assert_eq!(publisher.counts().evicted, 1);
    assert_eq!(publisher.retire(8), 8);
    assert_eq!(take(&mut slow), Err(TryRecvError::Evicted));
}

#[test]
fn a_record_that_was_peeked_at_is_still_there() {
    let (mut publisher, log) = Log::new(LagPolicy::Wait);
    let group = log.came(0);
    let mut reader = log.join(&group, 0, 0, Start::Tail);
    assert_eq!(peek(&mut reader), Err(TryRecvError::Empty));
    assert_eq!(reader.skip(), Err(TryRecvError::Empty));
    assert_eq!(reader.look(), Err(TryRecvError::Empty));
    assert_eq!(publish(&mut publisher, 3), Ok(()));
    assert_eq!(reader.look(), Ok(3));
    assert!(reader.has_next());
    for _ in 0..2 {
        assert_eq!((peek(&mut reader), reader.position(), reader.released()), (Ok(0), 0, 0));
    }
    assert_eq!(reader.skip(), Ok(()));
    assert_eq!((reader.look(), reader.position()), (Ok(2), 1));
    assert_eq!((take(&mut reader), peek(&mut reader)), (Ok(1), Ok(2)));
    assert_eq!(reader.released(), 2, "a quarter of a lap was given back");
    assert_eq!(reader.skip(), Ok(()));
    assert_eq!(peek(&mut reader), Err(TryRecvError::Empty));
    assert_eq!(reader.released(), 3, "who finds nothing has given everything back");
    publisher.close();
    assert_eq!(peek(&mut reader), Err(TryRecvError::Closed));
    assert_eq!((reader.look(), reader.skip()), (Err(TryRecvError::Closed), reader.skip()));
}

#[test]
fn a_record_that_is_overwritten_behind_a_look_is_told() {
    let (mut publisher, log) = Log::new(LagPolicy::Demote { lag_max: 2 });
    let group = log.came(0);
    let mut reliable = log.join(&group, 0, 0, Start::Tail);
    let mut lossy = log.lossy(Start::Tail);
    assert_eq!(publish(&mut publisher, 2), Ok(()));
    assert_eq!((peek(&mut reliable), peek(&mut lossy)), (Ok(0), Ok(0)));
    assert_eq!(publish(&mut publisher, 8), Ok(()));
    assert_eq!(lossy.skip(), Err(TryRecvError::Lagged { missed: 2 }));
    assert_eq!((lossy.position(), lossy.missed(), peek(&mut lossy)), (2, 2, Ok(2)));
    assert_eq!(reliable.skip(), Err(TryRecvError::Demoted));
    assert_eq!(peek(&mut reliable), Err(TryRecvError::Lagged { missed: 2 }));
    assert_eq!(peek(&mut reliable), Ok(2));
}

/// One step of the property test.
#[derive(Debug, Clone)]
enum Step {
    Publish(u8),
    Come(usize),
    Leave(usize),
    Join(usize, usize, bool),
    Drop(usize),
    Take(usize, u8),
    Peek(usize),
    Release(usize),
    Retire(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0..GROUPS;
    prop_oneof![
        6 => (1_u8..10).prop_map(Step::Publish),
        2 => place.clone().prop_map(Step::Come),
        1 => place.clone().prop_map(Step::Leave),
        3 => (place, 0..SEATS, any::<bool>()).prop_map(|(place, seat, is_old)| {
            Step::Join(place, seat, is_old)
        }),
        1 => any::<usize>().prop_map(Step::Drop),
        6 => (any::<usize>(), 1_u8..9).prop_map(|(who, count)| Step::Take(who, count)),
        3 => any::<usize>().prop_map(Step::Peek),
        2 => any::<usize>().prop_map(Step::Release),
        2 => (0_u8..12).prop_map(Step::Retire),
    ]
}

struct Reader {
    place: usize,
    seat: usize,
    end: WordSubscriber,
}

/// The log as it should behave: whoever is there holds back exactly what it has not released.
struct Model {
    publisher: WordPublisher,
    log: Log,
    groups: [Option<HeapWords>; GROUPS],
    readers: Vec<Reader>,
    floor: u64,
}

impl Model {
    fn new() -> Self {
        let (publisher, log) = Log::new(LagPolicy::Wait);
        Self { publisher, log, groups: [const { None }; GROUPS], readers: Vec::new(), floor: 0 }
    }

    /// The lowest position that is not released, or the tail.
    fn slowest(&self) -> u64 {
        let released = self.readers.iter().map(|reader| reader.end.released());
        released.fold(self.publisher.published(), u64::min)
    }

    fn publish(&mut self, count: u64) {
        let room = self.slowest() + SLOTS as u64 - self.publisher.published();
        // As whoever has arrivals must, it looks at the news before it takes no for an answer.
        let result = publish(&mut self.publisher, count).or_else(|_| {
            self.publisher.admit();
            publish(&mut self.publisher, count)
        });
        assert_eq!(result.is_ok(), count <= room, "count={count} room={room}");
        match (result, self.publisher.blocker()) {
            (Ok(()), _) => {}
            (Err(refused), blocker) => {
                assert!(refused.free as u64 <= room, "{refused} room={room}");
                if count <= SLOTS as u64 {
                    let (storage, index, word) = blocker.expect("because somebody is in the way");
                    assert_eq!(storage.load_relaxed(index), word);
                }
            }
        }
    }

    fn join(&mut self, place: usize, seat: usize, start: Start) {
        let is_taken = |reader: &Reader| (reader.place, reader.seat) == (place, seat);
        let Some(group) = &self.groups[place] else { return };
        if self.readers.iter().any(is_taken) {
            return;
        }
        let tail = self.publisher.published();
        let end = self.log.join(group, place, seat, start);
        match start {
            Start::Tail => assert_eq!(end.position(), tail),
            Start::Oldest => {
                assert!((self.floor..=tail).contains(&end.position()));
                assert!(end.position() + SLOTS as u64 >= tail);
            }
        }
        self.readers.push(Reader { place, seat, end });
    }

    fn leave(&mut self, place: usize) {
        if self.groups[place].take().is_some() {
            self.log.left(place);
            let gone = self.readers.extract_if(.., |reader| reader.place == place);
            // Its process was killed: no cursor is given back.
            gone.for_each(std::mem::forget);
        }
    }

    fn take(&mut self, who: usize, count: u64) {
        let tail = self.publisher.published();
        let Some(reader) = pick(&mut self.readers, who) else { return };
        for _ in 0..count {
            let position = reader.end.position();
            let expected = if position < tail { Ok(position) } else { Err(TryRecvError::Empty) };
            assert_eq!(take(&mut reader.end), expected);
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Publish(count) => self.publish(count.into()),
            Step::Come(place) if self.groups[place].is_none() => {
                self.groups[place] = Some(self.log.came(place));
            }
            Step::Come(_) => {}
            Step::Leave(place) => self.leave(place),
            Step::Join(place, seat, true) => self.join(place, seat, Start::Oldest),
            Step::Join(place, seat, false) => self.join(place, seat, Start::Tail),
            Step::Drop(who) => {
                if !self.readers.is_empty() {
                    self.readers.swap_remove(who % self.readers.len());
                }
            }
            Step::Take(who, count) => self.take(who, count.into()),
            Step::Peek(who) => {
                let tail = self.publisher.published();
                let Some(reader) = pick(&mut self.readers, who) else { return };
                let position = reader.end.position();
                let expected =
                    if position < tail { Ok(position) } else { Err(TryRecvError::Empty) };
                assert_eq!(peek(&mut reader.end), expected);
                assert_eq!(reader.end.position(), position);
            }
            Step::Release(who) => {
                if let Some(reader) = pick(&mut self.readers, who) {
                    reader.end.release();
                    assert_eq!(reader.end.released(), reader.end.position());
                }
            }
            Step::Retire(back) => {
                let below = self.publisher.published().saturating_sub(back.into());
                let slowest = self.slowest();
                self.floor = self.floor.max(below.min(slowest));
                assert_eq!(self.publisher.retire(below), self.floor.min(slowest));
            }
        }
    }
}

fn pick(readers: &mut [Reader], who: usize) -> Option<&mut Reader> {
    let count = readers.len();
    (count > 0).then(|| &mut readers[who % count])
}

proptest! {
    /// Whatever comes and goes, nobody who is there is overrun, and nobody who left holds anybody
    /// back (RB-20, RB-22).
    #[test]
    fn groups_come_and_go(steps in proptest::collection::vec(step(), 1..200)) {
        let mut model = Model::new();
        steps.into_iter().for_each(|step| model.run(step));
        for who in 0..model.readers.len() {
            model.take(who, SLOTS as u64 + 1);
        }
    }
}
