//! The lanes as client and router see them, over real sealed segments, in one process and in two.
//!
//! There is no router here: the tests hold the router's end themselves.

#[path = "../pairing/mod.rs"]
mod pairing;
#[path = "../../../corelane-shm/tests/peer/mod.rs"]
mod peer;

mod hostile;
mod order;
mod processes;
mod waking;

use corelane_transport::{
    AgentId, Endpoint, Envelope, HEADER_BYTES, HEADER_WORDS, LaneShape, Message, Port, Priority,
    RECORD_WORDS_MAX,
};

const RECEIVER: AgentId = AgentId(0);

/// A client and a single router between them.
fn pair(slots: usize, slot_lines: usize) -> (Endpoint, Port) {
    let shape = LaneShape::new(slots, slot_lines).expect("because the shape is valid");
    let (client, node) = pairing::sides(shape, 1);
    (pairing::endpoint(&client, shape, 1), pairing::port(&node, shape, 0))
}

/// An envelope that carries `number` where the tests find it again.
fn envelope(number: u64, priority: Priority) -> Envelope {
    Envelope { correlation: number, receiver: RECEIVER, priority, ..Envelope::default() }
}

/// Takes the next record out of a port's lane, as a router does.
fn take(port: &mut Port, priority: Priority) -> Option<(Envelope, Vec<u8>)> {
    let record = port.peek(priority).expect("because the client is honest")?;
    let mut words = [0; RECORD_WORDS_MAX];
    let length = record.length_bytes() as usize;
    record.read(0, &mut words[..length.div_ceil(8)]);
    record.consume();
    let header = words.first_chunk::<HEADER_WORDS>().expect("because a record has more words");
    let envelope = Envelope::decode(header, length as u32).expect("because it was encoded");
    let payload = words[HEADER_WORDS..].iter().flat_map(|word| word.to_le_bytes());
    Some((envelope, payload.take(length - HEADER_BYTES).collect()))
}

/// The numbers that the endpoint receives until nothing is left.
fn receive_all(endpoint: &mut Endpoint) -> Vec<u64> {
    let mut message = Message::default();
    let mut numbers = Vec::new();
    while endpoint.receive(&mut message).expect("because the router is honest") {
        numbers.push(message.envelope().correlation);
    }
    numbers
}
