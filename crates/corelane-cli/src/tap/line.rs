//! A message as a line. It reads no socket and prints nothing.

use corelane_transport::exchange::TypeTag;
use corelane_transport::schema::{Filter, Schema};
use corelane_transport::topic::Origin;
use serde_json::json;

use super::{Form, TapError, schema_of};

/// Makes lines of messages, by their schema once it is known.
pub(super) struct Lines {
    form: Form,
    filter: Option<Filter>,
    name: String,
    schema: Option<Schema>,
}

impl Lines {
    pub(super) fn new(form: Form, filter: Option<Filter>, name: &str) -> Self {
        Self { form, filter, name: name.to_owned(), schema: None }
    }

    pub(super) fn has_type(&self) -> bool {
        self.schema.is_some()
    }

    /// Takes the type that the topic has, if anybody has told it.
    pub(super) fn learn(&mut self, tag: Option<&TypeTag>) -> anyhow::Result<()> {
        let Some(tag) = tag else { return Ok(()) };
        let schema = schema_of(tag)?;
        if let Some(filter) = &self.filter {
            if schema.size().is_none() {
                return Err(TapError::NoFields { name: self.name.clone() }.into());
            }
            // A field that is not there is told before the first message comes.
            filter.bind(&schema)?;
        }
        self.schema = Some(schema);
        Ok(())
    }

    /// The line of a message, unless the filter leaves it out. A record of a lane has no origin.
    pub(super) fn line(
        &self,
        bytes: &[u8],
        origin: Option<&Origin>,
    ) -> anyhow::Result<Option<String>> {
        let schema = self.schema.as_ref().filter(|schema| schema.size() == Some(bytes.len()));
        if let (Some(filter), Some(schema)) = (&self.filter, schema)
            && !filter.bind(schema)?.matches(bytes)?
        {
            return Ok(None);
        }
        let decoded = schema.map(|schema| schema.decode(bytes)).transpose()?;
        let line = match (self.form, decoded) {
            (Form::Hex, _) => hexadecimal(bytes),
            (Form::Text, Some(decoded)) => decoded.to_string(),
            (Form::Text, None) => text(bytes),
            (Form::Json, decoded) => {
                let message = match decoded {
                    Some(decoded) => serde_json::from_str(&decoded.to_json())?,
                    None => {
                        json!({
                            "text": std::str::from_utf8(bytes).ok(),
                            "hex": hexadecimal(bytes),
                        })
                    }
                };
                let hash = origin.and_then(|origin| origin.hash);
                json!({
                    "schema": "corelane.tap/1",
                    "publisher": origin.map(|origin| format!("{:016x}", origin.publisher)),
                    "sequence": origin.map(|origin| origin.sequence),
                    "time_ns": origin.and_then(|origin| origin.time_ns),
                    "hash": hash.map(|hash| format!("{hash:016x}")),
                    "bytes": bytes.len(),
                    "message": message,
                })
                .to_string()
            }
        };
        Ok(Some(line))
    }
}

/// Bytes as they are if they are a line of text, else in hexadecimal.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => hexadecimal(bytes),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_text_only_when_they_are_a_line_of_it() {
        assert_eq!(text("grüß".as_bytes()), "grüß");
        assert_eq!(text(b"two\nlines"), "74776f0a6c696e6573");
        assert_eq!(text(&[0xff, 0]), "ff00");
        assert_eq!(text(b""), "");
    }
}
