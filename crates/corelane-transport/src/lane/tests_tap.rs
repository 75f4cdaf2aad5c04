//! Taps of lanes within one process, over real segments and sockets. Several processes are in the
//! binary's `tests/tap.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::tests::{KINDS, PATIENCE, options, payload, place};
use super::*;
use crate::exchange::TAPS_MAX;

/// What a tap finds until nothing is left.
fn read_all(tap: &mut LaneTap) -> Vec<Vec<u8>> {
    let (mut record, mut all) = (Vec::new(), Vec::new());
    while tap.try_receive(&mut record).unwrap() {
        all.push(record.clone());
    }
    all
}

fn wait_for_taps(sender: &LaneSender, count: usize) {
    while sender.taps() != count {
        thread::yield_now();
    }
}

fn send_and_receive(sender: &mut LaneSender, receiver: &mut LaneReceiver, record: &[u8]) {
    let mut received = Vec::new();
    sender.send_within(record, PATIENCE).unwrap();
    assert!(receiver.receive(&mut received, PATIENCE).unwrap());
    assert_eq!(received, record);
}

#[test]
fn a_tap_reads_what_the_receiver_receives() {
    for kind in KINDS {
        let (_folder, participant) = place();
        let mut sender = participant.lane_sender("a", kind).unwrap();
        let mut receiver = participant.lane_receiver("a", options()).unwrap();
        assert!(sender.wait_for_receiver(PATIENCE));
        send_and_receive(&mut sender, &mut receiver, b"before it came");
        let mut tap = participant.lane_tap("a").unwrap();
        assert!(tap.is_connected());
        for index in 0..500 {
            send_and_receive(&mut sender, &mut receiver, &payload(index));
            assert_eq!(read_all(&mut tap), [payload(index)], "{kind:?}");
        }
        assert_eq!((tap.received(), tap.missed()), (500, LaneMissed::default()));
        assert_eq!(sender.counts().sent, 501);
    }
}

#[test]
fn a_tap_that_comes_first_sees_the_first_record_and_follows_to_every_ring() {
    for kind in KINDS {
        let (_folder, participant) = place();
        let mut tap = participant.lane_tap("a").unwrap();
        assert!(!tap.is_connected() && read_all(&mut tap).is_empty());
        // New receivers, then a new sender.
        for sender_number in 0..2_u8 {
            let mut sender = participant.lane_sender("a", kind).unwrap();
            assert!(tap.wait_for_sender(PATIENCE));
            for receiver_number in 0..3_u8 {
                let receiver = participant.lane_receiver("a", options()).unwrap();
                let record = [sender_number, receiver_number];
                // Nobody receives it: it is read all the same.
                sender.send_within(&record, PATIENCE).unwrap();
                let mut read = Vec::new();
                assert!(tap.receive(&mut read, PATIENCE).unwrap());
                assert_eq!(read, record, "{kind:?}");
                drop(receiver);
                while sender.is_connected() {
                    thread::yield_now();
                }
            }
            drop(sender);
            while tap.is_connected() {
                thread::yield_now();
            }
        }
        assert_eq!((tap.received(), tap.missed()), (6, LaneMissed::default()));
    }
}

#[test]
fn what_was_sent_before_the_sender_ended_is_read() {
    for kind in KINDS {
        let (_folder, participant) = place();
        let mut tap = participant.lane_tap("a").unwrap();
        let mut sender = participant.lane_sender("a", kind).unwrap();
        let _receiver = participant.lane_receiver("a", options()).unwrap();
        sender.send_within(b"one", PATIENCE).unwrap();
        sender.send(b"two").unwrap();
        assert!(tap.wait_for_sender(PATIENCE));
        drop(sender);
        while tap.is_connected() {
            thread::yield_now();
        }
        assert_eq!(read_all(&mut tap), [b"one", b"two"]);
    }
}

/// A record that says of itself whether it is whole.
fn sealed(number: u64) -> Vec<u8> {
    let mut words = vec![number; 1 + number as usize % 9];
    words.push(words.iter().fold(0, |sum: u64, word| sum.rotate_left(7) ^ word));
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn number_of(record: &[u8]) -> u64 {
    let number = u64::from_le_bytes(record[..8].try_into().unwrap());
    assert_eq!(record, sealed(number), "torn");
    number
}

#[test]
fn a_tap_that_is_lapped_reads_whole_records_in_order_and_counts_the_others() {
    for kind in KINDS {
        const COUNT: u64 = 200_000;
        let (_folder, participant) = place();
        let mut tap = participant.lane_tap("a").unwrap();
        let mut sender = participant.lane_sender("a", kind).unwrap();
        let mut receiver = participant.lane_receiver("a", options()).unwrap();
        assert!(tap.wait_for_sender(PATIENCE) && sender.wait_for_receiver(PATIENCE));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..COUNT).for_each(|n| sender.send_within(&sealed(n), PATIENCE).unwrap());
            });
            scope.spawn(|| {
                let mut record = Vec::new();
                for number in 0..COUNT {
                    assert!(receiver.receive(&mut record, PATIENCE).unwrap());
                    assert_eq!(number_of(&record), number);
                }
                is_over.store(true, Ordering::Release);
            });
            let (mut record, mut next) = (Vec::new(), 0);
            loop {
                let is_last = is_over.load(Ordering::Acquire);
                while tap.try_receive(&mut record).unwrap() {
                    let number = number_of(&record);
                    assert!(number >= next, "{kind:?}: {number} after {next}");
                    next = number + 1;
                }
                if is_last {
                    break;
                }
            }
        });
        let (received, missed) = (tap.received(), tap.missed());
        println!("{kind:?}: received={received} missed={missed:?}");
        match kind {
            LaneKind::Latency { .. } => assert_eq!(received + missed.records, COUNT),
            LaneKind::Throughput { .. } => assert!((received == COUNT) == (missed.bytes == 0)),
        }
    }
}

#[test]
fn a_lane_has_so_many_taps_and_a_topic_has_none() {
    let (_folder, participant) = place();
    let sender = participant.lane_sender("a", LaneKind::LATENCY).unwrap();
    let mut taps: Vec<_> = (0..TAPS_MAX).map(|_| participant.lane_tap("a").unwrap()).collect();
    wait_for_taps(&sender, TAPS_MAX);
    let refused = participant.lane_tap("a").unwrap_err();
    assert_eq!(refused.code(), "CL-0469", "{refused}");
    taps.pop();
    wait_for_taps(&sender, TAPS_MAX - 1);
    taps.push(participant.lane_tap("a").unwrap());
    let listed = participant.list().unwrap();
    assert_eq!((listed[0].taps, listed[0].sources, listed[0].sinks), (TAPS_MAX, 1, 0));
    let _topic = participant.publish_bytes("topic", &Default::default()).unwrap();
    assert_eq!(participant.lane_tap("topic").unwrap_err().code(), "CL-0447");
    assert_eq!(participant.lane_tap("").unwrap_err().code(), "CL-0445");
}
