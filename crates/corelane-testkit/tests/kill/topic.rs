//! Topics: a participant that dies while it comes, publishes, subscribes, receives or leaves.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::Instant,
};

use corelane_shm::WordsRo;
use corelane_testkit::{
    kill::{Death, Killing, Meeting, Points, Stage, Verdict, check},
    process::WATCHDOG,
    trusted,
};
use corelane_transport::Participant;
use corelane_transport::topic::{
    BytesPublisher, BytesSubscriber, PublishOptions, ReceiveError, SubscribeOptions,
};
use tempfile::TempDir;

use super::{RETURNED, hand_over, own, take_over};

pub(super) const NAME: &str = "topic";
/// Longer than what lies in a record.
const LARGE_BYTES: usize = 300;
/// Calls of a child; it dies in one of them.
const PHASES: u64 = 5;
/// The one in which an end is opened.
pub(super) const OPENS: u64 = 1;

pub(super) fn options() -> PublishOptions {
    PublishOptions { slots: 8, subscribers_max: 8, slab_bytes_max: 1 << 14, ..Default::default() }
}

/// Every third payload is large.
fn payload(sequence: u64) -> Vec<u8> {
    let bytes = if sequence % 3 == 1 { LARGE_BYTES } else { 40 };
    (0..bytes).map(|index| (sequence * 31 + index as u64 * 7) as u8).collect()
}

fn check_payload(sequence: u64, found: &[u8]) -> Verdict {
    check(found == payload(sequence), || format!("message {sequence} is torn"))
}

pub(super) fn text<T>(result: Result<T, impl std::fmt::Display>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Held by each test of topics, so that none counts what is another's.
pub(super) static ALONE: Mutex<()> = Mutex::new(());

/// Mappings and descriptors of segments of these names that this process has.
pub(super) fn held(names: &[&str]) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let links = fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let links = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
    let is_one = |text: &str| names.iter().any(|name| text.contains(name));
    let mapped = maps.lines().filter(|line| is_one(line)).count();
    mapped + links.filter(|link| is_one(&link.to_string_lossy())).count()
}

/// Waits for what somebody else does, which announces it to nobody.
pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> Verdict {
    let begun = Instant::now();
    while !is_so() {
        check(begun.elapsed() < WATCHDOG / 2, || format!("never: {what}"))?;
        thread::yield_now();
    }
    Ok(())
}

/// In the child: where the exchange is.
pub(super) fn place(stage: &Stage) -> PathBuf {
    let path = stage.channel().recv(None).expect("the survivor tells it").bytes;
    PathBuf::from(String::from_utf8(path).expect("it is text"))
}

/// In the survivor: its own segment is not needed, the child's is.
pub(super) fn meet(meeting: &Meeting<'_>, path: &Path) -> WordsRo {
    let path = path.to_str().expect("it is text");
    let dead = take_over(meeting.channel, 0);
    meeting.channel.send(path.as_bytes(), &[], None).expect("the child waits for it");
    own(&dead)
}

/// In the child: comes, opens a publisher, publishes two small messages and a large one, and
/// leaves.
fn publish(stage: &Stage, test: &str) {
    let own = hand_over(stage.channel(), test, 0);
    let path = place(stage);
    let payloads: Vec<_> = (0..3).map(payload).collect();
    let (mut participant, mut publisher) = (None, None::<BytesPublisher>);
    let mut call = |phase| match phase {
        0 => participant = Some(Participant::open(&path).expect("there is an exchange")),
        1 => {
            let opened = participant.as_ref().expect("it is here").publish_bytes(NAME, &options());
            publisher = Some(opened.expect("there is a place"));
        }
        2 => {
            let publisher = publisher.as_mut().expect("it is open");
            publisher.publish(&payloads[0]).expect("there is room");
            own.store_release(RETURNED, 1);
        }
        3 => {
            let publisher = publisher.as_mut().expect("it is open");
            let mut loan = publisher.loan(LARGE_BYTES).expect("there is room");
            loan.copy_from_slice(&payloads[1]);
            publisher.publish_loan(loan).expect("there is room");
            own.store_release(RETURNED, 2);
            publisher.publish(&payloads[2]).expect("there is room");
            own.store_release(RETURNED, 3);
        }
        _ => {
            drop(publisher.take());
            drop(participant.take());
        }
    };
    (0..stage.case()).for_each(&mut call);
    stage.perform(|| call(stage.case()));
}

/// Segments of a publisher.
const PUBLISHERS_OWN: [&str; 2] = ["memfd:corelane-log", "memfd:corelane-extent"];

/// What outlives all publishers: a reliable subscriber.
pub(super) struct Subscribing {
    subscriber: BytesSubscriber,
    participant: Participant,
    folder: TempDir,
}

impl Subscribing {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let participant = Participant::open(&folder.path().join("exchange")).expect("it is ours");
        let reliable = SubscribeOptions::RELIABLE.trusting(trusted());
        let subscriber = participant.subscribe_bytes(NAME, reliable).expect("there is a place");
        Self { subscriber, participant, folder }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("exchange")
    }

    /// Every message whose publishing had returned, in order, once and whole, at most the one that
    /// was on its way; and then the publisher is forgotten.
    pub(super) fn judge(&mut self, dead: &WordsRo, death: Death, phase: u64) -> Verdict {
        let returned = dead.load_acquire(RETURNED);
        let mut found = 0;
        let begun = Instant::now();
        loop {
            let is_over = self.subscriber.publishers() == 0;
            loop {
                let sample = match self.subscriber.try_receive() {
                    // Its link was cut before it was made, and before it published anything.
                    Err(ReceiveError::TurnedAway { .. }) if returned == 0 => continue,
                    other => text(other)?,
                };
                let Some(sample) = sample else { break };
                check(sample.origin.sequence == found, || {
                    format!("message {} came for {found}", sample.origin.sequence)
                })?;
                check_payload(found, &sample)?;
                found += 1;
            }
            if is_over {
                break;
            }
            check(begun.elapsed() < WATCHDOG / 2, || "the dead is never forgotten".to_owned())?;
            thread::yield_now();
        }
        check(found == returned || found == returned + 1, || {
            format!("{returned} calls had returned, {found} messages came")
        })?;
        let after = [0, 0, 1, 3, 3][phase as usize];
        check(!death.is_over || found == after, || format!("it was over with {found} of {after}"))?;
        let participant = &self.participant;
        wait_until("the exchange forgets the dead", || {
            let listed = participant.list();
            listed.is_ok_and(|listed| listed.len() == 1 && listed[0].sources == 0)
        })?;
        // A subscriber lets go of who has left when it looks for messages.
        let begun = Instant::now();
        while held(&PUBLISHERS_OWN) > 0 {
            check(begun.elapsed() < WATCHDOG / 2, || "its log or slab is still held".to_owned())?;
            let late = self.subscriber.try_receive();
            check(!matches!(late, Ok(Some(_))), || format!("came too late: {late:?}"))?;
        }
        Ok(())
    }
}

#[test]
fn a_publisher_dies_anywhere() {
    const TEST: &str = "topic::a_publisher_dies_anywhere";
    let _alone = ALONE.lock();
    let mut survivor = (!Killing::is_child()).then(Subscribing::new);
    let path = survivor.as_ref().map(Subscribing::path);
    for case in 0..PHASES {
        // Only what publishes writes what another one sees, by instructions of its own. The log is
        // that of `broadcast.rs`, which dies at every instruction.
        let own = match case {
            2 => Some(Points::Every(31)),
            3 => Some(Points::Every(401)),
            _ => None,
        };
        // A participant without ends shares nothing yet.
        let stores = (case > 0).then_some(Points::SharedStores);
        for points in [Points::AnySystemCalls].into_iter().chain(stores).chain(own) {
            Killing::of(TEST).case(case).sweep(
                points,
                |stage| publish(stage, TEST),
                |meeting| meet(&meeting, path.as_ref().expect("this is the survivor")),
                |dead, death| {
                    let survivor = survivor.as_mut().expect("this is the survivor");
                    survivor.judge(&dead, death, case)
                },
            );
        }
    }
}

/// Messages that are there for a subscriber.
const SENT: u64 = 4;

/// In the child: comes, subscribes, receives what is there, holds a large one, and leaves.
fn subscribe(stage: &Stage, test: &str) {
    hand_over(stage.channel(), test, 0);
    let path = place(stage);
    let (mut participant, mut subscriber, mut held) = (None, None::<BytesSubscriber>, None);
    let mut call = |phase| match phase {
        0 => participant = Some(Participant::open(&path).expect("there is an exchange")),
        1 => {
            let reliable = SubscribeOptions::RELIABLE.with_history().trusting(trusted());
            let participant: &Participant = participant.as_ref().expect("it is here");
            let opened = participant.subscribe_bytes(NAME, reliable);
            subscriber = Some(opened.expect("there is a place"));
        }
        2 | 3 => {
            let subscriber = subscriber.as_mut().expect("it is open");
            for _ in 0..2 {
                let sample = subscriber.receive(WATCHDOG).expect("it is whole");
                held = sample.expect("it was sent").into_held().ok().or(held.take());
            }
        }
        _ => {
            drop(held.take());
            drop(subscriber.take());
            drop(participant.take());
        }
    };
    (0..stage.case()).for_each(&mut call);
    stage.perform(|| call(stage.case()));
}

/// What outlives all subscribers: a publisher and another subscriber.
pub(super) struct Publishing {
    publisher: BytesPublisher,
    subscriber: BytesSubscriber,
    _participants: [Participant; 2],
    folder: TempDir,
    sequence: u64,
    own_groups: usize,
}

/// Segments of a subscriber.
const SUBSCRIBERS_OWN: [&str; 1] = ["memfd:corelane-group"];

impl Publishing {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let path = folder.path().join("exchange");
        let participants = [(); 2].map(|()| Participant::open(&path).expect("it is ours"));
        let reliable = SubscribeOptions::RELIABLE;
        let subscriber = participants[0].subscribe_bytes(NAME, reliable);
        let publisher = participants[1].publish_bytes(NAME, &options());
        let (subscriber, publisher) = (subscriber.expect("a place"), publisher.expect("a place"));
        let (own_groups, sequence) = (held(&SUBSCRIBERS_OWN), 0);
        Self { publisher, subscriber, _participants: participants, folder, sequence, own_groups }
    }

    /// Publishes so many messages, and reads each with the other subscriber.
    fn publish_on(&mut self, count: u64) -> Verdict {
        for _ in 0..count {
            let sequence = self.sequence;
            text(self.publisher.publish_within(&payload(sequence), WATCHDOG / 2))?;
            let sample = text(self.subscriber.receive(WATCHDOG / 2))?;
            let sample = sample.ok_or_else(|| format!("message {sequence} did not come"))?;
            check(sample.origin.sequence == sequence, || format!("not {sequence} came"))?;
            check_payload(sequence, &sample)?;
            self.sequence += 1;
        }
        Ok(())
    }

    /// A child comes, for which messages are there, the second of them a large one.
    pub(super) fn greet(&mut self, meeting: &Meeting<'_>) -> WordsRo {
        let from_large = self.sequence.next_multiple_of(3) - self.sequence;
        self.publish_on(from_large + SENT).expect("nobody holds it back");
        meet(meeting, &self.folder.path().join("exchange"))
    }

    /// The publisher goes on for six laps and more, with large messages among them. The slab has
    /// fewer chunks than there are deaths: it would be exhausted if the dead kept theirs.
    pub(super) fn judge(&mut self) -> Verdict {
        self.publish_on(54)?;
        // A publisher lets go of who has left when it publishes.
        let begun = Instant::now();
        while held(&SUBSCRIBERS_OWN) != self.own_groups {
            check(begun.elapsed() < WATCHDOG / 2, || {
                let (now, before) = (held(&SUBSCRIBERS_OWN), self.own_groups);
                format!("pages of subscribers held: {now}, before {before}")
            })?;
            self.publish_on(1)?;
        }
        Ok(())
    }
}

#[test]
fn a_subscriber_dies_anywhere() {
    const TEST: &str = "topic::a_subscriber_dies_anywhere";
    let _alone = ALONE.lock();
    let survivor = std::cell::RefCell::new((!Killing::is_child()).then(Publishing::new));
    for (case, points) in (0..PHASES).flat_map(|case| {
        let own = [2, 3].contains(&case).then_some(Points::Every(31));
        // A participant without ends shares nothing yet.
        let stores = (case > 0).then_some(Points::SharedStores);
        let all = [Points::AnySystemCalls].into_iter().chain(stores).chain(own);
        all.map(move |points| (case, points))
    }) {
        Killing::of(TEST).case(case).sweep(
            points,
            |stage| subscribe(stage, TEST),
            |meeting| {
                let mut survivor = survivor.borrow_mut();
                let survivor = survivor.as_mut().expect("this is the survivor");
                survivor.greet(&meeting)
            },
            |_, _| survivor.borrow_mut().as_mut().expect("this is the survivor").judge(),
        );
    }
}
