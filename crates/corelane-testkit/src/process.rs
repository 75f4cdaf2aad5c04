//! Real processes for tests: each run in a [`Place`] of its own, watched, and searched for after.
//!
//! A process belongs to the place whose path it carries in its environment, and so do all that it
//! starts, whoever their parent is by then. A run that hangs is killed with all of them and fails
//! with what it printed. What it does not do: it judges no output and repeats nothing.

mod capture;
mod forbid;
mod place;
mod running;

pub use corelane_shm::process::Signal;
pub use forbid::{Call, forbidding};
pub use place::{Output, Place, Process};
pub use running::{Ended, Running};

use std::{fs, time::Duration};

/// How long any run may take before it counts as hanging.
pub const WATCHDOG: Duration = Duration::from_secs(120);

/// How many descriptors this process has open.
pub fn open_descriptors() -> usize {
    // The listing itself has one open.
    fs::read_dir("/proc/self/fd").expect("because /proc is mounted").count() - 1
}
