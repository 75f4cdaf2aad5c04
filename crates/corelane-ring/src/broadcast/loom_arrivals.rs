//! Models of groups that come and go while the publisher is at work, and of the floor below which
//! nobody joins. Run with `ci/loom`.

use loom::thread;

use super::*;
use crate::HeapWords;
use crate::sync::{Arc, AtomicU64, Ordering, UnsafeCell};

type WordPublisher = super::WordPublisher<HeapWords, HeapWords, Ear>;
type WordSubscriber = super::WordSubscriber<HeapWords, HeapWords>;

/// As in `loom_models.rs`. A join that is counted before its cursor can be seen is found there.
const PREEMPTIONS_MAX: usize = 2;
const SLOTS: usize = 2;

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS_MAX));
    builder.check(run);
}

/// What another thread tells of the one group: it came, then it left. Without a lock, whose orders
/// would hide those that are wanted here.
#[derive(Debug, Default)]
struct News {
    changes: AtomicU64,
}

impl News {
    fn tell(&self, changes: u64) {
        // Without the fence C28: the joiner's own one, C22, comes behind this and is enough.
        self.changes.store(changes, Ordering::Release);
    }
}

const CAME: u64 = 1;
const LEFT: u64 = 2;

#[derive(Debug)]
struct Ear {
    news: Arc<News>,
    group: HeapWords,
    taken: u64,
}

impl Arrivals<HeapWords> for Ear {
    fn has_news(&self) -> bool {
        self.news.changes.load(Ordering::Relaxed) != self.taken
    }

    fn take(&mut self) -> Vec<Change<HeapWords>> {
        let before = core::mem::replace(&mut self.taken, self.news.changes.load(Ordering::Acquire));
        let all = [
            (CAME, Change::Came { first: 0, cursors: self.group.clone() }),
            (LEFT, Change::Left { first: 0 }),
        ];
        let is_news = |number: u64| before < number && number <= self.taken;
        all.into_iter().filter(|(number, _)| is_news(*number)).map(|(_, change)| change).collect()
    }
}

/// Where a model's subscribers find their words.
struct Log {
    shape: LogShape,
    data: HeapWords,
    group: HeapWords,
    news: Arc<News>,
}

impl Log {
    /// A log whose one group is not known yet.
    fn new(slots: usize) -> (WordPublisher, Self) {
        let shape = LogShape::new(slots, 1, 1).expect("because the shape is valid");
        let data = HeapWords::new(shape.data_words());
        let news = Arc::new(News::default());
        let group = HeapWords::new(LogShape::group_words(1));
        let ear = Ear { news: news.clone(), group: group.clone(), taken: 0 };
        let publisher = WordPublisher::with_arrivals(shape, LagPolicy::Wait, data.clone(), ear)
            .expect("because it fits");
        (publisher, Self { shape, data, group, news })
    }

    /// The group comes, and a subscriber joins in it.
    fn arrive(&self, start: Start) -> WordSubscriber {
        self.news.tell(CAME);
        let seat = Seat { group: self.group.clone(), first: 0, seat: 0 };
        WordSubscriber::join_reliable(self.shape, self.data.clone(), seat, start)
            .expect("because the seat is free")
    }
}

fn publish(publisher: &mut WordPublisher) -> Result<(), ClaimError> {
    let value = publisher.published();
    let mut claim = publisher.claim(1)?;
    claim.put(&[value]);
    claim.commit();
    Ok(())
}

/// Publishes up to `end`, and closes. Refused claims are tried again after a look at the news, as
/// whoever has arrivals must.
fn publish_to(mut publisher: WordPublisher, end: u64) {
    while publisher.published() < end {
        if publish(&mut publisher).is_err() {
            publisher.admit();
            if publish(&mut publisher).is_err() {
                thread::yield_now();
            }
        }
    }
    publisher.close();
}

/// Whoever joins in a group that arrives in the midst is never overrun (RB-22).
fn join_in_a_group_that_arrives(start: Start) {
    model(move || {
        let (publisher, log) = Log::new(SLOTS);
        let sender = thread::spawn(move || publish_to(publisher, 4));
        let mut subscriber = log.arrive(start);
        loop {
            let position = subscriber.position();
            let mut record = [0];
            match subscriber.try_recv(&mut record) {
                Ok(()) => assert_eq!(record, [position]),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Closed) => break,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((subscriber.position(), subscriber.missed()), (4, 0));
        sender.join().expect("because the sender does not panic");
    });
}

#[test]
fn a_group_that_arrives_is_never_overrun_at_the_tail() {
    join_in_a_group_that_arrives(Start::Tail);
}

#[test]
fn a_group_that_arrives_is_never_overrun_at_the_oldest() {
    join_in_a_group_that_arrives(Start::Oldest);
}

/// A group whose owner died, with a cursor that never moves again, holds nobody back once its end
/// is told.
#[test]
fn a_group_that_left_holds_nobody_back() {
    model(|| {
        let (publisher, log) = Log::new(SLOTS);
        let sender = thread::spawn(move || publish_to(publisher, 4));
        // Its cursor stays where it is: nobody runs the end of a process that was killed.
        let dead = std::mem::ManuallyDrop::new(log.arrive(Start::Tail));
        assert!(dead.is_reliable());
        log.news.tell(LEFT);
        sender.join().expect("because the sender does not panic");
    });
}

/// What records refer to: a cell for each position, which loom watches. The publisher writes those
/// below what it retired, a subscriber reads that of the record it looks at.
struct Resources([UnsafeCell<u64>; 4]);

impl Resources {
    fn new() -> Arc<Self> {
        Arc::new(Self([(); 4].map(|()| UnsafeCell::new(0))))
    }

    fn read(&self, position: u64) {
        self.0[position as usize].with(|_| ());
    }

    fn reuse(&self, position: u64) {
        self.0[position as usize].with_mut(|_| ());
    }
}

/// Reads what records refer to, up to two of them, each before it is released.
fn follow(subscriber: &mut WordSubscriber, resources: &Resources) {
    for _ in 0..2 {
        let position = subscriber.position();
        let mut record = [0];
        match subscriber.peek(&mut record) {
            Ok(()) => {
                assert_eq!(record, [position]);
                resources.read(position);
                subscriber.skip().expect("because it was peeked at");
            }
            Err(TryRecvError::Empty) => return,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Who joins at the oldest record while older ones are retired finds what its records refer to
/// untouched: it begins above the floor, or what it needs is not given back (RB-22, P23).
#[test]
fn what_is_retired_is_nobodys() {
    model(|| {
        let (mut publisher, log) = Log::new(4);
        for _ in 0..3 {
            publish(&mut publisher).expect("because there is room");
        }
        let resources = Resources::new();
        let reused = resources.clone();
        let owner = thread::spawn(move || {
            let over = publisher.retire(2);
            assert!(over <= 2);
            (0..over).for_each(|position| reused.reuse(position));
            publisher
        });
        let mut subscriber = log.arrive(Start::Oldest);
        follow(&mut subscriber, &resources);
        owner.join().expect("because the owner does not panic");
    });
}

/// The same for one that was there before, and reads on meanwhile: C20 and P25.
#[test]
fn what_is_retired_was_released_before() {
    model(|| {
        let (mut publisher, log) = Log::new(4);
        let mut subscriber = log.arrive(Start::Oldest);
        for _ in 0..2 {
            publish(&mut publisher).expect("because there is room");
        }
        let resources = Resources::new();
        let reused = resources.clone();
        let owner = thread::spawn(move || {
            let mut done = 0;
            for _ in 0..2 {
                let over = publisher.retire(2);
                (done..over).for_each(|position| reused.reuse(position));
                done = over.max(done);
            }
        });
        follow(&mut subscriber, &resources);
        owner.join().expect("because the owner does not panic");
    });
}
