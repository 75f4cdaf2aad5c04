//! The end of a client and the start of its next generation (RT-4).

use corelane_router::{ClientId, Detached, RouterTotals, STALL_NS};
use corelane_transport::Priority;

use super::{Fabric, SLOTS, pairing, shape};

#[test]
fn what_a_dead_client_committed_arrives() {
    let mut fabric = Fabric::new(2);
    for priority in Priority::ALL {
        for number in 0..SLOTS as u64 {
            fabric.send(0, 1, priority, 10 * priority as u64 + number);
        }
    }
    fabric.kill(0);
    assert_eq!(fabric.detach(0), Detached { undelivered: 0 });
    let expected: Vec<u64> = (0..3).flat_map(|of| (0..4).map(move |n| 10 * of + n)).collect();
    assert_eq!(fabric.received(1), expected);
    assert_eq!(fabric.totals(), RouterTotals { forwarded: 12, ..RouterTotals::default() });
}

#[test]
fn what_a_dead_client_did_not_receive_is_told() {
    let mut fabric = Fabric::new(2);
    for number in 0..4 {
        fabric.send(1, 0, Priority::Normal, number);
    }
    fabric.send(1, 0, Priority::High, 4);
    assert_eq!(fabric.turn(), 5);
    assert_eq!(super::receive(fabric.client(0)).map(|envelope| envelope.correlation), Some(4));
    fabric.kill(0);
    assert_eq!(fabric.detach(0), Detached { undelivered: 4 });
    // They were forwarded, and RT-1 counts nothing twice.
    assert_eq!(fabric.totals(), RouterTotals { forwarded: 5, ..RouterTotals::default() });
    fabric.send(1, 0, Priority::Normal, 5);
    assert_eq!(fabric.turn(), 1);
    assert_eq!(fabric.totals().dropped_dead, 1);
    assert_eq!(fabric.detach(0), Detached::default());
}

/// No message waits for a receiver that is the dead client itself: nobody would make room.
#[test]
fn what_a_dead_client_sent_to_itself_is_dropped_at_once() {
    let mut fabric = Fabric::new(2);
    for number in 0..SLOTS as u64 {
        fabric.send(0, 0, Priority::Normal, number);
    }
    assert_eq!(fabric.turn(), SLOTS);
    fabric.send(0, 0, Priority::Normal, 10);
    fabric.send(0, 1, Priority::Normal, 11);
    fabric.kill(0);
    let before = fabric.now_ns.get();
    assert_eq!(fabric.detach(0), Detached { undelivered: SLOTS as u64 });
    assert_eq!(fabric.now_ns.get(), before, "it did not look how long anybody was full");
    assert_eq!(fabric.received(1), [11]);
    let expected = RouterTotals { forwarded: 5, dropped_dead: 1, ..RouterTotals::default() };
    assert_eq!(fabric.totals(), expected);
}

#[test]
fn detaching_ends_although_a_receiver_is_stalled() {
    let mut fabric = Fabric::new(2);
    for number in 0..SLOTS as u64 {
        fabric.send(0, 1, Priority::Normal, number);
    }
    assert_eq!(fabric.turn(), SLOTS);
    for number in 0..3 {
        fabric.send(0, 1, Priority::Normal, 10 + number);
    }
    fabric.kill(0);
    assert_eq!(fabric.detach(0), Detached::default());
    let expected = RouterTotals { forwarded: 4, dropped_stalled: 3, ..RouterTotals::default() };
    assert_eq!(fabric.totals(), expected);
    assert_eq!(fabric.received(1), [0, 1, 2, 3]);
}

/// While the last messages of one client wait for a receiver that stands still, those of all others
/// move.
#[test]
fn a_client_that_leaves_holds_nobody_else() {
    let mut fabric = Fabric::new(3);
    for number in 0..SLOTS as u64 {
        fabric.send(0, 1, Priority::Normal, number);
    }
    assert_eq!(fabric.turn(), SLOTS);
    fabric.send(0, 1, Priority::Normal, 10);
    fabric.kill(0);
    fabric.switch.leave(ClientId(0));
    for round in 0..5 {
        fabric.send(2, 2, Priority::Normal, round);
        assert_eq!(fabric.turn(), 1);
        assert_eq!(fabric.received(2), [round]);
        assert_eq!(fabric.switch.take_left(ClientId(0)), None, "its message still waits");
    }
    fabric.now_ns.set(STALL_NS);
    assert_eq!(fabric.turn(), 1);
    assert_eq!(fabric.switch.take_left(ClientId(0)), Some(Detached::default()));
    assert_eq!(fabric.totals().dropped_stalled, 1);
}

/// A guest that left may live and go on writing: what it commits from then on is not waited for.
#[test]
fn a_client_that_never_stops_sending_is_let_go() {
    let mut fabric = Fabric::new(2);
    fabric.switch.leave(ClientId(0));
    let mut sent = 0;
    let left = loop {
        while fabric.try_send(0, &super::envelope(0, 1, Priority::High, sent)).is_ok() {
            sent += 1;
        }
        if let Some(left) = fabric.switch.take_left(ClientId(0)) {
            break left;
        }
        fabric.turn();
        fabric.received(1);
    };
    assert_eq!(left, Detached::default());
    assert_eq!(fabric.totals().forwarded, SLOTS as u64);
}

#[test]
fn the_next_generation_starts_clean() {
    let mut fabric = Fabric::new(2);
    for generation in 0..3 {
        let first = 100 * generation;
        for number in 0..SLOTS as u64 {
            fabric.send(0, 1, Priority::Normal, first + number);
            fabric.send(1, 0, Priority::Normal, first + number);
        }
        fabric.kill(0);
        assert_eq!(fabric.detach(0), Detached::default());
        fabric.attach(0);
        // RT-4: everything of the old generation is in front of all of the new one.
        fabric.send(0, 1, Priority::High, first + 99);
        assert_eq!(fabric.received(1), [first, first + 1, first + 2, first + 3]);
        assert_eq!(fabric.turn(), 1 + SLOTS);
        assert_eq!(fabric.received(1), [first + 99]);
        assert_eq!(fabric.received(0), [first, first + 1, first + 2, first + 3]);
    }
    assert_eq!(fabric.totals().dropped(), 0);
}

/// A client that dies with nonsense in its lanes is not reported: the report would hit its next
/// generation.
#[test]
fn nonsense_of_a_dead_client_is_not_reported() {
    const LANES: usize = 512 / 8;
    let mut fabric = Fabric::new(1);
    let (client, node) = pairing::sides(shape(), 1);
    fabric.switch.attach(ClientId(0), pairing::port(&node, shape(), 0));
    let mut lanes = pairing::port(&client, shape(), 0);
    let good = super::envelope(0, 0, Priority::High, 1);
    lanes.send(&good, b"").expect("because there is room");
    client.own.store_release(LANES + 8, 99 << 32 | 2);
    drop(client);
    assert_eq!(fabric.detach(0), Detached::default());
    assert!(fabric.switch.take_corrupt().is_empty());
    assert_eq!(fabric.totals().dropped_dead, 1);
}

#[test]
fn detaching_a_client_that_never_was_changes_nothing() {
    let mut fabric = Fabric::new(1);
    assert_eq!(fabric.detach(7), Detached::default());
    assert_eq!(fabric.totals(), RouterTotals::default());
}
