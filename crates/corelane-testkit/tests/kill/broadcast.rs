//! The broadcast, with the publisher or one of its subscribers in the process that dies.

use std::{cell::RefCell, rc::Rc};

use corelane_ring::broadcast::{
    Arrivals, Change, LagPolicy, LogShape, Seat, Start, TryRecvError, WordPublisher, WordSubscriber,
};
use corelane_ring::{ReadWords, WriteWords};
use corelane_shm::{WordsRo, WordsRw};
use corelane_testkit::kill::{Death, Killing, Meeting, Points, Stage, Verdict, check, digest};

use super::{
    RECORD_WORDS, RETURNED, assert_nothing_held, check_log, check_record, hand_over, log, own,
    record, ring, ring_rw, take_over,
};

type Subscriber = WordSubscriber<WordsRo, WordsRw>;

const SLOTS: usize = 8;
/// Laps that a publisher tries to go on for.
const LAPS: u64 = 3;

fn shape() -> LogShape {
    LogShape::new(SLOTS, RECORD_WORDS, 2).expect("the shape is valid")
}

/// A group of one seat.
fn group_words() -> usize {
    LogShape::group_words(1)
}

/// Publishes so many records as one batch; false when there is no room.
fn publish<D: WriteWords, C: ReadWords, A: Arrivals<C>>(
    log: &mut WordPublisher<D, C, A>,
    count: u64,
) -> bool {
    let first = log.published();
    let Ok(mut claim) = log.claim(count as usize) else { return false };
    (first..first + count).for_each(|position| claim.put(&record(position)));
    claim.commit();
    true
}

/// Takes all that is there, whole and in order from `next` on; how many.
fn take_all(subscriber: &mut Subscriber, next: u64) -> Result<u64, String> {
    let mut taken = 0;
    loop {
        let mut words = [0; RECORD_WORDS];
        match subscriber.try_recv(&mut words) {
            Ok(()) => check_record(next + taken, &words)?,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(taken),
            Err(error) => return Err(error.to_string()),
        }
        taken += 1;
    }
}

/// Records published before: into a fresh log, one in its middle, and one that has come round.
const PUBLISHED_BEFORE: [u64; 3] = [0, SLOTS as u64 - 1, SLOTS as u64];
/// Calls of a child; it dies in one of them. To step through the others would only take longer.
const PHASES: u64 = 3;

/// How many records come before, and in which of its calls the child of this case dies.
fn before_and_phase(case: u64) -> (u64, u64) {
    (PUBLISHED_BEFORE[(case / PHASES) as usize], case % PHASES)
}

/// In the child: a publisher that has published some records, all of them read, and dies while it
/// publishes a batch of two, or then a single one, or closes the log.
pub(super) fn produce<D: WriteWords>(stage: &Stage, test: &str, over: impl FnOnce(WordsRw) -> D) {
    let own = hand_over(stage.channel(), test, shape().data_words());
    let cursors = ring(&take_over(stage.channel(), group_words()));
    let publisher = WordPublisher::new(shape(), LagPolicy::Wait, over(ring_rw(&own)));
    let mut publisher = publisher.expect("the segment has the right size");
    publisher.add_group(cursors).expect("there is a seat");
    stage.channel().send(b"open", &[], None).expect("the survivor joins");
    for _ in 0..before_and_phase(stage.case()).0 {
        stage.channel().recv(None).expect("the survivor has joined, or read");
        assert!(publish(&mut publisher, 1));
        stage.channel().send(b"sent", &[], None).expect("the survivor reads it");
    }
    stage.channel().recv(None).expect("the survivor is ready");
    let mut call = |phase| {
        match phase {
            0 => assert!(publish(&mut publisher, 2), "there is room"),
            1 => assert!(publish(&mut publisher, 1), "there is room"),
            _ => publisher.close(),
        }
        own.store_release(RETURNED, phase + 1);
    };
    let (_, phase) = before_and_phase(stage.case());
    (0..phase).for_each(&mut call);
    stage.perform(|| call(phase));
}

/// What survives a publisher.
pub(super) struct Readers {
    reliable: Subscriber,
    lossy: Subscriber,
    data: WordsRo,
    dead: WordsRo,
    before: u64,
    phase: u64,
}

impl Readers {
    pub(super) fn meet(meeting: &Meeting<'_>, test: &str) -> Self {
        let channel = meeting.channel;
        let dead = take_over(channel, shape().data_words());
        let group = ring_rw(&hand_over(channel, test, group_words()));
        channel.recv(None).expect("the child opens its log");
        let (data, seat) = (ring(&dead), Seat { group, first: 0, seat: 0 });
        let reliable = Subscriber::join_reliable(shape(), data.clone(), seat, Start::Tail);
        let lossy = Subscriber::join_lossy(shape(), data.clone(), Start::Tail);
        let mut reliable = reliable.expect("the seat is free");
        let mut lossy = lossy.expect("the segment has the right size");
        let (before, phase) = before_and_phase(meeting.case);
        for position in 0..before {
            channel.send(b"next", &[], None).expect("the child waits for it");
            channel.recv(None).expect("the child publishes");
            for subscriber in [&mut reliable, &mut lossy] {
                assert_eq!(take_all(subscriber, position), Ok(1));
            }
        }
        channel.send(b"ready", &[], None).expect("the child waits for it");
        Self { reliable, lossy, data, dead: own(&dead), before, phase }
    }

    /// Both subscribers, and one that joins after the death, have every batch whose commit had
    /// returned, whole, and at most the one that was being published.
    pub(super) fn judge(mut self, death: Death) -> Verdict {
        let returned = self.dead.load_acquire(RETURNED);
        let found = take_all(&mut self.reliable, self.before)?;
        let by_lossy = take_all(&mut self.lossy, self.before)?;
        check(found == by_lossy, || format!("reliable has {found}, lossy {by_lossy}"))?;
        let after = |returned: u64| [0, 2, 3, 3][returned.min(3) as usize];
        check(found == after(returned) || found == after(returned + 1), || {
            format!("{returned} calls had returned, {found} records came")
        })?;
        check(returned < 3 || self.reliable.is_closed(), || {
            "it was closed, and is not".to_owned()
        })?;
        check(!death.is_over || returned == self.phase + 1, || {
            format!("it was over after {returned}")
        })?;
        let late = Subscriber::join_lossy(shape(), self.data.clone(), Start::Oldest);
        let mut late = late.map_err(|error| error.to_string())?;
        let (first, end) = (late.position(), self.before + found);
        check(first <= end, || format!("a late one begins at {first} of {end}"))?;
        let whole = take_all(&mut late, first)?;
        check(first + whole == end, || format!("a late one has {first} and {whole} of {end}"))
    }
}

#[test]
fn a_publisher_dies_at_any_instruction() {
    const TEST: &str = "broadcast::a_publisher_dies_at_any_instruction";
    for case in 0..PUBLISHED_BEFORE.len() as u64 * PHASES {
        Killing::of(TEST).case(case).sweep(
            Points::Instructions,
            |stage| produce(stage, TEST, |words| words),
            |meeting| Readers::meet(&meeting, TEST),
            Readers::judge,
        );
    }
    assert_nothing_held(TEST);
}

/// What the publisher does about those that lag, and what the one that dies is.
const POLICIES: [(LagPolicy, bool); 4] = [
    (LagPolicy::Wait, true),
    (LagPolicy::Demote { lag_max: SLOTS as u64 }, true),
    (LagPolicy::Evict { lag_max: SLOTS as u64 }, true),
    (LagPolicy::Wait, false),
];

/// Records that the subscriber receives.
const RECEIVES: u64 = 3;

fn policy_and_phase(case: u64) -> ((LagPolicy, bool), u64) {
    (POLICIES[(case / PHASES) as usize], case % PHASES)
}

/// In the child: joins, or then receives and releases, or then leaves.
fn subscribe(stage: &Stage, test: &str) {
    let own = hand_over(stage.channel(), test, group_words());
    let data = ring(&take_over(stage.channel(), shape().data_words()));
    let group = ring_rw(&own);
    stage.channel().recv(None).expect("the survivor publishes");
    let ((_, is_reliable), phase) = policy_and_phase(stage.case());
    let mut subscriber = None;
    let mut call = |phase| {
        match phase {
            0 if is_reliable => {
                let seat = Seat { group: group.clone(), first: 0, seat: 0 };
                let joined = Subscriber::join_reliable(shape(), data.clone(), seat, Start::Oldest);
                subscriber = Some(joined.expect("it is free"));
            }
            0 => {
                let joined = Subscriber::join_lossy(shape(), data.clone(), Start::Oldest);
                subscriber = Some(joined.expect("the size is right"));
            }
            1 => {
                let subscriber = subscriber.as_mut().expect("it has joined");
                for number in 0..RECEIVES {
                    let mut words = [0; RECORD_WORDS];
                    subscriber.try_recv(&mut words).expect("it was published");
                    log(&own, number, &words);
                }
                subscriber.release();
            }
            _ => drop(subscriber.take()),
        }
        own.store_release(RETURNED, phase + 1);
    };
    (0..phase).for_each(&mut call);
    stage.perform(|| call(phase));
}

/// What the publisher is told about the groups of others, as a death.
#[derive(Clone, Default)]
struct News(Rc<RefCell<Vec<Change<WordsRo>>>>);

impl Arrivals<WordsRo> for News {
    fn has_news(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    fn take(&mut self) -> Vec<Change<WordsRo>> {
        self.0.take()
    }
}

/// What survives a subscriber: the publisher, and another subscriber.
struct Publishing {
    publisher: WordPublisher<WordsRw, WordsRo, News>,
    news: News,
    other: Subscriber,
    dead: WordsRo,
    seen: WordsRo,
    case: u64,
}

/// Records published before the subscriber that dies joins.
const BEFORE: u64 = 4;

impl Publishing {
    fn meet(meeting: &Meeting<'_>, test: &str) -> Self {
        let dead = take_over(meeting.channel, group_words());
        let own_words = hand_over(meeting.channel, test, shape().data_words());
        let others = hand_over(&corelane_shm::fdpass::pair().expect("two ends").0, test, 9);
        let case = meeting.case;
        let ((policy, _), _) = policy_and_phase(case);
        let news = News::default();
        let data = ring_rw(&own_words);
        let publisher = WordPublisher::with_arrivals(shape(), policy, data, news.clone());
        let mut publisher = publisher.expect("the segment has the right size");
        let groups = [(0, ring(&dead)), (1, ring(&others))];
        let came = groups.map(|(first, cursors)| Change::Came { first, cursors });
        news.0.borrow_mut().extend(came);
        publisher.admit();
        let seat = Seat { group: ring_rw(&others), first: 1, seat: 1 };
        let data = ring(&own_words);
        let other = Subscriber::join_reliable(shape(), data, seat, Start::Tail);
        let mut other = other.expect("the seat is free");
        assert!(publish(&mut publisher, BEFORE));
        assert_eq!(take_all(&mut other, 0), Ok(BEFORE));
        meeting.channel.send(b"published", &[], None).expect("the child waits for it");
        Self { publisher, news, other, dead: own(&dead), seen: dead, case }
    }

    /// Publishes as long as there is room, three laps at most, and reads each with the other
    /// subscriber; how many.
    fn publish_on(&mut self, first: u64) -> Result<u64, String> {
        let mut published = 0;
        while published < LAPS * SLOTS as u64 && publish(&mut self.publisher, 1) {
            let taken = take_all(&mut self.other, first + published)?;
            check(taken == 1, || format!("the other subscriber has {taken} of a record"))?;
            published += 1;
        }
        Ok(published)
    }

    /// What it received was whole; nothing that it had not received is overwritten unless it was
    /// dismissed; the publisher goes on or is refused, and the other subscriber misses nothing.
    fn judge(mut self, death: Death) -> Verdict {
        let received = check_log(&self.dead, check_record)?;
        let returned = self.dead.load_acquire(RETURNED);
        let published = self.publish_on(BEFORE)?;
        let is_refused = published < LAPS * SLOTS as u64;
        let ((policy, is_reliable), phase) = policy_and_phase(self.case);
        if policy != LagPolicy::Wait || !is_reliable {
            check(!is_refused, || format!("the publisher stands still after {published}"))?;
        } else if is_refused {
            // Once the death is known nothing holds the publisher back.
            self.news.0.borrow_mut().push(Change::Left { first: 0 });
            self.publisher.admit();
            let on = self.publish_on(BEFORE + published)?;
            check(on == LAPS * SLOTS as u64, || format!("it stands still {on} after the death"))?;
            let released = BEFORE + published - SLOTS as u64;
            // Receiving copies, and may release what is copied before it returns.
            check(released <= received + 1, || {
                format!("{released} records were given back, {received} received")
            })?;
            check(returned != 2 || released >= RECEIVES, || {
                format!("only {released} are released")
            })?;
        } else {
            // It holds nobody back before it has joined, nor once it has left.
            let has_joined = (1..3).contains(&returned);
            check(!has_joined || received == RECEIVES, || {
                format!("{received} received, gate lost")
            })?;
        }
        check(!death.is_over || returned == phase + 1, || format!("it was over after {returned}"))?;
        check(returned < 2 || received == RECEIVES, || format!("only {received} are received"))
    }
}

#[test]
fn a_subscriber_dies_at_any_instruction() {
    const TEST: &str = "broadcast::a_subscriber_dies_at_any_instruction";
    for case in 0..POLICIES.len() as u64 * PHASES {
        // What the policies that dismiss do depends on what is shared alone.
        let points = match policy_and_phase(case).0.0 {
            LagPolicy::Wait => Points::Instructions,
            _ => Points::Stores(&|publishing: &Publishing| digest(&publishing.seen)),
        };
        Killing::of(TEST).case(case).sweep(
            points,
            |stage| subscribe(stage, TEST),
            |meeting| Publishing::meet(&meeting, TEST),
            Publishing::judge,
        );
    }
    assert_nothing_held(TEST);
}
