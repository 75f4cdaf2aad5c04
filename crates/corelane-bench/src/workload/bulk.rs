//! Large payloads, written and read where they lie: every byte of them, or the header only.

use std::time::Instant;

use crate::{
    bulk_peer::{BulkPeer, BulkReceiver, BulkSender},
    harness::{Job, Part, PassError, PassResult, Stage, Team},
    row::Mode,
};

/// Memory of all buffers together, and their number at least and at most.
const BUFFERS_BYTES: usize = 256 << 10;
const BUFFERS_MIN: usize = 4;
const BUFFERS_MAX: usize = 64;
/// The header is one cache line.
const HEADER_BYTES: usize = 64;

/// One pass of `count` payloads.
pub(crate) fn pass<P: BulkPeer>(stage: &Stage, count: u64) -> Result<PassResult, PassError> {
    let bytes = stage.key.payload_bytes;
    let buffers = (BUFFERS_BYTES / bytes).clamp(BUFFERS_MIN, BUFFERS_MAX);
    let touched = if stage.key.mode == Mode::HeaderOnly { HEADER_BYTES } else { bytes };
    let (mut sender, mut receiver) = P::open(buffers, bytes);
    let warm = 2 * buffers as u64;
    let total = warm + count;
    let send: Job<'_> = Box::new(move |line, patience| {
        let mut start = None;
        for number in 1..=total {
            if number == warm + 1 {
                line.meet(patience)?;
                start = Some(Instant::now());
            }
            while !sender.try_send(&mut |buffer| fill(&mut buffer[..touched], number)) {
                patience.wait()?;
            }
            patience.reset();
        }
        line.meet(patience)?;
        Ok(Part { span: start.zip(start), ..Part::default() })
    });
    let receive: Job<'_> = Box::new(move |line, patience| {
        let mut checksum = 0u64;
        let mut start = None;
        for number in 1..=total {
            if number == warm + 1 {
                line.meet(patience)?;
                start = Some(Instant::now());
            }
            let mut look =
                |buffer: &[u8]| checksum = checksum.wrapping_add(sum(&buffer[..touched]));
            while !receiver.try_recv(&mut look) {
                patience.wait()?;
            }
            patience.reset();
        }
        let end = Instant::now();
        line.meet(patience)?;
        Ok(Part { span: start.map(|start| (start, end)), checksum, ..Part::default() })
    });
    let team = Team::run(stage, vec![send, receive])?;
    team.check(expected(total, touched))?;
    let wall = team.wall();
    let moved = match stage.key.mode {
        Mode::HeaderOnly => count as f64 / 1e6,
        _ => (count * bytes as u64) as f64 / 1e9,
    };
    let values = vec![moved / wall.as_secs_f64()];
    Ok(PassResult { values, wall, uses: team.uses, histogram: None })
}

/// Writes every byte: word i is `number` + i.
fn fill(bytes: &mut [u8], number: u64) {
    for (index, word) in (0..).zip(bytes.as_chunks_mut::<8>().0) {
        *word = number.wrapping_add(index).to_le_bytes();
    }
}

/// Reads every byte.
fn sum(bytes: &[u8]) -> u64 {
    bytes.as_chunks::<8>().0.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

/// Sum over the payloads 1 to `last` of so many bytes.
fn expected(last: u64, bytes: usize) -> u64 {
    let words = bytes as u64 / 8;
    let numbers = u128::from(last) * (u128::from(last) + 1) / 2;
    let indexes = last.wrapping_mul(words * (words - 1) / 2);
    (numbers as u64).wrapping_mul(words).wrapping_add(indexes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_expected() {
        let mut bytes = [0; 128];
        let mut read = 0u64;
        for number in 1..=9 {
            fill(&mut bytes, number);
            read = read.wrapping_add(sum(&bytes));
        }
        assert_eq!(read, expected(9, 128));
        bytes[100] ^= 1;
        assert_ne!(sum(&bytes), expected(9, 128).wrapping_sub(expected(8, 128)));
    }
}
