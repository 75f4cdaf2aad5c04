//! A peer that writes nonsense gets an error out of the other end, never a panic (RB-5, RB-6).

use corelane_ring::{ClaimError, PeekError};
use corelane_shm::WordsRw;
use corelane_transport::{
    LaneShape, Malformed, Message, Port, Priority, ReceiveError, SECTIONS_MAX, SendError,
};
use proptest::prelude::*;

use super::{envelope, pairing};

const SLOTS: usize = 4;
const LINE_WORDS: usize = 8;
/// Where the byte picture of the section puts things.
const CURSORS: usize = 128 / 8;
const LANES: usize = 512 / 8;

fn shape() -> LaneShape {
    LaneShape::new(SLOTS, 1).expect("because the shape is valid")
}

fn head(priority: Priority) -> usize {
    CURSORS + priority as usize * LINE_WORDS
}

fn commit_word(priority: Priority, slot: usize) -> usize {
    LANES + (priority as usize * SLOTS + slot) * LINE_WORDS
}

fn store(words: &WordsRw, index: usize, value: u64) {
    words.store_release(index, value);
}

#[test]
fn a_lying_head_is_an_error_at_both_ends() {
    let (client, node) = pairing::sides(shape(), 1);
    let mut endpoint = pairing::endpoint(&client, shape(), 1);
    let mut port = pairing::port(&node, shape(), 0);
    let envelope = envelope(1, Priority::Normal);
    for _ in 0..SLOTS {
        endpoint.send(&envelope, b"").expect("because there is room");
        port.send(&envelope, b"").expect("because there is room");
    }
    for lie in [5, u64::MAX] {
        let corrupt = ClaimError::CorruptHead { head: lie, low: 0, high: 4 };
        store(&node.own, head(Priority::Normal), lie);
        store(&client.own, head(Priority::Normal), lie);
        assert_eq!(port.send(&envelope, b"").as_ref(), Err(&corrupt));
        assert_eq!(port.forward(Priority::Normal, &[0; 5], 40).as_ref(), Err(&corrupt));
        assert_eq!(endpoint.send(&envelope, b""), Err(SendError::Peer(corrupt)));
        assert_eq!(port.undelivered(), 0, "nothing is known about a peer that lies");
    }
    // A head that goes back is a lie as well, once it was seen further on.
    store(&node.own, head(Priority::Normal), 2);
    endpoint.send(&envelope, b"").expect("because two slots are free");
    endpoint.send(&envelope, b"").expect("because two slots are free");
    store(&node.own, head(Priority::Normal), 1);
    let corrupt = ClaimError::CorruptHead { head: 1, low: 2, high: 6 };
    assert_eq!(endpoint.send(&envelope, b""), Err(SendError::Peer(corrupt)));
}

#[test]
fn a_lying_length_is_an_error_at_both_ends() {
    let (client, node) = pairing::sides(shape(), 1);
    let mut endpoint = pairing::endpoint(&client, shape(), 1);
    let mut port = pairing::port(&node, shape(), 0);
    for length in [57, u32::MAX] {
        let corrupt = PeekError::CorruptLength { position: 0, length, max: 56 };
        store(&node.own, commit_word(Priority::Low, 0), u64::from(length) << 32 | 1);
        store(&client.own, commit_word(Priority::Low, 0), u64::from(length) << 32 | 1);
        assert_eq!(port.peek(Priority::Low).map(|_| ()).as_ref(), Err(&corrupt));
        let received = endpoint.receive(&mut Message::default());
        assert_eq!(received, Err(ReceiveError::Peer(corrupt)));
    }
}

#[test]
fn a_record_that_is_no_message_is_passed_over() {
    let (client, node) = pairing::sides(shape(), 1);
    let mut endpoint = pairing::endpoint(&client, shape(), 1);
    let mut port = pairing::port(&node, shape(), 0);
    port.forward(Priority::Normal, &[1, 2], 16).expect("because there is room");
    port.forward(Priority::Normal, &[0, 0, 0, 1 << 63, 0], 40).expect("because there is room");
    port.send(&envelope(7, Priority::Normal), b"good").expect("because there is room");
    let mut message = Message::default();
    let refused = [Malformed::Short(16), Malformed::Flags(1 << 31)];
    for reason in refused {
        assert_eq!(endpoint.receive(&mut message), Err(ReceiveError::Malformed(reason)));
    }
    assert_eq!(endpoint.receive(&mut message), Ok(true));
    assert_eq!((message.envelope().correlation, message.payload()), (7, &b"good"[..]));
    assert_eq!(endpoint.receive(&mut message), Ok(false));
}

#[test]
fn segments_that_are_too_small_are_refused() {
    let (client, _node) = pairing::sides(shape(), 1);
    let beyond = Port::new(&client.own, &client.peer, shape(), 1).map(drop);
    assert!(beyond.is_err_and(|error| error.to_string().contains("section=1")));
    let none = std::panic::catch_unwind(|| pairing::endpoint(&client, shape(), SECTIONS_MAX + 1));
    assert!(none.is_err(), "the number of routers is checked in the handshake");
}

#[derive(Debug, Clone)]
enum Step {
    /// The hostile peer writes any of its words.
    Write(usize, u64),
    /// It commits what looks like a record.
    Commit(Priority, usize, u64),
    Send(Priority, usize),
    Receive,
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let words = shape().segment_words(1);
    let commit = (0u64..64, 0u64..8).prop_map(|(length, sequence)| length << 32 | sequence);
    let value = prop_oneof![any::<u64>(), 0u64..8, commit];
    let priority = || (0usize..3).prop_map(|index| Priority::ALL[index]);
    let step = prop_oneof![
        3 => (0..words, value.clone()).prop_map(|(index, value)| Step::Write(index, value)),
        3 => (priority(), 0..SLOTS, value)
            .prop_map(|(of, slot, word)| Step::Commit(of, slot, word)),
        4 => (priority(), 0usize..=16).prop_map(|(priority, bytes)| Step::Send(priority, bytes)),
        4 => Just(Step::Receive),
        1 => Just(Step::Flush),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a peer writes, and whenever: every call returns, with a message or an error that
    /// is within the limits.
    #[test]
    fn nonsense_never_panics(steps in steps()) {
        let (client, node) = pairing::sides(shape(), 1);
        let mut endpoint = pairing::endpoint(&client, shape(), 1);
        let mut message = Message::default();
        for step in steps {
            match step {
                Step::Write(index, value) => store(&node.own, index, value),
                Step::Commit(of, slot, word) => store(&node.own, commit_word(of, slot), word),
                Step::Send(priority, bytes) => {
                    let _ = endpoint.send(&envelope(1, priority), &[1; 16][..bytes]);
                }
                Step::Receive => {
                    if endpoint.receive(&mut message) == Ok(true) {
                        prop_assert!(message.payload().len() <= 16);
                    }
                }
                Step::Flush => endpoint.flush(),
            }
        }
    }
}
