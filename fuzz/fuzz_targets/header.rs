//! The header of a peer's segment: whatever its words and the size of its file are, what is
//! accepted lies within the file.
//!
//! An input is the eight words and the size of the file in bytes; what is missing is zero.
#![no_main]

use corelane_shm::{
    FileShape, HEADER_WORDS, SEGMENT_WORDS_MAX, SegmentExpect, SegmentInfo, check_header,
};
use libfuzzer_sys::fuzz_target;

const PAGE_BYTES: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let word = |index: usize| {
        let mut bytes = [0; 8];
        let there = data.get(index * 8..).unwrap_or_default();
        let count = there.len().min(8);
        bytes[..count].copy_from_slice(&there[..count]);
        u64::from_le_bytes(bytes)
    };
    let words: [u64; HEADER_WORDS] = std::array::from_fn(word);
    let file = FileShape {
        bytes: word(HEADER_WORDS),
        page_bytes: PAGE_BYTES,
        huge_page_bytes: 512 * PAGE_BYTES,
    };
    let (kind, layout_version, layout_hash) = (2, 3, 0x1234);
    for (min_words, max_words) in [(1, 512), (1, usize::MAX)] {
        let expect = SegmentExpect { kind, layout_version, layout_hash, min_words, max_words };
        let Ok((info, payload_words)) = check_header(&words, &expect, &file) else { continue };
        let generation = words[2];
        assert_eq!(info, SegmentInfo { kind, generation, layout_version, layout_hash });
        assert!((min_words..=max_words.min(SEGMENT_WORDS_MAX)).contains(&payload_words));
        assert!((PAGE_BYTES + payload_words * 8) as u64 <= file.bytes);
    }
});
