//! Large payloads, written and read where they lie: every byte of them, or the header only.

use std::time::Instant;

use crate::{
    bulk_peer::{BulkPeer, BulkReceiver, BulkSender},
    harness::{Job, Line, Part, PassError, PassResult, Stage, Team},
    patience::Patience,
    row::{Mode, RowKey},
};

/// Memory of all buffers together, and their number at least and at most.
const BUFFERS_BYTES: usize = 256 << 10;
const BUFFERS_MIN: usize = 4;
const BUFFERS_MAX: usize = 64;
/// The header is one cache line.
const HEADER_BYTES: usize = 64;

/// What a pass moves: so many payloads, and how much of each is touched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) buffers: usize,
    pub(crate) bytes: usize,
    touched: usize,
    warm: u64,
    count: u64,
}

impl Load {
    pub(crate) fn new(key: &RowKey, count: u64) -> Self {
        let bytes = key.payload_bytes;
        let buffers = (BUFFERS_BYTES / bytes).clamp(BUFFERS_MIN, BUFFERS_MAX);
        let touched = if key.mode == Mode::HeaderOnly { HEADER_BYTES } else { bytes };
        Self { buffers, bytes, touched, warm: 2 * buffers as u64, count }
    }
}

/// One pass of `count` payloads.
pub(crate) fn pass<P: BulkPeer>(stage: &Stage, count: u64) -> Result<PassResult, PassError> {
    let load = Load::new(&stage.key, count);
    let (mut sender, mut receiver) = P::open(load.buffers, load.bytes);
    let send: Job<'_> = Box::new(move |line, patience| send(&mut sender, load, line, patience));
    let receive: Job<'_> =
        Box::new(move |line, patience| receive(&mut receiver, load, line, patience));
    evaluate(&stage.key, Team::run(stage, vec![send, receive])?, load)
}

/// Sends all payloads.
pub(crate) fn send(
    sender: &mut impl BulkSender,
    load: Load,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    let mut start = None;
    for number in 1..=load.warm + load.count {
        if number == load.warm + 1 {
            line.meet(patience)?;
            start = Some(Instant::now());
        }
        while !sender.try_send(&mut |buffer| fill(&mut buffer[..load.touched], number)) {
            patience.wait()?;
        }
        patience.reset();
    }
    line.meet(patience)?;
    Ok(Part { span: start.zip(start), ..Part::default() })
}

/// Receives and sums up all payloads.
pub(crate) fn receive(
    receiver: &mut impl BulkReceiver,
    load: Load,
    line: &impl Line,
    patience: &mut Patience,
) -> Result<Part, PassError> {
    let mut checksum = 0u64;
    let mut start = None;
    for number in 1..=load.warm + load.count {
        if number == load.warm + 1 {
            line.meet(patience)?;
            start = Some(Instant::now());
        }
        let mut look =
            |buffer: &[u8]| checksum = checksum.wrapping_add(sum(&buffer[..load.touched]));
        while !receiver.try_recv(&mut look) {
            patience.wait()?;
        }
        patience.reset();
    }
    let end = Instant::now();
    line.meet(patience)?;
    Ok(Part { span: start.map(|start| (start, end)), checksum, ..Part::default() })
}

/// Bandwidth, or the rate where only headers are touched.
pub(crate) fn evaluate(key: &RowKey, team: Team, load: Load) -> Result<PassResult, PassError> {
    team.check(expected(load.warm + load.count, load.touched))?;
    let wall = team.wall();
    let moved = match key.mode {
        Mode::HeaderOnly => load.count as f64 / 1e6,
        _ => (load.count * load.bytes as u64) as f64 / 1e9,
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
