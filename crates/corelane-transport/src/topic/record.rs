//! What a record of a topic looks like. Pure.
//!
//! ```text
//! [meta: length u32 | is loaned u32]      when messages are bytes of any length
//! [time: nanoseconds of the monotonic clock]                        on request
//! [hash: xxh3 of the payload]                                       on request
//! payload, padded to a word             or      chunk | length | generation
//! ```

use corelane_shm::slab::{ChunkRef, REF_WORDS};

use crate::exchange::message::LogOffer;

/// Largest message of a fixed size that lies in its record; larger ones lie in a slab.
pub const INLINE_BYTES_MAX: usize = 512;

const LOANED: u64 = 1 << 32;

/// Where the parts of a record lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes of every message, or none when they differ.
    pub(crate) message_bytes: Option<usize>,
    pub(crate) has_time: bool,
    pub(crate) has_hash: bool,
    /// Bytes of a payload that fit the record.
    pub(crate) inline_bytes: usize,
}

/// What a record says of its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// It lies in the record, from this word on.
    Inline { first: usize, bytes: usize },
    /// It lies in a slab.
    Loaned(ChunkRef),
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) time_ns: Option<u64>,
    pub(crate) hash: Option<u64>,
    pub(crate) body: Body,
}

impl Layout {
    /// The layout of messages of one size; `inline_bytes` is what fits a record of others.
    pub(crate) fn new(
        message_bytes: Option<usize>,
        inline_bytes: usize,
        has_time: bool,
        has_hash: bool,
    ) -> Self {
        let inline_bytes = match message_bytes {
            Some(bytes) if bytes <= INLINE_BYTES_MAX => bytes,
            Some(_) => 0,
            None => inline_bytes.max(REF_WORDS * 8),
        };
        Self { message_bytes, has_time, has_hash, inline_bytes }
    }

    /// The layout that a publisher told of, if it can be.
    pub(crate) fn of_offer(offer: &LogOffer) -> Option<Self> {
        let header = Self::new(offer.message_bytes, 0, offer.has_time, offer.has_hash);
        let words = offer.record_words.checked_sub(header.header_words())?;
        let layout = Self::new(offer.message_bytes, words * 8, offer.has_time, offer.has_hash);
        (layout.record_words() == offer.record_words).then_some(layout)
    }

    pub(crate) fn header_words(&self) -> usize {
        usize::from(self.message_bytes.is_none())
            + usize::from(self.has_time)
            + usize::from(self.has_hash)
    }

    /// Whether every message lies in the slab.
    pub(crate) fn is_always_loaned(&self) -> bool {
        self.message_bytes.is_some_and(|bytes| bytes > self.inline_bytes)
    }

    /// Words of a record.
    pub(crate) fn record_words(&self) -> usize {
        let body = if self.is_always_loaned() { REF_WORDS } else { self.inline_bytes.div_ceil(8) };
        self.header_words() + body.max(1)
    }

    /// Writes header and reference of a loaned payload; words written.
    pub(crate) fn put_loaned(
        &self,
        record: &mut [u64],
        reference: ChunkRef,
        time_ns: u64,
        hash: u64,
    ) -> usize {
        let first = self.put_header(record, LOANED, time_ns, hash);
        record[first..first + REF_WORDS].copy_from_slice(&reference.encode());
        first + REF_WORDS
    }

    /// Writes the header of a payload that follows in the record; where it follows.
    pub(crate) fn put_header(
        &self,
        record: &mut [u64],
        meta: u64,
        time_ns: u64,
        hash: u64,
    ) -> usize {
        let mut words = record.iter_mut();
        let parts =
            [(self.message_bytes.is_none(), meta), (self.has_time, time_ns), (self.has_hash, hash)];
        for (_, value) in parts.into_iter().filter(|(is_there, _)| *is_there) {
            *words.next().expect("because a record has room for its header") = value;
        }
        self.header_words()
    }

    /// Reads a record; none when it cannot be.
    pub(crate) fn parse(&self, record: &[u64]) -> Option<Parsed> {
        let mut words = record.iter().copied();
        let meta = if self.message_bytes.is_none() { words.next()? } else { 0 };
        let time_ns = if self.has_time { Some(words.next()?) } else { None };
        let hash = if self.has_hash { Some(words.next()?) } else { None };
        let first = self.header_words();
        let loaned = || {
            let words = record.get(first..)?.first_chunk::<REF_WORDS>()?;
            Some(Body::Loaned(ChunkRef::decode(*words)))
        };
        let body = match (self.message_bytes, meta) {
            (Some(_), _) if self.is_always_loaned() => loaned()?,
            (Some(bytes), _) => Body::Inline { first, bytes },
            (None, LOANED) => loaned()?,
            (None, bytes) if bytes <= self.inline_bytes as u64 => {
                Body::Inline { first, bytes: bytes as usize }
            }
            _ => return None,
        };
        Some(Parsed { time_ns, hash, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: ChunkRef = ChunkRef { extent: 3, index: 4, length: 5_000, generation: 6 };

    #[test]
    fn a_message_of_a_line_is_a_record_of_a_line() {
        let layout = Layout::new(Some(64), 0, false, false);
        assert_eq!((layout.header_words(), layout.record_words()), (0, 8));
        let parsed = layout.parse(&[0; 8]).unwrap();
        assert_eq!(parsed.body, Body::Inline { first: 0, bytes: 64 });
    }

    #[test]
    fn every_combination_is_read_as_it_was_written() {
        for message_bytes in [None, Some(24), Some(5_000)] {
            for (has_time, has_hash) in [(false, false), (true, false), (false, true), (true, true)]
            {
                let layout = Layout::new(message_bytes, 120, has_time, has_hash);
                let mut record = vec![0; layout.record_words()];
                let (time, hash) = (has_time.then_some(11), has_hash.then_some(12));
                if layout.is_always_loaned() || message_bytes.is_none() {
                    layout.put_loaned(&mut record, REFERENCE, 11, 12);
                    let body = Body::Loaned(REFERENCE);
                    let parsed = Parsed { time_ns: time, hash, body };
                    assert_eq!(layout.parse(&record), Some(parsed));
                }
                if !layout.is_always_loaned() {
                    let first = layout.put_header(&mut record, 24, 11, 12);
                    let body = Body::Inline { first, bytes: 24 };
                    let parsed = Parsed { time_ns: time, hash, body };
                    assert_eq!(layout.parse(&record), Some(parsed));
                }
                let offer = LogOffer {
                    slots: 4,
                    record_words: layout.record_words(),
                    seats_max: 1,
                    first_seat: 0,
                    has_time,
                    has_hash,
                    message_bytes,
                };
                assert_eq!(Layout::of_offer(&offer), Some(layout), "{offer:?}");
                let other = LogOffer { record_words: 0, ..offer };
                assert_eq!(Layout::of_offer(&other), None);
            }
        }
    }

    #[test]
    fn what_just_fits_lies_in_the_record() {
        let fixed = |bytes| Layout::new(Some(bytes), 0, false, false);
        assert_eq!((fixed(512).inline_bytes, fixed(512).record_words()), (512, 64));
        assert_eq!((fixed(513).inline_bytes, fixed(513).record_words()), (0, REF_WORDS));
        assert!(!fixed(512).is_always_loaned() && fixed(513).is_always_loaned());
        assert_eq!(fixed(0).record_words(), 1, "a message without bytes is one too");
        // Of those of any length it holds a reference at least.
        let any = |inline_bytes| Layout::new(None, inline_bytes, true, true);
        assert_eq!((any(0).inline_bytes, any(0).record_words()), (24, 6));
        assert_eq!((any(25).inline_bytes, any(25).record_words()), (25, 7));
        let mut record = vec![0; any(25).record_words()];
        record[0] = 25;
        let body = any(25).parse(&record).map(|parsed| parsed.body);
        assert_eq!(body, Some(Body::Inline { first: 3, bytes: 25 }));
        record[0] = 26;
        assert_eq!(any(25).parse(&record), None);
    }

    #[test]
    fn a_record_has_just_the_words_of_its_layout() {
        let offer = |message_bytes, record_words| LogOffer {
            slots: 4,
            record_words,
            seats_max: 1,
            first_seat: 0,
            has_time: true,
            has_hash: false,
            message_bytes,
        };
        for (message_bytes, words) in [(Some(24), 4), (Some(0), 2), (Some(5_000), 4), (None, 5)] {
            let told = Layout::of_offer(&offer(message_bytes, words)).map(|it| it.record_words());
            assert_eq!(told, Some(words), "{message_bytes:?}");
            assert_eq!(Layout::of_offer(&offer(message_bytes, words - 1)), None);
            if message_bytes.is_some() {
                assert_eq!(Layout::of_offer(&offer(message_bytes, words + 1)), None);
            }
        }
        // A reference that does not fit what there is of a record is none.
        let layout = Layout::new(Some(5_000), 0, true, false);
        let mut record = vec![0; layout.record_words()];
        assert_eq!(layout.put_loaned(&mut record, REFERENCE, 11, 12), 4);
        assert_eq!(layout.parse(&record).map(|it| it.body), Some(Body::Loaned(REFERENCE)));
        for words in 0..4 {
            assert_eq!(layout.parse(&record[..words]), None, "{words}");
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_none() {
        let layout = Layout::new(None, 120, false, false);
        let mut record = vec![0; layout.record_words()];
        for meta in [121, LOANED - 1, LOANED | 1, LOANED * 2, u64::MAX] {
            record[0] = meta;
            assert_eq!(layout.parse(&record), None, "{meta:#x}");
        }
        assert_eq!(layout.parse(&[]), None);
    }
}
