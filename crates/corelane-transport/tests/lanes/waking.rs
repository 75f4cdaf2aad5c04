//! Sleeping and waking (RB-7). A wake-up that is lost makes these tests hang: nothing else ends an
//! hour's sleep.

use std::{sync::mpsc, thread, time::Duration};

use corelane_shm::futex::{self, Waiter};
use corelane_transport::{Endpoint, LaneShape, Message, Port, Priority, sleep};
use rustix::thread::gettid;

use super::{envelope, pair, pairing, receive_all, take};

const HOUR: Duration = Duration::from_secs(3600);
/// Where the byte picture of the section puts the sleep word.
const SLEEP: usize = 0;

/// Whether a thread of this process waits in the kernel.
fn is_asleep(thread: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"));
    let stat = stat.expect("because the thread runs until it is joined");
    // The name before the state may hold anything but ends with the last parenthesis.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
}

/// An endpoint on a thread of its own that sleeps once and then receives everything; returns once
/// it is in the kernel.
fn sleeping<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    mut endpoint: Endpoint,
    also: Option<Waiter<'scope>>,
    is_announced: impl Fn() -> bool,
) -> thread::ScopedJoinHandle<'scope, Vec<u64>> {
    let (started, thread_id) = mpsc::channel();
    let sleeper = scope.spawn(move || {
        started.send(gettid().as_raw_nonzero().get()).expect("because the test waits for it");
        endpoint.sleep(also, HOUR).expect("because the kernel can wait on these words");
        receive_all(&mut endpoint)
    });
    let thread_id = thread_id.recv().expect("because the thread sends first");
    // Between the announcement and the wait the thread blocks nowhere.
    while !(is_announced() && is_asleep(thread_id)) {
        thread::yield_now();
    }
    sleeper
}

#[test]
fn a_bell_wakes_a_sleeping_endpoint_whichever_router_rings() {
    let shape = LaneShape::new(4, 1).expect("because the shape is valid");
    for router in 0..2 {
        let (client, node) = pairing::sides(shape, 2);
        let endpoint = pairing::endpoint(&client, shape, 2);
        let mut port = pairing::port(&node, shape, router);
        thread::scope(|scope| {
            let is_announced = || !node.peer.load_acquire(SLEEP).is_multiple_of(2);
            let sleeper = sleeping(scope, endpoint, None, is_announced);
            port.send(&envelope(5, Priority::Low), b"").expect("because there is room");
            port.flush();
            assert_eq!(sleeper.join().expect("because it does not panic"), [5]);
        });
    }
}

#[test]
fn another_word_wakes_a_sleeping_endpoint() {
    let shape = LaneShape::new(4, 1).expect("because the shape is valid");
    let (client, node) = pairing::sides(shape, 1);
    let endpoint = pairing::endpoint(&client, shape, 1);
    let control = pairing::create("corelane-test-control", 8).into_words();
    thread::scope(|scope| {
        let also = Waiter { words: &control, index: 3, expected: 0 };
        let is_announced = || !node.peer.load_acquire(SLEEP).is_multiple_of(2);
        let sleeper = sleeping(scope, endpoint, Some(also), is_announced);
        control.store_release(3, 1);
        futex::wake(&control, 3).expect("because the word is mapped");
        assert_eq!(sleeper.join().expect("because it does not panic"), [0; 0]);
    });
}

#[test]
fn nobody_sleeps_over_a_record_or_a_changed_word() {
    let (mut endpoint, mut port) = pair(4, 1);
    // Committed and not flushed: no bell has rung.
    port.send(&envelope(1, Priority::Low), b"").expect("because there is room");
    endpoint.sleep(None, HOUR).expect("because the kernel can wait on these words");
    assert_eq!(receive_all(&mut endpoint), [1]);
    let control = pairing::create("corelane-test-control", 8).into_words();
    control.store_release(0, 8);
    let also = Waiter { words: &control, index: 0, expected: 7 };
    endpoint.sleep(Some(also), HOUR).expect("because the kernel can wait on these words");
}

#[test]
fn a_sleep_ends_when_its_time_is_up() {
    let (mut endpoint, _port) = pair(4, 1);
    endpoint.sleep(None, Duration::from_millis(1)).expect("because the kernel can wait");
    assert_eq!(receive_all(&mut endpoint), [0; 0]);
}

/// Both sides sleep before every message, and every message is answered.
#[test]
fn no_wake_up_is_lost_in_a_game_of_ping_pong() {
    const ROUNDS: u64 = 2_000;
    let (mut endpoint, mut port) = pair(4, 1);
    thread::scope(|scope| {
        scope.spawn(move || {
            for round in 0..ROUNDS {
                let taken = loop {
                    if let Some(taken) = take(&mut port, Priority::Normal) {
                        break taken;
                    }
                    // tidy: sleep because it ends with the bell, not with time
                    sleep(&mut [&mut port], None, HOUR).expect("because the kernel can wait");
                };
                assert_eq!(taken.0.correlation, round);
                answer(&mut port, round);
            }
        });
        let mut message = Message::default();
        for round in 0..ROUNDS {
            let ping = envelope(round, Priority::Normal);
            endpoint.send(&ping, b"ping").expect("because there is room");
            while !endpoint.receive(&mut message).expect("because the router is honest") {
                // Flushes, so that the ping rings.
                endpoint.sleep(None, HOUR).expect("because the kernel can wait");
            }
            assert_eq!(message.envelope().correlation, round);
        }
    });
}

fn answer(port: &mut Port, round: u64) {
    port.send(&envelope(round, Priority::High), b"pong").expect("because there is room");
    port.flush();
}
