//! Direct lanes: either end dies while it comes, sends, receives or leaves, and the next follows.

use std::{
    cell::{RefCell, RefMut},
    path::PathBuf,
    sync::Mutex,
    thread,
    time::Instant,
};

use corelane_shm::WordsRo;
use corelane_testkit::{
    kill::{Death, Killing, Points, Stage, Verdict, check},
    process::WATCHDOG,
    trusted,
};
use corelane_transport::Participant;
use corelane_transport::lane::{
    LaneKind, LaneOptions, LaneReceiveError, LaneReceiver, LaneSendError, LaneSender,
};
use tempfile::TempDir;

use super::topic::{meet, place, text, wait_until};
use super::{RECEIVED, RETURNED, hand_over};

pub(super) const NAME: &str = "lane";
pub(super) const KINDS: [LaneKind; 2] = [
    LaneKind::Latency { slots: 8, slot_lines: 2 },
    LaneKind::Throughput { capacity_bytes: 1 << 12 },
];
/// Calls of a child; it dies in one of them.
const PHASES: u64 = 4;
/// The last of them.
const LEAVES: u64 = 3;

/// Held by each test of lanes, so that none counts what is another's.
pub(super) static ALONE: Mutex<()> = Mutex::new(());

fn kind_and_phase(case: u64) -> (LaneKind, u64) {
    (KINDS[(case / PHASES) as usize], case % PHASES)
}

pub(super) fn options() -> LaneOptions {
    LaneOptions { trusted: Some(trusted()), ..LaneOptions::default() }
}

pub(super) fn record(number: u64) -> [u8; 77] {
    std::array::from_fn(|index| (number * 31 + index as u64 * 7) as u8)
}

pub(super) fn check_record(number: u64, found: &[u8]) -> Verdict {
    check(found == record(number), || format!("record {number} is torn: {found:x?}"))
}

/// Tries until the exchange has forgotten the dead whose name it is.
fn open<T, E: std::fmt::Display>(mut open: impl FnMut() -> Result<T, E>) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match open() {
            Err(error) if begun.elapsed() > WATCHDOG / 2 => return Err(error.to_string()),
            Err(_) => thread::yield_now(),
            Ok(opened) => return Ok(opened),
        }
    }
}

/// Where lanes are; what a survivor keeps.
pub(super) struct Meetings {
    pub(super) participant: Participant,
    folder: TempDir,
}

impl Meetings {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let participant = Participant::open(&folder.path().join("exchange")).expect("it is ours");
        Self { participant, folder }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("exchange")
    }

    /// Waits until the exchange knows so many senders, receivers and taps of the lane, and no more:
    /// the next of the dead's kind is not refused.
    pub(super) fn wait_for(&self, ends: [usize; 3]) -> Verdict {
        wait_until("the exchange forgets the dead", || {
            let listed = self.participant.list();
            listed.is_ok_and(|all| all.iter().all(|one| [one.sources, one.sinks, one.taps] == ends))
        })
    }
}

/// In the child: comes and connects, sends two records, then a batch of two, then leaves.
fn send(stage: &Stage, test: &str) {
    let own = hand_over(stage.channel(), test, 0);
    let path = place(stage);
    let (kind, phase) = kind_and_phase(stage.case());
    let (mut participant, mut sender) = (None, None::<LaneSender>);
    let mut call = |phase| match phase {
        0 => {
            let opened = Participant::open(&path).expect("there is an exchange");
            let opened = participant.insert(opened);
            let connected = open(|| opened.lane_sender(NAME, kind)).expect("the place is free");
            assert!(connected.wait_for_receiver(WATCHDOG));
            sender = Some(connected);
        }
        1 => {
            let sender = sender.as_mut().expect("it is connected");
            for number in 0..2 {
                sender.send(&record(number)).expect("there is room");
                own.store_release(RETURNED, number + 1);
            }
        }
        2 => {
            let sender = sender.as_mut().expect("it is connected");
            let records = [record(2), record(3)];
            let sent = sender.send_many(records.iter().map(|record| &record[..]));
            assert_eq!(sent.expect("there is room"), 2);
            own.store_release(RETURNED, 4);
        }
        _ => {
            drop(sender.take());
            drop(participant.take());
        }
    };
    (0..phase).for_each(&mut call);
    stage.perform(|| call(phase));
}

/// Every record whose sending had returned, in order, once and whole, and at most what was being
/// sent; then the end is known, and the receiver is ready for the next sender.
pub(super) fn judge_receiver(
    receiver: &mut LaneReceiver,
    dead: &WordsRo,
    death: Death,
    (kind, phase): (LaneKind, u64),
) -> Verdict {
    let (mut found, mut bytes) = (0, Vec::new());
    let begun = Instant::now();
    loop {
        let is_over = !receiver.is_connected();
        loop {
            match receiver.try_receive(&mut bytes) {
                // Its link was cut before it was made, and before it sent anything.
                Err(LaneReceiveError::Unusable { .. }) if phase == 0 => {}
                Ok(false) => break,
                other => {
                    text(other)?;
                    check_record(found, &bytes)?;
                    found += 1;
                }
            }
        }
        if is_over {
            break;
        }
        check(begun.elapsed() < WATCHDOG / 2, || "the dead is never forgotten".to_owned())?;
        thread::yield_now();
    }
    let returned = dead.load_acquire(RETURNED);
    // A batch of a `throughput` lane comes as a whole.
    let is_whole = !(matches!(kind, LaneKind::Throughput { .. }) && phase == 2 && found == 3);
    let most = if phase == 2 { 4 } else { returned + 1 };
    check((returned..=most).contains(&found) && is_whole, || {
        format!("{returned} sends had returned, {found} records came")
    })?;
    let after = [0, 2, 4, 4][phase as usize];
    check(!death.is_over || found == after, || format!("it was over with {found} of {after}"))
}

#[test]
fn a_sender_dies_anywhere_and_the_next_is_heard() {
    const TEST: &str = "lane::a_sender_dies_anywhere_and_the_next_is_heard";
    let _alone = ALONE.lock();
    let survivor = (!Killing::is_child()).then(Meetings::new);
    let survivor = survivor.as_ref();
    let mut receiver = survivor.map(|survivor| {
        survivor.participant.lane_receiver(NAME, options()).expect("there is a place")
    });
    for case in 0..PHASES * KINDS.len() as u64 {
        let own = [1, 2].contains(&(case % PHASES)).then_some(Points::Every(31));
        // Whoever leaves writes no more.
        let stores = (case % PHASES < LEAVES).then_some(Points::SharedStores);
        for points in [Points::AnySystemCalls].into_iter().chain(stores).chain(own) {
            Killing::of(TEST).case(case).sweep(
                points,
                |stage| send(stage, TEST),
                |meeting| meet(&meeting, &survivor.expect("this is the survivor").path()),
                |dead, death| {
                    let receiver = receiver.as_mut().expect("this is the survivor");
                    judge_receiver(receiver, &dead, death, kind_and_phase(case))
                },
            );
        }
    }
}

/// Records that wait for a receiver.
const SENT: u64 = 4;

/// In the child: comes and connects, receives two records, then two more, then leaves.
fn receive(stage: &Stage, test: &str) {
    let own = hand_over(stage.channel(), test, 0);
    let path = place(stage);
    let (_, phase) = kind_and_phase(stage.case());
    let (mut participant, mut receiver) = (None, None::<LaneReceiver>);
    let mut bytes = Vec::with_capacity(256);
    let mut call = |phase| match phase {
        0 => {
            let opened = Participant::open(&path).expect("there is an exchange");
            let opened = participant.insert(opened);
            let connected = open(|| opened.lane_receiver(NAME, options()));
            let connected = connected.expect("the place is free");
            assert!(connected.wait_for_sender(WATCHDOG));
            receiver = Some(connected);
        }
        1 | 2 => {
            let receiver = receiver.as_mut().expect("it is connected");
            for number in [2 * phase - 2, 2 * phase - 1] {
                let is_there = receiver.receive(&mut bytes, WATCHDOG).expect("it is whole");
                assert!(is_there && bytes == record(number));
                own.store_release(RECEIVED, number + 1);
            }
        }
        _ => {
            drop(receiver.take());
            drop(participant.take());
        }
    };
    if phase > 0 {
        call(0);
        stage.channel().recv(None).expect("the survivor sends records");
    }
    (1..phase).for_each(&mut call);
    stage.perform(|| call(phase));
}

/// What outlives all receivers: a sender.
pub(super) struct Sending {
    pub(super) sender: LaneSender,
    pub(super) meetings: Meetings,
}

impl Sending {
    pub(super) fn new(kind: LaneKind) -> Self {
        let meetings = Meetings::new();
        let sender = meetings.participant.lane_sender(NAME, kind).expect("there is a place");
        Self { sender, meetings }
    }

    fn send(&mut self, count: u64) -> Verdict {
        let is_connected = self.sender.wait_for_receiver(WATCHDOG / 2);
        check(is_connected, || "no receiver comes".to_owned())?;
        (0..count).try_for_each(|number| text(self.sender.send(&record(number))))
    }

    /// The death becomes known, and the next receiver gets a ring of its own.
    pub(super) fn judge(&mut self) -> Verdict {
        let mut next = open(|| self.meetings.participant.lane_receiver(NAME, options()))?;
        // Then the link of the dead is over, which the sender heard of in its own time.
        wait_until("the next is served", || next.is_connected())?;
        self.send(SENT)?;
        let mut bytes = Vec::new();
        for number in 0..SENT {
            check(text(next.receive(&mut bytes, WATCHDOG / 2))?, || "no record".to_owned())?;
            check_record(number, &bytes)?;
        }
        check(!text(next.try_receive(&mut bytes))?, || format!("one more: {bytes:x?}"))?;
        drop(next);
        wait_until("who has left is not sent to", || {
            matches!(self.sender.send(&record(0)), Err(LaneSendError::NotConnected))
        })
    }
}

#[test]
fn a_receiver_dies_anywhere_and_the_next_is_served() {
    const TEST: &str = "lane::a_receiver_dies_anywhere_and_the_next_is_served";
    let _alone = ALONE.lock();
    for (index, kind) in (0..).zip(KINDS) {
        let survivor = RefCell::new((!Killing::is_child()).then(|| Sending::new(kind)));
        let survivor =
            || RefMut::map(survivor.borrow_mut(), |one| one.as_mut().expect("it survives"));
        for phase in 0..PHASES {
            let own = [1, 2].contains(&phase).then_some(Points::Every(31));
            // Whoever leaves writes no more.
            let stores = (phase < LEAVES).then_some(Points::SharedStores);
            for points in [Points::AnySystemCalls].into_iter().chain(stores).chain(own) {
                Killing::of(TEST).case(index * PHASES + phase).sweep(
                    points,
                    |stage| receive(stage, TEST),
                    |meeting| {
                        let dead = meet(&meeting, &survivor().meetings.path());
                        if phase > 0 {
                            survivor().send(SENT).expect("it connects");
                            meeting.channel.send(b"sent", &[], None).expect("the child waits");
                        }
                        dead
                    },
                    |dead, death| {
                        let received = dead.load_acquire(RECEIVED);
                        let after = [0, 2, 4, 4][phase as usize];
                        check(!death.is_over || received == after, || {
                            format!("it was over with {received} of {after}")
                        })?;
                        survivor().judge()
                    },
                );
            }
        }
    }
}
