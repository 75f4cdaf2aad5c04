//! Bytes into lines, none of them longer than a record may be.

use super::Entry;

/// A line in the making.
#[derive(Debug)]
pub(super) struct Lines {
    bytes_max: usize,
    line: Vec<u8>,
    /// Bytes of the line at hand that did not fit.
    surplus: usize,
    /// Lines begun, from 1.
    number: u64,
}

impl Lines {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, line: Vec::new(), surplus: 0, number: 1 }
    }

    /// Takes in the next bytes and appends the lines that they complete.
    pub(super) fn take(&mut self, mut bytes: &[u8], out: &mut Vec<Entry>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.finish(out);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// Appends what has no line break at its end.
    pub(super) fn end(&mut self, out: &mut Vec<Entry>) {
        if !self.line.is_empty() || self.surplus > 0 {
            self.finish(out);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        // One more than allowed, for a carriage return at the end.
        let room = (self.bytes_max + 1).saturating_sub(self.line.len());
        let (kept, surplus) = bytes.split_at(room.min(bytes.len()));
        self.line.extend_from_slice(kept);
        self.surplus += surplus.len();
    }

    fn finish(&mut self, out: &mut Vec<Entry>) {
        let mut line = std::mem::take(&mut self.line);
        if self.surplus == 0 && line.last() == Some(&b'\r') {
            line.pop();
        }
        let (bytes, max, number) = (line.len() + self.surplus, self.bytes_max, self.number);
        out.push(match bytes > max {
            true => Entry::Refused(format!(
                "line {number} has {bytes} bytes: raise limits.record_bytes_max ({max})"
            )),
            false => Entry::Record(line),
        });
        (self.surplus, self.number) = (0, number + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(chunks: &[&[u8]], bytes_max: usize) -> Vec<Entry> {
        let (mut lines, mut out) = (Lines::new(bytes_max), Vec::new());
        chunks.iter().for_each(|chunk| lines.take(chunk, &mut out));
        lines.end(&mut out);
        out
    }

    fn record(text: &str) -> Entry {
        Entry::Record(text.into())
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_came() {
        let text = b"one\r\n\ntwo\nlast";
        let expected = [record("one"), record(""), record("two"), record("last")];
        assert_eq!(lines_of(&[text], 10), expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(lines_of(&bytes, 10), expected);
        assert_eq!(lines_of(&[b"ends\n"], 10), [record("ends")]);
        assert_eq!(lines_of(&[], 10), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_never_cut() {
        let found = lines_of(&[b"12345\n123", b"456789\n12345\r\n123456"], 5);
        let Entry::Refused(reason) = &found[1] else { panic!("{found:?}") };
        assert_eq!(reason, "line 2 has 9 bytes: raise limits.record_bytes_max (5)");
        assert_eq!((&found[0], &found[2]), (&record("12345"), &record("12345")));
        assert!(matches!(&found[3], Entry::Refused(reason) if reason.contains("line 4 has 6")));
    }
}
