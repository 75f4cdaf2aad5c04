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
/// Without trust, so that the lane is one of fixed slots.
const SLOTS: LaneKind = LaneKind::Latency { slots: 8, slot_lines: 1 };

fn place() -> (tempfile::TempDir, Participant) {
    let folder = tempfile::tempdir().unwrap();
    let participant = Participant::open(&folder.path().join("exchange")).unwrap();
    (folder, participant)
}

fn is_readable(receiver: &mut LaneReceiver, timeout: Duration) -> bool {
    let timeout = Timespec::try_from(timeout).unwrap();
    let fd = receiver.event_fd().unwrap();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// Now and then does nothing for up to some 100 microseconds, so that the other end falls asleep.
fn dawdle() {
    if fastrand::u32(0..4) == 0 {
        (0..fastrand::u32(0..10_000)).for_each(|_| std::hint::spin_loop());
    }
}

/// Sends so many numbers, and counts the wake-ups.
fn send_numbers(mut sender: LaneSender, count: u32) -> thread::JoinHandle<LaneSender> {
    thread::spawn(move || {
        for number in 0..count {
            sender.send_within(&number.to_le_bytes(), PATIENCE).unwrap();
            dawdle();
        }
        sender
    })
}

#[test]
fn an_event_loop_gets_every_record_of_one_sender_after_the_other() {
    let (_folder, participant) = place();
    let mut receiver = participant.lane_receiver("a", LaneOptions::default()).unwrap();
    let mut record = Vec::new();
    assert!(receiver.arm().unwrap());
    for _ in 0..3 {
        let sender = send_numbers(participant.lane_sender("a", SLOTS).unwrap(), 2_000);
        for number in 0..2_000_u32 {
            while !receiver.try_receive(&mut record).unwrap() {
                if receiver.arm().unwrap() {
                    assert!(is_readable(&mut receiver, PATIENCE), "nobody rang");
                }
            }
            assert_eq!(record, number.to_le_bytes());
        }
        let sender = sender.join().unwrap();
        assert!(sender.counts().wakes > 0, "it never slept: nothing was tried");
    }
}

#[test]
fn without_a_thread_every_record_is_received() {
    let (_folder, participant) = place();
    let mut receiver = participant.lane_receiver("a", LaneOptions::default()).unwrap();
    let sender = send_numbers(participant.lane_sender("a", SLOTS).unwrap(), 3_000);
    let mut record = Vec::new();
    block_on(async {
        for number in 0..3_000_u32 {
            receiver.receive_async(&mut record).await.unwrap();
            assert_eq!(record, number.to_le_bytes());
        }
    });
    drop(sender.join().unwrap());
}

#[test]
fn a_future_that_is_dropped_loses_nothing_and_listens_no_more() {
    let (_folder, participant) = place();
    let mut receiver = participant.lane_receiver("a", LaneOptions::default()).unwrap();
    let mut sender = participant.lane_sender("a", SLOTS).unwrap();
    assert!(sender.wait_for_receiver(PATIENCE));
    let (mut context, mut record) = (Context::from_waker(Waker::noop()), Vec::new());
    for round in 0..10_u8 {
        {
            let mut future = pin!(receiver.receive_async(&mut record));
            assert!(matches!(future.as_mut().poll(&mut context), Poll::Pending));
        }
        let wakes = sender.counts().wakes;
        sender.send(&[round]).unwrap();
        assert_eq!(sender.counts().wakes, wakes, "it was not told that nobody waits");
        block_on(receiver.receive_async(&mut record)).unwrap();
        assert_eq!(record, [round]);
    }
}
