//! Death at a chosen moment: a real process is led to any instruction of an operation and killed.
//!
//! An operation is a closure that a child process runs between two marks; a verdict is a closure
//! of the process that survives. The child is the test binary itself, started again to run the same
//! test, so that both stand in one function:
//!
//! ```no_run
//! use corelane_testkit::kill::{Killing, Points, check};
//!
//! # fn everything_that_both_share() {}
//! let killing = Killing::of("a_greeting_is_whole");
//! killing.sweep(
//!     Points::Instructions,
//!     // The child: everything before and after `perform` is left alone.
//!     |stage| stage.perform(everything_that_both_share),
//!     // The survivor: meets the child before the first mark.
//!     |meeting| meeting.case,
//!     // The survivor, once the child is dead and reaped.
//!     |_, death| check(death.point < u64::MAX, || "what it left is torn".to_owned()),
//! );
//! ```
//!
//! Every point needs a child of its own. It is traced by the kernel's single step, so that the code
//! under test is the code of the product: it holds no hooks. Where a part of an operation is done
//! by a thread of the product itself, that one is stepped by [`Stage::perform_on`]. What it does
//! not do: choose the moment in more than one thread of a process at once, or reorder what a
//! processor may reorder; the model checker does the latter.

mod arguments;
mod moment;
mod recovery;
mod route;
mod shared;
mod stage;
mod sweep;
mod victim;
mod watchdog;

use corelane_shm::WordsRo;

pub use moment::Moment;
pub use recovery::Recovery;
pub use stage::Stage;
pub use sweep::{Covered, Death, Fault, Killing, Meeting, Points};
pub use victim::Victim;

/// What a verdict returns: an error says in words what the dead left broken.
pub type Verdict = Result<(), String>;

/// A number that changes with every word: what [`Points::Stores`] asks for.
pub fn digest(words: &WordsRo) -> u64 {
    let words = (0..words.len()).map(|index| words.load_relaxed(index));
    words.fold(0xcbf2_9ce4_8422_2325, |sum, word| (sum ^ word).wrapping_mul(0x0100_0000_01b3))
}

/// A verdict of one condition.
///
/// # Errors
/// When the condition does not hold: the text.
pub fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}
