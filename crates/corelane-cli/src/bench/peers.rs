//! Which queues `corelane bench` measures: ours, the limits they are held against, the rivals.

use corelane_bench::{
    HandOver, Pooled, Suite, ours,
    process::{self, ProcessCast},
    standard::{EventFd, Parking, Pipe, SeqPacket, StdChannel, StdEach, UnixPair},
};

/// Adds all peers that have a row for the suite's options.
pub(super) fn add(suite: &mut Suite, has_rivals: bool) {
    ours::add_all(suite);
    add_limits(suite);
    if has_rivals {
        suite.add_queue::<StdChannel>();
        suite.add_queue::<StdEach>();
        suite.add_bulk::<Pooled<StdChannel>>();
    }
}

/// All queues between processes that this program knows.
pub(super) fn across_processes() -> ProcessCast {
    let mut cast = ProcessCast::default();
    process::ours::add_all(&mut cast);
    process::standard::add_all(&mut cast);
    cast
}

/// Whether a peer of this name is ours.
pub(super) fn is_ours(name: &str) -> bool {
    name.starts_with("corelane ")
}

/// What the machine gives without any ring; without it a figure cannot be read.
fn add_limits(suite: &mut Suite) {
    suite.add_bulk::<HandOver>();
    suite.add_fanout::<StdEach>();
    suite.add_sleeping::<Pipe>();
    suite.add_sleeping::<UnixPair>();
    suite.add_sleeping::<SeqPacket>();
    suite.add_sleeping::<EventFd>();
    suite.add_sleeping::<StdChannel>();
    suite.add_sleeping::<Parking>();
}
