//! Holds: how a reader keeps an owner from writing again what the reader was referred to.
//!
//! The owner of chunks has a *generation* word for each, which a reference carries too. A reader
//! has words of its own, in which it *marks* the chunk that it reads; zero is no mark. No count is
//! shared, and nobody writes a word of another: the marks of a reader that is gone are not looked
//! at any more.
//!
//! Before a chunk is written again its owner raises the generation ([`retire`]) and looks at all
//! marks ([`note_marks`]). A reader that wants to read a chunk in place marks it and looks at the
//! generation ([`take`]); one that copies looks behind the copy ([`is_intact`]). It does not say
//! which chunk may be retired when, nor what a mark means: the slab does.
//!
//! # Orders
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | H1 | `note_marks` | SeqCst fence after the generations, before the marks are looked at and before a chunk is written | H2, H5 |
//! | H2 | `take` | SeqCst fence after the mark, before the look at the generation | H1 |
//! | H3 | `give_back`, and the mark in `take` | Release store, after what was read under the mark before | H4 |
//! | H4 | `note_marks` | Acquire fence after the marks, before a chunk is written | H3 |
//! | H5 | `is_intact` | Acquire fence after the copy, before the generation is looked at | H1 |
//!
//! Why a chunk that is held is not written: of the two fences H1 and H2 one comes first. If H1
//! does, the reader sees the new generation and takes its mark back; if H2 does, the owner finds
//! the mark. The mark is a Release store as well, because it may replace a zero that the owner has
//! not seen: what was read under the mark before is then ordered all the same.

use crate::storage::{ReadWords, WriteWords};
use crate::sync::{Ordering, fence};

/// The chunk that a reference leads to: its generation word, and what that was.
#[derive(Debug)]
pub struct Place<'a, W> {
    /// The owner's words.
    pub generations: &'a W,
    /// Which of them is the chunk's.
    pub index: usize,
    /// The generation that the reference carries.
    pub generation: u64,
}

impl<W: ReadWords> Place<'_, W> {
    #[inline]
    fn is_current(&self) -> bool {
        self.generations.load_relaxed(self.index) == self.generation
    }
}

/// Makes every reference to a chunk an old one. Look at the marks before it is written.
#[inline]
pub fn retire(generations: &impl WriteWords, index: usize) {
    let raised = generations.load_relaxed(index).wrapping_add(1);
    // No order is needed: the fence H1 is the order.
    generations.store_relaxed(index, raised);
}

/// Tells `note` every mark of the readers, once for all chunks that were retired before. A chunk
/// that nobody marks may be written from here on.
pub fn note_marks<'a, W: ReadWords + 'a>(
    readers: impl Iterator<Item = &'a W>,
    mut note: impl FnMut(u64),
) {
    // H1: pairs with H2 and H5.
    fence(Ordering::SeqCst);
    for words in readers {
        (0..words.len()).map(|index| words.load_relaxed(index)).for_each(&mut note);
    }
    // H4: pairs with H3; what was read under marks that are gone was read before.
    fence(Ordering::Acquire);
}

/// Marks a chunk in word `slot` of the reader's own words; true when it is held from here on, and
/// false when its owner has retired it: then nothing is marked.
#[inline]
#[must_use]
pub fn take(
    marks: &impl WriteWords,
    slot: usize,
    mark: u64,
    place: &Place<'_, impl ReadWords>,
) -> bool {
    // H3: pairs with H4; what was read under the mark before was read before this.
    marks.store_release(slot, mark);
    // H2: pairs with H1.
    fence(Ordering::SeqCst);
    let is_held = place.is_current();
    if !is_held {
        give_back(marks, slot);
    }
    is_held
}

/// Takes a mark away: the chunk may be written once its owner has looked.
#[inline]
pub fn give_back(marks: &impl WriteWords, slot: usize) {
    // H3: pairs with H4; what was read under the mark was read before this.
    marks.store_release(slot, 0);
}

/// Whether a copy of a chunk that was made just before is what the reference was made for.
#[inline]
#[must_use]
pub fn is_intact(place: &Place<'_, impl ReadWords>) -> bool {
    // H5: pairs with H1; whoever copied what was written anew sees the new generation.
    fence(Ordering::Acquire);
    place.is_current()
}

#[cfg(all(test, loom))]
mod loom_models {
    //! Models of holds that loom runs through every interleaving. Run with `ci/loom`.

    use loom::thread;

    use super::*;
    use crate::HeapWords;
    use crate::sync::{Arc, UnsafeCell};

    /// An owner with two chunks, one reader's marks, and the reference that was published last.
    struct Slab {
        generations: HeapWords,
        marks: HeapWords,
        /// Chunk and generation, published as the tail of a log would be.
        published: HeapWords,
        /// What lies in the chunks; loom reports who reads one while it is written.
        chunks: [UnsafeCell<u64>; 2],
    }

    impl Slab {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                generations: HeapWords::new(2),
                marks: HeapWords::new(1),
                published: HeapWords::new(1),
                chunks: [UnsafeCell::new(0), UnsafeCell::new(0)],
            })
        }

        /// Writes a chunk that is nobody's, and refers to it.
        fn fill(&self, index: usize) {
            self.chunks[index].with_mut(|_| ());
            let generation = self.generations.load_relaxed(index);
            self.published.store_release(0, generation << 8 | index as u64 + 1);
        }

        /// The owner wants the chunk back: whether it may be written.
        fn reclaim(&self, index: usize) -> bool {
            retire(&self.generations, index);
            let mut is_marked = false;
            note_marks([&self.marks].into_iter(), |mark| is_marked |= mark == index as u64 + 1);
            !is_marked
        }

        /// What was published last, if anything was.
        fn reference(&self) -> Option<(usize, u64)> {
            let word = self.published.load_acquire(0);
            (word != 0).then(|| ((word & 0xff) as usize - 1, word >> 8))
        }

        /// Holds and reads what was published last.
        fn read(&self) {
            let Some((index, generation)) = self.reference() else { return };
            let place = Place { generations: &self.generations, index, generation };
            if take(&self.marks, 0, index as u64 + 1, &place) {
                self.chunks[index].with(|_| ());
                give_back(&self.marks, 0);
            }
        }
    }

    /// A chunk is not written while it is held, and what was read under a hold was read before
    /// (SL-1, SL-3): H1 to H4.
    #[test]
    fn a_held_chunk_is_not_written() {
        loom::model(|| {
            let slab = Slab::new();
            slab.fill(0);
            let owner = slab.clone();
            let owner = thread::spawn(move || {
                for _ in 0..2 {
                    if owner.reclaim(0) {
                        owner.fill(0);
                    }
                }
            });
            slab.read();
            slab.read();
            owner.join().expect("because the owner does not panic");
        });
    }

    /// The reader marks the next chunk in the word in which it had marked the one before, and the
    /// owner may see neither the first mark nor the zero between them: H3 in `take`.
    #[test]
    fn a_mark_that_replaces_another_orders_what_was_read() {
        loom::model(|| {
            let slab = Slab::new();
            slab.fill(0);
            let owner = slab.clone();
            let owner = thread::spawn(move || {
                owner.fill(1);
                if owner.reclaim(0) {
                    owner.fill(0);
                }
            });
            slab.read();
            slab.read();
            owner.join().expect("because the owner does not panic");
        });
    }

    /// A copy counts only if it is what the reference was made for (SL-2): H1 and H5.
    #[test]
    fn a_copy_that_counts_is_whole() {
        loom::model(|| {
            let generations = HeapWords::new(1);
            let chunk = HeapWords::new(2);
            let published = HeapWords::new(1);
            let marks = HeapWords::new(1);
            chunk.write(0, &[0, 0]);
            let (owner_generations, owner_chunk) = (generations.clone(), chunk.clone());
            let owner_published = published.clone();
            let owner = thread::spawn(move || {
                for generation in 1..3 {
                    retire(&owner_generations, 0);
                    note_marks([&marks].into_iter(), |mark| assert_eq!(mark, 0));
                    owner_chunk.write(0, &[generation, generation]);
                    owner_published.store_release(0, generation);
                }
            });
            for _ in 0..2 {
                let generation = published.load_acquire(0);
                let place = Place { generations: &generations, index: 0, generation };
                let mut copy = [0; 2];
                chunk.read(0, &mut copy);
                if is_intact(&place) {
                    assert_eq!(copy, [generation; 2]);
                }
            }
            owner.join().expect("because the owner does not panic");
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::HeapWords;

    fn marks_of(readers: &[HeapWords]) -> Vec<u64> {
        let mut marks = Vec::new();
        note_marks(readers.iter(), |mark| marks.push(mark));
        marks
    }

    #[test]
    fn a_chunk_is_held_unless_it_was_retired_before() {
        let generations = HeapWords::new(3);
        let readers = [HeapWords::new(2), HeapWords::new(1)];
        let place = Place { generations: &generations, index: 1, generation: 0 };
        assert!(take(&readers[0], 1, 7, &place));
        assert!(is_intact(&place));
        assert_eq!(marks_of(&readers), [0, 7, 0]);
        retire(&generations, 1);
        assert_eq!((0..3).map(|index| generations.load_relaxed(index)).sum::<u64>(), 1);
        assert!(!is_intact(&place));
        assert!(!take(&readers[1], 0, 7, &place), "it came too late");
        assert_eq!(marks_of(&readers), [0, 7, 0], "and left no mark");
        give_back(&readers[0], 1);
        assert_eq!(marks_of(&readers), [0, 0, 0]);
        let anew = Place { generation: 1, ..place };
        assert!(take(&readers[1], 0, 7, &anew) && is_intact(&anew));
        assert_eq!(marks_of(&[]), []);
    }

    #[test]
    fn a_generation_that_was_the_highest_goes_on_from_zero() {
        let generations = HeapWords::new(1);
        generations.store_relaxed(0, u64::MAX);
        retire(&generations, 0);
        assert_eq!(generations.load_relaxed(0), 0);
    }
}
