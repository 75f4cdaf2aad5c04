//! A reading: what an alarm judges, as a record says it.
//!
//! Three forms: an object of JSON with a number `value` and a name `series`, a name and a number
//! separated by a blank, or a number alone, whose series has no name.

use serde_json::{Map, Value};

/// A number of a series, and the object it came in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) series: String,
    pub(super) value: f64,
    /// All that the record said.
    pub(super) fields: Map<String, Value>,
}

impl Reading {
    /// Reads a record; the text of the error says what it should look like.
    pub(super) fn parse(record: &[u8]) -> Result<Self, String> {
        let refuse = || {
            let found: String = String::from_utf8_lossy(record).chars().take(40).collect();
            format!(
                "found {found:?} where a reading was due: write {{\"series\":\"name\",\
                 \"value\":1.5}}, name 1.5, or 1.5"
            )
        };
        let text = std::str::from_utf8(record).map_err(|_| refuse())?.trim();
        let (series, value, mut fields) = match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => {
                let series = fields.get("series").and_then(Value::as_str).unwrap_or("").to_owned();
                (series, fields.get("value").and_then(Value::as_f64), fields)
            }
            _ => {
                let (series, value) = text.rsplit_once([' ', '\t']).unwrap_or(("", text));
                (series.trim().to_owned(), value.parse().ok(), Map::new())
            }
        };
        let value = value.filter(|value| value.is_finite()).ok_or_else(refuse)?;
        fields.insert("series".to_owned(), series.clone().into());
        fields.insert("value".to_owned(), value.into());
        Ok(Self { series, value, fields })
    }

    /// A number that is the same for all records of a series; for what is no reading too.
    pub(super) fn series_key(record: &[u8]) -> u64 {
        let series = Self::parse(record).map(|reading| reading.series).unwrap_or_default();
        let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        series.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_has_three_forms() {
        for (text, series, value) in [
            (r#"{"series":"cpu","value":0.5,"t_ms":3}"#, "cpu", 0.5),
            (r#"{"value":7}"#, "", 7.0),
            ("cpu.user 1e-3\n", "cpu.user", 0.001),
            ("two words -4", "two words", -4.0),
            (" 12 ", "", 12.0),
        ] {
            let reading = Reading::parse(text.as_bytes()).unwrap();
            assert_eq!((reading.series.as_str(), reading.value), (series, value), "{text}");
        }
        let kept = Reading::parse(br#"{"series":"cpu","value":0.5,"t_ms":3}"#).unwrap();
        assert_eq!(kept.fields["t_ms"], 3);
    }

    #[test]
    fn what_is_no_reading_says_what_one_looks_like() {
        for text in
            ["", "cpu", "cpu nan", "inf", "{\"series\":\"cpu\"}", "[1]", "{\"value\":\"1\"}"]
        {
            let error = Reading::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains("name 1.5"), "{error}");
        }
        assert!(Reading::parse(&[0xff, b'1']).is_err());
    }

    #[test]
    fn records_of_one_series_have_one_key() {
        let key = |text: &str| Reading::series_key(text.as_bytes());
        assert_eq!(key("cpu 1"), key(r#"{"value":2,"series":"cpu"}"#));
        assert_ne!(key("cpu 1"), key("disk 1"));
    }
}
