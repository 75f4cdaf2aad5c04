//! The document of a run: what was measured, where, and how sure the figures are.

use serde::{Deserialize, Serialize};

use crate::{
    label::Label,
    machine::Machine,
    options::Options,
    row::{Better, Placement, RowKey},
};

/// Name and version of the document.
pub const SCHEMA: &str = "corelane.bench/1";

/// Everything that a run has to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Where it ran.
    pub machine: Machine,
    /// What was asked for.
    pub options: Options,
    /// The figures.
    pub rows: Vec<Row>,
    /// What a reader has to know about them, one sentence each.
    pub remarks: Vec<String>,
}

/// One figure of one row of the suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    #[serde(flatten)]
    pub key: RowKey,
    /// Measuring threads.
    pub threads: usize,
    /// Which thread lay where.
    pub cpus: String,
    /// Which figure.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
    /// Median of the passes that count.
    pub median: f64,
    /// Lower end of the interval of the median.
    pub low: f64,
    /// Upper end of the interval of the median.
    pub high: f64,
    /// Probability that the interval holds the true median.
    pub confidence: f64,
    /// Passes that count.
    pub passes: usize,
    /// Those of them that were disturbed; zero unless noise is allowed.
    pub passes_disturbed: usize,
    /// The label of the passes that count.
    pub label: Label,
    /// Median of the bare ping-pong over one line around these passes, there and back.
    pub pingpong_ns: f64,
    /// The same over two adjacent lines.
    pub pingpong_two_lines_ns: f64,
    /// Passes of every label, when there was more than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_label: Vec<LabelPasses>,
    /// Percentile and value over all passes that count, for the curve of a latency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub percentiles: Vec<(f64, f64)>,
}

/// The passes of one label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelPasses {
    /// The label.
    pub label: Label,
    /// How many.
    pub passes: usize,
    /// Their median.
    pub median: f64,
}

/// Why a document is not one of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is no such document at all.
    #[error("report cannot be read, make a new one with --save: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of another version.
    #[error("report has schema {found:?} where {SCHEMA:?} is read, make a new one with --save")]
    Schema {
        /// What it says.
        found: String,
    },
}

impl ReportError {
    /// The stable code of this error; `docs/errors/` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "CL-0951",
            Self::Schema { .. } => "CL-0952",
        }
    }
}

impl Report {
    /// Reads a document, and checks its version first.
    ///
    /// # Errors
    /// - [`ReportError::Schema`]: it is of another version, or has none.
    /// - [`ReportError::Json`]: it is no JSON, or has not the fields of this version.
    pub fn from_json(text: &str) -> Result<Self, ReportError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        let found = value.get("schema").and_then(|schema| schema.as_str()).unwrap_or("");
        if found != SCHEMA {
            return Err(ReportError::Schema { found: found.to_owned() });
        }
        Ok(serde_json::from_value(value)?)
    }

    /// The document as text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("because every field has a form in JSON")
    }
}

impl Row {
    /// Whether rows can be held against each other: all but the peer is the same.
    pub fn is_rival_of(&self, other: &Self) -> bool {
        let without_peer = |row: &Self| RowKey { peer: String::new(), ..row.key.clone() };
        self.metric == other.metric && without_peer(self) == without_peer(other)
    }

    /// Whether this figure is better than another.
    pub fn is_better_than(&self, other: &Self) -> bool {
        match self.better {
            Better::Higher => self.median > other.median,
            Better::Lower => self.median < other.median,
        }
    }

    /// How much better this figure is: above 1 it is ahead, whichever way is better.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        match self.better {
            Better::Higher => self.median / other.median,
            Better::Lower => other.median / self.median,
        }
    }

    /// The rest of a row's name, for titles: all but peer and payload.
    pub fn series_title(&self) -> String {
        let RowKey { workload, mode, placement, .. } = self.key;
        let place = match placement {
            Placement::Floating => "floating",
            Placement::Pinned => "pinned",
        };
        let (ends, across) = (self.key.ends(), self.key.across());
        format!("{} {ends} {} {place}{across}, {}", workload.name(), mode.name(), self.metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::report;

    #[test]
    fn a_report_goes_through_json_and_back() {
        let report = report();
        let text = report.to_json();
        assert_eq!(Report::from_json(&text).unwrap(), report);
        let newer = text.replacen('{', "{\"added_later\": 1,", 1);
        assert_eq!(Report::from_json(&newer).unwrap(), report, "new fields are no obstacle");
    }

    #[test]
    fn other_documents_are_refused() {
        let other = report().to_json().replace(SCHEMA, "corelane.bench/2");
        assert!(matches!(Report::from_json(&other), Err(ReportError::Schema { .. })));
        assert!(matches!(Report::from_json("{}"), Err(ReportError::Schema { .. })));
        assert!(matches!(Report::from_json("no"), Err(ReportError::Json(_))));
    }

    #[test]
    fn a_ratio_above_one_is_ahead_either_way() {
        let row = report().rows.remove(0);
        let twice = Row { median: 2.0 * row.median, ..row.clone() };
        assert_eq!(twice.ratio_to(&row), 2.0);
        assert!(twice.is_better_than(&row) && twice.is_rival_of(&row));
        let (fast, slow) =
            (Row { better: Better::Lower, ..row }, Row { better: Better::Lower, ..twice });
        assert_eq!(fast.ratio_to(&slow), 2.0);
        assert!(fast.is_better_than(&slow));
    }
}
