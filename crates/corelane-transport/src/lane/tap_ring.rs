//! The ring of a lane as a tap has it: mapped, read by copies, never written.

use std::os::fd::OwnedFd;

use corelane_ring::tap::{LatencyTap, Start, TapError, ThroughputTap};
use corelane_shm::WordsRo;
use corelane_shm::byte_ring::ByteRingReader;

use crate::exchange::message::LaneOffer;

use super::ring::{INTENT, open_slots};
use super::tap::LaneMissed;

/// A tap of either kind.
#[derive(Debug)]
pub(super) enum TapRing {
    Latency(LatencyTap<WordsRo>),
    Throughput(ThroughputTap<WordsRo>),
}

impl TapRing {
    /// Checks and maps what a sender offers.
    pub(super) fn open(lane: LaneOffer, fd: OwnedFd, is_new: bool) -> Result<Self, String> {
        let start = if is_new { Start::First } else { Start::Tail };
        match lane {
            LaneOffer::Latency { slots, slot_lines } => {
                let (words, data, shape) = open_slots(slots, slot_lines, fd)?;
                let intent = words.window(INTENT, 1).expect("because the header has this word");
                let tap = LatencyTap::new(shape, data, intent, start);
                Ok(Self::Latency(tap.map_err(|error| error.to_string())?))
            }
            LaneOffer::Throughput { capacity_bytes } => {
                let reader = ByteRingReader::open(fd, capacity_bytes);
                let tap = reader.and_then(|reader| reader.into_tap(start));
                Ok(Self::Throughput(tap.map_err(|error| error.to_string())?))
            }
        }
    }

    /// Copies the next record; false when there is none.
    #[inline]
    pub(super) fn try_read(&mut self, record: &mut Vec<u8>) -> Result<bool, TapError> {
        match self {
            Self::Latency(tap) => tap.try_read(record),
            Self::Throughput(tap) => tap.try_read(record),
        }
    }

    /// What is left unread of a ring that is given up; of nonsense, nothing is counted.
    pub(super) fn unread(mut self) -> LaneMissed {
        let skipped = match &mut self {
            Self::Latency(tap) => tap.skip(),
            Self::Throughput(tap) => tap.skip(),
        };
        self.missed(skipped.unwrap_or(0))
    }

    /// So many positions of this ring, as what they are.
    pub(super) fn missed(&self, positions: u64) -> LaneMissed {
        match self {
            Self::Latency(_) => LaneMissed { records: positions, bytes: 0 },
            Self::Throughput(_) => LaneMissed { records: 0, bytes: positions },
        }
    }
}
