//! Rings as a tap reads them, with any words in them and any that change meanwhile: no read stops,
//! a record is never longer than one can be, and a tap never goes back.
//!
//! An input is pairs of a place and a word, written one after the other, with a read behind each.
#![no_main]

use corelane_ring::tap::{LatencyTap, Start, TapError, ThroughputTap};
use corelane_ring::throughput::payload_bytes_max;
use corelane_ring::{HeapWords, Shape, WriteWords};
use libfuzzer_sys::fuzz_target;

const SLOTS: usize = 4;
const SLOT_WORDS: usize = 4;
const CAPACITY: usize = 256;

fuzz_target!(|data: &[u8]| {
    let [start, pairs @ ..] = data else { return };
    let start = if start % 2 == 0 { Start::First } else { Start::Tail };
    let words = HeapWords::new;
    let shape = Shape::new(SLOTS, SLOT_WORDS).expect("the shape is valid");
    let (slots, slots_intent) = (words(shape.data_words()), words(1));
    let latency = LatencyTap::new(shape, slots.clone(), slots_intent.clone(), start);
    let mut latency = latency.expect("the words fit");
    let (bytes, tail, intent) = (words(CAPACITY / 8), words(8), words(8));
    let throughput = ThroughputTap::new(bytes.clone(), tail.clone(), intent.clone(), start);
    let mut throughput = throughput.expect("the words fit");
    let mut record = Vec::new();
    let check = |read: Result<bool, TapError>, before: u64, after: u64| {
        assert!(before <= after);
        match read {
            Ok(is_read) => is_read,
            Err(TapError::Overrun { missed }) => {
                assert_eq!(before.checked_add(missed), Some(after));
                false
            }
            Err(_) => false,
        }
    };
    for pair in pairs.chunks_exact(9) {
        let value = u64::from_le_bytes(pair[1..].try_into().expect("eight bytes"));
        match usize::from(pair[0]) {
            255 => slots_intent.store_relaxed(0, value),
            254 => tail.store_relaxed(0, value),
            253 => intent.store_relaxed(0, value),
            place if place < 128 => slots.store_relaxed(place % shape.data_words(), value),
            place => bytes.store_relaxed(place % (CAPACITY / 8), value),
        }
        let before = latency.position();
        let read = latency.try_read(&mut record);
        if check(read, before, latency.position()) {
            assert!(record.len() <= shape.payload_words() * 8);
        }
        let before = throughput.position();
        let read = throughput.try_read(&mut record);
        if check(read, before, throughput.position()) {
            assert!(record.len() <= payload_bytes_max(CAPACITY));
        }
    }
});
