//! The sleeper protocol: how a sender wakes a receiver that went to sleep, and only then.
//!
//! The receiver owns a *sleep word*: even while it is awake, odd while it sleeps, a new odd value
//! for every sleep. Each sender owns a *bell word* per receiver. A receiver reads the bells, makes
//! its sleep word odd, looks at its lanes once more, then lets the operating system wait until a
//! bell differs from what was read. A sender that finds the sleep word odd changes its bell, once
//! per sleep, and asks the operating system to wake. The waiting itself is not done here.
//!
//! No wake-up is lost (RB-7): of the two fences B1 and S1 one comes first; if B1 does, the last
//! look finds the record; if S1 does, the sender finds the odd word and changes the bell.
//!
//! # Orders
//!
//! | id | where | what | pairs with |
//! |---|---|---|---|
//! | B1 | `Bell::ring` | SeqCst fence between the commits and the load of the sleep word | S1 |
//! | S1 | `Sleeper::prepare` | SeqCst fence between the sleep word's store and the last look | B1 |
//! | S2 | the receiver's own reading of its bells | Acquire load, before it looks at its lanes | B1, which makes the bell's store a releasing one |

use crate::{
    storage::{ReadWords, WriteWords},
    sync::{Ordering, fence},
};

/// The receiver's side: owner of the sleep word.
#[derive(Debug)]
pub struct Sleeper<W> {
    words: W,
    index: usize,
    state: u64,
}

impl<W: WriteWords> Sleeper<W> {
    /// Takes word `index`, which must be zero, as the sleep word.
    pub fn new(words: W, index: usize) -> Self {
        Self { words, index, state: 0 }
    }

    /// Announces the sleep. Read the bells before this, and look at the lanes once more after it.
    pub fn prepare(&mut self) {
        debug_assert!(self.state.is_multiple_of(2), "prepare is called while awake");
        self.state += 1;
        self.words.store_relaxed(self.index, self.state);
        // S1: pairs with B1.
        fence(Ordering::SeqCst);
    }

    /// Announces that the receiver is awake again, whether it slept or not.
    pub fn finish(&mut self) {
        if !self.state.is_multiple_of(2) {
            self.state += 1;
            self.words.store_relaxed(self.index, self.state);
        }
    }
}

/// The sender's side: owner of a bell word, reader of one receiver's sleep word.
#[derive(Debug)]
pub struct Bell<W, R> {
    words: W,
    index: usize,
    value: u64,
    sleep_words: R,
    sleep_index: usize,
    rung_for: u64,
}

impl<W: WriteWords, R: ReadWords> Bell<W, R> {
    /// Takes word `index` of `words`, which must be zero, as the bell of the given sleep word.
    pub fn new(words: W, index: usize, sleep_words: R, sleep_index: usize) -> Self {
        Self { words, index, value: 0, sleep_words, sleep_index, rung_for: 0 }
    }

    /// Call after committing: true when the receiver sleeps and must be woken now, on the low 32
    /// bits of this bell's word, by whatever the operating system offers.
    ///
    /// Costs one full fence; call it once per batch.
    #[inline]
    pub fn ring(&mut self) -> bool {
        // B1: pairs with S1.
        fence(Ordering::SeqCst);
        let state = self.sleep_words.load_relaxed(self.sleep_index);
        if state.is_multiple_of(2) || state == self.rung_for {
            return false;
        }
        self.rung_for = state;
        self.value = self.value.wrapping_add(1);
        // No order is needed: behind the fence B1 the store releases, so that who wakes by the bell
        // (S2) finds what was committed.
        self.words.store_relaxed(self.index, self.value);
        true
    }

    /// The words and the index of the bell, for the operating system's wake.
    pub fn target(&self) -> (&W, usize) {
        (&self.words, self.index)
    }
}
