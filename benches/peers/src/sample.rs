//! A report of a few made-up figures, for the tests.

use corelane_bench::{Report, SCHEMA};

/// Peer, workload, payload, metric and median of its rows.
const ROWS: &[(&str, &str, usize, &str, f64)] = &[
    ("corelane ring", "throughput", 8, "rate", 105.0),
    ("corelane slow ring", "throughput", 8, "rate", 10.0),
    ("rtrb", "throughput", 8, "rate", 100.0),
    ("ringbuf", "throughput", 8, "rate", 70.0),
    ("corelane ring", "latency", 8, "round_trip", 119.0),
    ("rtrb", "latency", 8, "round_trip", 116.0),
    ("corelane ring", "latency", 8, "max", 9000.0),
    ("corelane ring", "bulk", 4096, "bandwidth", 9.5),
    ("bare hand-over", "bulk", 4096, "bandwidth", 10.0),
];

/// Every interval reaches one hundredth to both sides.
pub(crate) fn report() -> Report {
    let rows: Vec<String> = ROWS.iter().map(|row| row_json(*row)).collect();
    let text = format!(
        r#"{{"schema": "{SCHEMA}", "remarks": ["made up"], "rows": [{}],
        "machine": {{"cpu": "abacus", "cpus": "0-1", "shape": "2 cores", "kernel": "6.0",
            "rustc": "rustc 1", "load": 0.5, "clock_step_ns": 5,
            "is_optimised": true}},
        "options": {{"workloads": ["latency"], "payloads": [8], "passes": 5, "pass_ms": 100,
            "bracket_ms": 2, "placements": ["pinned"], "threads": [2], "cursors": 10,
            "is_noise_allowed": false}}}}"#,
        rows.join(",")
    );
    Report::from_json(&text).expect("the sample is a report")
}

fn row_json((peer, workload, payload, metric, median): (&str, &str, usize, &str, f64)) -> String {
    let mode = if workload == "bulk" { "every_byte" } else { "single" };
    let (unit, better) = if workload == "latency" { ("ns", "lower") } else { ("M/s", "higher") };
    let (low, high) = (median * 0.99, median * 1.01);
    format!(
        r#"{{"workload": "{workload}", "peer": "{peer}", "payload_bytes": {payload},
        "mode": "{mode}", "senders": 1, "receivers": 1, "is_broadcast": false,
        "placement": "pinned", "threads": 2, "cpus": "0 and 1", "metric": "{metric}",
        "unit": "{unit}", "better": "{better}", "median": {median}, "low": {low}, "high": {high},
        "confidence": 0.94, "passes": 5, "passes_disturbed": 0, "label": "near",
        "pingpong_ns": 100.0, "pingpong_two_lines_ns": 120.0}}"#
    )
}
