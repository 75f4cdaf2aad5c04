//! What a child shares with others, and which of its instructions change it.
//!
//! Memory counts as shared where the child may write and others can map it: their mappings of the
//! same segment show what it wrote. Calls that map more are heard of when they return.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
};

use super::victim::{Pace, Reached, Victim};

/// The processor's instruction for a system call.
const SYSTEM_CALL: [u8; 2] = [0x0f, 0x05];
/// Bytes of the longest instruction that is to be known.
const KNOWN_BYTES: usize = 3;

/// Bytes of an instruction that repeats a store, each of which would be a step; zero for others.
fn repeated_store_bytes(code: [u8; KNOWN_BYTES]) -> u64 {
    let [0xf2 | 0xf3, rest @ ..] = code else { return 0 };
    match rest {
        // A width prefix, or none; then a move or a fill.
        [0x40..=0x4f, 0xa4 | 0xa5 | 0xaa | 0xab] => 3,
        [0xa4 | 0xa5 | 0xaa | 0xab, _] => 2,
        _ => 0,
    }
}

/// A mapping that is shared, as it was at the last look.
#[derive(Debug)]
struct Mapping {
    start: u64,
    bytes: Vec<u8>,
}

/// What a child has mapped to share, as it was at the last look.
#[derive(Debug)]
pub(super) struct Shared {
    maps: String,
    file: File,
    has_breakpoints: bool,
    mappings: Vec<Mapping>,
    /// Where the next look reads to.
    scratch: Vec<u8>,
}

impl Shared {
    /// What a child that stands still shares now.
    pub(super) fn of(victim: &Victim) -> Result<Self, String> {
        let maps = format!("/proc/{}/maps", victim.pid());
        let file = File::open(format!("/proc/{}/mem", victim.pid())).map_err(unread)?;
        let has_breakpoints = victim.has_breakpoints();
        let mut shared =
            Self { maps, file, has_breakpoints, mappings: Vec::new(), scratch: Vec::new() };
        shared.look()?;
        Ok(shared)
    }

    /// Looks where it is, and takes it as it is.
    pub(super) fn look(&mut self) -> Result<(), String> {
        self.mappings.clear();
        for line in fs::read_to_string(&self.maps).map_err(unread)?.lines() {
            let mapping = line.split_once(' ').filter(|(_, rest)| rest.starts_with("rw-s"));
            let Some((start, end)) = mapping.and_then(|(range, _)| range.split_once('-')) else {
                continue;
            };
            let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap_or(0));
            let mut bytes = vec![0; (end - start) as usize];
            // What another thread has unmapped since is nobody's any more.
            if self.file.read_exact_at(&mut bytes, start).is_ok() {
                self.mappings.push(Mapping { start, bytes });
            }
        }
        Ok(())
    }

    /// Whether it is different now.
    fn has_changed(&mut self) -> Result<bool, String> {
        let mut is_changed = false;
        for Mapping { start, bytes } in &mut self.mappings {
            self.scratch.resize(bytes.len(), 0);
            if self.file.read_exact_at(&mut self.scratch, *start).is_err() {
                // Another thread has unmapped it meanwhile; what else happened cannot be told.
                self.look()?;
                return Ok(true);
            }
            if self.scratch != *bytes {
                is_changed = true;
                std::mem::swap(&mut self.scratch, bytes);
            }
        }
        Ok(is_changed)
    }

    /// Steps the child by one instruction, and tells whether that changed it.
    pub(super) fn step(&mut self, victim: &mut Victim) -> Result<(Reached, bool), String> {
        let mut code = [0; KNOWN_BYTES];
        let address = victim.instruction();
        if let Some(address) = address {
            self.file.read_at(&mut code, address).map_err(unread)?;
        }
        let reached = match self.behind(victim, address, code) {
            Some(behind) => victim.step_to(behind)?,
            None => victim.step(Pace::Instruction)?,
        };
        let is_call = code.starts_with(&SYSTEM_CALL);
        let is_changed = !is_call && self.has_changed()?;
        if is_call || address.is_none() {
            // It may have mapped more, or less.
            self.look()?;
        }
        Ok((reached, is_changed))
    }

    /// Where an instruction ends that repeats a store to what is not shared: there is nothing to
    /// be seen between its repetitions.
    fn behind(
        &self,
        victim: &Victim,
        address: Option<u64>,
        code: [u8; KNOWN_BYTES],
    ) -> Option<u64> {
        let bytes = repeated_store_bytes(code);
        if bytes == 0 || !self.has_breakpoints {
            return None;
        }
        let (to, count) = victim.repeats_to()?;
        // In either direction, of the widest words that there are.
        let reach = count.saturating_mul(8);
        let [from, end] = [to.saturating_sub(reach), to.saturating_add(reach)];
        let is_shared = |mapping: &Mapping| {
            from < mapping.start + mapping.bytes.len() as u64 && end >= mapping.start
        };
        (!self.mappings.iter().any(is_shared)).then_some(address? + bytes)
    }
}

fn unread(error: io::Error) -> String {
    format!("the child's memory cannot be read: {error}")
}

/// Steps a child past so many stores, or to the end; how many it came past.
pub(super) fn lead(victim: &mut Victim, goal: u64) -> Result<u64, String> {
    let mut shared = Shared::of(victim)?;
    let mut passed = 0;
    while passed < goal {
        match shared.step(victim)? {
            (Reached::End, _) => break,
            (Reached::Point, is_changed) => passed += u64::from(is_changed),
        }
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_repeated_stores_are_known_by_their_length() {
        for (code, bytes) in [
            // rep movsb, rep movsq, rep stosq, rep stosb and the next instruction.
            ([0xf3, 0xa4, 0x0f], 2),
            ([0xf3, 0x48, 0xa5], 3),
            ([0xf3, 0x48, 0xab], 3),
            ([0xf3, 0xaa, 0xc3], 2),
            // repe cmpsb and repne scasb store nothing; movsb, movss, syscall repeat nothing.
            ([0xf3, 0xa6, 0xc3], 0),
            ([0xf2, 0xae, 0xc3], 0),
            ([0xa4, 0xc3, 0x90], 0),
            ([0xf3, 0x0f, 0x10], 0),
            ([0x0f, 0x05, 0xa4], 0),
        ] {
            assert_eq!(repeated_store_bytes(code), bytes, "{code:x?}");
        }
    }
}
