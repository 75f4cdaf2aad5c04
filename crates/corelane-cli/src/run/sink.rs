//! Where the answers go: a file or the standard output, as lines of text or objects of JSON.

use std::io::{self, BufWriter, ErrorKind, Write};

use corelane_config::Format;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::{error::RunError, output::OutputFile};

/// Writes items that passed.
pub(super) struct Sink {
    out: BufWriter<Box<dyn Write>>,
    place: String,
    format: Format,
    /// Its reader went away: nothing more is wanted.
    pub(super) is_closed: bool,
}

impl Sink {
    /// Begins `file`, which is emptied, or the standard output.
    pub(super) fn open(file: Option<OutputFile>, format: Format) -> Result<Self, RunError> {
        let (out, place): (Box<dyn Write>, _) = match file {
            None => (Box::new(io::stdout()), "stdout".to_owned()),
            Some(file) => {
                let place = file.place();
                (Box::new(file.begin()?), place)
            }
        };
        Ok(Self { out: BufWriter::new(out), place, format, is_closed: false })
    }

    /// Writes what an item became.
    pub(super) fn write(&mut self, item: u64, record: &[u8]) -> Result<(), RunError> {
        let written = match self.format {
            Format::Text => self.out.write_all(record).and_then(|()| self.out.write_all(b"\n")),
            Format::Json => {
                writeln!(self.out, "{{\"answer\":{},\"item\":{item}}}", in_json(record))
            }
        };
        self.check(written)
    }

    /// Hands on what is buffered.
    pub(super) fn flush(&mut self) -> Result<(), RunError> {
        if self.out.buffer().is_empty() {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.check(flushed)
    }

    fn check(&mut self, result: io::Result<()>) -> Result<(), RunError> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            Err(source) => Err(RunError::Output { place: self.place.clone(), source }),
            Ok(()) => Ok(()),
        }
    }
}

/// The answer as it came if it is JSON, on one line; otherwise as a text of JSON, in which bytes
/// that are no UTF-8 became U+FFFD.
fn in_json(answer: &[u8]) -> String {
    match std::str::from_utf8(answer) {
        // A line break in JSON is between its words: within a text it is written with a backslash.
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            text.trim().replace(['\n', '\r'], " ")
        }
        _ => Value::from(String::from_utf8_lossy(answer)).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_json_stays_as_it_is() {
        for answer in [
            "12345678901234567890123",
            "9007199254740993.0",
            r#"{"a":1,"a":2,"A":-0.0}"#,
            r#""caf\u00e9""#,
            "null",
            "1e999",
        ] {
            assert_eq!(in_json(answer.as_bytes()), answer);
        }
        assert_eq!(in_json(b" {\n \"a\":\r\n1}\n"), r#"{  "a":  1}"#);
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(in_json(deep.as_bytes()), deep);
    }

    #[test]
    fn what_is_no_json_becomes_a_text() {
        assert_eq!(in_json(b""), r#""""#);
        assert_eq!(in_json(b"two \"words\"\n"), r#""two \"words\"\n""#);
        assert_eq!(in_json(b"\"a\xff\""), "\"\\\"a\u{fffd}\\\"\"");
    }
}
