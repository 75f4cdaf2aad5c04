//! Tests of the slab with its readers in the same process, over mappings of their own.

use proptest::prelude::*;

use super::*;
use crate::{OwnedSegment, SegmentInfo, SegmentOptions, WordsRo, WordsRw};

const MIB: usize = 1 << 20;

fn hold_words(count: usize) -> WordsRw {
    let info = SegmentInfo { kind: 1, generation: 1, layout_version: 1, layout_hash: 1 };
    OwnedSegment::create("corelane-test-holds", count, info).unwrap().into_words()
}

fn trusted() -> Trusted {
    Trusted::of_a_test()
}

/// A slab and a reader that is given every extent.
struct Pair {
    slab: Slab,
    reader: SlabReader,
    holds: Holds,
    hold_words: WordsRw,
    position: u64,
}

impl Pair {
    fn new(limit_bytes: usize) -> Self {
        let hold_words = hold_words(4);
        let holds = Holds::new(hold_words.clone());
        let slab = Slab::new(limit_bytes, 1, SegmentOptions::default());
        Self { slab, reader: SlabReader::new(), holds, hold_words, position: 0 }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), LoanError> {
        let extent = self.slab.grow(bytes)?;
        let fd = extent.fd.try_clone_to_owned().unwrap();
        self.reader.add(extent.number, extent.shape, fd).unwrap();
        Ok(())
    }

    /// Lends, growing when every chunk is in use.
    fn lend(&mut self, bytes: usize) -> Chunk {
        if let Some(chunk) = self.slab.lend(bytes).unwrap() {
            return chunk;
        }
        self.grow(bytes).unwrap();
        self.slab.lend(bytes).unwrap().expect("because the slab grew")
    }

    fn publish(&mut self, payload: &[u8]) -> ChunkRef {
        let mut chunk = self.lend(payload.len());
        chunk.copy_from_slice(payload);
        let reference = chunk.reference();
        self.slab.published(chunk, self.position);
        self.position += 1;
        reference
    }

    fn reclaim(&mut self, bytes: usize, over: u64) {
        let holders: [&WordsRo; 1] = [&self.hold_words];
        self.slab.reclaim(bytes, over, holders.into_iter());
    }
}

#[test]
fn a_payload_is_copied_and_held_and_its_chunk_used_again() {
    let mut pair = Pair::new(MIB);
    let payload: Vec<u8> = (0..5000).map(|index| index as u8).collect();
    let reference = pair.publish(&payload);
    assert_eq!(ChunkRef::decode(reference.encode()), reference);
    let mut copy = Vec::new();
    pair.reader.copy_to_vec(reference, &mut copy).unwrap();
    assert_eq!(copy, payload);
    let held = pair.reader.hold(reference, &pair.holds, trusted()).unwrap();
    assert_eq!(&*held, &payload[..]);

    // Its position is over, but it is held.
    let free = pair.slab.counts().free;
    pair.reclaim(5000, 1);
    assert_eq!(pair.slab.counts().free, free);
    assert_eq!(&*held, &payload[..], "a held payload stays");
    // Whoever comes now comes too late, by either way.
    assert!(matches!(pair.reader.copy_to_vec(reference, &mut copy), Err(ReadError::Overrun)));
    let late = pair.reader.hold(reference, &pair.holds, trusted());
    assert!(matches!(late, Err(ReadError::Overrun)), "{late:?}");
    drop(held);
    pair.reclaim(5000, 1);
    assert_eq!(pair.slab.counts().free, free + 1);
    assert_eq!(pair.slab.counts().published, 0);
    let again = pair.publish(&payload[1..]);
    assert_eq!(
        again,
        ChunkRef { length: 4_999, generation: reference.generation + 1, ..reference }
    );
    pair.reader.copy_to_vec(again, &mut copy).unwrap();
    assert_eq!(copy, payload[1..]);
}

#[test]
fn a_chunk_that_was_not_published_comes_back() {
    let mut pair = Pair::new(MIB);
    let chunk = pair.lend(600);
    let free = pair.slab.counts().free;
    drop(chunk);
    assert_eq!(pair.slab.counts().free, free + 1);
    let mut chunk = pair.lend(600);
    assert_eq!(chunk.len(), 600);
    chunk.truncate(7);
    assert_eq!((chunk.len(), chunk.reference().length), (7, 7));
}

#[test]
fn the_slab_grows_by_need_and_to_its_limit() {
    let mut pair = Pair::new(4 * MIB);
    assert_eq!(pair.slab.counts(), SlabCounts::default(), "nothing is there before it is needed");
    let mut chunks = Vec::new();
    for _ in 0..4 {
        chunks.push(pair.lend(MIB));
    }
    let refused = pair.grow(MIB).unwrap_err();
    assert!(matches!(refused, LoanError::Exhausted { used, .. } if used == 4 * MIB), "{refused}");
    assert_eq!(refused.code(), "CL-0379");
    let refused = pair.slab.lend(PAYLOAD_BYTES_MAX + 1).unwrap_err();
    assert_eq!(refused.code(), "CL-0378");
    chunks.pop();
    assert!(pair.slab.lend(MIB).unwrap().is_some());
}

#[test]
fn an_extent_that_nobody_was_given_is_taken_back() {
    let mut pair = Pair::new(MIB);
    pair.publish(&[1; 600]);
    let before = pair.slab.counts();
    for _ in 0..2 {
        let extent = pair.slab.grow(600).unwrap();
        assert_eq!((extent.number, extent.shape.chunks), (1, 409), "the second of its size");
        pair.slab.undo_growth(600);
        assert_eq!(pair.slab.counts(), before);
    }
    let reference = pair.publish(&[2; 9_000]);
    assert_eq!(reference.extent, 1, "its number is given to the next one");
    let mut copy = Vec::new();
    pair.reader.copy_to_vec(reference, &mut copy).unwrap();
    assert_eq!(copy, [2; 9_000]);
}

#[test]
fn what_is_wanted_back_is_a_quarter_oldest_first() {
    let mut pair = Pair::new(MIB);
    assert_eq!(pair.slab.wanted(600), None);
    for _ in 0..8 {
        pair.publish(&[1; 600]);
    }
    assert_eq!(pair.slab.wanted(600), Some(2));
    assert_eq!(pair.slab.wanted(60_000), None, "another size");
    pair.reclaim(600, 2);
    assert_eq!(pair.slab.counts().published, 6);
}

#[test]
fn references_that_cannot_be_are_refused() {
    let mut pair = Pair::new(MIB);
    let good = pair.publish(&[7; 600]);
    let mut out = [0; 600];
    let refused = |reference| pair.reader.copy(reference, &mut [0; 4096]).unwrap_err();
    for (reference, code) in [
        (ChunkRef { extent: 1, ..good }, "CL-0373"),
        (ChunkRef { extent: u32::MAX, ..good }, "CL-0373"),
        (ChunkRef { index: u32::MAX, ..good }, "CL-0374"),
        (ChunkRef { length: u64::MAX, ..good }, "CL-0374"),
        (ChunkRef { length: 641, ..good }, "CL-0374"),
        (ChunkRef { generation: good.generation + 1, ..good }, "CL-0372"),
    ] {
        let refusal = refused(reference);
        assert_eq!(refusal.code(), code, "{reference:?}");
        assert_eq!(refusal.is_corrupt(), code != "CL-0372");
    }
    let refusal = pair.reader.copy(good, &mut out[..599]).unwrap_err();
    assert_eq!(refusal.code(), "CL-0376");
    assert_eq!(pair.reader.copy(good, &mut out).unwrap(), 600);
}

#[test]
fn a_reference_is_three_words_and_marks_its_own_chunk() {
    let reference = ChunkRef { extent: 3, index: 4, length: 5, generation: 6 };
    assert_eq!(reference.encode(), [3 << 32 | 4, 5, 6]);
    let last = ChunkRef { extent: u32::MAX - 1, index: u32::MAX, length: 0, generation: 1 };
    for reference in [reference, last, ChunkRef { index: 0, ..last }] {
        assert_eq!(ChunkRef::decode(reference.encode()), reference);
        assert_ne!(reference.mark(), 0, "zero is no mark");
    }
    assert_eq!(reference.mark(), (3 << 32 | 4) + 1);
}

#[test]
fn a_hold_keeps_one_chunk_of_one_extent() {
    let mut pair = Pair::new(MIB);
    // One chunk in each of two extents, and a second one in the first.
    let of_size = |pair: &mut Pair, bytes| pair.publish(&vec![bytes as u8; bytes]);
    let (one, other) = (of_size(&mut pair, 600), of_size(&mut pair, 600));
    let far = of_size(&mut pair, 9_000);
    assert_eq!((one.extent, other.extent, far.extent), (0, 0, 1));
    assert_eq!((one.index, other.index, far.index), (0, 1, 0));
    let free = pair.slab.counts().free;
    let held = pair.reader.hold(far, &pair.holds, trusted()).unwrap();
    pair.reclaim(600, 3);
    assert_eq!(pair.slab.counts().free, free + 2, "they have the same numbers in another extent");
    pair.reclaim(9_000, 3);
    assert_eq!((pair.slab.counts().free, pair.slab.counts().published), (free + 2, 1));
    assert_eq!(pair.slab.wanted(9_000), Some(0), "what is held is looked at again");
    drop(held);
    pair.reclaim(9_000, 3);
    assert_eq!((pair.slab.counts().free, pair.slab.wanted(9_000)), (free + 3, None));

    let (kept, gone) = (of_size(&mut pair, 600), of_size(&mut pair, 600));
    let held = pair.reader.hold(kept, &pair.holds, trusted()).unwrap();
    pair.reclaim(600, 5);
    assert_eq!(pair.slab.counts().published, 1, "{kept:?} is held and {gone:?} is not");
    drop(held);
}

#[test]
fn a_payload_may_fill_its_chunk() {
    let mut pair = Pair::new(MIB);
    for bytes in [0, 1, 512, 640] {
        let payload = vec![7; bytes];
        let reference = pair.publish(&payload);
        let mut copy = vec![1; 3];
        pair.reader.copy_to_vec(reference, &mut copy).unwrap();
        assert_eq!(copy, payload);
        let held = pair.reader.hold(reference, &pair.holds, trusted()).unwrap();
        assert_eq!(&*held, &payload[..]);
    }
    assert_eq!(pair.reader.extents(), 2);
    assert!(pair.slab.lend(PAYLOAD_BYTES_MAX).unwrap().is_none(), "there could be such a chunk");
}

#[test]
fn every_byte_and_every_chunk_of_a_slab_is_counted() {
    let mut pair = Pair::new(200_000);
    pair.grow(600).unwrap();
    let counts = SlabCounts { bytes: 204 * 640, extents: 1, chunks: 204, free: 204, published: 0 };
    assert_eq!(pair.slab.counts(), counts);
    let chunk = pair.lend(600);
    pair.publish(&[1; 600]);
    assert_eq!(pair.slab.counts(), SlabCounts { free: 202, published: 1, ..counts });
    drop(chunk);
    assert_eq!(pair.slab.counts(), SlabCounts { free: 203, published: 1, ..counts });
    // What is left of the limit makes a smaller extent, and what is left then none.
    pair.grow(600).unwrap();
    let bytes = 312 * 640;
    let counts = SlabCounts { bytes, extents: 2, chunks: 312, free: 311, published: 1 };
    assert_eq!(pair.slab.counts(), counts);
    let refused = pair.grow(600).unwrap_err();
    assert!(matches!(refused, LoanError::Exhausted { used: 199_680, limit: 200_000, .. }));
    let numbers: Vec<_> = pair.slab.extents().map(|it| (it.number, it.shape.chunks)).collect();
    assert_eq!(numbers, [(0, 204), (1, 108)]);
}

#[test]
fn holds_are_bounded() {
    let mut pair = Pair::new(MIB);
    let reference = pair.publish(&[7; 600]);
    let hold = |pair: &Pair| pair.reader.hold(reference, &pair.holds, trusted());
    let held: Vec<_> = (0..4).map(|_| hold(&pair).unwrap()).collect();
    assert_eq!(hold(&pair).unwrap_err().code(), "CL-0375");
    assert_eq!(pair.holds.count(), 4);
    drop(held);
    for _ in 0..2 {
        let held: Vec<_> = (0..4).map(|_| hold(&pair).unwrap()).collect();
        assert_eq!(held.len(), 4, "every one of them comes back");
    }
    let many = Holds::new(hold_words(HOLDS_MAX + 1));
    assert_eq!(many.count(), HOLDS_MAX);
    let none = Holds::new(hold_words(1).window(0, 0).unwrap());
    let refused = pair.reader.hold(reference, &none, trusted()).unwrap_err();
    assert!(matches!(refused, ReadError::NoHold { max: 0 }));
}

#[test]
fn extents_that_cannot_be_are_refused() {
    let mut pair = Pair::new(MIB);
    let extent = pair.slab.grow(600).unwrap();
    let fd = || extent.fd.try_clone_to_owned().unwrap();
    let mut add = |number, shape| pair.reader.add(number, shape, fd()).unwrap_err().code();
    assert_eq!(add(1, extent.shape), "CL-0377");
    for (chunk_bytes, chunks) in
        [(0, 1), (511, 1), (513, 1), (2 << 30, 1), (640, 0), (640, 1 << 17)]
    {
        assert_eq!(add(0, ExtentShape { chunk_bytes, chunks }), "CL-0371", "{chunk_bytes}");
    }
    // The segment is another than was told.
    assert_eq!(add(0, ExtentShape { chunk_bytes: 512, ..extent.shape }), "CL-0311");
    let chunks = extent.shape.chunks + 4096;
    assert_eq!(add(0, ExtentShape { chunks, ..extent.shape }), "CL-0313");
    pair.reader.add(0, extent.shape, fd()).unwrap();
    assert_eq!(pair.reader.extents(), 1);
}

proptest! {
    /// Whatever is published, held and reclaimed in whatever order: what is held does not change,
    /// and what is read is what was published or told to be gone.
    #[test]
    fn held_payloads_never_change(
        steps in proptest::collection::vec((0_u8..4, 0_usize..3), 1..80),
    ) {
        let mut pair = Pair::new(MIB);
        let sizes = [10, 700, 3000];
        let (mut published, mut held) = (Vec::new(), Vec::new());
        for (index, (step, which)) in steps.into_iter().enumerate() {
            let fill = index as u8;
            match step {
                0 | 1 => {
                    let payload = vec![fill; sizes[which]];
                    published.push((pair.publish(&payload), payload));
                }
                2 if !published.is_empty() => {
                    let (reference, payload) = &published[index % published.len()];
                    match pair.reader.hold(*reference, &pair.holds, trusted()) {
                        Ok(sample) => held.push((sample, payload.clone())),
                        Err(ReadError::NoHold { .. }) => held.clear(),
                        Err(error) => prop_assert!(matches!(error, ReadError::Overrun)),
                    }
                }
                _ => {
                    if let Some(over) = pair.slab.wanted(sizes[which]) {
                        pair.reclaim(sizes[which], over);
                    }
                }
            }
            for (sample, payload) in &held {
                prop_assert_eq!(&**sample, &payload[..]);
            }
            for (reference, payload) in &published {
                let mut copy = Vec::new();
                match pair.reader.copy_to_vec(*reference, &mut copy) {
                    Ok(()) => prop_assert_eq!(&copy, payload),
                    Err(error) => prop_assert!(matches!(error, ReadError::Overrun)),
                }
            }
        }
    }
}
