//! The text of a filter: what is accepted is read again as it is printed, and judges every message.
#![no_main]

use std::sync::LazyLock;

use corelane_transport::schema::{Filter, Schema};
use libfuzzer_sys::fuzz_target;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let text = r#"{"format":1,"struct":{"name":"a","size":24,"alignment":8,"fields":[
        {"name":"a","offset":0,"size":8,"type":"f64"},
        {"name":"b","offset":8,"size":4,"type":"f32"},
        {"name":"c","offset":12,"size":4,"type":{"array":{"of":"i16","length":2}}},
        {"name":"d","offset":16,"size":8,"type":{"struct":{"name":"d","size":8,"alignment":8,
            "fields":[{"name":"e","offset":0,"size":8,"type":"u64"}]}}}]}}"#;
    Schema::from_json(text).expect("the schema is one")
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(filter) = Filter::parse(text) else { return };
    let printed = filter.to_string();
    // What is printed has spaces and decimal digits, so that it can be longer than a text may be.
    if printed.len() <= 4096 {
        assert_eq!(Filter::parse(&printed).expect("what is printed can be read"), filter);
    }
    if let Ok(bound) = filter.bind(&SCHEMA) {
        let message: Vec<u8> = data.iter().copied().cycle().take(24).collect();
        let is_match = bound.matches(&message).expect("the message has the right length");
        let not = Filter::parse(&format!("!({text})"));
        if let Ok(not) = not {
            let not = not.bind(&SCHEMA).expect("the fields are the same");
            assert_eq!(not.matches(&message), Ok(!is_match));
        }
    }
});
