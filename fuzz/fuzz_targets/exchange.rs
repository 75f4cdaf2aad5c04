//! Packets at an exchange and over links, as each side reads them: no packet stops the reader, and
//! what was read can be written and read again.
#![no_main]

use corelane_transport::exchange::message::{
    ToExchange, ToParticipant, ToSink, ToSource, decode, encode,
};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn read<M: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) {
    if let Some(message) = decode::<M>(data) {
        assert!(decode::<M>(&encode(&message)).is_some(), "what was read can be written");
    }
}

fuzz_target!(|data: &[u8]| {
    read::<ToExchange>(data);
    read::<ToParticipant>(data);
    read::<ToSource>(data);
    read::<ToSink>(data);
});
