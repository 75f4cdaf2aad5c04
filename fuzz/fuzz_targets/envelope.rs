//! The envelope of a record: what is accepted is what its encoder writes.
//!
//! An input is the length of the record in four bytes and the words of its header.
#![no_main]

use corelane_transport::{Envelope, HEADER_BYTES, HEADER_WORDS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((length, rest)) = data.split_first_chunk::<4>() else { return };
    let (chunks, _) = rest.as_chunks::<8>();
    let word = |index: usize| chunks.get(index).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let words: [u64; HEADER_WORDS] = std::array::from_fn(word);
    let length = u32::from_le_bytes(*length);
    if let Ok(envelope) = Envelope::decode(&words, length) {
        assert_eq!(envelope.encode(), words);
        assert!(length as usize >= HEADER_BYTES);
    }
});
