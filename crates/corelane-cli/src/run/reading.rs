//! A reading: what an alarm judges, as a record says it.
//!
//! Three forms: an object of JSON with a number `value` and a name `series`, a name and a number
//! separated by a blank, or a number alone, whose series has no name.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// The fields of an object, each as it was written.
pub(super) type Fields = BTreeMap<String, Box<RawValue>>;

/// A number of a series, and the object it came in.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) series: String,
    pub(super) value: f64,
    /// All that the record said.
    pub(super) fields: Fields,
}

impl Reading {
    /// Reads a record; the text of the error says what it should look like.
    pub(super) fn parse(record: &[u8]) -> Result<Self, String> {
        let refuse = |due| {
            let found: String = String::from_utf8_lossy(record).chars().take(40).collect();
            format!(
                "found {found:?} where {due} was due: write {{\"series\":\"name\",\
                 \"value\":1.5}}, name 1.5, or 1.5"
            )
        };
        let text = std::str::from_utf8(record).map_err(|_| refuse("a reading"))?.trim();
        // What goes on is one line; within a text of JSON there is no line break.
        let object = serde_json::from_str::<Fields>(&text.replace(['\n', '\r'], " "));
        let (series, value, mut fields) = match object {
            Ok(fields) => {
                let series = fields.get("series").map(|raw| serde_json::from_str(raw.get()));
                let series = series.transpose().map_err(|_| refuse("a name as series"))?;
                let value = fields.get("value").map_or("", |raw| raw.get()).to_owned();
                (series.unwrap_or_default(), value, fields)
            }
            Err(_) => {
                let (series, value) = text.rsplit_once([' ', '\t']).unwrap_or(("", text));
                (series.trim().to_owned(), value.to_owned(), Fields::new())
            }
        };
        let number = value.parse().ok().filter(|value: &f64| value.is_finite());
        let number = number.ok_or_else(|| refuse("a reading"))?;
        // As it came, unless JSON writes it in another way.
        let value = RawValue::from_string(value).unwrap_or_else(|_| raw(number));
        fields.insert("series".to_owned(), raw(&series));
        fields.insert("value".to_owned(), value);
        Ok(Self { series, value: number, fields })
    }

    /// A number that is the same for all records of a series; for what is no reading too.
    pub(super) fn series_key(record: &[u8]) -> u64 {
        let series = Self::parse(record).map(|reading| reading.series).unwrap_or_default();
        let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        series.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fold)
    }
}

/// A name or a number as a field; infinity, which JSON does not know, as null.
pub(super) fn raw(value: impl Serialize) -> Box<RawValue> {
    to_raw_value(&value).expect("because names and numbers can be written")
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
        assert_eq!(kept.fields["t_ms"].get(), "3");
    }

    #[test]
    fn a_value_stays_as_it_came() {
        for (text, value) in [
            ("cpu 12345678901234567", "12345678901234567"),
            (r#"{"series":"cpu","value":12345678901234567890123}"#, "12345678901234567890123"),
            (r#"{"series":"cpu","value":1.50}"#, "1.50"),
            ("cpu +.5", "0.5"),
        ] {
            let reading = Reading::parse(text.as_bytes()).unwrap();
            assert_eq!(reading.fields["value"].get(), value, "{text}");
        }
        let nested = Reading::parse(b"{\"value\":1,\n\"more\":[1,\n2]}").unwrap();
        assert_eq!(nested.fields["more"].get(), "[1, 2]");
    }

    #[test]
    fn a_series_that_is_no_name_is_refused() {
        for series in ["7", "null", "[\"cpu\"]"] {
            let record = format!("{{\"series\":{series},\"value\":1}}");
            let error = Reading::parse(record.as_bytes()).unwrap_err();
            assert!(error.contains("where a name as series was due"), "{error}");
        }
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
