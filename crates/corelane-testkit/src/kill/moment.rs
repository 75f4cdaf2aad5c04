//! When a child dies in a random run: after a number of records and a little, or after a time.

use std::{
    hint,
    time::{Duration, Instant},
};

use fastrand::Rng;

use super::recovery::Recovery;

/// Most records before a death that counts records.
const RECORDS_MAX: u64 = 2_000;
/// Most pauses after the last record, so that the child stands anywhere between two of its own.
const SPINS_MAX: u32 = 2_000;
/// Longest life of a child whose death counts time.
const LIFE_MAX: Duration = Duration::from_millis(3);

/// The moment at which a child is killed.
#[derive(Debug)]
pub struct Moment<'a> {
    recovery: &'a mut Recovery,
    records: u64,
    records_due: u64,
    spins: u32,
    end: Option<Instant>,
}

impl<'a> Moment<'a> {
    pub(super) fn new(draw: &mut Rng, recovery: &'a mut Recovery) -> Self {
        let by_time = draw.bool();
        let life = LIFE_MAX.mul_f64(draw.f64());
        Self {
            recovery,
            records: 0,
            records_due: draw.u64(0..RECORDS_MAX),
            spins: draw.u32(0..SPINS_MAX),
            end: by_time.then(|| Instant::now() + life),
        }
    }

    /// Counts a record that the survivor received.
    pub fn record(&mut self) {
        if self.records == 0 {
            self.recovery.first_record();
        }
        self.records += 1;
    }

    /// Whether it is time; a moment that counts records spins for a random while before it says so.
    pub fn is_due(&self) -> bool {
        match self.end {
            Some(end) => Instant::now() >= end,
            None if self.records < self.records_due => false,
            None => {
                (0..self.spins).for_each(|_| hint::spin_loop());
                true
            }
        }
    }
}
