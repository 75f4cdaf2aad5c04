//! The exchange: where ends of topics and lanes find each other.
//!
//! It knows names and types, and gives the two ends of a topic or lane a socket of their own. What
//! they then hand over to each other, and every message, goes past it: when it dies, what is
//! linked stays linked, and the participants bring their ends to the next one.

mod driver;
pub mod message;
mod state;

pub use driver::{Exchange, ExchangeError, PARTICIPANTS_MAX};
pub use message::{Listed, NAME_BYTES_MAX, Refusal, Role, TAPS_MAX, TypeTag};
pub use state::ENDS_MAX;
