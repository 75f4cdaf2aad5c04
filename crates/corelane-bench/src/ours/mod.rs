//! The rings of `corelane-ring`, one adapter a file.

mod word_ring;

pub use word_ring::{WordReceiver, WordRing, WordSender};
