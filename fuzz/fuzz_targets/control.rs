//! Packets of the control socket, as the node and as a client reads them: no packet stops the
//! reader, and what was read can be written and read again.
#![no_main]

use corelane_node::control::{ToClient, ToNode, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = decode::<ToNode>(data) {
        decode::<ToNode>(&encode(&message)).expect("what was read can be written");
    }
    if let Ok(message) = decode::<ToClient>(data) {
        decode::<ToClient>(&encode(&message)).expect("what was read can be written");
    }
});
