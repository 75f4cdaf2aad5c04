//! What the unit tests of this crate share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use corelane_topology::allowed_cpus;

use crate::{
    harness::Stage,
    label::Label,
    machine::Machine,
    options::Options,
    report::{Report, Row, SCHEMA},
    row::{Better, Mode, Placement, RowKey, Workload},
};

/// Held by every test that has child processes, so that none is taken for another test's, and by
/// those that judge what the kernel counted for this process.
pub(crate) fn children() -> MutexGuard<'static, ()> {
    static CHILDREN: Mutex<()> = Mutex::new(());
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pinned stage on the CPUs of this machine.
pub(crate) fn stage(senders: usize, receivers: usize) -> Stage {
    let key = RowKey {
        workload: Workload::Throughput,
        peer: "test".into(),
        payload_bytes: 8,
        mode: Mode::Single,
        senders,
        receivers,
        is_broadcast: false,
        placement: Placement::Pinned,
        processes: 0,
    };
    let cpus = allowed_cpus().expect("the affinity can be read").iter().collect();
    Stage { key, cpus, cursors: 3, across: None }
}

/// A report with the rate of two peers and the latency of one.
pub(crate) fn report() -> Report {
    let row = |peer: &str, metric: &str, better, median: f64| Row {
        key: RowKey { peer: peer.into(), ..stage(1, 1).key },
        threads: 2,
        cpus: "senders 0 receivers 1".into(),
        metric: metric.into(),
        unit: "M/s".into(),
        better,
        median,
        low: median * 0.9,
        high: median * 1.1,
        confidence: 0.9375,
        passes: 5,
        passes_disturbed: 0,
        label: Label::Near,
        pingpong_ns: 110.0,
        pingpong_two_lines_ns: 130.0,
        by_label: vec![],
        percentiles: match metric {
            "p50" => vec![(0.5, 100.0), (0.99, 200.0), (1.0, 900.0)],
            _ => vec![],
        },
    };
    let machine = Machine {
        cpu: "abacus".into(),
        cpus: "0-1".into(),
        shape: "2 cores, 1 nodes, 1 packages".into(),
        kernel: "6.0".into(),
        rustc: "rustc 1".into(),
        is_optimised: true,
        load: Some(0.1),
        clock_step_ns: 10,
    };
    Report {
        schema: SCHEMA.into(),
        machine,
        options: Options::for_cpus(vec![Workload::Throughput], 2),
        rows: vec![
            row("ours", "rate", Better::Higher, 50.0),
            row("theirs", "rate", Better::Higher, 100.0),
            row("ours", "p50", Better::Lower, 150.0),
        ],
        remarks: vec![],
    }
}
