//! Where the answers go: a file or the standard output, as lines of text or objects of JSON.

use std::io::{self, BufWriter, ErrorKind, Write};

use corelane_config::Format;
use serde_json::{Value, json};

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
                let answer = serde_json::from_slice(record)
                    .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(record).into_owned()));
                writeln!(self.out, "{}", json!({ "item": item, "answer": answer }))
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
