//! What one turn does with a record, rule by rule.

use corelane_router::{ClientId, RouterTotals, STALL_NS};
use corelane_transport::{Envelope, Flags, LaneShape, Message, Priority};

use super::{Fabric, SLOTS, agent, envelope, pairing, receive, shape};

fn totals(forwarded: u64) -> RouterTotals {
    RouterTotals { forwarded, ..RouterTotals::default() }
}

#[test]
fn messages_are_forwarded_whole_and_in_order() {
    let mut fabric = Fabric::new(3);
    let sent = Envelope {
        timestamp_ns: 17,
        feature: 9,
        flags: Flags::ASK,
        ..envelope(0, 1, Priority::Normal, 1)
    };
    fabric.try_send(0, &sent).expect("because there is room");
    fabric.send(0, 2, Priority::Normal, 2);
    fabric.send(0, 1, Priority::Normal, 3);
    fabric.send(2, 1, Priority::High, 4);
    assert_eq!(fabric.turn(), 4);
    assert_eq!(receive(fabric.client(1)).map(|envelope| envelope.correlation), Some(4));
    let mut message = Message::default();
    assert_eq!(fabric.client(1).receive(&mut message), Ok(true));
    assert_eq!((message.envelope(), message.payload()), (&sent, &b"payload"[..]));
    assert_eq!(fabric.received(1), [3]);
    assert_eq!(fabric.received(2), [2]);
    assert_eq!(fabric.turn(), 0);
    assert_eq!(fabric.totals(), totals(4));
}

#[test]
fn a_client_can_send_to_itself() {
    let mut fabric = Fabric::new(1);
    for number in 0..3 * SLOTS as u64 {
        fabric.send(0, 0, Priority::Low, number);
        assert_eq!(fabric.turn(), 1);
        assert_eq!(fabric.received(0), [number]);
    }
    assert_eq!(fabric.totals(), totals(3 * SLOTS as u64));
}

#[test]
fn what_has_no_receiver_is_dropped_and_counted() {
    let mut fabric = Fabric::new(2);
    // Client 2 has agents and was never attached, client 3 has none.
    fabric.table = super::table(3);
    fabric.send(0, 2, Priority::Normal, 1);
    fabric.send(0, 3, Priority::Normal, 2);
    fabric.send(0, 1, Priority::Normal, 3);
    assert_eq!(fabric.turn(), 3);
    assert_eq!(fabric.received(1), [3]);
    let expected = RouterTotals { dropped_dead: 1, dropped_unknown: 1, ..totals(1) };
    assert_eq!(fabric.totals(), expected);
    assert_eq!(fabric.totals().dropped(), 2);
}

/// RT-3: a client can send only under its own agents' addresses.
#[test]
fn a_borrowed_address_is_refused() {
    let mut fabric = Fabric::new(3);
    for sender in [agent(1), corelane_transport::AgentId(999)] {
        let spoofed = Envelope { sender, ..envelope(0, 2, Priority::Normal, 1) };
        fabric.try_send(0, &spoofed).expect("because there is room");
    }
    fabric.send(0, 2, Priority::Normal, 2);
    assert_eq!(fabric.turn(), 3);
    assert_eq!(fabric.received(2), [2]);
    assert_eq!(fabric.totals(), RouterTotals { malformed: 2, ..totals(1) });
}

#[test]
fn what_is_no_message_is_dropped_and_the_next_goes_on() {
    let mut fabric = Fabric::new(1);
    let (client, node) = pairing::sides(shape(), 1);
    // The client's own lanes, with the means to write anything into them.
    let mut lanes = pairing::port(&client, shape(), 0);
    fabric.switch.attach(ClientId(0), pairing::port(&node, shape(), 0));
    let good = envelope(0, 0, Priority::Normal, 1);
    let mut reserved = good.encode();
    reserved[3] = 1 << 63;
    lanes.forward(Priority::Normal, &good.encode()[..4], 32).expect("because there is room");
    lanes.forward(Priority::Normal, &reserved, 40).expect("because there is room");
    // An honest envelope in a lane of another priority.
    lanes.forward(Priority::High, &good.encode(), 40).expect("because there is room");
    lanes.send(&good, b"").expect("because there is room");
    assert_eq!(fabric.turn(), 4);
    assert_eq!(fabric.totals(), RouterTotals { malformed: 3, ..totals(1) });
    assert!(fabric.switch.take_corrupt().is_empty(), "a broken sender is not a broken lane");
}

#[test]
fn every_priority_moves_in_one_turn_and_low_a_little() {
    const LANE: usize = 64;
    let shape = LaneShape::new(LANE, 1).expect("because the shape is valid");
    let (client, node) = pairing::sides(shape, 1);
    let mut endpoint = pairing::endpoint(&client, shape, 1);
    let mut fabric = Fabric::new(1);
    fabric.switch.attach(ClientId(0), pairing::port(&node, shape, 0));
    for priority in Priority::ALL {
        for number in 0..LANE as u64 {
            let envelope = envelope(0, 0, priority, 100 * priority as u64 + number);
            endpoint.send(&envelope, b"").expect("because there is room");
        }
    }
    assert_eq!(fabric.turn(), LANE + LANE + 32);
    assert_eq!(fabric.turn(), 32);
    assert_eq!(fabric.totals(), totals(3 * LANE as u64));
}

/// Nonsense in the high lane is found before anything less urgent of that client is moved.
#[test]
fn the_most_urgent_lane_is_looked_at_first() {
    const LANES: usize = 512 / 8;
    let mut fabric = Fabric::new(2);
    let (client, node) = pairing::sides(shape(), 1);
    let mut endpoint = pairing::endpoint(&client, shape(), 1);
    fabric.switch.attach(ClientId(0), pairing::port(&node, shape(), 0));
    endpoint.send(&envelope(0, 1, Priority::Normal, 1), b"").expect("because there is room");
    endpoint.send(&envelope(0, 1, Priority::Low, 2), b"").expect("because there is room");
    client.own.store_release(LANES, 57 << 32 | 1);
    assert_eq!(fabric.turn(), 0);
    assert_eq!(fabric.switch.take_corrupt().len(), 1);
    assert_eq!(fabric.received(1), [0; 0]);
}

#[test]
fn a_full_receiver_holds_its_sender_and_nobody_else() {
    let mut fabric = Fabric::new(3);
    for number in 0..4 {
        fabric.send(0, 1, Priority::Normal, number);
    }
    assert_eq!(fabric.turn(), 4);
    fabric.send(0, 1, Priority::Normal, 4);
    fabric.send(0, 2, Priority::Normal, 5);
    fabric.send(0, 2, Priority::High, 6);
    fabric.send(2, 2, Priority::Normal, 7);
    // RT-2: what is held stays in front of what was sent after it.
    assert_eq!(fabric.turn(), 2);
    assert_eq!(fabric.turn(), 0);
    assert_eq!(fabric.received(2), [6, 7]);
    assert_eq!(fabric.received(1), [0, 1, 2, 3]);
    assert_eq!(fabric.turn(), 2);
    assert_eq!((fabric.received(1), fabric.received(2)), (vec![4], vec![5]));
    assert_eq!(fabric.totals(), totals(8));
}

#[test]
fn a_receiver_that_stays_full_is_dropped_to_until_it_makes_room() {
    let mut fabric = Fabric::new(2);
    for number in 0..4 {
        fabric.send(0, 1, Priority::Normal, number);
    }
    assert_eq!(fabric.turn(), 4);
    fabric.now_ns.set(100);
    fabric.send(0, 1, Priority::Normal, 4);
    fabric.send(0, 1, Priority::Normal, 5);
    assert_eq!(fabric.turn(), 0);
    fabric.now_ns.set(100 + STALL_NS - 1);
    assert_eq!(fabric.turn(), 0);
    fabric.now_ns.set(100 + STALL_NS);
    assert_eq!(fabric.turn(), 2);
    assert_eq!(fabric.totals(), RouterTotals { dropped_stalled: 2, ..totals(4) });
    // The other priorities of the same receiver are not stalled.
    fabric.send(0, 1, Priority::Low, 6);
    assert_eq!(fabric.turn(), 1);
    assert_eq!(fabric.received(1), [0, 1, 2, 3, 6]);
    // It made room: it is waited for as long as before.
    for number in 7..11 {
        fabric.send(0, 1, Priority::Normal, number);
    }
    assert_eq!(fabric.turn(), 4);
    fabric.send(0, 1, Priority::Normal, 11);
    assert_eq!(fabric.turn(), 0);
    assert_eq!(fabric.received(1), [7, 8, 9, 10]);
    assert_eq!(fabric.turn(), 1);
    assert_eq!(fabric.totals(), RouterTotals { dropped_stalled: 2, ..totals(10) });
}

#[test]
fn a_table_takes_effect_with_the_next_turn() {
    let mut fabric = Fabric::new(2);
    let whole = std::mem::replace(&mut fabric.table, super::table(1));
    fabric.send(0, 1, Priority::Normal, 1);
    assert_eq!(fabric.turn(), 1);
    fabric.table = whole;
    fabric.send(0, 1, Priority::Normal, 2);
    assert_eq!(fabric.turn(), 1);
    assert_eq!(fabric.received(1), [2]);
    assert_eq!(fabric.totals(), RouterTotals { dropped_unknown: 1, ..totals(1) });
}

/// A client that lies about its lanes is cut off, reported once, and nobody else is hurt (RB-5,
/// RB-6).
#[test]
fn lanes_with_nonsense_are_closed_and_reported() {
    const LANES: usize = 512 / 8;
    const CURSORS: usize = 128 / 8;
    const LINE_WORDS: usize = 8;
    let normal = Priority::Normal as usize;
    // As a sender: a length that no slot holds.
    let mut fabric = Fabric::new(3);
    let (client, node) = pairing::sides(shape(), 1);
    fabric.switch.attach(ClientId(0), pairing::port(&node, shape(), 0));
    client.own.store_release(LANES + normal * SLOTS * LINE_WORDS, 57 << 32 | 1);
    fabric.send(1, 2, Priority::Low, 1);
    assert_eq!(fabric.turn(), 1);
    let corrupt = fabric.switch.take_corrupt();
    assert_eq!(corrupt.len(), 1);
    assert_eq!(corrupt[0].0, ClientId(0));
    assert!(corrupt[0].1.contains("57 bytes"), "{}", corrupt[0].1);
    assert!(fabric.switch.take_corrupt().is_empty());
    assert_eq!(fabric.received(2), [1]);

    // As a receiver: a head that cannot be.
    let (client, node) = pairing::sides(shape(), 1);
    fabric.switch.attach(ClientId(0), pairing::port(&node, shape(), 0));
    for number in 0..4 {
        fabric.send(1, 0, Priority::Normal, number);
    }
    assert_eq!(fabric.turn(), 4);
    client.own.store_release(CURSORS + normal * LINE_WORDS, 5);
    fabric.send(1, 0, Priority::Normal, 4);
    fabric.send(1, 2, Priority::Normal, 5);
    assert_eq!(fabric.turn(), 2);
    assert_eq!(fabric.switch.take_corrupt().len(), 1);
    assert_eq!(fabric.received(2), [5]);
    assert_eq!(fabric.totals(), RouterTotals { dropped_dead: 1, ..totals(6) });

    // As both, towards itself.
    let (client, node) = pairing::sides(shape(), 1);
    let mut endpoint = pairing::endpoint(&client, shape(), 1);
    fabric.switch.attach(ClientId(0), pairing::port(&node, shape(), 0));
    for number in 0..4 {
        endpoint.send(&envelope(0, 0, Priority::Normal, number), b"").expect("because it fits");
    }
    assert_eq!(fabric.turn(), 4);
    client.own.store_release(CURSORS + normal * LINE_WORDS, 5);
    endpoint.send(&envelope(0, 0, Priority::Normal, 4), b"").expect("because it fits");
    // It counts as moved, so that the driver publishes the totals.
    assert_eq!(fabric.turn(), 1);
    assert_eq!(fabric.switch.take_corrupt().len(), 1);
    assert_eq!(fabric.totals(), RouterTotals { dropped_dead: 2, ..totals(10) });
}
