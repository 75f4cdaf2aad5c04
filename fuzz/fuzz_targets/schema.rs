//! The JSON of a schema: what is accepted is written as it was read, has no difference from itself,
//! and decodes a message of its size.
#![no_main]

use corelane_transport::schema::Schema;
use libfuzzer_sys::fuzz_target;

const MESSAGE_BYTES_TRIED_MAX: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(schema) = Schema::from_json(text) else { return };
    let again = Schema::from_json(&schema.to_json()).expect("what was written can be read");
    assert_eq!(again, schema);
    assert_eq!(again.hash(), schema.hash());
    assert!(schema.differences(&again).is_empty());
    let size = schema.size().unwrap_or(data.len());
    if size <= MESSAGE_BYTES_TRIED_MAX {
        let message: Vec<u8> = data.iter().copied().cycle().take(size).collect();
        let decoded = schema.decode(&message).expect("the message has the right length");
        assert!(!decoded.to_json().is_empty() && !decoded.to_string().is_empty());
    }
});
