//! Clients that say nothing: they are limited, and keep no worker out.

use std::time::Duration;

use corelane_node::NodeEvent;
use corelane_router::ClientId;
use corelane_shm::fdpass::ChannelError;

use crate::connection::{Connection, hello};
use crate::hosted::{GOOD_WORKER, Hosted};

/// As the node has it for connections that are not attached.
const HANDSHAKES_MAX: usize = 64;

#[test]
fn silent_strangers_are_limited_and_keep_no_worker_out() {
    let hosted = Hosted::with_worker(GOOD_WORKER);
    hosted.assert_up(1);
    let silent: Vec<_> =
        (0..HANDSHAKES_MAX + 20).map(|_| Connection::open(&hosted.socket())).collect();
    for turned_away in &silent[HANDSHAKES_MAX..] {
        turned_away.assert_closed();
    }
    for waiting in &silent[..HANDSHAKES_MAX] {
        let next = waiting.0.recv(Some(Duration::ZERO));
        assert!(matches!(next, Err(ChannelError::TimedOut)), "{next:?}");
    }

    hosted.node.kill(ClientId(0));
    assert!(matches!(hosted.event(), NodeEvent::Down { .. }));
    hosted.assert_up(2);

    drop(silent);
    // As soon as the node has noticed that they are gone there is room again.
    let told = loop {
        let late = Connection::open(&hosted.socket());
        if late.0.send(hello().to_string().as_bytes(), &[], None).is_err() {
            continue;
        }
        match late.0.recv(None) {
            Ok(packet) => break String::from_utf8(packet.bytes).expect("it is JSON"),
            Err(error) => assert!(matches!(error, ChannelError::Closed), "{error}"),
        }
    };
    assert!(told.contains("not-expected"), "{told}");
    hosted.stop();
}
