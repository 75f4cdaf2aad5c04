//! Lanes within one process, over real segments and sockets.

use std::thread;
use std::time::Duration;

use corelane_testkit::trusted;

use super::*;
use crate::topic::PublishOptions;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const KINDS: [LaneKind; 2] =
    [LaneKind::Latency { slots: 16, slot_lines: 4 }, LaneKind::Throughput { capacity_bytes: 4096 }];

pub(super) fn place() -> (tempfile::TempDir, Participant) {
    let folder = tempfile::tempdir().unwrap();
    let participant = Participant::open(&folder.path().join("exchange")).unwrap();
    (folder, participant)
}

pub(super) fn options() -> LaneOptions {
    LaneOptions { trusted: Some(trusted()), ..LaneOptions::default() }
}

pub(super) fn payload(index: usize) -> Vec<u8> {
    (0..index * 7 % 249).map(|byte| (byte + index) as u8).collect()
}

#[test]
fn records_arrive_in_order_once_by_either_kind() {
    for kind in KINDS {
        for is_sender_first in [true, false] {
            let (_folder, participant) = place();
            let receiver = || participant.lane_receiver("a", options()).unwrap();
            let sender = || participant.lane_sender("a", kind).unwrap();
            let (mut sender, mut receiver) = match is_sender_first {
                true => {
                    let sender = sender();
                    (sender, receiver())
                }
                false => {
                    let receiver = receiver();
                    (sender(), receiver)
                }
            };
            assert!(sender.wait_for_receiver(PATIENCE) && receiver.wait_for_sender(PATIENCE));
            let reader = thread::spawn(move || {
                let mut record = Vec::new();
                for index in 0..3_000 {
                    assert!(receiver.receive(&mut record, PATIENCE).unwrap());
                    assert_eq!(record, payload(index), "{kind:?}");
                }
                assert_eq!(receiver.received(), 3_000);
            });
            for index in 0..3_000 {
                sender.send_within(&payload(index), PATIENCE).unwrap();
            }
            reader.join().unwrap();
            assert_eq!(sender.counts().sent, 3_000);
        }
    }
}

#[test]
fn batches_go_as_far_as_there_is_room() {
    for kind in KINDS {
        let (_folder, participant) = place();
        let mut sender = participant.lane_sender("a", kind).unwrap();
        let mut receiver = participant.lane_receiver("a", options()).unwrap();
        assert!(sender.wait_for_receiver(PATIENCE));
        let records: Vec<Vec<u8>> = (0..200).map(|index| vec![index; 100]).collect();
        let sent = sender.send_many(records.iter().map(Vec::as_slice)).unwrap();
        assert!((10..50).contains(&sent), "{kind:?}: {sent}");
        let refused = sender.send(&[0; 100]).unwrap_err();
        assert!(matches!(refused, LaneSendError::Full { .. }), "{refused}");
        let refused = sender.send_within(&[0; 100], Duration::from_millis(2)).unwrap_err();
        assert_eq!(refused.code(), "CL-0464");
        let mut next = 0;
        let count = receiver.drain(usize::MAX, |record| {
            assert_eq!(record, records[next]);
            next += 1;
        });
        assert_eq!(count.unwrap(), sent);
        assert_eq!(receiver.drain(1, |_| {}).unwrap(), 0);
        sender.send(&[0; 100]).unwrap();
        assert_eq!(sender.send(&[0; 4096]).unwrap_err().code(), "CL-0463");
    }
}

#[test]
fn without_a_receiver_nothing_is_sent_and_the_next_one_gets_a_fresh_ring() {
    for kind in KINDS {
        let (_folder, participant) = place();
        let mut sender = participant.lane_sender("a", kind).unwrap();
        assert_eq!(sender.send(b"x").unwrap_err().code(), "CL-0461");
        let receiver = participant.lane_receiver("a", options()).unwrap();
        assert!(sender.wait_for_receiver(PATIENCE));
        sender.send(b"unread").unwrap();
        let taken = participant.lane_receiver("a", options()).unwrap_err();
        assert_eq!(taken.code(), "CL-0448");
        drop(receiver);
        while sender.is_connected() {
            thread::yield_now();
        }
        assert_eq!(sender.send(b"x").unwrap_err().code(), "CL-0461");
        let undelivered = u64::from(matches!(kind, LaneKind::Latency { .. }));
        assert_eq!(sender.counts().undelivered, undelivered);
        let mut receiver = participant.lane_receiver("a", options()).unwrap();
        sender.send_within(b"fresh", PATIENCE).unwrap();
        let mut record = Vec::new();
        assert!(receiver.receive(&mut record, PATIENCE).unwrap());
        assert_eq!(record, b"fresh");
    }
}

#[test]
fn what_was_sent_before_the_sender_ended_is_received_and_the_next_sender_too() {
    for kind in KINDS {
        let (_folder, participant) = place();
        let mut receiver = participant.lane_receiver("a", options()).unwrap();
        let mut record = Vec::new();
        for text in [b"one", b"two"] {
            let mut sender = participant.lane_sender("a", kind).unwrap();
            sender.send_within(text, PATIENCE).unwrap();
            drop(sender);
            assert!(receiver.receive(&mut record, PATIENCE).unwrap());
            assert_eq!(record, text);
            while receiver.is_connected() {
                thread::yield_now();
            }
        }
        assert!(!receiver.receive(&mut record, Duration::from_millis(2)).unwrap());
    }
}

/// Senders come, send a record and leave, while the receiver does not look.
fn send_and_leave(participant: &Participant, kind: LaneKind, texts: impl Iterator<Item = u8>) {
    for text in texts {
        let mut sender = participant.lane_sender("a", kind).unwrap();
        sender.send_within(&[text], PATIENCE).unwrap();
        drop(sender);
        // The place is free once the exchange has heard of it.
        while participant.list().unwrap().iter().any(|lane| lane.sources > 0) {
            thread::yield_now();
        }
    }
}

#[test]
fn what_several_senders_left_is_received_in_their_order() {
    for kind in KINDS {
        for was_there in [true, false] {
            let (_folder, participant) = place();
            let mut receiver = participant.lane_receiver("a", options()).unwrap();
            let mut record = Vec::new();
            if was_there {
                // Then the first of them is known to the receiver.
                let mut sender = participant.lane_sender("a", kind).unwrap();
                sender.send_within(b"0", PATIENCE).unwrap();
                assert!(receiver.receive(&mut record, PATIENCE).unwrap());
                sender.send(b"1").unwrap();
                drop(sender);
            }
            send_and_leave(&participant, kind, b'2'..=b'4');
            for text in if was_there { b'1'..=b'4' } else { b'2'..=b'4' } {
                assert!(receiver.receive(&mut record, PATIENCE).unwrap());
                assert_eq!(record, [text], "{kind:?}");
            }
            assert!(!receiver.try_receive(&mut record).unwrap());
        }
    }
}

#[test]
fn a_sender_is_turned_away_when_those_before_it_left_too_many_lanes() {
    for kind in KINDS {
        let (_folder, participant) = place();
        let mut receiver = participant.lane_receiver("a", options()).unwrap();
        send_and_leave(&participant, kind, 0..8);
        let refused = participant.lane_sender("a", kind).unwrap();
        while receiver.shared.news.lock().refusal.is_none() {
            thread::yield_now();
        }
        assert!(!refused.is_connected());
        let mut record = Vec::new();
        let told = receiver.try_receive(&mut record).unwrap_err();
        assert_eq!(told.code(), "CL-0467");
        assert!(told.to_string().contains("receive them"), "{told}");
        for text in 0..8 {
            assert!(receiver.try_receive(&mut record).unwrap());
            assert_eq!(record, [text]);
        }
        assert!(!receiver.try_receive(&mut record).unwrap());
        drop(refused);
        send_and_leave(&participant, kind, 8..9);
        assert!(receiver.receive(&mut record, PATIENCE).unwrap());
        assert_eq!(record, [8]);
    }
}

#[test]
fn senders_that_left_nothing_turn_nobody_away() {
    for kind in KINDS {
        let (_folder, participant) = place();
        let mut receiver = participant.lane_receiver("a", options()).unwrap();
        for _ in 0..20 {
            let sender = participant.lane_sender("a", kind).unwrap();
            assert!(sender.wait_for_receiver(PATIENCE));
            drop(sender);
            while participant.list().unwrap().iter().any(|lane| lane.sources > 0) {
                thread::yield_now();
            }
        }
        send_and_leave(&participant, kind, 0..1);
        let mut record = Vec::new();
        assert!(receiver.receive(&mut record, PATIENCE).unwrap());
        assert_eq!(record, [0]);
    }
}

#[test]
fn a_throughput_lane_asks_for_trust() {
    let (_folder, participant) = place();
    let _sender = participant.lane_sender("a", LaneKind::THROUGHPUT).unwrap();
    let mut receiver = participant.lane_receiver("a", LaneOptions::default()).unwrap();
    let mut record = Vec::new();
    let refused = receiver.receive(&mut record, PATIENCE).unwrap_err();
    assert_eq!(refused.code(), "CL-0467");
    assert!(refused.to_string().contains("trust"), "{refused}");
}

#[test]
fn kinds_and_names_that_cannot_be_are_refused() {
    let (_folder, participant) = place();
    let sender = |kind| participant.lane_sender("a", kind).unwrap_err().code();
    assert_eq!(sender(LaneKind::Latency { slots: 3, slot_lines: 1 }), "CL-0211");
    assert_eq!(sender(LaneKind::Latency { slots: 4, slot_lines: 0 }), "CL-0411");
    assert_eq!(sender(LaneKind::Throughput { capacity_bytes: 1000 }), "CL-0221");
    let _publisher = participant.publish_bytes("topic", &PublishOptions::default()).unwrap();
    let refused = participant.lane_sender("topic", LaneKind::LATENCY).unwrap_err();
    assert_eq!(refused.code(), "CL-0447");
    assert_eq!(participant.lane_sender("", LaneKind::LATENCY).unwrap_err().code(), "CL-0445");
}
