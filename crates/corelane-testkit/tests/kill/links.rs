//! The thread of a participant dies at any store to shared memory: it makes and takes over the
//! segments of topics and lanes while the thread that asked for an end waits. What the asking
//! thread does itself is in `topic.rs` and `lane.rs`.

use std::cell::RefCell;

use corelane_shm::WordsRo;
use corelane_testkit::{
    kill::{Death, Killing, Points, Stage, Verdict, check},
    process::WATCHDOG,
    trusted,
};
use corelane_transport::Participant;
use corelane_transport::lane::{LaneKind, LaneReceiveError, LaneReceiver};
use corelane_transport::topic::SubscribeOptions;

use super::hand_over;
use super::lane::{self, KINDS, Meetings, Sending};
use super::topic::{self, ALONE, Publishing, Subscribing, held, meet, place, text, wait_until};

/// The thread of a participant.
const THREAD: &str = "corelane-links";

/// Subscribers of every kind; one has a page for several.
const KINDS_OF_SUBSCRIBERS: [SubscribeOptions; 4] = [
    SubscribeOptions::RELIABLE,
    SubscribeOptions { siblings: 3, ..SubscribeOptions::RELIABLE.with_history() },
    SubscribeOptions::LOSSY,
    SubscribeOptions::LOSSY.with_history(),
];

/// In the child: its participant, whose thread waits from here on.
fn arrive(stage: &Stage, test: &str) -> Participant {
    hand_over(stage.channel(), test, 0);
    Participant::open(&place(stage)).expect("there is an exchange")
}

/// In the child: brings a subscriber, which its thread links to the publisher.
fn subscribe(stage: &Stage, test: &str, options: SubscribeOptions) {
    let participant = arrive(stage, test);
    stage.perform_on(THREAD, || {
        let subscriber = participant.subscribe_bytes(topic::NAME, options.trusting(trusted()));
        let subscriber = subscriber.expect("there is a place");
        // A thread that is stepped may take longer than a subscriber waits by itself.
        wait_until("a publisher", || subscriber.publishers() == 1).expect("it is there");
        subscriber
    });
}

#[test]
fn a_subscription_dies_at_any_store_of_its_thread() {
    const TEST: &str = "links::a_subscription_dies_at_any_store_of_its_thread";
    let _alone = ALONE.lock();
    let survivor = RefCell::new((!Killing::is_child()).then(Publishing::new));
    for (case, options) in (0..).zip(KINDS_OF_SUBSCRIBERS) {
        Killing::of(TEST).case(case).sweep(
            Points::SharedStores,
            |stage| subscribe(stage, TEST, options),
            |meeting| {
                let mut survivor = survivor.borrow_mut();
                let survivor = survivor.as_mut().expect("this is the survivor");
                survivor.greet(&meeting)
            },
            |_, _| survivor.borrow_mut().as_mut().expect("this is the survivor").judge(),
        );
    }
}

#[test]
fn a_publication_dies_at_any_store_of_its_thread() {
    const TEST: &str = "links::a_publication_dies_at_any_store_of_its_thread";
    let _alone = ALONE.lock();
    let mut survivor = (!Killing::is_child()).then(Subscribing::new);
    let path = survivor.as_ref().map(Subscribing::path);
    Killing::of(TEST).sweep(
        Points::SharedStores,
        |stage| {
            let participant = arrive(stage, TEST);
            stage.perform_on(THREAD, || {
                let publisher = participant.publish_bytes(topic::NAME, &topic::options());
                let publisher = publisher.expect("there is a place");
                assert!(publisher.wait_for_subscribers(1, WATCHDOG));
                publisher
            });
        },
        |meeting| meet(&meeting, path.as_ref().expect("this is the survivor")),
        |dead, death| {
            let survivor = survivor.as_mut().expect("this is the survivor");
            survivor.judge(&dead, death, topic::OPENS)
        },
    );
}

/// Segments of a lane.
const LANES: [&str; 2] = ["memfd:corelane-lane", "memfd:corelane-head"];

/// Nothing of the dead is held any more, once whoever met it has looked.
fn check_released(mut look: impl FnMut() -> Verdict) -> Verdict {
    let mut verdict = Ok(());
    wait_until("its lane is let go", || {
        verdict = look();
        verdict.is_err() || held(&LANES) == 0
    })?;
    verdict
}

/// A receiver that outlives all senders.
struct Receiving {
    receiver: LaneReceiver,
    meetings: Meetings,
}

impl Receiving {
    fn new() -> Self {
        let meetings = Meetings::new();
        let receiver = meetings.participant.lane_receiver(lane::NAME, lane::options());
        Self { receiver: receiver.expect("there is a place"), meetings }
    }

    /// The dead had sent nothing, its ring is let go, and the next sender is heard.
    fn judge(&mut self, dead: &WordsRo, death: Death, kind: LaneKind) -> Verdict {
        lane::judge_receiver(&mut self.receiver, dead, death, (kind, 0))?;
        let mut record = Vec::new();
        let receiver = &mut self.receiver;
        check_released(|| {
            let is_one = match receiver.try_receive(&mut record) {
                // Its link was cut before it was made.
                Err(LaneReceiveError::Unusable { .. }) => false,
                other => text(other)?,
            };
            check(!is_one, || format!("it sent nothing, and {record:x?} came"))
        })?;
        self.meetings.wait_for([0, 1, 0])?;
        let mut next = text(self.meetings.participant.lane_sender(lane::NAME, kind))?;
        check(next.wait_for_receiver(WATCHDOG / 2), || "the next is not linked".to_owned())?;
        text(next.send(&lane::record(7)))?;
        check(text(receiver.receive(&mut record, WATCHDOG / 2))?, || "no record".to_owned())?;
        lane::check_record(7, &record)?;
        drop(next);
        wait_until("the next is forgotten", || !receiver.is_connected())?;
        self.meetings.wait_for([0, 1, 0])
    }
}

#[test]
fn a_sender_of_a_lane_dies_at_any_store_of_its_thread() {
    const TEST: &str = "links::a_sender_of_a_lane_dies_at_any_store_of_its_thread";
    let _alone = lane::ALONE.lock();
    let survivor = RefCell::new((!Killing::is_child()).then(Receiving::new));
    for (case, kind) in (0..).zip(KINDS) {
        Killing::of(TEST).case(case).sweep(
            Points::SharedStores,
            |stage| {
                let participant = arrive(stage, TEST);
                stage.perform_on(THREAD, || {
                    let sender = participant.lane_sender(lane::NAME, kind);
                    let sender = sender.expect("the place is free");
                    assert!(sender.wait_for_receiver(WATCHDOG));
                    sender
                });
            },
            |meeting| {
                let survivor = survivor.borrow();
                meet(&meeting, &survivor.as_ref().expect("this is the survivor").meetings.path())
            },
            |dead, death| {
                let mut survivor = survivor.borrow_mut();
                survivor.as_mut().expect("this is the survivor").judge(&dead, death, kind)
            },
        );
    }
}

#[test]
fn a_receiver_of_a_lane_dies_at_any_store_of_its_thread() {
    const TEST: &str = "links::a_receiver_of_a_lane_dies_at_any_store_of_its_thread";
    let _alone = lane::ALONE.lock();
    for (case, kind) in (0..).zip(KINDS) {
        let survivor = RefCell::new((!Killing::is_child()).then(|| Sending::new(kind)));
        Killing::of(TEST).case(case).sweep(
            Points::SharedStores,
            |stage| {
                let participant = arrive(stage, TEST);
                stage.perform_on(THREAD, || {
                    let receiver = participant.lane_receiver(lane::NAME, lane::options());
                    let receiver = receiver.expect("the place is free");
                    assert!(receiver.wait_for_sender(WATCHDOG));
                    receiver
                });
            },
            |meeting| {
                let survivor = survivor.borrow();
                meet(&meeting, &survivor.as_ref().expect("this is the survivor").meetings.path())
            },
            |_, _| {
                let mut survivor = survivor.borrow_mut();
                let survivor = survivor.as_mut().expect("this is the survivor");
                survivor.judge()?;
                check_released(|| Ok(()))?;
                survivor.meetings.wait_for([1, 0, 0])
            },
        );
    }
}

/// Both ends of a lane, which outlive all taps.
struct Tapped {
    sending: Sending,
    receiver: LaneReceiver,
    number: u64,
}

impl Tapped {
    fn new(kind: LaneKind) -> Self {
        let sending = Sending::new(kind);
        let receiver = sending.meetings.participant.lane_receiver(lane::NAME, lane::options());
        let receiver = receiver.expect("there is a place");
        assert!(sending.sender.wait_for_receiver(WATCHDOG));
        Self { sending, receiver, number: 0 }
    }

    /// Both ends go on for more than a lap, and the next tap reads along with them.
    fn judge(&mut self) -> Verdict {
        let sender = &mut self.sending.sender;
        wait_until("the dead reads along no more", || sender.taps() == 0)?;
        let mut tap = text(self.sending.meetings.participant.lane_tap(lane::NAME))?;
        check(tap.wait_for_sender(WATCHDOG / 2), || "the next tap is not let in".to_owned())?;
        let (mut along, mut received) = (Vec::new(), Vec::new());
        for number in self.number..self.number + 60 {
            text(sender.send(&lane::record(number)))?;
            check(text(self.receiver.receive(&mut received, WATCHDOG / 2))?, || {
                "no record".into()
            })?;
            lane::check_record(number, &received)?;
            check(text(tap.receive(&mut along, WATCHDOG / 2))?, || "the tap hears nothing".into())?;
            lane::check_record(number, &along)?;
        }
        self.number += 60;
        drop(tap);
        self.sending.meetings.wait_for([1, 1, 0])
    }
}

#[test]
fn a_tap_dies_at_any_store_of_its_thread() {
    const TEST: &str = "links::a_tap_dies_at_any_store_of_its_thread";
    let _alone = lane::ALONE.lock();
    for (case, kind) in (0..).zip(KINDS) {
        let survivor = RefCell::new((!Killing::is_child()).then(|| Tapped::new(kind)));
        Killing::of(TEST).case(case).sweep(
            Points::SharedStores,
            |stage| {
                let participant = arrive(stage, TEST);
                stage.perform_on(THREAD, || {
                    let tap = participant.lane_tap(lane::NAME).expect("there is a place");
                    assert!(tap.wait_for_sender(WATCHDOG));
                    tap
                });
            },
            |meeting| {
                let survivor = survivor.borrow();
                let survivor = survivor.as_ref().expect("this is the survivor");
                meet(&meeting, &survivor.sending.meetings.path())
            },
            |_, _| survivor.borrow_mut().as_mut().expect("this is the survivor").judge(),
        );
    }
}
