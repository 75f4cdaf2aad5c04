//! The router thread: it serves, sleeps, wakes, obeys and ends. A wake-up or an answer that gets
//! lost makes these tests hang: the router's own sleep would last an hour.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use arc_swap::ArcSwap;
use corelane_router::{
    ClientId, Detached, Router, RouterConfig, RouterTotals, RoutingTable, SharedTable,
};
use corelane_transport::{Endpoint, LaneShape, Message, Priority, SendError, WaitPolicy};

use super::{attachment, envelope, pairing, receive_all, shape, table};

const HOUR: Duration = Duration::from_secs(3600);
/// A router that sleeps as soon as it finds nothing, and wakes only when it is woken.
const SLEEPY: WaitPolicy =
    WaitPolicy { spins: 0, yields: 0, sleep_max: HOUR, ..WaitPolicy::SHARED };

fn start(
    name: &str,
    table: RoutingTable,
) -> (Router, SharedTable, mpsc::Receiver<(ClientId, String)>) {
    let table: SharedTable = Arc::new(ArcSwap::from_pointee(table));
    let (report, reports) = mpsc::channel();
    let config = RouterConfig {
        name: name.to_owned(),
        cpus: None,
        wait: SLEEPY,
        table: table.clone(),
        on_corrupt: Box::new(move |client, reason| {
            report.send((client, reason)).expect("because the test waits for it");
        }),
    };
    (Router::start(config).expect("because threads are left"), table, reports)
}

/// Waits until the router of this name is in the kernel with nothing to do.
fn wait_until_asleep(name: &str) {
    let is_asleep = || {
        let tasks = std::fs::read_dir("/proc/self/task").expect("because this is Linux");
        tasks
            .filter_map(|task| {
                // Threads of other tests come and go.
                std::fs::read_to_string(task.ok()?.path().join("stat")).ok()
            })
            .any(|stat| stat.contains(&format!("({name})")) && stat.contains(") S "))
    };
    while !is_asleep() {
        thread::yield_now();
    }
}

fn send(endpoint: &mut Endpoint, from: u16, to: u16, number: u64) {
    loop {
        match endpoint.send(&envelope(from, to, Priority::Normal, number), b"") {
            Ok(()) => break endpoint.flush(),
            Err(SendError::Full { .. }) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sleeps until a message is there.
fn receive(endpoint: &mut Endpoint) -> u64 {
    let mut message = Message::default();
    while !endpoint.receive(&mut message).expect("because the router is honest") {
        endpoint.sleep(None, HOUR).expect("because the kernel can wait");
    }
    message.envelope().correlation
}

#[test]
fn a_sleeping_router_wakes_for_a_message_and_wakes_its_receiver() {
    let (router, ..) = start("rt-message", table(2));
    let ((mut zero, port_zero), (mut one, port_one)) = (attachment(), attachment());
    router.attach(ClientId(0), port_zero);
    router.attach(ClientId(1), port_one);
    for number in 0..100 {
        wait_until_asleep("rt-message");
        send(&mut zero, 0, 1, number);
        assert_eq!(receive(&mut one), number);
    }
}

#[test]
fn a_sleeping_router_wakes_for_a_command() {
    let (router, ..) = start("rt-command", table(1));
    for _ in 0..50 {
        wait_until_asleep("rt-command");
        router.attach(ClientId(0), attachment().1);
        wait_until_asleep("rt-command");
        assert_eq!(router.detach(ClientId(0)), Detached::default());
    }
    wait_until_asleep("rt-command");
    drop(router);
}

/// After `attach` nothing for the client is dropped, although nobody waits for the router.
#[test]
fn an_attached_client_is_served_at_once() {
    let (router, shared, _) = start("rt-attach", table(1));
    let (mut zero, port) = attachment();
    router.attach(ClientId(0), port);
    for client in 1..100 {
        // The table first: from the attachment on, the new client may send.
        shared.store(Arc::new(table(client + 1)));
        let (mut endpoint, port) = attachment();
        router.attach(ClientId(client), port);
        send(&mut endpoint, client, 0, client.into());
        assert_eq!(receive(&mut zero), u64::from(client));
        send(&mut zero, 0, client, 1_000);
        assert_eq!(receive(&mut endpoint), 1_000);
    }
    assert_eq!(router.stats().totals().dropped(), 0);
}

#[test]
fn clients_come_and_go_while_messages_flow() {
    const COUNT: u64 = 5_000;
    let (router, ..) = start("rt-flow", table(3));
    let ((mut zero, port_zero), (mut one, port_one)) = (attachment(), attachment());
    router.attach(ClientId(0), port_zero);
    router.attach(ClientId(1), port_one);
    let (mut guests_sent, mut undelivered) = (0, 0);
    let mut from_guest = 0;
    thread::scope(|scope| {
        scope.spawn(|| (0..COUNT).for_each(|number| send(&mut zero, 0, 1, number)));
        let receiver = scope.spawn(move || {
            let (mut expected, mut guests) = (0, 0);
            // The last message of all comes from the test, when every guest has left.
            loop {
                match receive(&mut one) {
                    u64::MAX => break,
                    number if number >= COUNT => guests += 1,
                    number => {
                        assert_eq!(number, expected);
                        expected += 1;
                    }
                }
            }
            while expected < COUNT {
                assert_eq!(receive(&mut one), expected);
                expected += 1;
            }
            guests
        });
        for guest in 0..50 {
            let (mut endpoint, port) = attachment();
            router.attach(ClientId(2), port);
            for number in 0..4 {
                send(&mut endpoint, 2, 1, COUNT + number);
                send(&mut endpoint, 2, 2, COUNT + number);
                guests_sent += 2;
            }
            if guest % 2 == 0 {
                receive_all(&mut endpoint);
            }
            drop(endpoint);
            undelivered += router.detach(ClientId(2)).undelivered;
        }
        let (mut last, port) = attachment();
        router.attach(ClientId(2), port);
        send(&mut last, 2, 1, u64::MAX);
        from_guest = receiver.join().expect("because it does not panic");
    });
    // RT-4: every guest's messages to another client arrived although it had left.
    assert_eq!(from_guest, 50 * 4);
    assert!(undelivered <= 50 * 4);
    router.detach(ClientId(0));
    let totals = router.stats().totals();
    assert_eq!(totals.forwarded + totals.dropped(), COUNT + guests_sent + 1);
    let only_dead = RouterTotals {
        forwarded: totals.forwarded,
        dropped_dead: totals.dropped_dead,
        ..RouterTotals::default()
    };
    assert_eq!(totals, only_dead, "only what guests sent to themselves can be dropped");
}

#[test]
fn a_corrupt_client_is_reported_and_the_others_go_on() {
    const LANES: usize = 512 / 8;
    let (router, _, reports) = start("rt-corrupt", table(3));
    let ((mut zero, port_zero), (mut one, port_one)) = (attachment(), attachment());
    router.attach(ClientId(0), port_zero);
    router.attach(ClientId(1), port_one);
    let (hostile, node) = pairing::sides(shape(), 1);
    hostile.own.store_release(LANES, 1 << 63 | 1);
    router.attach(ClientId(2), pairing::port(&node, shape(), 0));
    let (client, reason) = reports.recv().expect("because the router lives");
    assert_eq!(client, ClientId(2));
    assert!(reason.contains("position=0"), "{reason}");
    send(&mut zero, 0, 1, 7);
    assert_eq!(receive(&mut one), 7);
    send(&mut zero, 0, 2, 8);
    router.detach(ClientId(0));
    assert_eq!(router.stats().totals().dropped_dead, 1);
    assert!(reports.try_recv().is_err(), "it is reported once");
}

#[test]
fn lanes_of_many_clients_are_slept_on_at_once() {
    let clients = corelane_router::CLIENTS_MAX as u16;
    let (router, ..) = start("rt-many", table(clients));
    let shape = LaneShape::new(2, 1).expect("because the shape is valid");
    let mut endpoints: Vec<Endpoint> = (0..clients)
        .map(|client| {
            let (side, node) = pairing::sides(shape, 1);
            router.attach(ClientId(client), pairing::port(&node, shape, 0));
            pairing::endpoint(&side, shape, 1)
        })
        .collect();
    for from in 0..clients {
        let to = clients - 1 - from;
        wait_until_asleep("rt-many");
        send(&mut endpoints[from as usize], from, to, from.into());
        assert_eq!(receive(&mut endpoints[to as usize]), u64::from(from));
    }
}
