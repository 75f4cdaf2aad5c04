//! What arrives, and in which order: priorities, routers, sizes, limits.

use corelane_transport::{LaneShape, Message, Priority, SendError};

use super::{envelope, pair, pairing, receive_all, take};

#[test]
fn every_priority_keeps_its_order_both_ways() {
    let (mut endpoint, mut port) = pair(16, 1);
    for number in 0..10 {
        for priority in Priority::ALL {
            endpoint.send(&envelope(number, priority), b"out").expect("because there is room");
            port.send(&envelope(number, priority), b"in").expect("because there is room");
        }
    }
    for priority in Priority::ALL {
        for number in 0..10 {
            let expected = (envelope(number, priority), b"out".to_vec());
            assert_eq!(take(&mut port, priority), Some(expected));
        }
        assert_eq!(take(&mut port, priority), None);
    }
    // Thirty messages are fewer than what lets the low priority go first.
    let expected: Vec<u64> = (0..30).map(|index| index % 10).collect();
    assert_eq!(receive_all(&mut endpoint), expected);
}

#[test]
fn high_overtakes_normal_that_is_queued() {
    let (mut endpoint, mut port) = pair(16, 1);
    for number in 0..4 {
        port.send(&envelope(number, Priority::Normal), b"").expect("because there is room");
    }
    port.send(&envelope(100, Priority::Low), b"").expect("because there is room");
    port.send(&envelope(200, Priority::High), b"").expect("because there is room");
    assert_eq!(receive_all(&mut endpoint), [200, 0, 1, 2, 3, 100]);
}

#[test]
fn low_moves_while_normal_never_ends() {
    let (mut endpoint, mut port) = pair(128, 1);
    for number in 0..100 {
        port.send(&envelope(number, Priority::Normal), b"").expect("because there is room");
    }
    for number in 200..202 {
        port.send(&envelope(number, Priority::Low), b"").expect("because there is room");
    }
    let numbers = receive_all(&mut endpoint);
    assert_eq!(numbers.len(), 102);
    assert_eq!(numbers.iter().position(|&number| number == 200), Some(32));
    assert_eq!(numbers.iter().position(|&number| number == 201), Some(65));
}

#[test]
fn normal_and_low_move_while_high_never_ends() {
    let (mut endpoint, mut port) = pair(128, 1);
    for number in 0..100 {
        port.send(&envelope(number, Priority::High), b"").expect("because there is room");
    }
    port.send(&envelope(200, Priority::Normal), b"").expect("because there is room");
    port.send(&envelope(300, Priority::Low), b"").expect("because there is room");
    let numbers = receive_all(&mut endpoint);
    assert_eq!(numbers.len(), 102);
    assert_eq!(numbers.iter().position(|&number| number == 200), Some(16));
    assert_eq!(numbers.iter().position(|&number| number == 300), Some(32));
}

#[test]
fn routers_take_turns() {
    let shape = LaneShape::new(16, 1).expect("because the shape is valid");
    let (client, node) = pairing::sides(shape, 3);
    let mut endpoint = pairing::endpoint(&client, shape, 3);
    for router in 0..3 {
        let mut port = pairing::port(&node, shape, router);
        for number in 0..16 {
            let number = 100 * router as u64 + number;
            port.send(&envelope(number, Priority::Normal), b"").expect("because there is room");
        }
    }
    // None waits for another one's lane to run dry, and each keeps its order.
    let expected: Vec<u64> = (0..48).map(|index| 100 * (index % 3) + index / 3).collect();
    assert_eq!(receive_all(&mut endpoint), expected);
}

#[test]
fn one_receiver_is_reached_through_one_router() {
    let shape = LaneShape::new(16, 1).expect("because the shape is valid");
    let (client, node) = pairing::sides(shape, 2);
    let mut endpoint = pairing::endpoint(&client, shape, 2);
    for number in 0..8 {
        let mut envelope = envelope(number, Priority::Normal);
        envelope.receiver.0 = number as u32 % 4;
        endpoint.send(&envelope, b"").expect("because there is room");
    }
    for router in 0..2 {
        let mut port = pairing::port(&node, shape, router);
        let taken = std::iter::from_fn(|| take(&mut port, Priority::Normal));
        let numbers: Vec<u64> = taken.map(|(envelope, _)| envelope.correlation).collect();
        let first = router as u64;
        assert_eq!(numbers, [first, first + 2, first + 4, first + 6]);
    }
}

/// Every length that fits, both ways: what the slot held before never shows.
#[test]
fn payloads_of_every_size_arrive_whole() {
    for slot_lines in [1, 2, 4, 16] {
        let (mut endpoint, mut port) = pair(2, slot_lines);
        let max = endpoint.shape().payload_bytes_max();
        assert_eq!(max, slot_lines * 64 - 48);
        let mut message = Message::default();
        for length in (0..=max).rev().chain(0..=max) {
            let payload: Vec<u8> = (0..length).map(|index| (index * 7 + length) as u8).collect();
            let envelope = envelope(length as u64, Priority::Normal);
            endpoint.send(&envelope, &payload).expect("because there is room");
            assert_eq!(take(&mut port, Priority::Normal), Some((envelope, payload.clone())));
            port.send(&envelope, &payload).expect("because there is room");
            assert_eq!(endpoint.receive(&mut message), Ok(true));
            assert_eq!((message.envelope(), message.payload()), (&envelope, &payload[..]));
            endpoint.flush();
            port.flush();
        }
    }
}

#[test]
fn a_record_is_forwarded_as_it_is() {
    let (mut endpoint, mut port) = pair(4, 2);
    let sent = envelope(7, Priority::Low);
    let mut words = sent.encode().to_vec();
    words.push(u64::from_le_bytes(*b"payload."));
    port.forward(Priority::Low, &words, 47).expect("because there is room");
    let mut message = Message::default();
    assert_eq!(endpoint.receive(&mut message), Ok(true));
    assert_eq!((message.envelope(), message.payload()), (&sent, &b"payload"[..]));
}

#[test]
fn a_payload_that_is_too_long_is_refused_and_nothing_is_sent() {
    let (mut endpoint, mut port) = pair(4, 1);
    let refused = endpoint.send(&envelope(1, Priority::Normal), &[0; 17]);
    assert_eq!(refused, Err(SendError::TooLong { bytes: 17, max: 16 }));
    assert_eq!(take(&mut port, Priority::Normal), None);
}

#[test]
fn a_full_lane_refuses_and_the_others_go_on() {
    let (mut endpoint, mut port) = pair(4, 1);
    for number in 0..4 {
        endpoint.send(&envelope(number, Priority::Low), b"").expect("because there is room");
    }
    let full = SendError::Full { priority: Priority::Low, slots: 4 };
    assert_eq!(endpoint.send(&envelope(4, Priority::Low), b""), Err(full));
    assert_eq!(endpoint.send(&envelope(9, Priority::High), b""), Ok(()));
    let number = |taken: Option<(_, Vec<u8>)>| {
        let (envelope, _): (corelane_transport::Envelope, _) = taken?;
        Some(envelope.correlation)
    };
    assert_eq!(number(take(&mut port, Priority::High)), Some(9));
    assert_eq!(number(take(&mut port, Priority::Low)), Some(0));
    port.flush();
    assert_eq!(endpoint.send(&envelope(4, Priority::Low), b""), Ok(()));
    for expected in 1..5 {
        assert_eq!(number(take(&mut port, Priority::Low)), Some(expected));
    }
    assert_eq!(number(take(&mut port, Priority::Low)), None);
}

#[test]
fn what_the_peer_did_not_take_is_counted() {
    let (mut endpoint, mut port) = pair(4, 1);
    for priority in [Priority::High, Priority::Normal, Priority::Normal] {
        port.send(&envelope(0, priority), b"").expect("because there is room");
    }
    assert_eq!(port.undelivered(), 3);
    assert_eq!(endpoint.receive(&mut Message::default()), Ok(true));
    endpoint.flush();
    assert_eq!(port.undelivered(), 2);
}
