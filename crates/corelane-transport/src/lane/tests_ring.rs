//! The two kinds of rings by themselves, over segments of this process.

use std::os::fd::{AsFd, OwnedFd};

use corelane_shm::WordsRw;
use corelane_testkit::trusted;

use super::ring::{NewRing, ReceiveRing, SendRing};
use super::{LaneKind, LaneSendError, page};
use crate::exchange::message::LaneOffer;

const SLOTS: LaneKind = LaneKind::Latency { slots: 16, slot_lines: 2 };
const BYTES: LaneKind = LaneKind::Throughput { capacity_bytes: 4_096 };

/// A new ring, its descriptor, and a receiver's page with the sender's view of it.
fn parts(kind: LaneKind) -> (NewRing, OwnedFd, WordsRw, corelane_shm::WordsRo) {
    let page = page::create().unwrap();
    let seen = page::open(page.fd().try_clone_to_owned().unwrap()).unwrap();
    let ring = kind.create().unwrap();
    let fd = ring.as_fd().try_clone_to_owned().unwrap();
    (ring, fd, page.into_words(), seen)
}

fn pair(kind: LaneKind) -> (SendRing, ReceiveRing) {
    let (ring, fd, own, seen) = parts(kind);
    let receiver = ReceiveRing::open(kind.offer(), fd, &own, Some(trusted())).unwrap();
    (ring.open(&seen).unwrap(), receiver)
}

/// What is there, `count` records at most, and whether room was given back.
fn drain(receiver: &mut ReceiveRing, count: usize) -> (Vec<Vec<u8>>, bool) {
    let mut records = Vec::new();
    let (taken, is_room) =
        receiver.drain(count, &mut |record: &[u8]| records.push(record.to_vec())).unwrap();
    assert_eq!(taken, records.len());
    (records, is_room)
}

#[test]
fn the_words_of_a_lane_lie_where_the_pictures_say() {
    let (ring, fd, own, _seen) = parts(SLOTS);
    assert_eq!(own.len(), 16, "a line for the head and one for the sleep word");
    let NewRing::Slots(segment, shape) = &ring else { panic!("it is a lane of slots") };
    assert_eq!(segment.words().len(), 2 * 8 + shape.ring().data_words());
    let receiver = ReceiveRing::open(SLOTS.offer(), fd, &own, None).unwrap();
    let ReceiveRing::Latency { words, record, .. } = &receiver else { panic!("of slots too") };
    assert_eq!((words.len(), record.len()), (2 * 8 + 16 * 16, 2 * 8 - 1));
    assert_eq!(page::head_rw(&own).len(), 8);
}

#[test]
fn a_record_may_fill_its_slot_and_no_more() {
    let (mut sender, mut receiver) = pair(SLOTS);
    let limit = 2 * 64 - 8;
    for bytes in [0, 1, 8, limit] {
        sender.send(&vec![7; bytes]).unwrap();
        assert_eq!(drain(&mut receiver, 9).0, [vec![7; bytes]]);
        let (sent, told) = sender.send_with(1, bytes, &mut |record| record.fill(8));
        assert!(sent == 1 && told.is_ok());
        assert_eq!(drain(&mut receiver, 9).0, [vec![8; bytes]]);
    }
    let is_told = |told: Result<(), LaneSendError>| match told {
        Err(LaneSendError::TooLong { bytes, limit: of }) => (bytes, of) == (limit + 1, limit),
        _ => false,
    };
    assert!(is_told(sender.send(&vec![7; limit + 1])));
    let (sent, told) = sender.send_with(1, limit + 1, &mut |_| panic!("it is written nowhere"));
    assert!(sent == 0 && is_told(told));
    assert!(drain(&mut receiver, 9).0.is_empty());
}

#[test]
fn batches_tell_how_many_records_went() {
    for kind in [SLOTS, BYTES] {
        let (mut sender, mut receiver) = pair(kind);
        let records: Vec<Vec<u8>> = (0..100).map(|index| vec![index; 100]).collect();
        let first = &mut records[..3].iter().map(Vec::as_slice);
        assert!(matches!(sender.send_many(first), (3, Ok(()))));
        assert!(matches!(sender.send_with(2, 100, &mut |record| record.fill(9)), (2, Ok(()))));
        let pending = if kind == SLOTS { 5 } else { 0 };
        assert_eq!(sender.pending(), pending, "of bytes, none are counted");
        assert_eq!(drain(&mut receiver, 2).0, records[..2]);
        let rest = drain(&mut receiver, 9).0;
        assert_eq!(rest, [records[2].clone(), vec![9; 100], vec![9; 100]]);
        receiver.release();
        assert_eq!(sender.pending(), 0);

        let (sent, told) = sender.send_many(&mut records.iter().map(Vec::as_slice));
        assert!(matches!(told, Err(LaneSendError::Full { .. })), "{told:?}");
        assert!((16..100).contains(&sent), "{sent}");
        assert!(matches!(sender.send_with(2, 100, &mut |_| ()), (0, Err(_))));
        assert_eq!(drain(&mut receiver, 99).0, records[..sent]);
    }
}

#[test]
fn room_that_is_given_back_is_told_once() {
    for kind in [SLOTS, BYTES] {
        let (mut sender, mut receiver) = pair(kind);
        assert_eq!(drain(&mut receiver, 9), (vec![], false));
        sender.send(&[1]).unwrap();
        assert_eq!(drain(&mut receiver, 0), (vec![], false));
        assert_eq!(drain(&mut receiver, 9).0.len(), 1);
        receiver.release();
        assert!(!receiver.release(), "there is nothing left to give back");
        // A lap of them gives room back on the way.
        while sender.send(&[1; 100]).is_ok() {}
        let (records, is_room) = drain(&mut receiver, 99);
        assert!(is_room && records.len() >= 16, "{kind:?}");
        sender.send(&[1]).unwrap();
    }
    // Of slots, one record less than a quarter is kept until it is released.
    let (mut sender, mut receiver) = pair(SLOTS);
    sender.send(&[1]).unwrap();
    assert_eq!(drain(&mut receiver, 9), (vec![vec![1]], false));
    assert!(receiver.release() && !receiver.release());
}

#[test]
fn a_record_and_a_wish_for_room_are_seen_at_the_other_side() {
    for kind in [SLOTS, BYTES] {
        let (mut sender, mut receiver) = pair(kind);
        assert!(!receiver.has_record() && !receiver.is_room_wanted());
        let before = receiver.waiter().expected;
        sender.send(&[1]).unwrap();
        let (words, index) = sender.ring_bell();
        let word = words.load_acquire(index) as u32;
        assert_ne!(word, before, "whoever sleeps on it wakes");
        assert_eq!(receiver.waiter().expected, word);
        assert!(receiver.has_record());
        drain(&mut receiver, 1);
        assert!(!receiver.has_record());
        for is_wanted in [true, false] {
            sender.want_room(is_wanted);
            assert_eq!(receiver.is_room_wanted(), is_wanted);
        }
    }
}

#[test]
fn what_a_sender_offers_is_held_against_what_can_be() {
    let refused = |made: LaneKind, offer: LaneOffer, is_trusted: bool| {
        let (_ring, fd, own, _seen) = parts(made);
        let trusted = is_trusted.then(trusted);
        ReceiveRing::open(offer, fd, &own, trusted).unwrap_err()
    };
    let slots = |slots, slot_lines| LaneOffer::Latency { slots, slot_lines };
    let bytes = |capacity_bytes| LaneOffer::Throughput { capacity_bytes };
    for (made, offer, expected) in [
        (SLOTS, slots(3, 2), "power of two"),
        (SLOTS, slots(16, 0), "slot_lines"),
        (SLOTS, slots(16, 3), "out of bounds"),
        (SLOTS, slots(8, 2), "out of bounds"),
        (SLOTS, bytes(4_096), "kind differs"),
        (BYTES, slots(16, 2), "kind differs"),
        (BYTES, bytes(1_000), "1000"),
        (BYTES, bytes(8_192), "out of bounds"),
    ] {
        let reason = refused(made, offer, true);
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    assert!(refused(BYTES, BYTES.offer(), false).contains("trust its sender"));
}

#[test]
fn kinds_at_their_limits_can_be() {
    let of_bytes = |capacity_bytes| LaneKind::Throughput { capacity_bytes }.check();
    let (min, max) = (
        corelane_ring::throughput::CAPACITY_BYTES_MIN,
        corelane_ring::throughput::CAPACITY_BYTES_MAX,
    );
    assert!(of_bytes(min).is_ok() && of_bytes(max).is_ok());
    for bytes in [0, min / 2, 3 * min, 2 * max] {
        assert_eq!(of_bytes(bytes).unwrap_err().code(), "CL-0221", "{bytes}");
    }
    assert!(SLOTS.check().is_ok());
}
