//! The adapter that lets the rings of `corelane-ring` run over words of a segment.
//!
//! It adds nothing: every method is the one of the same name.

use corelane_ring::{ReadWords, WriteWords};

use crate::{WordsRo, WordsRw};

impl ReadWords for WordsRo {
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn load_relaxed(&self, index: usize) -> u64 {
        self.load_relaxed(index)
    }

    #[inline]
    fn load_acquire(&self, index: usize) -> u64 {
        self.load_acquire(index)
    }

    #[inline]
    fn read(&self, first: usize, out: &mut [u64]) {
        self.read(first, out);
    }
}

impl ReadWords for WordsRw {
    fn len(&self) -> usize {
        WordsRo::len(self)
    }

    #[inline]
    fn load_relaxed(&self, index: usize) -> u64 {
        WordsRo::load_relaxed(self, index)
    }

    #[inline]
    fn load_acquire(&self, index: usize) -> u64 {
        WordsRo::load_acquire(self, index)
    }

    #[inline]
    fn read(&self, first: usize, out: &mut [u64]) {
        WordsRo::read(self, first, out);
    }
}

impl WriteWords for WordsRw {
    #[inline]
    fn store_relaxed(&self, index: usize, value: u64) {
        self.store_relaxed(index, value);
    }

    #[inline]
    fn store_release(&self, index: usize, value: u64) {
        self.store_release(index, value);
    }

    #[inline(always)]
    fn write_soon(&self, index: usize) {
        self.write_soon(index);
    }

    #[inline]
    fn write(&self, first: usize, words: &[u64]) {
        self.write(first, words);
    }
}

#[cfg(test)]
mod tests {
    use corelane_ring::{Shape, latency};

    use crate::{OwnedSegment, PeerSegment, SegmentExpect, SegmentInfo};

    /// A ring whose two ends own a segment each, and see the other's read-only.
    #[test]
    fn a_ring_runs_over_two_segments() {
        let shape = Shape::new(4, 8).expect("because the shape is valid");
        let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
        let segment = |words| {
            let owned = OwnedSegment::create("corelane-test-ring", words, info).unwrap();
            let expect = SegmentExpect {
                kind: 1,
                layout_version: 1,
                layout_hash: 1,
                min_words: words,
                max_words: words,
            };
            let peer = PeerSegment::open(owned.fd().try_clone_to_owned().unwrap(), &expect);
            (owned.into_words(), peer.unwrap().words().clone())
        };
        let (data_rw, data_ro) = segment(shape.data_words());
        let (cursor_rw, cursor_ro) = segment(latency::CURSOR_WORDS);
        let mut producer = latency::Producer::new(shape, data_rw, cursor_ro).unwrap();
        let mut consumer = latency::Consumer::new(shape, data_ro, cursor_rw).unwrap();
        for round in 0..20 {
            let mut claim = producer.claim().unwrap();
            claim.write(0, &[round, !round]);
            claim.commit(16);
            let record = consumer.peek().unwrap().expect("because it was committed");
            let mut words = [0; 2];
            record.read(0, &mut words);
            assert_eq!(words, [round, !round]);
            record.consume();
        }
    }
}
